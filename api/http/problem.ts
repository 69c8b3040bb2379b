// Problem documents (RFC 9457): the one form in which the API says no. `code` is stable and what programs act on; the
// facts beside it say about what; nothing of the inside (stack, SQL, keys) ever gets in.
import { ERROR_STATUS, type ErrorCode, type OnrushError } from "../../engine/errors.ts";
import { nextRequestId } from "../../engine/request-id.ts";
import { type Answer, responseOf, SECURITY_HEADERS } from "./answer.ts";

const TITLES: Readonly<Record<ErrorCode, string>> = {
  VALIDATION: "The request is not valid",
  UNAUTHENTICATED: "A valid access token is needed",
  FORBIDDEN: "This is not allowed",
  NOT_FOUND: "There is no such thing here",
  METHOD_NOT_ALLOWED: "The method is not allowed here",
  SOLD_OUT: "Sold out",
  LIMIT_EXCEEDED: "The limit per buyer is reached",
  COUPON_INVALID: "The coupon cannot be used",
  COUPON_EXHAUSTED: "The coupon is used up",
  COUPON_LIMIT_EXCEEDED: "The coupon's limit per member is reached",
  SALE_NOT_OPEN: "The sale is not open",
  PRICE_MISMATCH: "The price is another one",
  INSUFFICIENT_POINTS: "There are not that many points",
  INVALID_STATE: "The state does not allow this",
  EMAIL_TAKEN: "The e-mail address is taken",
  PAYLOAD_TOO_LARGE: "The body is too large",
  IDEMPOTENCY_CONFLICT: "The idempotency key was used for something else",
  RATE_LIMITED: "Too many requests",
  INTERNAL: "Something went wrong on our side",
  STOCK_UNAVAILABLE: "The stock cannot be reached",
  OVERLOADED: "Too busy at the moment",
  OUTCOME_UNKNOWN: "The outcome is not known",
};

/** Seconds after which another try makes sense, when the refusal itself does not say. */
const RETRY_AFTER_SECONDS: Partial<Record<ErrorCode, number>> = {
  RATE_LIMITED: 1,
  STOCK_UNAVAILABLE: 1,
  OVERLOADED: 1,
  OUTCOME_UNKNOWN: 1,
};

/** The name under which the refusal was noted, or a new one. */
export function requestIdOf(refusal: OnrushError): string {
  return refusal.requestId ?? nextRequestId();
}

/** The members of a problem document; `facts` may add to them and never replace them. */
export function problemDocument(refusal: OnrushError, requestId: string): Record<string, unknown> {
  return {
    ...refusal.facts,
    type: `urn:onrush:problem:${refusal.code.toLowerCase().replaceAll("_", "-")}`,
    title: TITLES[refusal.code],
    status: ERROR_STATUS[refusal.code],
    detail: refusal.message,
    code: refusal.code,
    requestId,
  };
}

/** The headers that go with a refusal: `Retry-After` (from `facts.retryAfter`, seconds), `WWW-Authenticate`, `Allow`. */
export function problemHeaders(refusal: OnrushError): Record<string, string> {
  const headers: Record<string, string> = { ...SECURITY_HEADERS, "content-type": "application/problem+json" };
  const { retryAfter, allow } = refusal.facts;
  const seconds =
    typeof retryAfter === "number" ? Math.max(1, Math.ceil(retryAfter)) : RETRY_AFTER_SECONDS[refusal.code];
  if (seconds !== undefined) headers["retry-after"] = String(seconds);
  if (refusal.code === "UNAUTHENTICATED") headers["www-authenticate"] = 'Bearer realm="onrush"';
  if (Array.isArray(allow)) headers["allow"] = allow.join(", ");
  return headers;
}

/** The refusal as an answer. */
export function problemAnswer(refusal: OnrushError, requestId: string = requestIdOf(refusal)): Answer {
  return {
    status: ERROR_STATUS[refusal.code],
    headers: problemHeaders(refusal),
    body: JSON.stringify(problemDocument(refusal, requestId)),
  };
}

/** The same for Hono. */
export function problemResponse(refusal: OnrushError, requestId?: string): Response {
  return responseOf(problemAnswer(refusal, requestId));
}
