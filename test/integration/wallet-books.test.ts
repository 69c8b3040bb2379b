// The wallets' books, by the provider that the worker charges: what is declined, what repeats, what two processes do at once.
import { randomUUID } from "node:crypto";
import { describe, expect, test, vi } from "vitest";
import { makeCustomerId } from "../../engine/members/users.ts";
import { AMOUNT_MAX } from "../../engine/money.ts";
import { readWallet } from "../../engine/wallet/accounts.ts";
import { checkWallets } from "../../engine/wallet/check.ts";
import { listTransactions } from "../../engine/wallet/transactions.ts";
import { DECLINED, newKey, openWalletShop, REUSED, SIGNAL, SUCCEEDED } from "./wallet-shop.ts";

const { pool, workers, member, deposit, charge, refund, balanceOf, expectSound } = await openWalletShop();
const [wallets] = workers;
const amountsOf = async (customerId: string) =>
  (await listTransactions(pool, customerId, { limit: 100 })).map(({ amount }) => amount).reverse();

describe("a charge", () => {
  test("takes what is there, and is declined where there is less, or nothing was ever paid in", async () => {
    const kim = await member();
    expect(await charge(kim, 1)).toEqual(DECLINED);
    await deposit(kim, 100);
    expect(await charge(kim, 101)).toEqual(DECLINED);
    expect(await charge(kim, 100)).toEqual(SUCCEEDED);
    expect(await charge(kim, 1)).toEqual(DECLINED);
    expect(await charge(randomUUID(), 1)).toEqual(DECLINED);
    expect(await balanceOf(kim)).toBe(0);
    await expectSound();
  });

  test("is answered the same under its key, whatever the wallet holds by then, and another under it is refused", async () => {
    const kim = await member();
    const other = await member();
    const [poor, rich] = [newKey(), newKey()];
    expect(await charge(kim, 50, poor)).toEqual(DECLINED);
    await deposit(kim, 100);
    await deposit(other, 100);
    const first = await charge(kim, 50, rich);
    expect(first).toEqual(SUCCEEDED);
    for (const worker of workers) {
      expect(await charge(kim, 50, poor, worker)).toEqual(DECLINED);
      expect(await charge(kim, 50, rich, worker)).toEqual(first);
      expect(await worker.lookup(poor, SIGNAL)).toEqual(DECLINED);
      expect(await worker.lookup(rich, SIGNAL)).toEqual(first);
    }
    expect(await charge(kim, 51, rich)).toEqual(REUSED);
    expect(await charge(other, 50, rich)).toEqual(REUSED);
    expect(await wallets.charge({ key: rich, amount: 50, currency: "USD", token: kim }, SIGNAL)).toEqual(REUSED);
    expect(await wallets.lookup(newKey(), SIGNAL)).toBe("none");
    expect([await balanceOf(kim), await balanceOf(other)]).toEqual([50, 100]);
    await expectSound();
  });

  test("of which a hundred come at once to two workers: exactly those succeed that there is money for", async () => {
    const kim = await member();
    await deposit(kim, 60 * 700);
    const keys = Array.from({ length: 100 }, newKey);
    const outcomes = await Promise.all(keys.map((key, i) => charge(kim, 700, key, workers[i % 2])));
    const count = (type: string) => outcomes.filter((outcome) => outcome.type === type).length;
    expect([count("succeeded"), count("declined")]).toEqual([60, 40]);
    expect(await balanceOf(kim)).toBe(0);
    expect(await Promise.all(keys.map((key) => wallets.lookup(key, SIGNAL)))).toEqual(outcomes);
    await expectSound();
  });

  test("that comes to two workers at once under one key is taken once", async () => {
    const kim = await member();
    const poor = await member();
    await deposit(kim, 1_000);
    for (let round = 0; round < 20; round += 1) {
      for (const [who, expected] of [
        [kim, SUCCEEDED],
        [poor, DECLINED],
      ] as const) {
        const key = newKey();
        const twice = await Promise.all(
          workers.flatMap((worker) => [charge(who, 10, key, worker), charge(who, 10, key, worker)]),
        );
        expect(twice).toEqual(twice.map(() => expected));
        expect(new Set(twice.map((outcome) => JSON.stringify(outcome))).size).toBe(1);
      }
    }
    expect(await balanceOf(kim)).toBe(800);
    await expectSound();
  });

  test("under one key for two wallets at once is one wallet's alone", async () => {
    const [kim, lee] = [await member(), await member()];
    await deposit(kim, 1_000);
    await deposit(lee, 1_000);
    for (let round = 0; round < 20; round += 1) {
      const key = newKey();
      const outcomes = await Promise.all([charge(kim, 10, key, workers[0]), charge(lee, 10, key, workers[1])]);
      expect(outcomes).toContainEqual(SUCCEEDED);
      expect(outcomes).toContainEqual(REUSED);
    }
    expect((await balanceOf(kim)) + (await balanceOf(lee))).toBe(2_000 - 20 * 10);
    await expectSound();
  });

  test("whose caller has given up is not taken", async () => {
    const kim = await member();
    await deposit(kim, 100);
    const key = newKey();
    const request = { key, amount: 10, currency: "KRW", token: kim };
    expect(await wallets.charge(request, AbortSignal.abort())).toEqual({ type: "unknown", code: "timeout" });
    const giveUp = new AbortController();
    const held = await pool.connect();
    await held.query("BEGIN");
    await held.query("SELECT FROM wallet_accounts WHERE owner = $1 FOR UPDATE", [kim]);
    const waiting = wallets.charge(request, giveUp.signal);
    await vi.waitFor(async () => {
      const blocked = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
      expect((await pool.query(blocked)).rowCount).toBe(1);
    });
    giveUp.abort();
    await held.query("COMMIT");
    held.release();
    expect(await waiting).toEqual({ type: "unknown", code: "timeout" });
    expect(await wallets.lookup(key, SIGNAL)).toBe("none");
    expect(await balanceOf(kim)).toBe(100);
  });
});

