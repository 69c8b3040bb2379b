// One attempt's conversation with a gateway that says what the test wants: when it is charged, looked up, given up.
import { describe, expect, test } from "vitest";
import type { TakenAttempt } from "../../../engine/ledger/payments.ts";
import type { ChargeOutcome, PaymentGateway } from "../../../persister/jobs/gateway/gateway.ts";
import { ATTEMPT_TIMING, type AttemptResult, CALLS_MAX, carryOut } from "../../../persister/jobs/payment/attempt.ts";

const DEADLINE = new Date("2026-03-01T12:00:00Z");
const WITHIN = DEADLINE.getTime() + ATTEMPT_TIMING.graceMs;
const AFTER = WITHIN + 1;
const { lastDelayMs, lookupTimeoutMs, lateDelayMs, lateForMs, retryDelayMs, pendingDelayMs } = ATTEMPT_TIMING;
/** From then on nothing that was sent before can still be on its way. */
const ARRIVED_MS = lastDelayMs + lookupTimeoutMs;

type Answer = ChargeOutcome | "none" | Error;

const ok: Answer = { type: "succeeded", reference: "ch_1" };
const pending: Answer = { type: "pending", code: "processing" };
const unsent: Answer = { type: "unsent", code: "ECONNREFUSED" };
const unknown: Answer = new Error("the connection broke");
const down: Answer = { type: "failed", code: "provider_unavailable", retryable: true };

interface Said {
  readonly charge?: Answer;
  readonly lookup?: Answer;
  readonly attempt?: Partial<TakenAttempt>;
  readonly nowMs?: number;
  readonly random?: number;
}

/** Carries an attempt on. @returns what came of it, and what the gateway was asked */
async function talk({ charge, lookup, attempt = {}, nowMs = WITHIN, random = 0 }: Said) {
  const asked: string[] = [];
  const answer = async <T>(what: string, said: T | Error | undefined): Promise<T> => {
    asked.push(what);
    if (said === undefined) throw new Error(`${what} was not expected`);
    if (said instanceof Error) throw said;
    return said;
  };
  const gateway: PaymentGateway = {
    charge: () => answer("charge", charge as ChargeOutcome),
    lookup: () => answer("lookup", lookup),
    close: async () => undefined,
  };
  const taken: TakenAttempt = {
    id: "o",
    saleId: "s",
    partition: 0,
    customerId: "guest",
    holdReservation: 1,
    status: "PAYING",
    reason: null,
    stockState: "reserved",
    version: 3,
    payable: 100,
    refundedAmount: 0,
    currency: "KRW",
    attempt: 1,
    calls: 1,
    method: "card",
    token: "tok",
    amount: 100,
    reservedUntil: DEADLINE,
    startedAt: DEADLINE,
    ageMs: 0,
    lateMs: null,
    ...attempt,
  };
  const surroundings = { timing: ATTEMPT_TIMING, nowMs: async () => nowMs, random: () => random };
  const result: AttemptResult = await carryOut(gateway, taken, surroundings);
  return { result, asked };
}

describe("a pending charge for which its order waits", () => {
  test("is looked up again, at growing intervals, and charged no second time", async () => {
    const first = await talk({ charge: pending });
    expect(first).toEqual({
      result: { state: "open", delayMs: retryDelayMs, code: "processing", counted: true },
      asked: ["charge"],
    });
    const delays: number[] = [];
    for (const ageMs of [1_000, 3_000, 6_000, 60_000]) {
      const { result, asked } = await talk({ lookup: pending, attempt: { calls: 2, ageMs } });
      expect(asked).toEqual(["lookup"]);
      expect(result).toMatchObject({ state: "open", counted: false });
      delays.push("delayMs" in result ? result.delayMs : 0);
    }
    expect(delays).toEqual([1_000, 1_500, 3_000, pendingDelayMs]);
  });

  test("keeps its order waiting until deadline and grace are over, and no longer", async () => {
    for (const said of [{ charge: pending }, { lookup: pending, attempt: { calls: 2 } }]) {
      expect((await talk({ ...said, nowMs: WITHIN })).result).toMatchObject({ state: "open" });
      expect((await talk({ ...said, nowMs: AFTER })).result).toMatchObject({ state: "overdue" });
    }
    const unheard = await talk({ charge: unknown, lookup: pending, nowMs: AFTER });
    expect(unheard).toMatchObject({ result: { state: "overdue" }, asked: ["charge", "lookup"] });
  });

  test("whose end is known by then ends", async () => {
    const { result } = await talk({ lookup: ok, attempt: { calls: 2 }, nowMs: AFTER });
    expect(result).toEqual({ state: "succeeded", reference: "ch_1" });
  });
});

