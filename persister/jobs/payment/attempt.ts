// One attempt's conversation with the gateway: from what may have happened before to an end, or to a delay after which to
// ask again. It decides nothing about the order and writes nothing.
//
//   taken for the first time ---------------> charge --> succeeded, declined, failed for good: ended
//   taken again: look up the key --none----->   |
//                   | found: ended              |--> failed for now: again after a delay, at most CALLS_MAX calls;
//                                               |    then, when the look-up finds no charge, failed
//                                               |--> unsent: again after a delay, and not counted, as long as the order
//                                               |    may wait; then failed
//                                               |--> unknown: look up; found: ended, else again after a delay
//                                               '--> pending: looked up after growing delays, as long as the order may
//                                                    wait; then the order goes its way, and the attempt is a late one
//   its order waits no more: look up --found: ended
//                                   |--none: once no charge can be on its way, failed
//                                   '--pending, unknown: after growing delays, for a day; then failed
//
// An unknown outcome is never guessed: while the gateway cannot be asked, an order that is PAYING stays so for ever. What no
// order waits for is given up in the end; a success that is told after that, by whatever way, is still heard.
import { PAYMENT_TUNING } from "../../../engine/configuration/sections.ts";
import type { AttemptEnd, TakenAttempt } from "../../../engine/ledger/payments.ts";
import { ask } from "../gateway/ask.ts";
import type { ChargeFacts, ChargeOutcome, PaymentGateway } from "../gateway/gateway.ts";

export interface AttemptTiming {
  /** How long a charge may take before it counts as unknown. */
  readonly chargeTimeoutMs: number;
  readonly lookupTimeoutMs: number;
  /** The delay after the first call; it doubles with each further one. */
  readonly retryDelayMs: number;
  /**
   * The delay once no charge will be tried any more: longer than any charge can still be on its way, so that a look-up
   * which then finds nothing is final.
   */
  readonly lastDelayMs: number;
  /** The delay while the provider cannot be reached. */
  readonly unreachableDelayMs: number;
  /** How long after its deadline an order waits for a provider that has never heard of it, or has not decided. */
  readonly graceMs: number;
  /** The longest delay between look-ups of a pending charge for which its order waits. */
  readonly pendingDelayMs: number;
  /** The longest delay between look-ups for which no order waits. */
  readonly lateDelayMs: number;
  /** How long an attempt for which no order waits is looked up. */
  readonly lateForMs: number;
}

export const ATTEMPT_TIMING: AttemptTiming = {
  chargeTimeoutMs: PAYMENT_TUNING.chargeTimeoutMs,
  lookupTimeoutMs: 3_000,
  retryDelayMs: 1_000,
  lastDelayMs: 30_000,
  unreachableDelayMs: 2_000,
  graceMs: 10_000,
  pendingDelayMs: 5_000,
  lateDelayMs: 15 * 60_000,
  lateForMs: 24 * 3_600_000,
};

/** How long whoever takes an attempt has it to themselves: longer than its longest conversation. */
export function leaseOf(timing: AttemptTiming): number {
  return 2 * timing.lookupTimeoutMs + timing.chargeTimeoutMs + 1_000;
}

/** The most charges tried under one key. With the delays between them a provider's short outage is outlived. */
export const CALLS_MAX = 4;

/**
 * `counted`: false when the provider was not reached, and cannot know more of the attempt than before, or when it has the
 * charge and need not be sent it again. `overdue`: the provider has not decided, and the order has waited for long enough;
 * the attempt goes on without it.
 */
export type AttemptResult = AttemptEnd | UndecidedAttempt;

export interface UndecidedAttempt {
  readonly state: "open" | "overdue";
  readonly delayMs: number;
  readonly code: string;
  readonly counted: boolean;
}

/** What an attempt's conversation needs besides the gateway. */
export interface AttemptSurroundings {
  readonly timing: AttemptTiming;
  /** Redis `TIME`, asked only when a deadline matters; without it no deadline is judged. */
  readonly nowMs: () => Promise<number>;
  /** Of 0 to 1: spreads the delays of attempts that fail together. */
  readonly random: () => number;
}

