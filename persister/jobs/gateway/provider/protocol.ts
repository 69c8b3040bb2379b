// The provider's protocol: what it reads from requests, and how it words its answers.
//
//   POST /charges        Idempotency-Key; {amount, currency, token, reference?}
//                        200 {id, status: "succeeded"|"declined"|"processing", code?}
//                        `processing`: taken, and not decided; look the key up, or wait for the webhook
//   POST /charges/batch  {charges: [{key, amount, currency, token, reference?}, ...]}, at most 64; 200 {results} in their order:
//                        {key, status: "succeeded"|"declined"|"processing"|"pending"|"unavailable"|"rejected", id?, code?}
//                        `pending`: nothing done, ask by POST /charges; `unavailable`: what 503 is there; `rejected`: what 422 is
//   GET  /charges/{key}  200 as POST /charges; 404: no money moved under the key
//   POST /refunds        Idempotency-Key; {chargeKey, amount}; 200 {id, status: "succeeded"}; 404 no such charge;
//                        409 refund_exceeds_charge, refund_refused
//   GET  /refunds/{key}  200 | 404
//   GET  /ledger         ?after=KEY&limit=N: {charges, next: KEY|null}
//   PUT  /charge-mode    {mode: "accept"|"flaky"|"refuse"|"unavailable"}, for those to come; PUT /refund-mode likewise
//   GET  /healthz        the one that asks for no key
//
// Webhooks, when it is told where to: each end of a charge and each refund, as {type, timestamp, data: {key}}, with type
// "charge.succeeded"|"charge.declined"|"refund.succeeded", signed as engine/webhooks/signature.ts says.
//
// Everywhere else: Authorization: Bearer KEY, else 401. 422: the key stands for other parameters. 503: for now; no money
// moved. Any other 4xx: for good; no money moved. 500: unknown, look the key up. Refusals are {code, detail}.
import { z } from "zod";
import { MODES } from "./modes.ts";

export const CHARGES_PER_BATCH_MAX = 64;
export const LEDGER_PAGE_MAX = 1_000;

const text = (charactersMax: number) =>
  z
    .string()
    .min(1)
    .max(charactersMax)
    // Postgres stores neither a NUL nor half a surrogate pair.
    .refine((value) => !value.includes("\0") && value.isWellFormed(), "must be text");

/** What names a charge or a refund: printable ASCII. */
export const Key = z.string().regex(/^[\x20-\x7e]{1,255}$/, "must be 1 to 255 printable ASCII characters");

export const ChargeBody = z.object({
  amount: z.int().min(1),
  currency: z.string().regex(/^[A-Z]{3}$/, "must be an ISO 4217 code"),
  token: text(500),
  reference: text(255).optional(),
});

export const ChargesBody = z.object({
  charges: z
    .array(ChargeBody.extend({ key: Key }))
    .min(1)
    .max(CHARGES_PER_BATCH_MAX),
});

export const RefundBody = z.object({ chargeKey: Key, amount: z.int().min(1) });
export const ModeBody = z.object({ mode: z.enum(MODES) });
export const LedgerQuery = z.object({
  after: z.union([z.literal(""), Key]).default(""),
  limit: z.coerce.number().int().min(1).max(LEDGER_PAGE_MAX).default(100),
});

/** One charge's answer in a batch. */
export interface BatchResult {
  readonly key: string;
  readonly status: "succeeded" | "declined" | "processing" | "pending" | "unavailable" | "rejected";
  readonly id?: string;
  readonly code?: string;
}

/** A request that is refused: it moved no money. */
export class Refusal extends Error {
  readonly status: 400 | 401 | 404 | 409 | 411 | 413 | 422 | 503;
  readonly code: string;

  constructor(status: Refusal["status"], code: string, detail: string) {
    super(detail);
    this.name = "Refusal";
    this.status = status;
    this.code = code;
  }
}

export const keyReused = () =>
  new Refusal(422, "idempotency_key_reused", "This idempotency key was used with other parameters.");
export const unavailable = () => new Refusal(503, "provider_unavailable", "Not at present; try again.");

/** Parses what came from outside. @throws Refusal 400 */
export function parse<T extends z.ZodType>(schema: T, value: unknown): z.output<T> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new Refusal(
    400,
    "invalid_request",
    `${issue?.path.join(".") || "request"}: ${issue?.message ?? "is not valid"}`,
  );
}
