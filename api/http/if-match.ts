// Optimistic concurrency: an answer's `ETag` is the object's version, and a change that names it by `If-Match` is refused
// when the object was changed since.
import { z } from "@hono/zod-openapi";
import { parse } from "./fields.ts";

export const ifMatchHeader = z.object({
  "If-Match": z
    .string()
    .regex(/^(W\/)?"?\d{1,15}"?$/, "must be a version in quotes")
    .optional()
    .openapi({ description: 'The version that the change was made of, in quotes: `"7"`. INVALID_STATE for any other' }),
});

/** The version that the caller expects; `undefined`: any. @throws OnrushError with `VALIDATION` */
export function expectedVersion(header: string | undefined): number | undefined {
  if (header === undefined || header === "*") return undefined;
  const { "If-Match": value } = parse(ifMatchHeader, { "If-Match": header });
  return value === undefined ? undefined : Number(value.replace(/^W\//, "").replaceAll('"', ""));
}

/** The header of an answer that shows an object at a version. */
export function etag(version: number): { readonly etag: string } {
  return { etag: `"${version}"` };
}
