// What the parts of the order path do together: engine, persister and worker over real servers.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { Engine } from "../../engine/engine.ts";
import { CHANNELS } from "../../engine/keys.ts";
import { listStock } from "../../engine/ledger/allocations.ts";
import { recordIntent } from "../../engine/ledger/intents.ts";
import { findOrder } from "../../engine/ledger/orders.ts";
import { subscriberConnection } from "../../engine/redis/connection.ts";
import { openTestSale, startEngine, startPersister, startTestWorker } from "../support/assembly.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startTestRedis, type TestRedis } from "../support/redis.ts";

const database = await createTestDatabase();
let redis: TestRedis;
let shop: Awaited<ReturnType<typeof startEngine>>;
let persister: Awaited<ReturnType<typeof startPersister>>;
let worker: Awaited<ReturnType<typeof startTestWorker>>;
const servers = () => ({ databaseUrl: database.url, redisUrl: redis.url });

beforeAll(async () => {
  redis = await startTestRedis();
  shop = await startEngine(servers());
  persister = await startPersister(servers());
  worker = await startTestWorker(servers(), { sweepIntervalMs: 100 });
});
afterAll(async () => {
  await worker.stop();
  await persister.stop();
  await shop.stop();
  await redis.stop();
});

interface TestSale {
  readonly saleId: string;
  readonly productId: string;
}

function place(sale: TestSale, token: string | undefined, engine: Engine = shop.engine) {
  const payment = token === undefined ? ({ method: "later" } as const) : ({ method: "card", token } as const);
  const items = [{ productId: sale.productId, quantity: 1 }];
  return engine.place({ saleId: sale.saleId, customerId: randomUUID(), items, payment });
}

const orderIdOf = (order: Awaited<ReturnType<typeof place>>) => order.orderId;
const until = (assertion: () => Promise<void>) => vi.waitFor(assertion, { timeout: 20_000, interval: 20 });
const isStatus = (orderId: string, status: string) =>
  until(async () => expect((await findOrder(shop.pool, orderId))?.status).toBe(status));

/** The books of a sale: the same in Redis and in Postgres, and each of them in itself. */
async function expectBalanced(sale: TestSale, expected: { available: number; reserved: number; sold: number }) {
  await until(async () => {
    const snapshot = await shop.engine.stock.snapshot({ saleId: sale.saleId, partition: 0 });
    if (snapshot.type !== "OK") throw new Error(snapshot.type);
    expect(snapshot.stock.get(sale.productId)).toEqual(expected);
    const [row] = await listStock(shop.pool, sale.saleId);
    const { available, reserved, sold } = expected;
    expect(row).toMatchObject({ allocated: available + reserved + sold, reserved, sold });
  });
}

describe("an order's way", () => {
  it("leads a paid order to CONFIRMED through every state, and its unit to sold", async () => {
    const sale = await openTestSale(shop, { stock: 2 });
    const orderId = orderIdOf(await place(sale, "tok_ok"));
    await isStatus(orderId, "CONFIRMED");
    const timeline = (await findOrder(shop.pool, orderId))?.timeline.map((entry) => entry.status);
    expect(timeline).toEqual(["PENDING", "RESERVED", "PAYING", "PAID", "CONFIRMED"]);
    await expectBalanced(sale, { available: 1, reserved: 0, sold: 1 });
  });

  it("gives a declined order's unit to the next buyer", async () => {
    const sale = await openTestSale(shop, { stock: 1 });
    const declined = orderIdOf(await place(sale, "tok_declined"));
    await isStatus(declined, "CANCELLED");
    expect((await findOrder(shop.pool, declined))?.reason).toBe("PAYMENT_DECLINED");
    const next = orderIdOf(await place(sale, "tok_ok"));
    await isStatus(next, "CONFIRMED");
    await expect(place(sale, "tok_ok")).rejects.toMatchObject({ code: "SOLD_OUT" });
    await expectBalanced(sale, { available: 0, reserved: 0, sold: 1 });
  });

  it("expires an unpaid order and sells its unit again", async () => {
    const sale = await openTestSale(shop, { stock: 1 }, { reservationTtlMs: 1_000 });
    const unpaid = orderIdOf(await place(sale, undefined));
    await isStatus(unpaid, "CANCELLED");
    expect((await findOrder(shop.pool, unpaid))?.reason).toBe("EXPIRED");
    await isStatus(orderIdOf(await place(sale, "tok_ok")), "CONFIRMED");
    await expectBalanced(sale, { available: 0, reserved: 0, sold: 1 });
  });

  it("accepts exactly what there is from a parallel rush, and balances once all payments have ended", async () => {
    const sale = await openTestSale(shop, { stock: 60 });
    const outcomes = await Promise.allSettled(Array.from({ length: 100 }, () => place(sale, undefined)));
    expect(outcomes.filter((outcome) => outcome.status === "fulfilled")).toHaveLength(60);
    await expectBalanced(sale, { available: 0, reserved: 60, sold: 0 });
  });
});

