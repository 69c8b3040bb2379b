// The wallets' books against a model of them, by the provider that the worker charges: what is declined, what repeats, what
// two processes do at once; and the check that finds what does not agree.
import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { openPool } from "../../engine/ledger/database.ts";
import { makeCustomerId } from "../../engine/members/users.ts";
import { AMOUNT_MAX } from "../../engine/money.ts";
import { readWallet } from "../../engine/wallet/accounts.ts";
import { checkWallets, readWalletBooks } from "../../engine/wallet/check.ts";
import { depositTo } from "../../engine/wallet/deposits.ts";
import { listTransactions } from "../../engine/wallet/transactions.ts";
import type { ChargeOutcome } from "../../persister/jobs/gateway/gateway.ts";
import { walletGateway } from "../../persister/jobs/gateway/wallet.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { WalletModel, type WalletStep } from "./wallet-model.ts";

const database = await createTestDatabase();
const open = () =>
  openPool(
    database.url,
    { connectionsMax: 4, applicationName: "wallets", statementTimeoutMs: 10_000 },
    () => undefined,
  );
// Two workers: each batches by itself, and they meet in Postgres.
const pools = [open(), open()] as const;
const [pool] = pools;
const workers = pools.map(walletGateway) as [ReturnType<typeof walletGateway>, ReturnType<typeof walletGateway>];
const [wallets] = workers;
afterAll(() => Promise.all(pools.map((each) => each.end())));

const SIGNAL = new AbortController().signal;
const OPERATOR = { actor: "cli:test" };
const DECLINED = { type: "declined", code: "insufficient_funds" };
const REUSED = { type: "failed", code: "idempotency_key_reused", retryable: false };
const SUCCEEDED = { type: "succeeded", reference: expect.stringMatching(/^wt_\d+$/) };

async function member(): Promise<string> {
  const id = makeCustomerId();
  await pool.query("INSERT INTO users (id, email, name, password_hash) VALUES ($1, $1 || '@x.example', 'Kim', '')", [
    id,
  ]);
  return id;
}
const deposit = (customerId: string, amount: number, more: { currency?: string; key?: string; reason?: string } = {}) =>
  depositTo(
    pool,
    { customerId, amount, currency: more.currency ?? "KRW", key: more.key },
    { ...OPERATOR, reason: more.reason },
  );
const charge = (customerId: string, amount: number, key: string = newKey(), by = wallets) =>
  by.charge({ key, amount, currency: "KRW", token: customerId }, SIGNAL);
const refund = (chargeKey: string, amount: number, key: string = randomUUID(), by = wallets) =>
  by.refund({ key, chargeKey, amount }, SIGNAL);
const newKey = () => `${randomUUID()}:1`;
const balanceOf = async (customerId: string, currency?: string) =>
  (await readWallet(pool, customerId, currency)).balance;
const amountsOf = async (customerId: string) =>
  (await listTransactions(pool, customerId, { limit: 100 })).map(({ amount }) => amount).reverse();

async function expectSound(): Promise<void> {
  expect((await checkWallets(pool)).findings).toEqual([]);
}

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

