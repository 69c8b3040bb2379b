// Charges as PaymentIntents, in two calls: the intent is created under the charge's key, which moves no money, and then
// confirmed, which does. One call that creates and confirms would be shorter, but an answer that is lost must be looked up by a
// key, and of the ways to do that
//
//   - the search by metadata is eventually consistent: Stripe warns of it for reading what was just written
//   - a list of recent intents is read page by page, for every one that is looked up
//   - the create call repeated under its idempotency key answers as the first did; had that one never arrived, it would charge
//
// only the last is sound, and only where creating is harmless. So a look-up repeats the create call, has the one intent that
// there can be of the key, and reads its present state. At worst it leaves an unconfirmed intent behind.
//
// Stripe forgets idempotency keys after a day at the earliest. An intent that comes new out of a look-up, for an attempt of
// nearly that age, may not be the first of its key: then the search is asked, which has caught up by that time.
import type Stripe from "stripe";
import type { ChargeFacts, ChargeOutcome, ChargeRequest } from "../gateway.ts";
import { type Ask, isTrouble, type Trouble, unknownOf } from "./client.ts";

/** The kinds of calls. */
export interface Asks {
  readonly charges: Ask;
  readonly refunds: Ask;
  readonly lookups: Ask;
}

export interface StripeCharges {
  charge(request: ChargeRequest, signal: AbortSignal): Promise<ChargeOutcome>;
  lookup(key: string, signal: AbortSignal, facts: ChargeFacts | undefined): Promise<ChargeOutcome | "none">;
  /** The intent of a charge that succeeded, by a search. */
  findIntent(key: string, signal: AbortSignal): Promise<{ readonly id: string } | "none" | Trouble>;
}

type Intent = Stripe.PaymentIntent;
type Kept = "none" | ChargeOutcome;

/** Less than a day: until then the create call repeated finds the first intent. */
const KEY_KEPT_S = 23 * 3_600;
/** Stripe's unit of these is not ISO 4217's minor unit, in which amounts are counted here. */
const OTHER_UNITS = new Set(["ISK", "MGA", "UGX"]);

