// The whole order path for tests of payments that come when they will: engine, persister, worker, and the simulated provider,
// which decides pending charges when the test says so.
import { randomUUID } from "node:crypto";
import { afterAll, expect, vi } from "vitest";
import { cancelInLedger } from "../../engine/ledger/cancellation.ts";
import { openPool, transaction } from "../../engine/ledger/database.ts";
import { openOutbox } from "../../engine/outbox/outbox.ts";
import { openSimulatedGateway } from "../../persister/jobs/gateway/simulated.ts";
import { startWorker } from "../../persister/jobs/worker.ts";
import { startEngine, startPersister } from "../support/assembly.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startTestRedis } from "../support/redis.ts";
import { silent } from "./jobs-shop.ts";

export interface Sale {
  readonly saleId: string;
  readonly productId: string;
}

/** An order as its own row, the shop's refunds and the provider's ledger tell of it. */
export interface Books {
  readonly id: string;
  readonly status: string;
  readonly reason: string | null;
  readonly stockState: string;
  readonly timeline: readonly string[];
  /** Charges that moved money. */
  readonly charges: number;
  readonly refunds: number;
  readonly refunded: number;
  /** What the provider has given back. */
  readonly givenBack: number;
  readonly revivals: number;
}

/** Opens it for a test file; closed with it. */
export async function openLateShop() {
  const database = await createTestDatabase();
  const redis = await startTestRedis();
  const servers = { databaseUrl: database.url, redisUrl: redis.url };
  const shop = await startEngine(servers);
  const persister = await startPersister(servers);
  const outbox = await openOutbox(database.url, () => undefined);
  const providerPool = openPool(
    database.url,
    { connectionsMax: 4, applicationName: "provider", statementTimeoutMs: 10_000 },
    () => undefined,
  );
  const worker = await startWorker({
    ...servers,
    gateway: openSimulatedGateway(providerPool, { pendingMs: 3_600_000 }),
    log: silent,
    timing: {
      sweepIntervalMs: 50,
      payment: { retryDelayMs: 20, graceMs: 0, pendingDelayMs: 100, lateDelayMs: 100, lastDelayMs: 200 },
    },
  });
  afterAll(async () => {
    await worker.stop();
    await Promise.all([persister.stop(), outbox.close()]);
    await shop.stop();
    await redis.stop();
  });

  return {
    ...shop,
    servers,
    outbox,
    /** Places orders of one unit by as many buyers, without a token to be paid later. @returns their ids */
    async place(sale: Sale, count: number, token?: string): Promise<string[]> {
      const payment = token === undefined ? ({ method: "later" } as const) : ({ method: "card", token } as const);
      const orders = Array.from({ length: count }, () =>
        shop.engine.place({
          saleId: sale.saleId,
          customerId: randomUUID(),
          items: [{ productId: sale.productId, quantity: 1 }],
          payment,
        }),
      );
      return (await Promise.all(orders)).map(({ orderId }) => orderId);
    },
    /** How many of the orders are in each status, with its reason. */
    async statuses(orders: readonly string[]): Promise<Record<string, number>> {
      const result = await shop.pool.query<{ status: string; count: number }>(
        `SELECT concat_ws(' ', status, reason) AS status, count(*)::int AS count FROM orders
         WHERE id = ANY($1::uuid[]) GROUP BY 1`,
        [orders],
      );
      return Object.fromEntries(result.rows.map(({ status, count }) => [status, count]));
    },
    /** Lets the provider decide what it has pending for the orders; all of it succeeds. @returns how much it was */
    async decide(orders: readonly string[]): Promise<number> {
      const result = await shop.pool.query(
        `UPDATE simulated_gateway.charges SET decides_at = now()
         WHERE outcome = 'processing' AND split_part(key, ':', 1) = ANY($1)`,
        [orders],
      );
      return result.rowCount ?? 0;
    },
    async cancel(orderId: string, reason: "CUSTOMER" | "OPERATOR"): Promise<boolean> {
      return await transaction(shop.pool, (client) =>
        cancelInLedger(client, outbox, { orderId, actor: "test", reason }),
      );
    },
    async booksOf(orders: readonly string[]): Promise<Books[]> {
      const result = await shop.pool.query<Books>(
        `SELECT o.id, o.status, o.reason, o.stock_state AS "stockState",
           (SELECT json_agg(t.status ORDER BY t.version) FROM order_timeline t WHERE t.order_id = o.id) AS timeline,
           (SELECT count(*)::int FROM simulated_gateway.charges c
            WHERE split_part(c.key, ':', 1) = o.id::text AND c.outcome = 'succeeded') AS charges,
           (SELECT count(*)::int FROM refunds r WHERE r.order_id = o.id) AS refunds,
           (SELECT COALESCE(sum(r.amount), 0)::int FROM refunds r WHERE r.order_id = o.id) AS refunded,
           (SELECT COALESCE(sum(c.refunded), 0)::int FROM simulated_gateway.charges c
            WHERE split_part(c.key, ':', 1) = o.id::text) AS "givenBack",
           (SELECT count(*)::int FROM order_revivals v WHERE v.order_id = o.id) AS revivals
         FROM orders o WHERE o.id = ANY($1::uuid[]) ORDER BY o.id`,
        [orders],
      );
      return result.rows;
    },
    /** Waits until the sale's only product has these units, in Redis and in Postgres. */
    async expectStock(sale: Sale, units: { available: number; reserved: number; sold: number }): Promise<void> {
      await until(async () => {
        const snapshot = await shop.engine.stock.snapshot({ saleId: sale.saleId, partition: 0 });
        if (snapshot.type !== "OK") throw new Error(snapshot.type);
        expect(snapshot.stock.get(sale.productId)).toEqual(units);
        const rows = await shop.pool.query("SELECT reserved, sold FROM stock WHERE sale_id = $1 AND product_id = $2", [
          sale.saleId,
          sale.productId,
        ]);
        expect(rows.rows).toEqual([{ reserved: units.reserved, sold: units.sold }]);
      });
    },
  };
}

export const until = (check: () => Promise<void>) => vi.waitFor(check, { timeout: 25_000, interval: 50 });
