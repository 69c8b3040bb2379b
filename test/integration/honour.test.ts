// Orders that were lost with Redis, honoured by the answers that their clients kept.
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import type { PlacedOrder } from "../../engine/engine.ts";
import { listStock } from "../../engine/ledger/allocations.ts";
import { findOrder } from "../../engine/ledger/orders.ts";
import { type Outbox, openOutbox } from "../../engine/outbox/outbox.ts";
import { honourOrder, planHonour } from "../../engine/recovery/honour.ts";
import { type KeptAnswer, keptAnswer } from "../../engine/recovery/kept-answer.ts";
import { redisNowMs } from "../../engine/redis/clock.ts";
import { rebuildPartition } from "../../persister/recovery/rebuild.ts";
import { openTestSale, startEngine, startPersister, startTestWorker } from "../support/assembly.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startTestRedis, type TestRedis } from "../support/redis.ts";

/** More than the buyers of the first test can buy in its time. */
const STOCK = 200_000;
const SECRET = "r".repeat(32);
const database = await createTestDatabase();
let redis: TestRedis;
let shop: Awaited<ReturnType<typeof startEngine>>;
let outbox: Outbox;
const servers = () => ({ databaseUrl: database.url, redisUrl: redis.url });

beforeAll(async () => {
  redis = await startTestRedis();
  shop = await startEngine(servers());
  outbox = await openOutbox(database.url, () => undefined);
});
afterAll(async () => {
  await shop.stop();
  await outbox.close();
  await redis.stop();
});

/** Persisters and workers of the test at hand. */
const running: { stop(): Promise<void> }[] = [];
async function startPersisting() {
  running.push(await startPersister(servers()));
}
async function startWorking() {
  running.push(await startTestWorker(servers(), { sweepIntervalMs: 100, unsettledAfterMs: 200 }));
}
async function stopAll() {
  for (const service of running.splice(0).toReversed()) await service.stop();
}
afterEach(stopAll);

interface TestSale {
  readonly saleId: string;
  readonly productId: string;
}

const at = (sale: TestSale) => ({ saleId: sale.saleId, partition: 0 });
const until = (assertion: () => Promise<void>) => vi.waitFor(assertion, { timeout: 20_000, interval: 20 });
const deps = (receiptSecrets = [SECRET]) => ({
  pool: shop.pool,
  stock: shop.engine.stock,
  nowMs: () => redisNowMs(shop.redis),
  receiptSecrets,
});

/** Orders, and keeps what the client of the API would: the answer's body as JSON. */
async function order(sale: TestSale, quantity = 1, customerId: string = randomUUID(), from = shop.engine) {
  const items = [{ productId: sale.productId, quantity }];
  const placed = await from.place({ saleId: sale.saleId, customerId, items, payment: { method: "later" } });
  return kept(placed as PlacedOrder);
}

function kept({ orderId, items, ...rest }: PlacedOrder, more: object = {}): KeptAnswer {
  const lines = items.map(({ productId, quantity, unitPrice }) => ({ productId, quantity, price: unitPrice }));
  return keptAnswer.parse(JSON.parse(JSON.stringify({ ...rest, orderTrackingId: orderId, items: lines, ...more })));
}

/** A sale whose units the ledger has seen in the log, and no persister from then on. */
async function openSale(
  ...[item, options]: Parameters<typeof openTestSale> extends [unknown, ...infer Rest] ? Rest : never
) {
  const sale = await openTestSale(shop, item, options);
  await startPersisting();
  await until(async () => {
    const sql = "SELECT FROM allocations WHERE sale_id = $1 AND applied_seq IS NULL";
    expect((await shop.pool.query(sql, [sale.saleId])).rowCount).toBe(0);
  });
  await stopAll();
  return sale;
}

