// The port to a payment provider. Every provider worth using takes an idempotency key: the same key is charged at most
// once, and asking again gives the first answer. Everything that takes payments here relies on that and on nothing else.

export interface ChargeRequest {
  /** `orderId:attempt`, stable over every repetition of one attempt. */
  readonly key: string;
  /** Minor units of `currency`, above 0. */
  readonly amount: number;
  readonly currency: string;
  readonly token: string;
}

/**
 * What became of a charge. `declined` and a `failed` that is not retryable are final. A retryable failure is a definite
 * answer too: this call moved no money. `unsent`: not a byte of the call has left, the provider is not to be reached.
 * `unknown` says nothing: the money may have moved.
 */
export type ChargeOutcome =
  | { readonly type: "succeeded"; readonly reference: string }
  | { readonly type: "declined"; readonly code: string }
  | { readonly type: "failed"; readonly code: string; readonly retryable: boolean }
  | { readonly type: "unsent"; readonly code: string }
  | { readonly type: "unknown"; readonly code: string };

export interface PaymentGateway {
  /** A rejection counts as `unknown`. The caller's patience ends with `signal`. */
  charge(request: ChargeRequest, signal: AbortSignal): Promise<ChargeOutcome>;
  /** What the provider has under the key; `none`: no money moved under it. `unsent` and `unknown` say nothing of it. */
  lookup(key: string, signal: AbortSignal): Promise<ChargeOutcome | "none">;
  close(): Promise<void>;
}

export interface RefundRequest {
  /** Stable over every repetition of one refund. */
  readonly key: string;
  /** The key under which the money was charged. */
  readonly chargeKey: string;
  /** Minor units of the charge's currency, above 0; all refunds of a charge together never exceed it. */
  readonly amount: number;
}

/** As {@link ChargeOutcome}. A failure moved no money: asked again under the same key, the refund is considered anew. */
export type RefundOutcome = Exclude<ChargeOutcome, { type: "declined" | "unsent" }>;

/** A provider that gives money back. */
export interface RefundGateway {
  /** A rejection counts as `unknown`. */
  refund(request: RefundRequest, signal: AbortSignal): Promise<RefundOutcome>;
  lookupRefund(key: string, signal: AbortSignal): Promise<RefundOutcome | "none">;
}
