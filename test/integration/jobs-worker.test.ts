import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { createSale } from "../../engine/catalogue/sales.ts";
import { openPool, transaction } from "../../engine/ledger/database.ts";
import { transition } from "../../engine/ledger/fates.ts";
import { type Outbox, openOutbox } from "../../engine/outbox/outbox.ts";
import type { OrderQueue } from "../../engine/outbox/queues.ts";
import { openSimulatedGateway } from "../../persister/jobs/gateway/simulated.ts";
import { startWorker, type Worker } from "../../persister/jobs/worker.ts";
import { openShop, type Shop, silent } from "./jobs-shop.ts";

// Real roles' rights: the worker connects to Redis as its own user.
const shop: Shop = await openShop();
let outbox: Outbox;
let worker: Worker;

function openWorker(): Promise<Worker> {
  const options = { connectionsMax: 2, applicationName: "provider", statementTimeoutMs: 5_000 };
  return startWorker({
    databaseUrl: shop.databaseUrl,
    redisUrl: shop.redisUrl,
    gateway: openSimulatedGateway(
      openPool(shop.databaseUrl, options, () => undefined),
      { slowMs: 50 },
    ),
    log: silent,
    timing: { sweepIntervalMs: 50, payment: { chargeTimeoutMs: 300, retryDelayMs: 10, lastDelayMs: 50 } },
  });
}

beforeAll(async () => {
  outbox = await openOutbox(shop.databaseUrl, () => undefined);
  worker = await openWorker();
});
afterAll(async () => {
  await worker.stop();
  await outbox.close();
});

const enqueue = (queue: OrderQueue, orders: readonly string[]) =>
  transaction(shop.pool, (client) => outbox.enqueue(client, queue, orders));
const eventually = (check: () => Promise<void>) => vi.waitFor(check, { timeout: 20_000, interval: 20 });

test("jobs from the outbox are paid and settled, and every order is published", async () => {
  const before = await shop.units();
  const published = new Map<string, string[]>();
  const listener = shop.redis.duplicate({ enableOfflineQueue: true, commandTimeout: 5_000 });
  await listener.subscribe("onrush:orders");
  listener.on("message", (_channel, message) => {
    for (const { id, status } of JSON.parse(message) as { id: string; status: string }[]) {
      published.set(id, [...(published.get(id) ?? []), status]);
    }
  });
  const orders = await shop.reserve(150);
  await enqueue("payment", orders);
  await eventually(async () =>
    expect(await shop.units()).toEqual({ ...before, available: before.available - 150, sold: before.sold + 150 }),
  );
  expect(await shop.statuses(orders)).toEqual({ PAID: 150 });
  await eventually(async () =>
    expect(orders.map((id) => published.get(id))).toEqual(orders.map(() => ["PAYING", "PAID"])),
  );
  listener.disconnect();
});

test("all tokens end by jobs and sweeps alone", async () => {
  const tokens = ["tok_ok", "tok_slow", "tok_timeout", "tok_flaky", "tok_declined", "tok_error"];
  const orders = (await Promise.all(tokens.map((token) => shop.reserve(1, { token })))).flat();
  await enqueue("payment", orders);
  await eventually(async () => expect(await shop.statuses(orders)).toEqual({ PAID: 4, CANCELLING: 2 }));
  const left = await shop.pool.query("SELECT FROM payment_attempts WHERE token IS NOT NULL");
  expect(left.rowCount).toBe(0);
});

test("a cancelled order's units come back by its compensation job", async () => {
  const before = await shop.units();
  const orders = await shop.reserve(5, { method: "later" });
  await transaction(shop.pool, async (client) => {
    const moved = await transition(client, "cancel", orders, "CUSTOMER");
    await outbox.enqueue(
      client,
      "compensation",
      moved.map(({ id }) => id),
    );
  });
  await eventually(async () => expect(await shop.units()).toEqual(before));
});

test("a sale that nobody carried to Redis is opened there, with its stock", async () => {
  const sale = { saleId: "forgotten", partition: 1 };
  await transaction(shop.pool, (client) =>
    createSale(
      client,
      {
        id: sale.saleId,
        name: "Forgotten",
        currency: "KRW",
        opensAt: new Date(0),
        closesAt: null,
        reservationTtlMs: 60_000,
        partitions: 2,
        onDecline: "release",
        membersOnly: false,
        stockVisibility: "exact",
        items: [{ productId: shop.productId, stock: 10, price: null, perCustomerLimit: null }],
      },
      "test",
    ),
  );
  await eventually(async () => {
    const snapshot = await shop.stock.snapshot(sale);
    expect(snapshot.type === "OK" && snapshot.stock.get(shop.productId)?.available).toBe(5);
  });
});

test("a payment's job is done within one stop, and another worker goes on", async () => {
  const orders = await shop.reserve(64, { token: "tok_slow" });
  await enqueue("payment", orders);
  await eventually(async () => expect(await shop.statuses(orders)).not.toEqual({ RESERVED: 64 }));
  await worker.stop();
  expect(await shop.statuses(orders)).toEqual({ PAID: 64 });
  worker = await openWorker();
  const more = await shop.reserve(1);
  await enqueue("payment", more);
  await eventually(async () => expect(await shop.statuses(more)).toEqual({ PAID: 1 }));
});