async function reported(sale: TestSale, seq: number) {
  await until(async () => {
    const reports = await shop.pool.query("SELECT seq FROM acknowledgements WHERE sale_id = $1", [sale.saleId]);
    expect(reports.rows).toEqual([{ seq }]);
  });
}

/** Wipes Redis, and has the operator rebuild the sale. */
async function loseAndRebuild(...sales: TestSale[]) {
  await shop.redis.flushall();
  for (const sale of sales) await rebuildPartition({ pool: shop.pool, redis: shop.redis, outbox }, at(sale), "test");
  await shop.engine.catalogue.refresh();
}

/** A sale whose one order of `units` was acknowledged and lost, its units held back. */
async function saleWithLostOrder(units: number, stock: number, options: Parameters<typeof openTestSale>[2] = {}) {
  const sale = await openSale({ stock, perCustomerLimit: 5 }, options);
  const lost = await order(sale, units);
  await reported(sale, 2);
  await loseAndRebuild(sale);
  return { sale, lost };
}

async function unitsOf(sale: TestSale) {
  const snapshot = await shop.engine.stock.snapshot(at(sale));
  if (snapshot.type !== "OK") throw new Error(snapshot.type);
  const held = await shop.pool.query<{ units: number }>(
    "SELECT COALESCE(sum(quantity), 0)::int AS units FROM holdbacks WHERE sale_id = $1 AND returned_at IS NULL",
    [sale.saleId],
  );
  return { ...snapshot.stock.get(sale.productId), holdback: held.rows[0]?.units };
}

/** Everything that honouring writes. */
async function everything(sale: TestSale) {
  const rows = async (table: string) =>
    (await shop.pool.query(`SELECT * FROM ${table} t WHERE sale_id = $1 ORDER BY t`, [sale.saleId])).rows;
  const [holdbacks, honours, orders] = await Promise.all(["holdbacks", "honours", "orders"].map(rows));
  const claims = await shop.pool.query(
    "SELECT * FROM honour_units JOIN holdbacks USING (movement_id) WHERE sale_id = $1",
    [sale.saleId],
  );
  return { holdbacks, honours, orders, claims: claims.rows, redis: await unitsOf(sale) };
}

describe("an order that was lost under load", () => {
  it("is honoured by its receipt, paid and CONFIRMED like any other, and the books are equal", async () => {
    const sale = await openSale({ stock: STOCK });
    await startPersisting();
    const answers: KeptAnswer[] = [];
    let selling = true;
    const buyers = Array.from({ length: 8 }, async () => {
      while (selling) {
        answers.push(await order(sale, 1));
        await sleep(2);
      }
    });
    const ended = Promise.allSettled(buyers); // the wipe refuses their last orders
    await until(async () => expect(answers.length).toBeGreaterThan(100));
    await stopAll();
    // What goes on selling without a persister is going to be lost.
    await until(async () => {
      const sql = `SELECT FROM acknowledgements a JOIN sale_partitions p USING (sale_id, partition)
        WHERE sale_id = $1 AND a.seq > p.seq + 50`;
      expect((await shop.pool.query(sql, [sale.saleId])).rowCount).toBe(1);
    });
    await shop.redis.flushall();
    selling = false;
    await ended;
    await loseAndRebuild(sale);

    const orders = await Promise.all(answers.map((answer) => findOrder(shop.pool, answer.orderTrackingId)));
    const lost = answers.filter((_, i) => orders[i] === undefined);
    expect(lost.length).toBeGreaterThan(50);
    const heldBack = (await unitsOf(sale)).holdback;
    await startPersisting();
    await startWorking();
    for (const answer of lost.slice(0, 20)) {
      const paying = { ...answer, payment: { method: "card" as const, token: "tok_ok" } };
      expect(await honourOrder(deps(), paying, "test")).toEqual({ orderId: answer.orderTrackingId, honoured: "now" });
    }
    for (const answer of lost.slice(0, 20)) {
      await until(async () =>
        expect(await findOrder(shop.pool, answer.orderTrackingId)).toMatchObject({
          status: "CONFIRMED",
          customerId: answer.customerId,
          price: answer.price,
        }),
      );
    }
    await until(async () => {
      const [ledger] = await listStock(shop.pool, sale.saleId);
      const { available = 0, reserved, sold, holdback = 0 } = await unitsOf(sale);
      expect(ledger).toMatchObject({ allocated: STOCK, reserved, sold: 20 });
      expect(sold).toBe(20);
      expect(available + (reserved ?? 0) + 20 + holdback).toBe(STOCK);
      expect(holdback).toBe((heldBack ?? 0) - 20);
    });
  });
});

