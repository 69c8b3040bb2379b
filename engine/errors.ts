// The closed set of error codes that leave the system, and the one error class that carries them inside it.

/** Stable codes of the public contract; a problem document's `code` is always one of these. */
export const ERROR_STATUS = {
  VALIDATION: 400,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  SOLD_OUT: 409,
  LIMIT_EXCEEDED: 409,
  COUPON_INVALID: 409,
  COUPON_EXHAUSTED: 409,
  COUPON_LIMIT_EXCEEDED: 409,
  SALE_NOT_OPEN: 409,
  PRICE_MISMATCH: 409,
  INSUFFICIENT_POINTS: 409,
  INVALID_STATE: 409,
  EMAIL_TAKEN: 409,
  PAYLOAD_TOO_LARGE: 413,
  IDEMPOTENCY_CONFLICT: 422,
  RATE_LIMITED: 429,
  INTERNAL: 500,
  STOCK_UNAVAILABLE: 503,
  OVERLOADED: 503,
  OUTCOME_UNKNOWN: 503,
} as const;

export type ErrorCode = keyof typeof ERROR_STATUS;

/**
 * A refusal with a stable code, a sentence for people, and the facts a program needs to act on it. It carries no stack: a
 * refusal is an answer and no defect, and capturing one would be the largest part of what a sold-out answer costs.
 */
export class OnrushError extends Error {
  readonly code: ErrorCode;
  readonly facts: Readonly<Record<string, unknown>>;
  /** Under which it was noted, where it was (engine/refusals); what the answer shows then. */
  requestId: string | undefined;

  constructor(code: ErrorCode, detail: string, facts: Record<string, unknown> = {}, options?: ErrorOptions) {
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    super(detail, options);
    Error.stackTraceLimit = limit;
    this.name = "OnrushError";
    this.code = code;
    this.facts = facts;
    this.requestId = undefined;
  }
}

/** Ends an exhaustive switch: a new member of a closed set that nobody handles fails to compile here. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}
