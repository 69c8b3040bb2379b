// Payments that succeed when their orders no longer wait for them, through the whole path: engine, persister, worker, and the
// simulated provider, which decides pending charges when the test says so.
import { randomUUID } from "node:crypto";
import { afterAll, describe, expect, it, vi } from "vitest";
import { cancelInLedger } from "../../engine/ledger/cancellation.ts";
import { openPool, transaction } from "../../engine/ledger/database.ts";
import { findOrder } from "../../engine/ledger/orders.ts";
import { openOutbox } from "../../engine/outbox/outbox.ts";
import { openSimulatedGateway } from "../../persister/jobs/gateway/simulated.ts";
import { startWorker } from "../../persister/jobs/worker.ts";
import { openTestSale, startEngine, startPersister } from "../support/assembly.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startTestRedis } from "../support/redis.ts";
import { silent } from "./jobs-shop.ts";

const TTL_MS = 1_000;
const PRICE = 5_000;

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

interface Sale {
  readonly saleId: string;
  readonly productId: string;
}

async function place(sale: Sale, count: number, token: string): Promise<string[]> {
  const orders = Array.from({ length: count }, () =>
    shop.engine.place({
      saleId: sale.saleId,
      customerId: randomUUID(),
      items: [{ productId: sale.productId, quantity: 1 }],
      payment: { method: "card", token },
    }),
  );
  return (await Promise.all(orders)).map(({ orderId }) => orderId);
}

const until = (check: () => Promise<void>) => vi.waitFor(check, { timeout: 25_000, interval: 50 });

/** How many of the orders are in each status, with its reason. */
async function statuses(orders: readonly string[]): Promise<Record<string, number>> {
  const result = await shop.pool.query<{ status: string; count: number }>(
    `SELECT concat_ws(' ', status, reason) AS status, count(*)::int AS count FROM orders WHERE id = ANY($1::uuid[]) GROUP BY 1`,
    [orders],
  );
  return Object.fromEntries(result.rows.map(({ status, count }) => [status, count]));
}

/** Lets the provider decide what it has pending for the orders; all of it succeeds. */
async function decide(orders: readonly string[]): Promise<void> {
  const result = await shop.pool.query(
    `UPDATE simulated_gateway.charges SET decides_at = now()
     WHERE outcome = 'processing' AND split_part(key, ':', 1) = ANY($1)`,
    [orders],
  );
  expect(result.rowCount).toBe(orders.length);
}

async function cancel(orderId: string, reason: "CUSTOMER" | "OPERATOR"): Promise<boolean> {
  return await transaction(shop.pool, (client) => cancelInLedger(client, outbox, { orderId, actor: "test", reason }));
}

interface Books {
  readonly id: string;
  readonly status: string;
  readonly stockState: string;
  readonly charges: number;
  readonly refunds: number;
  readonly refunded: number;
  readonly revivals: number;
}

/** An order as its own row, the shop's refunds and the provider's ledger tell of it. */
async function booksOf(orders: readonly string[]): Promise<Books[]> {
  const result = await shop.pool.query<Books>(
    `SELECT o.id, o.status, o.stock_state AS "stockState",
       (SELECT count(*)::int FROM simulated_gateway.charges c
        WHERE split_part(c.key, ':', 1) = o.id::text AND c.outcome = 'succeeded') AS charges,
       (SELECT count(*)::int FROM refunds r WHERE r.order_id = o.id) AS refunds,
       (SELECT COALESCE(sum(r.amount), 0)::int FROM refunds r WHERE r.order_id = o.id) AS refunded,
       (SELECT count(*)::int FROM order_revivals v WHERE v.order_id = o.id) AS revivals
     FROM orders o WHERE o.id = ANY($1::uuid[]) ORDER BY o.id`,
    [orders],
  );
  return result.rows;
}

async function expectStock(sale: Sale, units: { available: number; reserved: number; sold: number }): Promise<void> {
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
}

describe("a payment that succeeds after its order has expired", () => {
  it("revives the order or is refunded, each of 100 orders once, with stock left for half of them", async () => {
    const sale = await openTestSale(shop, { stock: 100, price: PRICE }, { reservationTtlMs: TTL_MS });
    const orders = await place(sale, 100, "tok_pending");
    await until(async () => expect(await statuses(orders)).toEqual({ "CANCELLED EXPIRED": 100 }));
    await expectStock(sale, { available: 100, reserved: 0, sold: 0 });
    const others = await place(sale, 50, "tok_ok");
    await until(async () => expect(await statuses(others)).toEqual({ CONFIRMED: 50 }));

    await decide(orders);
    await until(async () => {
      const counts = await statuses(orders);
      const refunds = Object.entries(counts).filter(([status]) => status.startsWith("REFUND"));
      expect(counts["CONFIRMED"]).toBe(50);
      expect(refunds.reduce((sum, [, count]) => sum + count, 0)).toBe(50);
    });
    for (const order of await booksOf(orders)) {
      const expected =
        order.status === "CONFIRMED"
          ? { stockState: "sold", charges: 1, refunds: 0, refunded: 0, revivals: 1 }
          : { stockState: "released", charges: 1, refunds: 1, refunded: PRICE, revivals: 0 };
      expect(order).toMatchObject(expected);
    }
    await expectStock(sale, { available: 0, reserved: 0, sold: 100 });
  }, 120_000);

  it("is heard within the grace: the order is not expired, and confirmed as any", async () => {
    const sale = await openTestSale(shop, { stock: 1 });
    const [order = ""] = await place(sale, 1, "tok_pending");
    await until(async () => expect(await statuses([order])).toEqual({ PAYING: 1 }));
    await until(async () => decide([order]));
    await until(async () => expect(await statuses([order])).toEqual({ CONFIRMED: 1 }));
    expect((await findOrder(shop.pool, order))?.timeline.map(({ status }) => status)).toEqual([
      "PENDING",
      "RESERVED",
      "PAYING",
      "PAID",
      "CONFIRMED",
    ]);
  });
});

describe("a payment that succeeds after its order was cancelled", () => {
  it.for(["CUSTOMER", "OPERATOR"] as const)("by %s is refunded, though its units are to be had", async (reason) => {
    const sale = await openTestSale(shop, { stock: 20, price: PRICE });
    const orders = await place(sale, 20, "tok_pending");
    await until(async () => expect(await statuses(orders)).toEqual({ PAYING: 20 }));
    // Before the cancel, so that the charge is there to succeed afterwards.
    await until(async () => {
      const booked = await shop.pool.query(
        "SELECT FROM simulated_gateway.charges WHERE split_part(key, ':', 1) = ANY($1)",
        [orders],
      );
      expect(booked.rowCount).toBe(20);
    });
    for (const order of orders) expect(await cancel(order, reason)).toBe(true);
    await until(async () => expect(await statuses(orders)).toEqual({ [`CANCELLED ${reason}`]: 20 }));
    await expectStock(sale, { available: 20, reserved: 0, sold: 0 });
    for (const order of orders) expect(await cancel(order, reason)).toBe(false);

    await decide(orders);
    await until(async () => {
      const counts = Object.entries(await statuses(orders)).filter(([status]) => status.startsWith("REFUND"));
      expect(counts.reduce((sum, [, count]) => sum + count, 0)).toBe(20);
    });
    for (const order of await booksOf(orders)) {
      expect(order).toMatchObject({ stockState: "released", charges: 1, refunds: 1, refunded: PRICE, revivals: 0 });
    }
    await expectStock(sale, { available: 20, reserved: 0, sold: 0 });
  });
});
