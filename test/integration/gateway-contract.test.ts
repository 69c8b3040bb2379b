// The contract of the port to payment providers, tried on every adapter: what the saga of payments and refunds stands on.
import { randomUUID } from "node:crypto";
import { describe, expect, test, vi } from "vitest";
import { ADAPTERS } from "./gateway-contract.ts";

const patience = () => AbortSignal.timeout(20_000);
const newKey = () => `${randomUUID()}:1`;
const SUCCEEDED = { type: "succeeded", reference: expect.stringMatching(/./) };
const REUSED = { type: "failed", code: "idempotency_key_reused", retryable: false };
const EXCEEDS = { type: "failed", code: "refund_exceeds_charge", retryable: false };
const AMOUNT = 1_000;
const FACTS = { amount: AMOUNT, currency: "KRW" };

describe.each(Object.entries(ADAPTERS))("%s", async (_name, open) => {
  const adapter = await open();
  const { provider, moneyOf } = adapter;
  const request = (token: string, key = newKey()) => ({ key, ...FACTS, token });
  const lookup = (key: string) => provider.lookup(key, patience(), { ...FACTS, startedAt: new Date() });
  /** @returns the charge's key and what a refund of it is told */
  async function charged() {
    const { key, ...rest } = request(await adapter.token());
    const outcome = await provider.charge({ key, ...rest }, patience());
    expect(outcome).toEqual(SUCCEEDED);
    const chargeReference = outcome.type === "succeeded" ? outcome.reference : "";
    const refund = (amount: number, refundKey: string = randomUUID()) => ({
      key: refundKey,
      chargeKey: key,
      chargeReference,
      amount,
    });
    return { key, refund };
  }

  describe("a charge", () => {
    test("is made once under its key, and found by it", async () => {
      const asked = request(await adapter.token());
      expect(await lookup(asked.key)).toBe("none");
      const made = await provider.charge(asked, patience());
      expect(made).toEqual(SUCCEEDED);
      expect(await provider.charge(asked, patience())).toEqual(made);
      expect(await lookup(asked.key)).toEqual(made);
      expect(await moneyOf([asked.key])).toBe(AMOUNT);
    });

    test("of which many come at once under one key is made once, and every one is told so or nothing", async () => {
      const asked = request(await adapter.token());
      const outcomes = await Promise.all(Array.from({ length: 20 }, () => provider.charge(asked, patience())));
      const made = await lookup(asked.key);
      expect(made).toEqual(SUCCEEDED);
      for (const outcome of outcomes) {
        if (outcome.type === "succeeded") expect(outcome).toEqual(made);
        else expect(outcome).toMatchObject(outcome.type === "failed" ? { retryable: true } : { type: "unknown" });
      }
      expect(await moneyOf([asked.key])).toBe(AMOUNT);
    });

    test("of which many come at once under their own keys is made for each", async () => {
      const asked = await Promise.all(Array.from({ length: 50 }, async () => request(await adapter.token())));
      const outcomes = await Promise.all(asked.map((one) => provider.charge(one, patience())));
      expect(outcomes).toEqual(asked.map(() => SUCCEEDED));
      expect(await moneyOf(asked.map(({ key }) => key))).toBe(50 * AMOUNT);
    });

    test("of another amount, currency or token under a key is refused, and the first one stands", async () => {
      const asked = request(await adapter.token());
      const made = await provider.charge(asked, patience());
      expect(await provider.charge({ ...asked, amount: AMOUNT + 1 }, patience())).toEqual(REUSED);
      expect(await provider.charge({ ...asked, currency: "USD" }, patience())).toEqual(REUSED);
      expect(await provider.charge({ ...asked, token: await adapter.declined.token() }, patience())).toEqual(REUSED);
      expect(await lookup(asked.key)).toEqual(made);
      expect(await moneyOf([asked.key])).toBe(AMOUNT);
    });

    test("that is declined stays so", async () => {
      const asked = request(await adapter.declined.token());
      const declined = { type: "declined", code: adapter.declined.code };
      for (let call = 0; call < 3; call += 1) expect(await provider.charge(asked, patience())).toEqual(declined);
      expect(await lookup(asked.key)).toEqual(declined);
      expect(await moneyOf([asked.key])).toBe(0);
    });

    test("that nobody waits for any more is not made", async () => {
      const asked = request(await adapter.token());
      const outcome = await provider.charge(asked, AbortSignal.abort()).catch(() => ({ type: "unknown" }));
      if (outcome.type === "succeeded") return expect(await lookup(asked.key)).toEqual(outcome);
      expect(["unsent", "unknown"]).toContain(outcome.type);
      expect(await moneyOf([asked.key])).toBe(0);
      expect(await lookup(asked.key)).toBe("none");
      // And is made when it is asked for again.
      expect(await provider.charge(asked, patience())).toEqual(SUCCEEDED);
    });

    const { chargeUnheard, pending } = adapter;
    test.runIf(chargeUnheard)("whose answer is lost is found, and not made again", async () => {
      const asked = request(await adapter.token());
      const outcome = await chargeUnheard?.(asked).catch(() => ({ type: "unknown" }));
      expect(outcome).toMatchObject({ type: "unknown" });
      const made = await lookup(asked.key);
      expect(made).toEqual(SUCCEEDED);
      expect(await moneyOf([asked.key])).toBe(AMOUNT);
    });

    test.runIf(pending)("that is pending is found as such, and succeeds in the end", async () => {
      const asked = request(pending?.token ?? "");
      const undecided = { type: "pending", code: expect.stringMatching(/./) };
      expect(await provider.charge(asked, patience())).toEqual(undecided);
      expect(await provider.charge(asked, patience())).toEqual(undecided);
      expect(await lookup(asked.key)).toEqual(undecided);
      expect(await moneyOf([asked.key])).toBe(0);
      pending?.settle();
      await vi.waitFor(async () => expect(await lookup(asked.key)).toEqual(SUCCEEDED), { timeout: 10_000 });
      expect(await provider.charge(asked, patience())).toEqual(await lookup(asked.key));
      expect(await moneyOf([asked.key])).toBe(AMOUNT);
    });
  });

  describe("a refund", () => {
    test("is made once under its key, and found by it", async () => {
      const { key, refund } = await charged();
      const asked = refund(400);
      expect(await provider.lookupRefund(asked.key, patience(), asked)).toBe("none");
      const made = await provider.refund(asked, patience());
      expect(made).toEqual(SUCCEEDED);
      expect(await provider.refund(asked, patience())).toEqual(made);
      expect(await provider.lookupRefund(asked.key, patience(), asked)).toEqual(made);
      expect(await moneyOf([key])).toBe(AMOUNT - 400);
    });

    test("adds up with others to the charge, and not beyond it", async () => {
      const { key, refund } = await charged();
      expect(await provider.refund(refund(600), patience())).toEqual(SUCCEEDED);
      const tooMuch = refund(401);
      expect(await provider.refund(tooMuch, patience())).toEqual(EXCEEDS);
      expect(await provider.lookupRefund(tooMuch.key, patience(), tooMuch)).toBe("none");
      expect(await provider.refund(refund(400), patience())).toEqual(SUCCEEDED);
      expect(await provider.refund(refund(1), patience())).toEqual(EXCEEDS);
      expect(await moneyOf([key])).toBe(0);
    });

    test("of the whole can be made at once, and leaves the look-up of the charge as it was", async () => {
      const { key, refund } = await charged();
      const before = await lookup(key);
      expect(await provider.refund(refund(AMOUNT), patience())).toEqual(SUCCEEDED);
      expect(await lookup(key)).toEqual(before);
      expect(await moneyOf([key])).toBe(0);
    });

    test("of which many come at once moves no more than was charged, and once a key", async () => {
      const { key, refund } = await charged();
      const wanted = Array.from({ length: 10 }, () => refund(300));
      const outcomes = await Promise.all(
        [...wanted, ...wanted].map((asked) => provider.refund(asked, patience()).catch(() => ({ type: "unknown" }))),
      );
      expect(new Set(outcomes.map(({ type }) => type)).has("succeeded")).toBe(true);
      expect(await moneyOf([key])).toBe(AMOUNT - 900);
      const found = await Promise.all(wanted.map((asked) => provider.lookupRefund(asked.key, patience(), asked)));
      expect(found.filter((one) => one !== "none")).toEqual(Array(3).fill(SUCCEEDED));
    });

    test("of another amount under a key is refused, and the first one stands", async () => {
      const { key, refund } = await charged();
      const asked = refund(300);
      expect(await provider.refund(asked, patience())).toEqual(SUCCEEDED);
      expect(await provider.refund({ ...asked, amount: 301 }, patience())).toEqual(REUSED);
      expect(await moneyOf([key])).toBe(AMOUNT - 300);
    });

    test("of what was not charged, or was declined, is refused", async () => {
      const notFound = { type: "failed", code: "charge_not_found", retryable: false };
      expect(await provider.refund({ key: randomUUID(), chargeKey: newKey(), amount: 1 }, patience())).toEqual(
        notFound,
      );
      const declined = request(await adapter.declined.token());
      await provider.charge(declined, patience());
      const asked = { key: randomUUID(), chargeKey: declined.key, amount: 1 };
      expect(await provider.refund(asked, patience())).toMatchObject({ type: "failed", retryable: false });
    });

    const { refuseRefunds } = adapter;
    test.runIf(refuseRefunds)("that was refused is considered anew under its key, and made once", async () => {
      const { key, refund } = await charged();
      const asked = refund(AMOUNT);
      await refuseRefunds?.(true);
      for (let call = 0; call < 3; call += 1) {
        expect(await provider.refund(asked, patience())).toMatchObject({ type: "failed" });
        expect(await provider.lookupRefund(asked.key, patience(), asked)).toBe("none");
      }
      await refuseRefunds?.(false);
      const made = await provider.refund(asked, patience());
      expect(made).toEqual(SUCCEEDED);
      expect(await provider.refund(asked, patience())).toEqual(made);
      expect(await moneyOf([key])).toBe(0);
    });
  });
});
