// The wallets' books held against a model of them, and against their own check, which has to find what does not agree.
import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { checkWallets, readWalletBooks } from "../../engine/wallet/check.ts";
import type { ChargeOutcome } from "../../persister/jobs/gateway/gateway.ts";
import { WalletModel, type WalletStep } from "./wallet-model.ts";
import { newKey, openWalletShop } from "./wallet-shop.ts";

const { pool, workers, member, deposit, charge, refund, balanceOf, expectSound } = await openWalletShop();

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
    const by = workers[worker] ?? workers[0];
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
