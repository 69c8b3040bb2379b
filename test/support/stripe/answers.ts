// How Stripe words its answers and its errors.

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface ErrorBody {
  readonly type: "api_error" | "card_error" | "idempotency_error" | "invalid_request_error";
  readonly code?: string;
  readonly decline_code?: string;
  readonly param?: string;
  readonly message: string;
  readonly payment_intent?: unknown;
}

export function apiError(status: number, error: ErrorBody): Answer {
  return { status, body: { error } };
}

export function invalid(param: string, message: string, code?: string): Answer {
  return apiError(400, { type: "invalid_request_error", message, param, ...(code !== undefined && { code }) });
}

export function missing(what: string, id: string, param: string): Answer {
  const message = `No such ${what}: '${id}'`;
  return apiError(param === "intent" ? 404 : 400, {
    type: "invalid_request_error",
    code: "resource_missing",
    message,
    param,
  });
}

export function serverError(): Answer {
  return apiError(500, { type: "api_error", message: "An unknown error occurred" });
}