describe("random sequences", () => {
  const who = fc.nat({ max: 2 });
  const amount = fc.integer({ min: 1, max: 60 });
  const key = fc.nat({ max: 12 }).map((name) => `${name}:1`);
  const step = fc.oneof(
    fc.record({ type: fc.constant("deposit" as const), who, amount, key }),
    fc.record({ type: fc.constant("charge" as const), who, amount, key }),
    fc.record({ type: fc.constant("refund" as const), chargeKey: key, amount, key }),
  );
  const steps = fc.array(fc.record({ step, worker: fc.nat({ max: 1 }) }), { minLength: 1, maxLength: 40 });

  test("of deposits, charges and refunds by two workers end as the model of them says", async () => {
    const members = await Promise.all([member(), member(), member()]);
    await fc.assert(
      fc.asyncProperty(steps, async (sequence) => {
        const run = randomUUID();
        const balances = () => Promise.all(members.map((id) => balanceOf(id)));
        const model = new WalletModel(await balances());
        for (const { step, worker } of sequence) {
          const named = { ...step, key: `${run} ${step.key}` };
          if (named.type === "refund") named.chargeKey = `${run} ${named.chargeKey}`;
          expect([named, await carryOut(members, named, worker)]).toEqual([named, model.apply(named)]);
        }
        expect(await balances()).toEqual(model.balances);
        await expectSound();
      }),
      { numRuns: 40 },
    );
  });

  async function carryOut(members: readonly string[], step: WalletStep, worker: number): Promise<string> {
    const by = workers[worker] ?? wallets;
    switch (step.type) {
      case "deposit":
        return await deposit(members[step.who] ?? "", step.amount, { key: step.key }).then(
          ({ isReplayed }) => (isReplayed ? "replayed" : "succeeded"),
          (error: { code: string }) => (error.code === "IDEMPOTENCY_CONFLICT" ? "conflict" : error.code),
        );
      case "charge":
        return nameOf(await charge(members[step.who] ?? "", step.amount, step.key, by));
      case "refund":
        return nameOf(await refund(step.chargeKey, step.amount, step.key, by));
    }
  }

  function nameOf(outcome: ChargeOutcome): string {
    if (outcome.type !== "failed") return outcome.type;
    const names: Record<string, string> = {
      idempotency_key_reused: "reused",
      charge_not_found: "not_found",
      refund_exceeds_charge: "exceeds",
    };
    return names[outcome.code] ?? outcome.code;
  }
});

describe("the check", () => {
  let kim: string;
  let key: string;
  beforeEach(async () => {
    kim = await member();
    key = newKey();
    await deposit(kim, 100);
    await charge(kim, 40, key);
    await refund(key, 10);
  });

  /** Does it to the books, sees what the check says, and undoes it. */
  async function findingsAfter(sql: string, values: readonly unknown[]): Promise<readonly string[]> {
    const client = await pool.connect();
    try {
      await client.query("BEGIN");
      await client.query("ALTER TABLE wallet_transfers DISABLE TRIGGER USER");
      await client.query(sql, [...values]);
      return (await readWalletBooks(client)).findings;
    } finally {
      await client.query("ROLLBACK");
      client.release();
    }
  }

  test.for([
    ["a balance", "UPDATE wallet_accounts SET balance = balance + 1 WHERE owner = $1", 0],
    ["a transfer's amount", "UPDATE wallet_transfers SET amount = 41 WHERE reference = $1", 1],
    ["what a transfer left", "UPDATE wallet_transfers SET balance = 61 WHERE reference = $1", 1],
    ["a charge's amount", "UPDATE wallet_charges SET amount = 41 WHERE key = $1", 1],
    ["whose a charge is", "UPDATE wallet_charges SET customer_id = 'x' WHERE key = $1", 1],
    ["what came back of a charge", "UPDATE wallet_charges SET refunded = 11 WHERE key = $1", 1],
    ["a refund", "DELETE FROM wallet_transfers WHERE charge_key = $1", 1],
    [
      "a charge's other side",
      `UPDATE wallet_transfers SET credit_account = (SELECT id FROM wallet_accounts WHERE owner = 'deposits'
         AND currency = 'KRW') WHERE reference = $1`,
      1,
    ],
  ] as const)("finds %s that was changed", async ([, sql, which]) => {
    await expectSound();
    expect(await findingsAfter(sql, [[kim, key][which]])).not.toEqual([]);
    await expectSound();
  });

  test("sums up what came in, what was spent and what is held", async () => {
    const { currencies } = await checkWallets(pool);
    const krw = currencies.find(({ currency }) => currency === "KRW");
    expect(krw?.held).toBe((krw?.deposited ?? 0) - (krw?.spent ?? 0));
    expect(krw?.held).toBeGreaterThan(0);
  });

  test("is not the only guard: transfers cannot be changed, nor a balance fall below zero", async () => {
    await expect(pool.query("UPDATE wallet_transfers SET amount = 1")).rejects.toThrow(/append-only/);
    await expect(pool.query("DELETE FROM wallet_transfers")).rejects.toThrow(/append-only/);
    await expect(pool.query("UPDATE wallet_accounts SET balance = -1 WHERE owner = $1", [kim])).rejects.toThrow(
      /check/,
    );
  });
});