export function stripeCharges(api: Stripe, asks: Pick<Asks, "charges" | "lookups">): StripeCharges {
  const create = (ask: Ask, key: string, { amount, currency }: ChargeFacts, signal: AbortSignal) =>
    ask(signal, () =>
      api.paymentIntents.create(
        {
          amount,
          currency: currency.toLowerCase(),
          // Methods that send the customer elsewhere cannot be taken here.
          automatic_payment_methods: { enabled: true, allow_redirects: "never" },
          metadata: { key },
        },
        { idempotencyKey: key },
      ),
    );
  const confirm = (id: string, key: string, token: string, signal: AbortSignal) =>
    asks.charges(signal, () =>
      api.paymentIntents.confirm(id, { ...methodOf(token), off_session: true }, { idempotencyKey: `${key}:confirm` }),
    );
  const read = (id: string, signal: AbortSignal) => asks.lookups(signal, () => api.paymentIntents.retrieve(id));

  /** What the intent has come to. One that waits for its customer is cancelled: nobody is there to act. */
  async function endOf(intent: Intent, signal: AbortSignal): Promise<Kept> {
    if (intent.status !== "requires_action") return keptBy(intent);
    const canceled = await asks.lookups(signal, () => api.paymentIntents.cancel(intent.id));
    // It may have ended meanwhile.
    const now = isTrouble(canceled) ? await read(intent.id, signal) : canceled;
    if (isTrouble(now) || now.status === "requires_action") return { type: "unknown", code: "requires_action" };
    return now.status === "canceled" ? { type: "declined", code: "authentication_required" } : keptBy(now);
  }

  /** By the one way that is left without the first call's parameters. */
  async function search(key: string, signal: AbortSignal): Promise<Intent | "none" | Trouble> {
    const query = `metadata['key']:'${key.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
    const found = await asks.lookups(signal, () => api.paymentIntents.search({ query, limit: 100 }));
    if (isTrouble(found)) return found;
    return found.data.toSorted((a, b) => closenessToMoney(b) - closenessToMoney(a))[0] ?? "none";
  }

  async function lookupBySearch(key: string, signal: AbortSignal): Promise<Kept> {
    const found = await search(key, signal);
    if (found === "none") return "none";
    if (isTrouble(found)) return unknownOf(found);
    const now = await read(found.id, signal);
    return isTrouble(now) ? unknownOf(now) : await endOf(now, signal);
  }

  return {
    async charge({ key, token, ...facts }, signal) {
      if (OTHER_UNITS.has(facts.currency)) return { type: "failed", code: "currency_unsupported", retryable: false };
      const intent = await create(asks.charges, key, facts, signal);
      if (isTrouble(intent)) return asUnmoved(intent);
      // Whoever has given up by now is not charged any more: nobody would ask about it for a while.
      const confirmed = await confirm(intent.id, key, token, signal);
      if (!isTrouble(confirmed) && confirmed.status === "succeeded") return { type: "succeeded", reference: intent.id };
      if (isTrouble(confirmed) && !isOfThePast(confirmed)) return outcomeOf(confirmed);
      // What an earlier call was answered may be true no more.
      const now = await read(intent.id, signal);
      if (isTrouble(now)) return unknownOf(now);
      const kept = await endOf(now, signal);
      return kept === "none" ? { type: "unknown", code: isTrouble(confirmed) ? confirmed.code : now.status } : kept;
    },

    async lookup(key, signal, facts) {
      if (!facts) {
        const found = await lookupBySearch(key, signal);
        // It may be too new to be found.
        return found === "none" ? { type: "unknown", code: "not_found_by_search" } : found;
      }
      if (OTHER_UNITS.has(facts.currency)) return "none";
      const intent = await create(asks.lookups, key, facts, signal);
      if (isTrouble(intent)) return neverCreated(intent) ? "none" : unknownOf(intent);
      const now = await read(intent.id, signal);
      if (isTrouble(now)) return unknownOf(now);
      const kept = await endOf(now, signal);
      const { startedAt } = facts;
      const mayBeSecond = kept === "none" && startedAt && now.created - startedAt.getTime() / 1_000 > KEY_KEPT_S;
      return mayBeSecond ? await lookupBySearch(key, signal) : kept;
    },

    findIntent: search,
  };
}

/** Older tokens stand for card details, the others for payment methods. */
function methodOf(token: string): Stripe.PaymentIntentConfirmParams {
  if (!token.startsWith("tok_")) return { payment_method: token };
  return {
    payment_method_data: { type: "card", card: { token } } as Stripe.PaymentIntentConfirmParams.PaymentMethodData,
  };
}

function keptBy({ id, status, last_payment_error: error, cancellation_reason: reason }: Intent): Kept {
  switch (status) {
    case "succeeded":
      return { type: "succeeded", reference: id };
    case "processing":
      return { type: "pending", code: "processing" };
    case "canceled":
      return { type: "declined", code: reason ?? "canceled" };
    case "requires_payment_method":
      return error ? { type: "declined", code: error.decline_code ?? error.code ?? "declined" } : "none";
    case "requires_confirmation":
      return "none";
    default:
      return { type: "unknown", code: String(status) };
  }
}

/** Of several intents under one key only one can have been confirmed. */
function closenessToMoney({ status, last_payment_error: error }: Intent): number {
  if (status === "succeeded") return 4;
  if (status === "processing" || status === "requires_action") return 3;
  if (status === "canceled") return 2;
  return error ? 1 : 0;
}

/** Nobody was ever told of an intent, so none can have been confirmed. */
function neverCreated({ trouble, replayed, code }: Trouble): boolean {
  return (trouble === "refused" && code !== "idempotency_key_reused") || (trouble === "unknown" && replayed);
}

/** Whether the trouble says what was, and not what is: Stripe repeats what it answered under a key, and an intent goes on. */
function isOfThePast({ trouble, replayed, code }: Trouble): boolean {
  return code === "payment_intent_unexpected_state" || (trouble === "unknown" && replayed);
}

/** Of a confirm call. */
function outcomeOf({ trouble, code }: Trouble): ChargeOutcome {
  switch (trouble) {
    case "declined":
      return { type: "declined", code };
    case "refused":
      return { type: "failed", code, retryable: false };
    case "later":
      return { type: "failed", code, retryable: true };
    case "unsent":
    case "unknown":
      return { type: trouble, code };
  }
}

/** Of a create call: whatever became of it, no money moved. */
function asUnmoved(trouble: Trouble): ChargeOutcome {
  return trouble.trouble === "unknown" ? { type: "failed", code: trouble.code, retryable: true } : outcomeOf(trouble);
}
