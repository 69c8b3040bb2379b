// Payment intents and refunds as Stripe publishes their life, and its test payment methods.
import { randomUUID } from "node:crypto";
import { type Answer, apiError, invalid, missing } from "./answers.ts";

export type Parameters = Readonly<Record<string, string>>;

interface PaymentIntent {
  readonly id: string;
  readonly object: "payment_intent";
  readonly amount: number;
  readonly currency: string;
  readonly created: number;
  readonly metadata: Readonly<Record<string, string>>;
  status: string;
  payment_method: string | null;
  last_payment_error: Record<string, unknown> | null;
  cancellation_reason: string | null;
}

interface Refund {
  readonly id: string;
  readonly object: "refund";
  readonly amount: number;
  readonly payment_intent: string;
  readonly metadata: Readonly<Record<string, string>>;
  status: string;
  failure_reason?: string;
}

/** What confirming with each of Stripe's test payment methods comes to. */
const METHODS: Readonly<Record<string, { status: string; code?: string; decline_code?: string }>> = {
  pm_card_visa: { status: "succeeded" },
  pm_card_refundFail: { status: "succeeded" },
  pm_card_pendingRefund: { status: "succeeded" },
  pm_usBankAccount: { status: "processing" },
  pm_konbini: { status: "requires_action" },
  pm_card_chargeDeclined: { status: "declined", code: "card_declined", decline_code: "generic_decline" },
  pm_card_chargeDeclinedInsufficientFunds: {
    status: "declined",
    code: "card_declined",
    decline_code: "insufficient_funds",
  },
  pm_card_chargeDeclinedExpiredCard: { status: "declined", code: "expired_card" },
  pm_card_authenticationRequired: {
    status: "declined",
    code: "authentication_required",
    decline_code: "authentication_required",
  },
};

export class StripeBooks {
  /** Seconds, moved by the test. */
  nowS = Math.floor(Date.now() / 1_000);
  readonly #intents = new Map<string, PaymentIntent>();
  readonly #refunds: Refund[] = [];
  #searchable = new Set<string>();

  createIntent(given: Parameters): Answer {
    const amount = Number(given["amount"]);
    if (!Number.isInteger(amount) || amount < 1)
      return invalid("amount", "Invalid integer", "parameter_invalid_integer");
    if (!/^[a-z]{3}$/.test(given["currency"] ?? "")) return invalid("currency", "Invalid currency");
    if (given["off_session"] !== undefined && given["confirm"] !== "true") {
      return invalid("off_session", "off_session can only be used when confirm is true");
    }
    const intent: PaymentIntent = {
      id: `pi_${randomUUID().replaceAll("-", "")}`,
      object: "payment_intent",
      amount,
      currency: given["currency"] ?? "",
      created: this.nowS,
      metadata: metadataOf(given),
      status: "requires_payment_method",
      payment_method: null,
      last_payment_error: null,
      cancellation_reason: null,
    };
    this.#intents.set(intent.id, intent);
    return ok(intent);
  }

  readIntent(id: string): Answer {
    const intent = this.#intents.get(id);
    return intent ? ok(intent) : missing("payment_intent", id, "intent");
  }

  confirmIntent(id: string, given: Parameters): Answer {
    const intent = this.#intents.get(id);
    if (!intent) return missing("payment_intent", id, "intent");
    if (intent.status !== "requires_payment_method" && intent.status !== "requires_confirmation") {
      return apiError(400, {
        type: "invalid_request_error",
        code: "payment_intent_unexpected_state",
        message: `This PaymentIntent's status is ${intent.status}; it cannot be confirmed.`,
        payment_intent: { ...intent },
      });
    }
    const token = given["payment_method_data[card][token]"];
    const name = token === "tok_visa" ? "pm_card_visa" : (given["payment_method"] ?? "");
    const method = METHODS[name];
    if (!method) return missing("PaymentMethod", name, "payment_method");
    intent.payment_method = name;
    if (method.status !== "declined") {
      intent.status = method.status;
      return ok(intent);
    }
    const { code = "card_declined", decline_code } = method;
    const error = { type: "card_error", code, message: "Your card was declined." } as const;
    intent.status = "requires_payment_method";
    intent.last_payment_error = { ...error, ...(decline_code !== undefined && { decline_code }) };
    return apiError(402, {
      ...error,
      ...(decline_code !== undefined && { decline_code }),
      payment_intent: { ...intent },
    });
  }