describe("a refund", () => {
  test("gives back what was charged, once a key, and never more", async () => {
    const kim = await member();
    await deposit(kim, 100);
    const [key, first] = [newKey(), randomUUID()];
    await charge(kim, 100, key);
    const answer = await refund(key, 30, first);
    expect(answer).toEqual(SUCCEEDED);
    for (const worker of workers) expect(await refund(key, 30, first, worker)).toEqual(answer);
    expect(await wallets.lookupRefund(first, SIGNAL)).toEqual(answer);
    expect(await refund(key, 31, first)).toEqual(REUSED);
    expect(await refund(key, 71)).toEqual({ type: "failed", code: "refund_exceeds_charge", retryable: false });
    expect(await refund(key, 70)).toEqual(SUCCEEDED);
    expect(await refund(key, 1)).toEqual({ type: "failed", code: "refund_exceeds_charge", retryable: false });
    expect(await balanceOf(kim)).toBe(100);
    expect(await amountsOf(kim)).toEqual([100, -100, 30, 70]);
    await expectSound();
  });

  test("of what was never charged, or was declined, is refused", async () => {
    const kim = await member();
    const declined = newKey();
    await charge(kim, 5, declined);
    const refused = { type: "failed", code: "charge_not_found", retryable: false };
    const key = randomUUID();
    expect(await refund(declined, 5, key)).toEqual(refused);
    expect(await refund(newKey(), 5)).toEqual(refused);
    expect(await wallets.lookupRefund(key, SIGNAL)).toBe("none");
    await expectSound();
  });

  test("of which twenty come at once: together not more than the charge", async () => {
    const kim = await member();
    await deposit(kim, 100);
    const key = newKey();
    await charge(kim, 100, key);
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, i) => refund(key, 10, randomUUID(), workers[i % 2])),
    );
    expect(outcomes.filter(({ type }) => type === "succeeded")).toHaveLength(10);
    expect(await balanceOf(kim)).toBe(100);
    await expectSound();
  });

  test("comes back also to a wallet that is as full as one may be", async () => {
    const kim = await member();
    await deposit(kim, AMOUNT_MAX);
    const key = newKey();
    await charge(kim, 10, key);
    await deposit(kim, 10);
    expect(await refund(key, 10)).toEqual(SUCCEEDED);
    expect(await balanceOf(kim)).toBe(AMOUNT_MAX + 10);
    await expect(deposit(kim, 1)).rejects.toMatchObject({ code: "INVALID_STATE" });
  });
});