test("an outcome that cannot be learnt keeps its order waiting for ever", async () => {
  for (const calls of [2, CALLS_MAX, CALLS_MAX + 1]) {
    const { result, asked } = await talk({ lookup: unknown, attempt: { calls, ageMs: lateForMs * 10 }, nowMs: AFTER });
    expect(result).toMatchObject({ state: "open" });
    expect(asked).toEqual(["lookup"]);
  }
});

describe("an attempt for which no order waits", () => {
  const late = (lateMs: number, calls = 2) => ({ lateMs, calls, token: null, ageMs: lateMs });

  test("is never charged, whatever is known of it", async () => {
    for (const lookup of [ok, pending, unsent, unknown, down, "none"] as const) {
      for (const lateMs of [0, ARRIVED_MS, lateForMs]) {
        expect((await talk({ lookup, attempt: { ...late(lateMs), token: "tok" } })).asked).toEqual(["lookup"]);
      }
    }
  });

  test("ends as the gateway says", async () => {
    expect((await talk({ lookup: ok, attempt: late(0) })).result).toMatchObject({ state: "succeeded" });
    const declined = { type: "declined", code: "card_declined" } as const;
    expect((await talk({ lookup: declined, attempt: late(0) })).result).toMatchObject({ state: "declined" });
  });

  test.each(["none", down] as const)("without a charge fails once none can be on its way: %j", async (lookup) => {
    const early = await talk({ lookup, attempt: late(10_000) });
    expect(early.result).toMatchObject({ state: "open", delayMs: ARRIVED_MS - 10_000 });
    expect((await talk({ lookup, attempt: late(ARRIVED_MS) })).result).toMatchObject({ state: "failed" });
  });

  test.each([pending, unsent, unknown])(
    "is looked up at growing intervals, and given up after a day: %j",
    async (lookup) => {
      const delays: unknown[] = [];
      for (const lateMs of [0, 60_000, 600_000, lateForMs - 1]) {
        const { result } = await talk({ lookup, attempt: late(lateMs) });
        expect(result).toMatchObject({ state: "open", counted: false });
        delays.push("delayMs" in result && result.delayMs);
      }
      expect(delays).toEqual([retryDelayMs, 30_000, 300_000, lateDelayMs]);
      expect((await talk({ lookup, attempt: late(lateForMs) })).result).toMatchObject({
        state: "failed",
        code: lookup === pending ? "never_decided" : "never_answered",
      });
    },
  );

  test("that was never sent has failed, without asking", async () => {
    const { result, asked } = await talk({ attempt: late(0, 1) });
    expect([result, asked]).toEqual([{ state: "failed", code: "never_sent" }, []]);
  });

  test("with nothing to pay has nothing to ask", async () => {
    const { result, asked } = await talk({ attempt: { ...late(0), amount: 0 } });
    expect([result, asked]).toEqual([{ state: "failed", code: "nothing_to_pay" }, []]);
  });
});

test("delays are spread, and only made longer", async () => {
  const delayAt = async (random: number) => {
    const { result } = await talk({ charge: down, random });
    return "delayMs" in result ? result.delayMs : 0;
  };
  expect(await delayAt(0)).toBe(retryDelayMs);
  expect(await delayAt(0.5)).toBe(retryDelayMs * 1.125);
  expect(await delayAt(0.999)).toBeLessThanOrEqual(retryDelayMs * 1.25);
});
