// One refund's conversation with the gateway: what each answer leads to, and that nothing is guessed.
import { describe, expect, test } from "vitest";
import type { TakenRefund } from "../../../engine/ledger/refund-work.ts";
import type { RefundGateway, RefundOutcome, RefundRequest } from "../../../persister/jobs/gateway/gateway.ts";
import {
  GIVE_BACK_TIMING,
  giveBack,
  leaseOf,
  REFUSED_TRIES_MAX,
  TRIES_MAX,
} from "../../../persister/jobs/refunds/give-back.ts";

const TIMING = { ...GIVE_BACK_TIMING, refundTimeoutMs: 20, lookupTimeoutMs: 20, retryDelayMs: 100 };
const REFUND: TakenRefund = {
  id: "refund",
  orderId: "order",
  attempt: 2,
  method: "card",
  amount: 700,
  currency: "KRW",
  calls: 1,
  tries: 1,
  chargeReference: "ch_1",
};
const SUCCEEDED: RefundOutcome = { type: "succeeded", reference: "re_1" };
const UNKNOWN: RefundOutcome = { type: "unknown", code: "reset" };
const REFUSED: RefundOutcome = { type: "failed", code: "refund_refused", retryable: false };
const AWAY: RefundOutcome = { type: "failed", code: "provider_unavailable", retryable: true };
const hanging = () => new Promise<never>(() => undefined);
const throwing = () => Promise.reject(new Error("secret"));

type Say = RefundOutcome | "none" | (() => Promise<never>);
/** Gives back, with a gateway that says these; `asked` are the calls that it heard. */
async function talk(change: Partial<TakenRefund>, says: { refund?: Say; lookup?: Say }, random = 0.5) {
  const asked: [string, unknown][] = [];
  const answer = async (say: Say | undefined) => (typeof say === "function" ? await say() : say);
  const gateway: RefundGateway = {
    async refund(request: RefundRequest) {
      asked.push(["refund", request]);
      return (await answer(says.refund)) as RefundOutcome;
    },
    async lookupRefund(key, _signal, facts) {
      asked.push(["lookup", { key, ...facts }]);
      return (await answer(says.lookup)) as RefundOutcome | "none";
    },
  };
  const result = await giveBack(gateway, { ...REFUND, ...change }, TIMING, () => random);
  return { result, asked, calls: asked.map(([call]) => call) };
}
const END = { state: "succeeded", reference: "re_1" };

describe("a refund taken for the first time", () => {
  test("is asked for under its id, with what names its charge", async () => {
    const { result, asked } = await talk({}, { refund: SUCCEEDED });
    expect(result).toEqual(END);
    const request = { key: "refund", chargeKey: "order:2", chargeReference: "ch_1", amount: 700 };
    expect(asked).toEqual([["refund", request]]);
  });

  test("of nothing asks nobody", async () => {
    expect(await talk({ amount: 0 }, {})).toMatchObject({ result: { state: "succeeded" }, asked: [] });
  });

  test.for([
    ["unknown", UNKNOWN, "reset"],
    ["pending", { type: "pending", code: "processing" }, "processing"],
    ["silence", hanging, "timeout"],
    ["an exception", throwing, "gateway_error"],
  ] as const)(
    "after %s is looked up: found, it is over; else it stays open, and no try is used up",
    async ([, refund, code]) => {
      expect(await talk({}, { refund, lookup: SUCCEEDED })).toMatchObject({ result: END, calls: ["refund", "lookup"] });
      for (const lookup of ["none", UNKNOWN, hanging] as const) {
        const { result } = await talk({}, { refund, lookup });
        expect(result).toMatchObject({ state: "open", counted: false, code });
      }
    },
  );

  test("that never left stays open, and no try is used up", async () => {
    const { result, calls } = await talk({}, { refund: { type: "unsent", code: "circuit_open" } });
    expect(result).toMatchObject({ state: "open", counted: false, code: "circuit_open" });
    expect(calls).toEqual(["refund"]);
  });
});

describe("a refund taken again", () => {
  test("is looked up first: found, nothing is asked for", async () => {
    expect(await talk({ calls: 2 }, { lookup: SUCCEEDED })).toMatchObject({ result: END, calls: ["lookup"] });
  });

  test.for([UNKNOWN, hanging, { type: "pending", code: "processing" }, { type: "unsent", code: "x" }] as const)(
    "is not asked for while nobody knows what became of it: %o",
    async (lookup) => {
      const { result, calls } = await talk({ calls: 2 }, { lookup });
      expect(result).toMatchObject({ state: "open", counted: false });
      expect(calls).toEqual(["lookup"]);
    },
  );

  test.for(["none", REFUSED] as const)(
    "is asked for again where the provider has moved nothing: %o",
    async (lookup) => {
      const { result, calls } = await talk({ calls: 2 }, { lookup, refund: SUCCEEDED });
      expect(result).toEqual(END);
      expect(calls).toEqual(["lookup", "refund"]);
    },
  );
});

describe("a refund that fails", () => {
  test.for([
    ["refused", REFUSED, REFUSED_TRIES_MAX],
    ["not possible now", AWAY, TRIES_MAX],
  ] as const)(
    "because it is %s is tried again, with growing delays, until its tries have ended",
    async ([, refund, max]) => {
      const delays: number[] = [];
      for (let tries = 1; tries < max; tries += 1) {
        const { result } = await talk({ calls: tries, tries }, { refund, lookup: "none" });
        expect(result).toMatchObject({ state: "open", counted: true });
        if (result.state === "open") delays.push(result.delayMs);
      }
      expect(delays).toEqual(delays.map((_, i) => Math.min(100 * 2 ** i, TIMING.retryDelayMaxMs)));
      const last = await talk({ calls: max, tries: max }, { refund, lookup: "none" });
      expect(last.result).toMatchObject({ state: "failed" });
    },
  );

  test("goes on after calls that were never answered: they were no tries", async () => {
    const { result } = await talk({ calls: 500, tries: 1 }, { refund: REFUSED, lookup: "none" });
    expect(result).toMatchObject({ state: "open", counted: true, delayMs: 100 });
  });

  test("waits a quarter more or less than planned, and no longer than it may", async () => {
    for (const [random, delayMs] of [
      [0, 75],
      [1, 125],
    ] as const) {
      expect((await talk({}, { refund: AWAY }, random)).result).toMatchObject({ delayMs });
    }
    const { result } = await talk({ calls: 5_000 }, { lookup: UNKNOWN }, 0.5);
    expect(result).toMatchObject({ delayMs: TIMING.unansweredDelayMaxMs });
  });
});

test("a lease outlasts the longest conversation", () => {
  const { refundTimeoutMs, lookupTimeoutMs } = GIVE_BACK_TIMING;
  expect(leaseOf(GIVE_BACK_TIMING)).toBeGreaterThan(lookupTimeoutMs + refundTimeoutMs + lookupTimeoutMs);
});
