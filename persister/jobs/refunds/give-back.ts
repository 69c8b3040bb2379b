// One refund's conversation with the gateway. It decides nothing about the order and writes nothing.
//
//   taken for the first time --------------> refund --> succeeded: ended
//   taken again: look up the key --none-----> |
//                   | succeeded: ended        |--> failed: again after a delay; after its tries, failed
//                                             |--> unsent: again after a delay
//                                             '--> unknown, pending: look up; succeeded: ended, else again after a delay
//
// The key is the refund's id for ever, so that asking again never pays twice. A refusal may pass (the merchant's balance is
// filled, a dispute ends), so it is asked again some times too; then an operator is told. What the provider does not hear of or
// does not answer uses no try up and is never guessed: while it cannot be asked the refund stays open.
import type { TakenRefund } from "../../../engine/ledger/refund-work.ts";
import { ask } from "../gateway/ask.ts";
import type { RefundGateway, RefundOutcome, RefundRequest } from "../gateway/gateway.ts";

export interface GiveBackTiming {
  /** How long a refund may take before it counts as unknown. */
  readonly refundTimeoutMs: number;
  readonly lookupTimeoutMs: number;
  /** The delay after the first try; it doubles with each further one, and varies by a quarter of itself. */
  readonly retryDelayMs: number;
  readonly retryDelayMaxMs: number;
  /** The longest delay while the provider does not answer. */
  readonly unansweredDelayMaxMs: number;
}

export const GIVE_BACK_TIMING: GiveBackTiming = {
  refundTimeoutMs: 8_000,
  lookupTimeoutMs: 3_000,
  retryDelayMs: 500,
  retryDelayMaxMs: 10_000,
  unansweredDelayMaxMs: 30_000,
};

/** Tries of a refund that the provider cannot make now: about half a minute. */
export const TRIES_MAX = 8;
/** Tries of one that it refuses: some seconds, as asking again seldom changes its mind. */
export const REFUSED_TRIES_MAX = 4;

/** How long whoever takes a refund has it to themselves: longer than its longest conversation. */
export function leaseOf(timing: GiveBackTiming): number {
  return 2 * timing.lookupTimeoutMs + timing.refundTimeoutMs + 1_000;
}

/** `counted`: false when the provider did not answer; the call does not use up a try then. */
export type GiveBackResult =
  | { readonly state: "succeeded"; readonly reference: string }
  | { readonly state: "failed"; readonly code: string }
  | { readonly state: "open"; readonly delayMs: number; readonly code: string; readonly counted: boolean };

/** Carries one refund on. Never rejects: what the gateway throws is an unknown outcome. */
export async function giveBack(
  gateway: RefundGateway,
  refund: TakenRefund,
  timing: GiveBackTiming,
  random: () => number = Math.random,
): Promise<GiveBackResult> {
  if (refund.amount === 0) return { state: "succeeded", reference: "nothing-to-refund" };
  const request = requestOf(refund);
  const delay = (times: number, maxMs: number) =>
    Math.min(timing.retryDelayMs * 2 ** Math.min(times - 1, 20), maxMs) * (0.75 + random() / 2);
  const unanswered = (code: string): GiveBackResult => {
    return { state: "open", delayMs: delay(refund.calls, timing.unansweredDelayMaxMs), code, counted: false };
  };

  if (refund.calls > 1) {
    const found = await findGivenBack(gateway, request, timing);
    if (found !== "none" && found.type !== "failed") return endOf(found) ?? unanswered(codeOf(found));
  }
  const outcome = await ask(timing.refundTimeoutMs, (signal) => gateway.refund(request, signal));
  if (outcome.type === "failed") {
    const { code, retryable } = outcome;
    if (refund.tries >= (retryable ? TRIES_MAX : REFUSED_TRIES_MAX)) return { state: "failed", code };
    return { state: "open", delayMs: delay(refund.tries, timing.retryDelayMaxMs), code, counted: true };
  }
  const end = endOf(outcome);
  if (end) return end;
  if (outcome.type === "unsent") return unanswered(outcome.code);
  const found = await findGivenBack(gateway, request, timing);
  return (found === "none" ? undefined : endOf(found)) ?? unanswered(codeOf(outcome));
}

/** What the gateway has under a refund's key. Moves no money. */
export async function findGivenBack(
  gateway: RefundGateway,
  { key, ...facts }: RefundRequest,
  { lookupTimeoutMs }: Pick<GiveBackTiming, "lookupTimeoutMs">,
): Promise<RefundOutcome | "none"> {
  return await ask(lookupTimeoutMs, (signal) => gateway.lookupRefund(key, signal, facts));
}

/** How a refund is named at the gateway. */
export function requestOf({ id, orderId, attempt, amount, chargeReference }: Named): RefundRequest {
  const chargeKey = `${orderId}:${attempt}`;
  return { key: id, chargeKey, amount, ...(chargeReference !== null && { chargeReference }) };
}
type Named = Pick<TakenRefund, "id" | "orderId" | "attempt" | "amount" | "chargeReference">;

function endOf(outcome: RefundOutcome): Extract<GiveBackResult, { state: "succeeded" }> | undefined {
  return outcome.type === "succeeded" ? { state: "succeeded", reference: outcome.reference } : undefined;
}

function codeOf(outcome: RefundOutcome): string {
  return outcome.type === "succeeded" ? "" : outcome.code;
}
