// Refunds of PaymentIntents. Which of an intent's refunds is whose stands in its metadata; a charge has few, and the list of
// them is up to date, so it is read before anything is asked for, and when a refund is looked up.
//
// Stripe repeats a refusal under its idempotency key for a day, but the port's keys may be asked anew at once. So a refund has a
// chain of idempotency keys, and goes one further when it meets a refusal, or a refund that has failed, which was there
// before: whoever asks goes along the same chain, so that no two refunds come of one key.
import type Stripe from "stripe";
import type { RefundOutcome, RefundRequest } from "../gateway.ts";
import type { Asks, StripeCharges } from "./charges.ts";
import { isTrouble, type Trouble, unknownOf } from "./client.ts";

export interface StripeRefunds {
  refund(request: RefundRequest, signal: AbortSignal): Promise<RefundOutcome>;
  lookup(
    key: string,
    signal: AbortSignal,
    facts: Omit<RefundRequest, "key"> | undefined,
  ): Promise<RefundOutcome | "none">;
}

type Of = Pick<RefundRequest, "chargeKey" | "chargeReference">;
/** What an intent has under a refund's key. */
interface Given {
  /** It is on its way or back. */
  readonly good: Stripe.Refund | undefined;
  readonly failed: number;
}

const CHAIN_MAX = 20;
const PAGE = 100;
/** More refunds of one charge are not read. */
const PAGES_MAX = 10;

export function stripeRefunds(
  api: Stripe,
  asks: Pick<Asks, "refunds" | "lookups">,
  { findIntent }: Pick<StripeCharges, "findIntent">,
): StripeRefunds {
  async function intentOf({ chargeKey, chargeReference }: Of, signal: AbortSignal): Promise<string | "none" | Trouble> {
    if (chargeReference !== undefined) return chargeReference;
    const found = await findIntent(chargeKey, signal);
    return found === "none" || isTrouble(found) ? found : found.id;
  }

  async function given(intent: string, key: string, signal: AbortSignal): Promise<Given | Trouble> {
    let [good, failed, after] = [undefined as Stripe.Refund | undefined, 0, undefined as string | undefined];
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const params = { payment_intent: intent, limit: PAGE, ...(after !== undefined && { starting_after: after }) };
      const refunds = await asks.lookups(signal, () => api.refunds.list(params));
      if (isTrouble(refunds)) return refunds;
      for (const refund of refunds.data.filter(({ metadata }) => metadata?.["key"] === key)) {
        if (refund.status === "failed" || refund.status === "canceled") failed += 1;
        else good = refund;
      }
      after = refunds.data.at(-1)?.id;
      if (good || !refunds.has_more || after === undefined) break;
    }
    return { good, failed };
  }

  return {
    async refund({ key, amount, ...of }, signal) {
      const intent = await intentOf(of, signal);
      if (intent === "none") return CHARGE_NOT_FOUND;
      if (typeof intent !== "string") return unmoved(intent);
      const before = await given(intent, key, signal);
      if (isTrouble(before)) return unmoved(before);
      if (before.good) return before.good.amount === amount ? outcomeOf(before.good) : KEY_REUSED;
      const params = { payment_intent: intent, amount, metadata: { key } };
      for (let link = before.failed + 1; link <= CHAIN_MAX; link += 1) {
        const options = { idempotencyKey: link === 1 ? key : `${key}:${link}` };
        const refund = await asks.refunds(signal, () => api.refunds.create(params, options));
        if (!isTrouble(refund)) return outcomeOf(refund);
        if (!refund.replayed || refund.trouble === "unknown") return troubleOutcome(refund);
      }
      return { type: "failed", code: "refused_too_often", retryable: false };
    },

    async lookup(key, signal, facts) {
      if (!facts) return { type: "unknown", code: "charge_unknown" };
      const intent = await intentOf(facts, signal);
      if (intent === "none") return { type: "unknown", code: "not_found_by_search" };
      if (typeof intent !== "string") return unknownOf(intent);
      const found = await given(intent, key, signal);
      if (isTrouble(found)) return unknownOf(found);
      return found.good ? outcomeOf(found.good) : "none";
    },
  };
}

const CHARGE_NOT_FOUND: RefundOutcome = { type: "failed", code: "charge_not_found", retryable: false };

const KEY_REUSED: RefundOutcome = { type: "failed", code: "idempotency_key_reused", retryable: false };

function outcomeOf({ id, status, failure_reason: reason, pending_reason: pending }: Stripe.Refund): RefundOutcome {
  switch (status) {
    case "succeeded":
      return { type: "succeeded", reference: id };
    case "pending":
    case "requires_action":
      return { type: "pending", code: pending ?? status };
    case "failed":
    case "canceled":
      return { type: "failed", code: reason ?? status, retryable: false };
    default:
      return { type: "unknown", code: String(status) };
  }
}

/** Of a create call. */
function troubleOutcome({ trouble, code, parameter }: Trouble): RefundOutcome {
  if (trouble === "unknown" || trouble === "unsent") return { type: trouble, code };
  if (trouble === "later") return { type: "failed", code, retryable: true };
  if (code === "resource_missing") return CHARGE_NOT_FOUND;
  // Said of an amount above what is left in words alone.
  const exceeds = code === "charge_already_refunded" || parameter === "amount";
  return { type: "failed", code: exceeds ? "refund_exceeds_charge" : code, retryable: false };
}

/** Of a call that came before the one that moves money. */
function unmoved({ trouble, code }: Trouble): RefundOutcome {
  if (code === "resource_missing") return CHARGE_NOT_FOUND;
  if (trouble === "unsent") return { type: "unsent", code };
  return { type: "failed", code, retryable: trouble !== "refused" };
}