describe("a wish about an order", () => {
  it("is honoured when it was recorded while the order's insert was under way", async () => {
    const sale = await openTestSale(shop, { stock: 2 });
    const orderId = orderIdOf(await place(sale, undefined));
    await isStatus(orderId, "RESERVED");
    const wish = { orderId, intent: "cancel", actor: "x", reason: "CUSTOMER", method: null, token: null } as const;
    await recordIntent(shop.pool, wish);
    await isStatus(orderId, "CANCELLED");
    const paid = orderIdOf(await place(sale, undefined));
    await isStatus(paid, "RESERVED");
    await recordIntent(shop.pool, {
      ...wish,
      orderId: paid,
      intent: "pay",
      reason: null,
      method: "card",
      token: "tok_ok",
    });
    await isStatus(paid, "CONFIRMED");
    await expectBalanced(sale, { available: 1, reserved: 0, sold: 1 });
  });
});

describe("sold out", () => {
  it("is forgotten by every process when a unit comes back, before its order says CANCELLED", async () => {
    const sale = await openTestSale(shop, { stock: 1 });
    const other = await startEngine(servers());
    const subscriber = subscriberConnection(redis.url);
    subscriber.on("message", (_channel, name: string) => {
      shop.engine.soldOut.forget(name);
      other.engine.soldOut.forget(name);
    });
    await subscriber.subscribe(CHANNELS.stock);
    const declined = orderIdOf(await place(sale, "tok_declined"));
    for (const { engine } of [shop, other]) {
      await expect(place(sale, "tok_ok", engine)).rejects.toMatchObject({ code: "SOLD_OUT" });
    }
    await isStatus(declined, "CANCELLED");
    await isStatus(orderIdOf(await place(sale, "tok_ok", other.engine)), "CONFIRMED");
    subscriber.disconnect();
    await other.stop();
  });

  it("is asked of Redis all the same for an order with a key: it may be the retry of an accepted one", async () => {
    const sale = await openTestSale(shop, { stock: 1 });
    const request = {
      saleId: sale.saleId,
      customerId: randomUUID(),
      items: [{ productId: sale.productId, quantity: 1 }],
      idempotencyKey: "first",
    };
    const first = await shop.engine.place(request);
    await expect(place(sale, "tok_ok")).rejects.toMatchObject({ code: "SOLD_OUT" });
    expect(await shop.engine.place(request)).toEqual({ type: "replayed", orderId: first.orderId });
  });
});

describe("the backlog cap", () => {
  it("refuses further orders while Postgres is behind, and takes them again when it has caught up", async () => {
    await persister.stop();
    const capped = new Engine({
      redis: shop.redis,
      pool: shop.pool,
      receiptSecret: "r".repeat(32),
      ackMode: "fsync",
      admission: { backlogMax: 5 },
    });
    const sale = await openTestSale(shop, { stock: 100 });
    await capped.start();
    for (let i = 0; i < 5; i += 1) await place(sale, undefined, capped);
    await expect(place(sale, undefined, capped)).rejects.toMatchObject({ code: "OVERLOADED" });
    persister = await startPersister(servers());
    await until(async () => {
      await place(sale, undefined, capped);
    });
    capped.stop();
  });
});
