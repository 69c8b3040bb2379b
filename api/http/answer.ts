// Answers other than refusals, with the headers that every answer of the API carries.
import type { ServerResponse } from "node:http";

/** An answer before it is on its way, by whichever way: through Hono, or on Node's response. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Nothing here is a page, may be framed, sniffed or kept by a cache. */
export const SECURITY_HEADERS = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
} as const;

export const JSON_HEADERS = { ...SECURITY_HEADERS, "content-type": "application/json" } as const;

/** A JSON answer. Plain header objects: the adapter writes those without building a `Headers`. */
export function jsonAnswer(body: unknown, status = 200, headers?: Readonly<Record<string, string>>): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: headers ? { ...JSON_HEADERS, ...headers } : JSON_HEADERS,
  });
}

/** 204: done, nothing to say. */
export function emptyAnswer(): Response {
  return new Response(null, { status: 204, headers: SECURITY_HEADERS });
}

/** The answer for Hono. */
export function responseOf({ status, headers, body }: Answer): Response {
  return new Response(body, { status, headers });
}

/** Writes the answer where Hono has not been; `more` are headers beside its own. A client that has gone is written nothing. */
export function sendAnswer(
  response: ServerResponse,
  { status, headers, body }: Answer,
  more: Readonly<Record<string, string>>,
): void {
  if (response.destroyed) return;
  response.writeHead(status, { ...headers, ...more, "content-length": Buffer.byteLength(body) }).end(body);
}
