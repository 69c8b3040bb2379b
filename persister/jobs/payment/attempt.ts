// One attempt's conversation with the gateway: from what may have happened before to an end, or to a delay after which to
// ask again. It decides nothing about the order and writes nothing.
//
//   taken for the first time ---------------> charge --> succeeded, declined, failed for good: ended
//   taken again: look up the key --none----->   |
//                   | found: ended              |--> failed for now: again after a delay, at most CALLS_MAX calls;
//                                               |    then, when the look-up finds no charge, failed
//                                               |--> unsent: again after a delay, and not counted, as long as the order
//                                               |    may wait; then failed
//                                               '--> unknown: look up; found: ended, else again after a delay
//
// An unknown outcome is never guessed: while the gateway cannot be asked, the attempt stays open for ever.
import type { AttemptEnd, TakenAttempt } from "../../../engine/ledger/payments.ts";
import type { ChargeOutcome, PaymentGateway } from "../gateway/gateway.ts";

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
  /** How long after its deadline an order waits for a provider that has never heard of it. */
  readonly graceMs: number;
}

export const ATTEMPT_TIMING: AttemptTiming = {
  chargeTimeoutMs: 8_000,
  lookupTimeoutMs: 3_000,
  retryDelayMs: 1_000,
  lastDelayMs: 30_000,
  unreachableDelayMs: 2_000,
  graceMs: 10_000,
};

/** How long whoever takes an attempt has it to themselves: longer than its longest conversation. */
export function leaseOf(timing: AttemptTiming): number {
  return 2 * timing.lookupTimeoutMs + timing.chargeTimeoutMs + 1_000;
}

/** The most charges tried under one key. With the delays between them a provider's short outage is outlived. */
export const CALLS_MAX = 4;

/** `counted`: false when the provider was not reached, and cannot know more of the attempt than before. */
export type AttemptResult =
  | AttemptEnd
  | { readonly state: "open"; readonly delayMs: number; readonly code: string; readonly counted: boolean };

/**
 * Carries one attempt on. Never rejects: what the gateway throws is an unknown outcome.
 *
 * @param nowMs Redis `TIME`, asked only when the provider cannot be reached; without it no deadline is judged
 */
export async function carryOut(
  gateway: PaymentGateway,
  attempt: TakenAttempt,
  timing: AttemptTiming,
  nowMs?: () => Promise<number>,
): Promise<AttemptResult> {
  if (attempt.amount === 0) return { state: "succeeded", reference: "nothing-to-pay" };
  const { currency, token, amount, calls } = attempt;
  const key = `${attempt.id}:${attempt.attempt}`;
  const lookup = () => ask(timing.lookupTimeoutMs, (signal) => gateway.lookup(key, signal, { amount, currency }));
  const again = (code: string): AttemptResult => {
    return { state: "open", delayMs: delayAfter(calls, timing), code, counted: true };
  };
  const later = (code: string): AttemptResult => {
    return { state: "open", delayMs: timing.unreachableDelayMs, code, counted: false };
  };

  if (calls > 1) {
    const found = await lookup();
    if (found !== "none") {
      const end = endOf(found);
      if (end) return end;
      if (found.type === "unsent") return later(found.code);
      if (found.type === "unknown" || found.type === "pending") return again(found.code);
    }
    if (calls > CALLS_MAX) return { state: "failed", code: "no_charge_found" };
  }
  if (token === null) return { state: "failed", code: "token_missing" };

  const outcome = await ask(timing.chargeTimeoutMs, (signal) =>
    gateway.charge({ key, amount, currency, token }, signal),
  );
  const end = endOf(outcome);
  if (end) return end;
  const code = outcome.type === "succeeded" ? "" : outcome.code;
  if (outcome.type === "unsent") {
    // The first call that counts: nothing was ever sent, so nothing can have been charged.
    return calls === 1 && (await isOverdue(attempt, timing, nowMs)) ? { state: "failed", code } : later(code);
  }
  const definite = outcome.type === "failed";
  if (definite && calls < CALLS_MAX) return again(code);
  const found = await lookup();
  if (found !== "none") return endOf(found) ?? again(code);
  return definite ? { state: "failed", code } : again(code);
}

/** The end that an outcome means, or `undefined` when it means none. */
function endOf(outcome: ChargeOutcome): AttemptEnd | undefined {
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

async function isOverdue(
  { reservedUntil }: TakenAttempt,
  { graceMs }: AttemptTiming,
  nowMs: (() => Promise<number>) | undefined,
): Promise<boolean> {
  const now = await nowMs?.().catch(() => undefined);
  return now !== undefined && now > reservedUntil.getTime() + graceMs;
}

function delayAfter(calls: number, timing: AttemptTiming): number {
  return calls >= CALLS_MAX ? timing.lastDelayMs : Math.min(timing.retryDelayMs * 2 ** (calls - 1), timing.lastDelayMs);
}

/** Asks with a time limit. The race, and not the signal alone, ends it: a gateway may ignore the signal. */
async function ask<T>(
  timeoutMs: number,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T | { readonly type: "unknown"; readonly code: string }> {
  const patience = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<{ type: "unknown"; code: string }>((resolve) => {
    timer = setTimeout(() => {
      resolve({ type: "unknown", code: "timeout" });
      patience.abort(new Error("the gateway did not answer in time"));
    }, timeoutMs);
  });
  const answer = call(patience.signal).catch((error: unknown) => ({ type: "unknown" as const, code: codeOf(error) }));
  try {
    return await Promise.race([answer, timeout]);
  } finally {
    clearTimeout(timer);
  }
}

/** A word for an error; never its message, which could quote the request. */
function codeOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code.slice(0, 64) : "gateway_error";
}
