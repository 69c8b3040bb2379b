// Answers other than refusals, with the headers that every answer of the API carries.

/** Nothing here is a page, may be framed, sniffed or kept by a cache. */
export const SECURITY_HEADERS = {
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
} as const;

const JSON_HEADERS = { ...SECURITY_HEADERS, "content-type": "application/json" } as const;

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
