// Schemas of the fields that many bodies and queries share, and the refusal that says which of them were wrong.
import { z } from "@hono/zod-openapi";
import { OnrushError } from "../../engine/errors.ts";
import { issuesOf } from "../../engine/issues.ts";
import { AMOUNT_MAX } from "../../engine/money.ts";

/** Path segments that are UUIDs; anything else names nothing, and is 404 without asking Postgres. */
export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Text of `min` to `max` UTF-16 units that Postgres can hold: no NUL, no half of a surrogate pair. */
export function text(min: number, max: number) {
  return z
    .string()
    .min(min)
    .max(max)
    .refine((value) => value.isWellFormed() && !value.includes("\0"), "must be well-formed text without NUL");
}

export const amount = z.int().min(0).max(AMOUNT_MAX);
export const uuid = z.string().regex(UUID, "must be a UUID").toLowerCase();
export const currency = z.string().regex(/^[A-Z]{3}$/, "must be an ISO 4217 code");
/** An instant with its offset, e.g. 2026-11-27T10:00:00+09:00. */
export const instant = z.iso
  .datetime({ offset: true })
  .transform((value) => new Date(value))
  .refine((value) => Number.isFinite(value.getTime()), "must be an instant")
  .openapi({ type: "string", format: "date-time" });

/** `limit` and `cursor` of a list. */
export const page = z.object({
  limit: z
    .string()
    .regex(/^\d{1,3}$/, "must be a whole number from 1 to 100")
    .transform(Number)
    .refine((value) => value >= 1 && value <= 100, "must be a whole number from 1 to 100")
    .default(20)
    .openapi({ type: "integer", minimum: 1, maximum: 100, default: 20 }),
  cursor: z.string().min(1).max(500).optional(),
});

/** A refusal of one field. `path` is dotted; empty for the whole. */
export function invalid(path: string, message: string): OnrushError {
  return new OnrushError("VALIDATION", path === "" ? `Not valid: ${message}.` : `Not valid: ${path}: ${message}.`, {
    errors: [{ path, message }],
  });
}

/** The refusal of what a schema found wrong, at most 20 findings. */
export function invalidBy(error: z.ZodError): OnrushError {
  const errors = issuesOf(error);
  const [first] = errors;
  const where = first && first.path !== "" ? `${first.path}: ` : "";
  return new OnrushError("VALIDATION", `Not valid: ${where}${first?.message ?? "?"}.`, { errors });
}

/** Parses by a schema. @throws OnrushError with `VALIDATION` and each finding */
export function parse<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value);
  if (!result.success) throw invalidBy(result.error);
  return result.data;
}
