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

/** What is known of a charge besides its key: there are providers that find nothing by a key alone. */
export interface ChargeFacts {
  /** As it was, or would be, charged. */
  readonly amount: number;
  readonly currency: string;
  /** When its attempt was started. */
  readonly startedAt?: Date;
}

/**
 * What became of a charge. `declined` and a `failed` that is not retryable are final. A retryable failure is a definite
 * answer too: this call moved no money. `pending`: the provider has taken the charge and has not decided it yet, be it in
 * seconds or in days; asked again it answers so until it has. `unsent`: not a byte of the call has left, the provider is not
 * to be reached. `unknown` says nothing: the money may have moved.
 */
export type ChargeOutcome =
  | { readonly type: "succeeded"; readonly reference: string }
  | { readonly type: "declined"; readonly code: string }
  | { readonly type: "pending"; readonly code: string }
  | { readonly type: "failed"; readonly code: string; readonly retryable: boolean }
  | { readonly type: "unsent"; readonly code: string }
  | { readonly type: "unknown"; readonly code: string };

export interface PaymentGateway {
  /** A rejection counts as `unknown`. The caller's patience ends with `signal`. */
  charge(request: ChargeRequest, signal: AbortSignal): Promise<ChargeOutcome>;
  /**
   * What the provider has under the key; `none`: no money moved under it. `unsent` and `unknown` say nothing of it. Moves no
   * money. Without the facts a provider that needs them may have no better word than `unknown`.
   */
  lookup(key: string, signal: AbortSignal, facts?: ChargeFacts): Promise<ChargeOutcome | "none">;
  close(): Promise<void>;
}

export interface RefundRequest {
  /** Stable over every repetition of one refund. */
  readonly key: string;
  /** The key under which the money was charged. */
  readonly chargeKey: string;
  /** The provider's name for the charge, as its success said it, where it is known. */
  readonly chargeReference?: string;
  /** Minor units of the charge's currency, above 0; all refunds of a charge together never exceed it. */
  readonly amount: number;
}

/** As {@link ChargeOutcome}. A failure moved no money: asked again under the same key, the refund is considered anew. */
export type RefundOutcome = Exclude<ChargeOutcome, { type: "declined" }>;

/** A provider that gives money back. */
export interface RefundGateway {
  /** A rejection counts as `unknown`. */
  refund(request: RefundRequest, signal: AbortSignal): Promise<RefundOutcome>;
  /** As {@link PaymentGateway.lookup}; the facts are those of the refund that was asked for. */
  lookupRefund(key: string, signal: AbortSignal, facts?: Omit<RefundRequest, "key">): Promise<RefundOutcome | "none">;
}

/** What takes payments and gives them back: every adapter is one. */
export type PaymentProvider = PaymentGateway & RefundGateway;
