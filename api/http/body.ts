// Reading a request's body: bounded, once, as JSON. A body that announces too great a length is refused before a byte of
// it is read; one that announces none is counted while it comes.
import type { Context } from "hono";
import { OnrushError } from "../../engine/errors.ts";
import type { ApiEnv } from "./env.ts";
import { invalid } from "./fields.ts";

/** The largest body. An order of 100 lines is about 10 KB, the longest product description about 60 KB. */
export const BODY_BYTES_MAX = 256 * 1_024;

export const JSON_TYPE = /^application\/(?:[a-z0-9.+-]+\+)?json\s*(?:;|$)/i;
const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * Reads the body as JSON.
 *
 * @param optional an empty body is `undefined`, and not refused
 * @throws OnrushError with `PAYLOAD_TOO_LARGE`, or `VALIDATION` for another content type, bad UTF-8 or bad JSON
 */
export async function readJson(c: Context<ApiEnv>, optional = false): Promise<unknown> {
  const headers = c.req.raw.headers;
  const type = headers.get("content-type");
  if (type !== null && !JSON_TYPE.test(type)) throw invalid("", "the content type must be application/json");
  const text = decode(await readBytes(c));
  if (optional && text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    throw invalid("", text === "" ? "a JSON body is needed" : "the body is not JSON");
  }
}

/** Reads the body as it came. @throws OnrushError with `PAYLOAD_TOO_LARGE` */
export async function readBytes(c: Context<ApiEnv>): Promise<Uint8Array> {
  const length = c.req.raw.headers.get("content-length");
  if (length === null) return readCounted(c);
  if (Number(length) > BODY_BYTES_MAX) throw tooLarge();
  return new Uint8Array(await c.req.raw.arrayBuffer());
}

/** Reads bytes as UTF-8. @throws OnrushError with `VALIDATION` */
export function decode(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw invalid("", "the body is not UTF-8");
  }
}

function tooLarge(): OnrushError {
  return new OnrushError("PAYLOAD_TOO_LARGE", `A body may have at most ${BODY_BYTES_MAX} bytes.`, {
    bytesMax: BODY_BYTES_MAX,
  });
}

async function readCounted(c: Context<ApiEnv>): Promise<Uint8Array> {
  // The socket's own stream where there is one: leaving the loop must not destroy it, the refusal still has to go out.
  const source = c.env?.incoming?.iterator({ destroyOnReturn: false }) ?? c.req.raw.body;
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of (source ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > BODY_BYTES_MAX) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