describe("a lost order", () => {
  it("is planned without changing anything, and asked for twice is one order", async () => {
    const { sale, lost } = await saleWithLostOrder(3, 5);
    const before = await everything(sale);
    expect(await planHonour(deps(), lost)).toMatchObject({
      orderId: lost.orderTrackingId,
      lost: { epoch: 1, seq: 2 },
      declaredLost: true,
      items: [{ productId: sale.productId, units: 3, fromHoldback: 3, fromAvailable: 0 }],
      short: undefined,
    });
    expect(await everything(sale)).toEqual(before);

    const outcomes = await Promise.all(Array.from({ length: 4 }, () => honourOrder(deps(), lost, "test")));
    expect(outcomes.map(({ honoured }) => honoured).sort()).toEqual(["before", "before", "before", "now"]);
    expect(await unitsOf(sale)).toEqual({ available: 2, reserved: 3, sold: 0, holdback: 3 });
    await startPersisting();
    await until(async () => expect((await findOrder(shop.pool, lost.orderTrackingId))?.status).toBe("RESERVED"));
    expect(await unitsOf(sale)).toEqual({ available: 2, reserved: 3, sold: 0, holdback: 0 });
    expect(await honourOrder(deps(), lost, "test")).toEqual({ orderId: lost.orderTrackingId, honoured: "before" });
    expect(await listStock(shop.pool, sale.saleId)).toMatchObject([{ allocated: 5, reserved: 3, sold: 0 }]);
    const audit = await shop.pool.query("SELECT actor FROM audit_log WHERE action = 'order.honour' AND subject = $1", [
      `order:${lost.orderTrackingId}`,
    ]);
    expect(audit.rows).toEqual([{ actor: "test" }]);
  });

  it.each<[what: string, change: (answer: KeptAnswer) => KeptAnswer]>([
    ["another quantity", (answer) => ({ ...answer, items: answer.items.map((item) => ({ ...item, quantity: 1 })) })],
    ["a lower price", (answer) => ({ ...answer, price: 1, payable: 1 })],
    ["another buyer", (answer) => ({ ...answer, customerId: randomUUID() })],
    ["another id", (answer) => ({ ...answer, orderTrackingId: randomUUID() })],
    ["another sale", (answer) => ({ ...answer, saleId: "other" })],
    ["a later number", (answer) => ({ ...answer, receipt: answer.receipt.replace(".1.2.", ".1.3.") })],
  ])("is refused with %s, and nothing is changed", async (_what, change) => {
    const { sale, lost } = await saleWithLostOrder(3, 5);
    const before = await everything(sale);
    await expect(honourOrder(deps(), change(lost), "test")).rejects.toMatchObject({ code: "VALIDATION" });
    expect(await everything(sale)).toEqual(before);
  });

  it("of another shop is refused; of this one before it changed its secret, honoured", async () => {
    const { lost } = await saleWithLostOrder(1, 5);
    const next = "n".repeat(32);
    await expect(honourOrder(deps([next]), lost, "test")).rejects.toMatchObject({ code: "VALIDATION" });
    expect(await honourOrder(deps([next, SECRET]), lost, "test")).toMatchObject({ honoured: "now" });
  });

  it("takes from what is available what is not held back, and is refused whole when that is too little", async () => {
    const sale = await openSale({ stock: 6 });
    // Its process dies before it has reported the second order.
    const other = await startEngine(servers());
    const first = await order(sale, 2, undefined, other.engine);
    await reported(sale, 2);
    other.engine.stop();
    const second = await order(sale, 3, undefined, other.engine);
    await other.stop();
    await loseAndRebuild(sale);
    expect(await unitsOf(sale)).toEqual({ available: 4, reserved: 0, sold: 0, holdback: 2 });
    expect(await honourOrder(deps(), second, "test")).toMatchObject({ honoured: "now" });
    expect(await unitsOf(sale)).toEqual({ available: 3, reserved: 3, sold: 0, holdback: 2 });

    await order(sale, 2);
    const before = await everything(sale);
    // Two are held back and promised to the other order; one is left.
    await expect(honourOrder(deps(), first, "test")).rejects.toMatchObject({
      code: "INVALID_STATE",
      facts: { productId: sale.productId, remaining: 1 },
    });
    expect(await everything(sale)).toEqual(before);
  });

  it("keeps its buyer's limit: one who has ordered anew gets no more", async () => {
    const { sale, lost } = await saleWithLostOrder(3, 9);
    await order(sale, 3, lost.customerId);
    const before = await everything(sale);
    await expect(honourOrder(deps(), lost, "test")).rejects.toMatchObject({ code: "LIMIT_EXCEEDED" });
    expect(await everything(sale)).toEqual(before);
  });

  it("whose holdback's time is over is honoured while there is stock, and refused after that", async () => {
    const sale = await openSale({ stock: 4 }, { reservationTtlMs: 1_000 });
    const [lost, late] = [await order(sale, 1), await order(sale, 2)];
    await reported(sale, 3);
    await loseAndRebuild(sale);
    await startPersisting();
    await startWorking();
    await until(async () => expect(await unitsOf(sale)).toEqual({ available: 4, reserved: 0, sold: 0, holdback: 0 }));
    expect(await honourOrder(deps(), lost, "test")).toMatchObject({ honoured: "now" });
    expect(await unitsOf(sale)).toMatchObject({ available: 3, reserved: 1 });
    await order(sale, 2);
    await expect(honourOrder(deps(), late, "test")).rejects.toMatchObject({ code: "INVALID_STATE" });
    expect(await unitsOf(sale)).toMatchObject({ available: 1, reserved: 3 });
  });

  it("survives another loss of Redis before the ledger has it", async () => {
    const { sale, lost } = await saleWithLostOrder(3, 5);
    await honourOrder(deps(), lost, "test");
    await loseAndRebuild(sale);
    expect(await unitsOf(sale)).toEqual({ available: 2, reserved: 0, sold: 0, holdback: 3 });
    // The call that was lost with Redis can no longer arrive; a sweep carries the order on.
    await shop.pool.query("UPDATE honours SET called_at = now() - interval '1 hour' WHERE sale_id = $1", [sale.saleId]);
    await startPersisting();
    await startWorking();
    await until(async () => expect((await findOrder(shop.pool, lost.orderTrackingId))?.status).toBe("RESERVED"));
    expect(await unitsOf(sale)).toEqual({ available: 2, reserved: 3, sold: 0, holdback: 0 });
  });
});

it("an order that was not lost is not honoured", async () => {
  const sale = await openTestSale(shop, { stock: 5 });
  const pending = await order(sale);
  await expect(honourOrder(deps(), pending, "test")).rejects.toMatchObject({ code: "INVALID_STATE" });
  await startPersisting();
  await until(async () => expect((await findOrder(shop.pool, pending.orderTrackingId))?.status).toBe("RESERVED"));
  await expect(honourOrder(deps(), pending, "test")).rejects.toMatchObject({
    code: "INVALID_STATE",
    facts: { status: "RESERVED" },
  });
});
