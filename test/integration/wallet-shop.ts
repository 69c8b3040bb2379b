// Wallets in a test file's own database, charged by two workers: each batches by itself, and they meet in Postgres.
import { randomUUID } from "node:crypto";
import type pg from "pg";
import { afterAll, expect } from "vitest";
import { openPool, transaction } from "../../engine/ledger/database.ts";
import { makeCustomerId } from "../../engine/members/users.ts";
import { readWallet } from "../../engine/wallet/accounts.ts";
import { readWalletBooks } from "../../engine/wallet/check.ts";
import { type Deposit, depositTo } from "../../engine/wallet/deposits.ts";
import type { ChargeOutcome, PaymentProvider, RefundOutcome } from "../../persister/jobs/gateway/gateway.ts";
import { walletGateway } from "../../persister/jobs/gateway/wallet.ts";
import { createTestDatabase } from "../support/postgres.ts";

export const SIGNAL = new AbortController().signal;
export const DECLINED = { type: "declined", code: "insufficient_funds" };
export const REUSED = { type: "failed", code: "idempotency_key_reused", retryable: false };
export const SUCCEEDED = { type: "succeeded", reference: expect.stringMatching(/^wt_\d+$/) };

export interface WalletShop {
  readonly pool: pg.Pool;
  readonly workers: readonly [PaymentProvider, PaymentProvider];
  /** A new member. @returns the id */
  member(): Promise<string>;
  deposit(
    customerId: string,
    amount: number,
    more?: { currency?: string; key?: string; reason?: string },
  ): Promise<{ deposit: Deposit; isReplayed: boolean }>;
  /** In KRW, by the first worker and under a new key unless told otherwise. */
  charge(customerId: string, amount: number, key?: string, by?: PaymentProvider): Promise<ChargeOutcome>;
  refund(chargeKey: string, amount: number, key?: string, by?: PaymentProvider): Promise<RefundOutcome>;
  balanceOf(customerId: string): Promise<number>;
  /** The books agree with themselves; there are no orders here. */
  expectSound(): Promise<void>;
}

/** A charge's key, as orders make them. */
export function newKey(): string {
  return `${randomUUID()}:1`;
}

/** Opens the shop for a test file; closed with it. */
export async function openWalletShop(): Promise<WalletShop> {
  const database = await createTestDatabase();
  const options = { connectionsMax: 4, applicationName: "wallets", statementTimeoutMs: 10_000 };
  const open = () => openPool(database.url, options, () => undefined);
  const pools = [open(), open()] as const;
  const [pool] = pools;
  const workers = [walletGateway(pools[0]), walletGateway(pools[1])] as const;
  afterAll(() => Promise.all(pools.map((each) => each.end())));
  return {
    pool,
    workers,
    async member() {
      const id = makeCustomerId();
      await pool.query(
        "INSERT INTO users (id, email, name, password_hash) VALUES ($1, $1 || '@x.example', 'Kim', '')",
        [id],
      );
      return id;
    },
    deposit: (customerId, amount, { currency = "KRW", key, reason } = {}) =>
      depositTo(pool, { customerId, amount, currency, key }, { actor: "cli:test", reason }),
    charge: (customerId, amount, key = newKey(), by = workers[0]) =>
      by.charge({ key, amount, currency: "KRW", token: customerId }, SIGNAL),
    refund: (chargeKey, amount, key = randomUUID(), by = workers[0]) => by.refund({ key, chargeKey, amount }, SIGNAL),
    balanceOf: async (customerId) => (await readWallet(pool, customerId, "KRW")).balance,
    expectSound: () =>
      transaction(pool, async (client) => expect((await readWalletBooks(client)).findings).toEqual([])),
  };
}