describe("a deposit", () => {
  test("comes once a key, also when it is sent ten times at once", async () => {
    const kim = await member();
    const ten = await Promise.all(Array.from({ length: 10 }, () => deposit(kim, 100, { key: "monday" })));
    expect(new Set(ten.map((each) => each.deposit.id)).size).toBe(1);
    expect(ten.filter((each) => !each.isReplayed)).toHaveLength(1);
    expect(await balanceOf(kim)).toBe(100);
    await deposit(await member(), 100, { key: "monday" });
    await deposit(kim, 100);
    await deposit(kim, 100);
    expect(await balanceOf(kim)).toBe(300);
  });

  test("under a key that stands for another is refused, in whatever it differs", async () => {
    const kim = await member();
    const key = "tuesday";
    await deposit(kim, 100, { key, reason: "gift" });
    await expect(deposit(kim, 101, { key, reason: "gift" })).rejects.toMatchObject({ code: "IDEMPOTENCY_CONFLICT" });
    await expect(deposit(kim, 100, { key, reason: "gift", currency: "USD" })).rejects.toMatchObject({
      code: "IDEMPOTENCY_CONFLICT",
    });
    await expect(deposit(kim, 100, { key })).rejects.toMatchObject({ code: "IDEMPOTENCY_CONFLICT" });
    expect((await deposit(kim, 100, { key, reason: "gift" })).isReplayed).toBe(true);
    expect((await readWallet(pool, kim)).balances).toEqual([{ currency: "KRW", balance: 100 }]);
  });

  test("to nobody, or of nothing, is refused and changes nothing", async () => {
    const before = await checkWallets(pool);
    await expect(deposit(makeCustomerId(), 1)).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(deposit("'; --", 1)).rejects.toMatchObject({ code: "NOT_FOUND" });
    const kim = await member();
    for (const amount of [0, -1, 1.5, AMOUNT_MAX + 1, Number.NaN]) {
      await expect(deposit(kim, amount)).rejects.toMatchObject({ code: "VALIDATION" });
    }
    await pool.query("UPDATE users SET erased_at = now() WHERE id = $1", [kim]);
    await expect(deposit(kim, 1)).rejects.toMatchObject({ code: "NOT_FOUND" });
    expect(await checkWallets(pool)).toEqual(before);
  });

  test("is in the audit trail, once", async () => {
    const kim = await member();
    for (let sent = 0; sent < 2; sent += 1) await deposit(kim, 100, { key: "audited", reason: "paid in cash" });
    const audit = await pool.query("SELECT actor, action, before, after, reason FROM audit_log WHERE subject = $1", [
      `wallet:${kim}`,
    ]);
    expect(audit.rows).toEqual([
      {
        actor: "cli:test",
        action: "wallet.deposit",
        before: { balance: 0, currency: "KRW" },
        after: { balance: 100, currency: "KRW", amount: 100, deposit: expect.stringMatching(/^wt_/) },
        reason: "paid in cash",
      },
    ]);
  });
});

test("currencies are accounts of their own", async () => {
  const kim = await member();
  expect(await readWallet(pool, kim)).toEqual({ customerId: kim, balance: 0, currency: "KRW", balances: [] });
  await deposit(kim, 500, { currency: "USD" });
  expect(await readWallet(pool, kim)).toMatchObject({ balance: 500, currency: "USD" });
  expect(await readWallet(pool, kim, "KRW")).toMatchObject({ balance: 0, currency: "KRW" });
  expect(await charge(kim, 1)).toEqual(DECLINED);
  await deposit(kim, 70);
  expect(await charge(kim, 70)).toEqual(SUCCEEDED);
  expect(await readWallet(pool, kim)).toEqual({
    customerId: kim,
    balance: 0,
    currency: "KRW",
    balances: [
      { currency: "USD", balance: 500 },
      { currency: "KRW", balance: 0 },
    ],
  });
  await expectSound();
});