/** Carries one attempt on. Never rejects: what the gateway throws is an unknown outcome. */
export async function carryOut(
  gateway: PaymentGateway,
  attempt: TakenAttempt,
  surroundings: AttemptSurroundings,
): Promise<AttemptResult> {
  const { timing } = surroundings;
  const { lateMs = null, ageMs = 0 } = attempt;
  if (lateMs !== null) return await carryOutLate(gateway, attempt, lateMs, surroundings);
  if (attempt.amount === 0) return { state: "succeeded", reference: "nothing-to-pay" };
  const { currency, token, amount, calls } = attempt;
  const key = `${attempt.id}:${attempt.attempt}`;
  const lookup = () => askAbout(gateway, key, attempt, timing);
  const open = (code: string, delayMs: number, counted: boolean): UndecidedAttempt => {
    return { state: "open", delayMs: spread(delayMs, surroundings), code, counted };
  };
  const again = (code: string) => open(code, delayAfter(calls, timing), true);
  const later = (code: string) => open(code, timing.unreachableDelayMs, false);
  const undecided = async (code: string): Promise<AttemptResult> => {
    const delayMs = growing(ageMs, timing.pendingDelayMs, timing);
    const result = open(code, delayMs, calls === 1);
    return (await isOverdue(attempt, surroundings)) ? { ...result, state: "overdue" } : result;
  };

  if (calls > 1) {
    const found = await lookup();
    if (found !== "none") {
      const end = endOf(found);
      if (end) return end;
      if (found.type === "pending") return await undecided(found.code);
      if (found.type === "unsent") return later(found.code);
      if (found.type === "unknown") return again(found.code);
    }
    if (calls > CALLS_MAX) return { state: "failed", code: "no_charge_found" };
  }
  if (token === null) return { state: "failed", code: "token_missing" };

  const outcome = await ask(timing.chargeTimeoutMs, (signal) =>
    gateway.charge({ key, amount, currency, token }, signal),
  );
  const end = endOf(outcome);
  if (end) return end;
  const code = wordFor(outcome);
  if (outcome.type === "pending") return await undecided(code);
  if (outcome.type === "unsent") {
    // The first call that counts: nothing was ever sent, so nothing can have been charged.
    return calls === 1 && (await isOverdue(attempt, surroundings)) ? { state: "failed", code } : later(code);
  }
  const definite = outcome.type === "failed";
  if (definite && calls < CALLS_MAX) return again(code);
  const found = await lookup();
  if (found === "none") return definite ? { state: "failed", code } : again(code);
  if (found.type === "pending") return await undecided(found.code);
  return endOf(found) ?? again(code);
}

const NEVER_DECIDED = "never_decided";
const NEVER_ANSWERED = "never_answered";

/** An attempt for which no order waits any more is looked up and never charged. */
async function carryOutLate(
  gateway: PaymentGateway,
  attempt: TakenAttempt,
  lateMs: number,
  surroundings: AttemptSurroundings,
): Promise<AttemptResult> {
  const { timing } = surroundings;
  const open = (code: string, delayMs: number): AttemptResult => {
    return { state: "open", delayMs: spread(delayMs, surroundings), code, counted: false };
  };
  // No call before this one counts: nothing was ever sent.
  if (attempt.calls === 1) return { state: "failed", code: "never_sent" };
  if (attempt.amount === 0) return { state: "failed", code: "nothing_to_pay" };
  const found = await askAbout(gateway, `${attempt.id}:${attempt.attempt}`, attempt, timing);
  if (found === "none" || (found.type === "failed" && found.retryable)) {
    // A charge that left before its order was taken away has this long to arrive.
    const arrivesInMs = timing.lookupTimeoutMs + timing.lastDelayMs - lateMs;
    const code = found === "none" ? "no_charge_found" : found.code;
    return arrivesInMs > 0 ? open(code, arrivesInMs) : { state: "failed", code };
  }
  const end = endOf(found);
  if (end) return end;
  if (lateMs >= timing.lateForMs) {
    return { state: "failed", code: found.type === "pending" ? NEVER_DECIDED : NEVER_ANSWERED };
  }
  return open(wordFor(found), growing(lateMs, timing.lateDelayMs, timing));
}

/** Whether the attempt ended without anybody knowing how: money may have moved, or move yet. */
export function isGivenUp(result: AttemptResult): boolean {
  return result.state === "failed" && (result.code === NEVER_DECIDED || result.code === NEVER_ANSWERED);
}

/** What the gateway has under an attempt's key. Moves no money. */
export async function askAbout(
  gateway: PaymentGateway,
  key: string,
  { amount, currency, startedAt }: ChargeFacts,
  { lookupTimeoutMs }: Pick<AttemptTiming, "lookupTimeoutMs">,
): Promise<ChargeOutcome | "none"> {
  const facts = { amount, currency, ...(startedAt && { startedAt }) };
  return await ask(lookupTimeoutMs, (signal) => gateway.lookup(key, signal, facts));
}

/** The end that an outcome means, or `undefined` when it means none. */
export function endOf(outcome: ChargeOutcome): AttemptEnd | undefined {
  switch (outcome.type) {
    case "succeeded":
      return { state: "succeeded", reference: outcome.reference };
    case "declined":
      return { state: "declined", code: outcome.code };
    case "failed":
      return outcome.retryable ? undefined : { state: "failed", code: outcome.code };
    case "pending":
    case "unsent":
    case "unknown":
      return undefined;
  }
}

function wordFor(outcome: ChargeOutcome): string {
  return outcome.type === "succeeded" ? "" : outcome.code;
}

async function isOverdue({ reservedUntil }: TakenAttempt, { timing, nowMs }: AttemptSurroundings): Promise<boolean> {
  const now = await nowMs().catch(() => undefined);
  return now !== undefined && now > reservedUntil.getTime() + timing.graceMs;
}

function delayAfter(calls: number, timing: AttemptTiming): number {
  return calls >= CALLS_MAX ? timing.lastDelayMs : Math.min(timing.retryDelayMs * 2 ** (calls - 1), timing.lastDelayMs);
}

/** Half of the time that has passed: asked so, a charge is looked up as often in each hour as in the one of half its age. */
function growing(passedMs: number, mostMs: number, { retryDelayMs }: AttemptTiming): number {
  return Math.min(Math.max(passedMs / 2, retryDelayMs), mostMs);
}

/** Delays are only made longer: what may be on its way must have arrived after them. */
function spread(delayMs: number, { random }: AttemptSurroundings): number {
  return Math.ceil(delayMs * (1 + random() / 4));
}
