// Cursors of lists: opaque to clients, checked when they come back.
import type { z } from "@hono/zod-openapi";
import { invalid } from "./fields.ts";

export function encodeCursor(position: unknown): string {
  return Buffer.from(JSON.stringify(position)).toString("base64url");
}

/** Reads a cursor. @throws OnrushError with `VALIDATION` when it is none of ours */
export function decodeCursor<Schema extends z.ZodType>(cursor: string, schema: Schema): z.output<Schema> {
  try {
    const position = schema.safeParse(JSON.parse(Buffer.from(cursor, "base64url").toString("utf8")));
    if (position.success && encodeCursor(position.data) === cursor) return position.data;
  } catch {
    // Not JSON: refused below like any other stranger.
  }
  throw invalid("cursor", "is not a cursor of this list");
}