  cancelIntent(id: string): Answer {
    const intent = this.#intents.get(id);
    if (!intent) return missing("payment_intent", id, "intent");
    if (!intent.status.startsWith("requires_")) {
      const message = `You cannot cancel this PaymentIntent because it has a status of ${intent.status}.`;
      return apiError(400, { type: "invalid_request_error", code: "payment_intent_unexpected_state", message });
    }
    intent.status = "canceled";
    return ok(intent);
  }

  /** Eventually consistent: it finds what was there when {@link catchUp} was called last. */
  searchIntents(query: string): Answer {
    const asked = /^metadata\['key'\]:'((?:[^'\\]|\\.)*)'$/.exec(query)?.[1]?.replace(/\\(.)/g, "$1");
    if (asked === undefined) return invalid("query", "We were unable to parse your search query.");
    const data = [...this.#intents.values()].filter(
      ({ id, metadata }) => this.#searchable.has(id) && metadata["key"] === asked,
    );
    return ok({ object: "search_result", url: "/v1/payment_intents/search", has_more: false, data });
  }

  createRefund(given: Parameters): Answer {
    const id = given["payment_intent"] ?? "";
    const amount = Number(given["amount"]);
    const intent = this.#intents.get(id);
    if (!intent) return missing("payment_intent", id, "payment_intent");
    if (!Number.isInteger(amount) || amount < 1) return invalid("amount", "Invalid integer");
    if (intent.status !== "succeeded") {
      return invalid("payment_intent", "This PaymentIntent does not have a successful charge to refund.");
    }
    const left = intent.amount - this.refundedOf(id);
    if (left === 0) {
      const message = `Charge of ${id} has already been refunded.`;
      return apiError(400, { type: "invalid_request_error", code: "charge_already_refunded", message });
    }
    if (amount > left) {
      return invalid("amount", `Refund amount (${amount}) is greater than unrefunded amount on charge (${left})`);
    }
    const refund: Refund = {
      id: `re_${randomUUID().replaceAll("-", "")}`,
      object: "refund",
      amount,
      payment_intent: id,
      metadata: metadataOf(given),
      status: intent.payment_method === "pm_card_pendingRefund" ? "pending" : "succeeded",
    };
    this.#refunds.unshift(refund);
    return ok(refund);
  }

  /** The newest first. */
  listRefunds(given: Parameters): Answer {
    const limit = Number(given["limit"] ?? 10);
    const all = this.#refunds.filter(({ payment_intent }) => payment_intent === given["payment_intent"]);
    const start = given["starting_after"] ? all.findIndex(({ id }) => id === given["starting_after"]) + 1 : 0;
    const data = all.slice(start, start + limit).map((refund) => ({ ...refund }));
    return ok({ object: "list", url: "/v1/refunds", has_more: all.length > start + limit, data });
  }

  /** The search knows of everything from now on. */
  catchUp(): void {
    this.#searchable = new Set(this.#intents.keys());
  }

  /** Lets what is processed succeed; refunds that are out, too, but those that are to fail later. */
  settle(): void {
    for (const intent of this.#intents.values()) if (intent.status === "processing") intent.status = "succeeded";
    for (const refund of this.#refunds) {
      if (refund.status === "pending") refund.status = "succeeded";
      if (this.#intents.get(refund.payment_intent)?.payment_method !== "pm_card_refundFail") continue;
      refund.status = "failed";
      refund.failure_reason = "expired_or_canceled_card";
    }
  }

  /** The intents under a merchant's key. */
  intentsOf(key: string): readonly Readonly<PaymentIntent>[] {
    return [...this.#intents.values()].filter(({ metadata }) => metadata["key"] === key);
  }

  refundedOf(intent: string): number {
    const given = this.#refunds.filter(
      ({ payment_intent, status }) => payment_intent === intent && status !== "failed",
    );
    return given.reduce((sum, { amount }) => sum + amount, 0);
  }
}

function ok(body: object): Answer {
  return { status: 200, body: { ...body } };
}

function metadataOf(given: Parameters): Record<string, string> {
  const entries = Object.entries(given).flatMap(([name, value]) => {
    const key = /^metadata\[(.+)\]$/.exec(name)?.[1];
    return key === undefined ? [] : [[key, value] as const];
  });
  return Object.fromEntries(entries);
}
