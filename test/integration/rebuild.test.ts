// What an operator's rebuild restores after Redis lost its data, or went back in time.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { CATALOG_SALE_ID } from "../../engine/catalogue/sales.ts";
import { ReachedPositions } from "../../engine/durability/reached-positions.ts";
import { partitionKeys } from "../../engine/keys.ts";
import { listStock } from "../../engine/ledger/allocations.ts";
import { findOrder } from "../../engine/ledger/orders.ts";
import { type Outbox, openOutbox } from "../../engine/outbox/outbox.ts";
import { commandConnection, connect } from "../../engine/redis/connection.ts";
import { KnownPositions } from "../../engine/stock/known-positions.ts";
import { PartitionStock } from "../../engine/stock/partition-stock.ts";
import { planRebuild, rebuildPartition } from "../../persister/recovery/rebuild.ts";
import { openTestSale, startEngine, startPersister, startTestWorker } from "../support/assembly.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startTestRedis, type TestRedis } from "../support/redis.ts";

const database = await createTestDatabase();
let redis: TestRedis;
let shop: Awaited<ReturnType<typeof startEngine>>;
let outbox: Outbox;
let persister: Awaited<ReturnType<typeof startPersister>> | undefined;
const servers = () => ({ databaseUrl: database.url, redisUrl: redis.url });

beforeAll(async () => {
  redis = await startTestRedis();
  shop = await startEngine(servers());
  outbox = await openOutbox(database.url, () => undefined);
});
afterAll(async () => {
  await persister?.stop();
  await shop.stop();
  await outbox.close();
  await redis.stop();
});

interface TestSale {
  readonly saleId: string;
  readonly productId: string;
}

const at = (sale: TestSale) => ({ saleId: sale.saleId, partition: 0 });
const deps = () => ({ pool: shop.pool, redis: shop.redis, outbox });
const until = (assertion: () => Promise<void>) => vi.waitFor(assertion, { timeout: 20_000, interval: 20 });

function place(
  sale: TestSale,
  quantity = 1,
  more: { customerId?: string; idempotencyKey?: string; token?: string } = {},
) {
  const { token, ...rest } = more;
  const payment = token === undefined ? ({ method: "later" } as const) : ({ method: "card", token } as const);
  const items = [{ productId: sale.productId, quantity }];
  return shop.engine.place({ saleId: sale.saleId, customerId: randomUUID(), items, payment, ...rest });
}

async function persisted(orderId: string) {
  await until(async () => expect((await findOrder(shop.pool, orderId))?.status).toBe("RESERVED"));
}

async function stockOf(sale: TestSale) {
  const snapshot = await shop.engine.stock.snapshot(at(sale));
  if (snapshot.type !== "OK") throw new Error(snapshot.type);
  return { epoch: snapshot.position.epoch, holds: snapshot.holds, ...snapshot.stock.get(sale.productId) };
}

/** Rebuilds, and lets the engine see it. */
async function rebuild(sale: TestSale) {
  const report = await rebuildPartition(deps(), at(sale), "test");
  await shop.engine.catalogue.refresh();
  return report;
}

describe("a rebuild after Redis was wiped", () => {
  it("restores stock, holds, limits and idempotency from Postgres, and sells on", async () => {
    persister = await startPersister(servers());
    const sale = await openTestSale(shop, { stock: 10, perCustomerLimit: 2 });
    const buyer = randomUUID();
    const held = await place(sale, 2, { customerId: buyer, idempotencyKey: "k" });
    await persisted(held.orderId);
    await shop.redis.flushall();
    await expect(place(sale)).rejects.toMatchObject({ code: "STOCK_UNAVAILABLE" });

    const report = await rebuild(sale);
    expect(report).toMatchObject({ epoch: 2, lost: undefined, holds: 1 });
    expect(await stockOf(sale)).toEqual({ epoch: 2, holds: 1, available: 8, reserved: 2, sold: 0 });
    expect(await place(sale, 2, { customerId: buyer, idempotencyKey: "k" })).toEqual({
      type: "replayed",
      orderId: held.orderId,
    });
    await expect(place(sale, 1, { customerId: buyer })).rejects.toMatchObject({ code: "LIMIT_EXCEEDED" });
    const next = await place(sale, 2);
    await persisted(next.orderId);
    expect(await listStock(shop.pool, sale.saleId)).toMatchObject([{ allocated: 10, reserved: 4, sold: 0 }]);
  });

  it("carries orders that were on their way to their end", async () => {
    const sale = await openTestSale(shop, { stock: 3 });
    const [paid, declined] = [
      await place(sale, 1, { token: "tok_ok" }),
      await place(sale, 1, { token: "tok_declined" }),
    ];
    await persisted(paid.orderId);
    await persisted(declined.orderId);
    await shop.redis.flushall();
    await rebuild(sale);
    const worker = await startTestWorker(servers(), { sweepIntervalMs: 100, unsettledAfterMs: 200 });
    await until(async () => expect((await findOrder(shop.pool, paid.orderId))?.status).toBe("CONFIRMED"));
    await until(async () => expect((await findOrder(shop.pool, declined.orderId))?.status).toBe("CANCELLED"));
    expect(await stockOf(sale)).toEqual({ epoch: 2, holds: 0, available: 2, reserved: 0, sold: 1 });
    await worker.stop();
  });

  it("declares lost what was acknowledged and is gone, and holds exactly its units back", async () => {
    const sale = await openTestSale(shop, { stock: 10 }, { reservationTtlMs: 2_000 });
    const kept = await place(sale, 1, { token: "tok_ok" });
    await persisted(kept.orderId);
    await persister?.stop();
    persister = undefined;
    const gone = await place(sale, 3);
    await until(async () => {
      const reports = await shop.pool.query("SELECT seq FROM acknowledgements WHERE sale_id = $1", [sale.saleId]);
      expect(reports.rows).toEqual([{ seq: 3 }]);
    });
    await shop.redis.flushall();
    const report = await rebuild(sale);
    expect(report.lost).toEqual({ fromSeq: 3, toSeq: 3 });
    expect(report.heldBack).toEqual(new Map([[sale.productId, 3]]));
    expect(await stockOf(sale)).toEqual({ epoch: 2, holds: 1, available: 6, reserved: 1, sold: 0 });
    expect(await findOrder(shop.pool, gone.orderId)).toBeUndefined();
    const ranges = await shop.pool.query("SELECT epoch, from_seq, to_seq FROM lost_ranges WHERE sale_id = $1", [
      sale.saleId,
    ]);
    expect(ranges.rows).toEqual([{ epoch: 1, from_seq: 3, to_seq: 3 }]);
    persister = await startPersister(servers());
    const rest = await place(sale, 6, { token: "tok_ok" });
    await expect(place(sale)).rejects.toMatchObject({ code: "SOLD_OUT" });

    // Nobody came with a receipt: after a reservation's time the units are on sale again.
    const worker = await startTestWorker(servers(), { sweepIntervalMs: 100 });
    await until(async () => expect((await findOrder(shop.pool, rest.orderId))?.status).toBe("CONFIRMED"));
    await until(async () => expect(await stockOf(sale)).toMatchObject({ available: 3, reserved: 0, sold: 7 }));
    const last = await place(sale, 3, { token: "tok_ok" });
    await until(async () => expect((await findOrder(shop.pool, last.orderId))?.status).toBe("CONFIRMED"));
    expect(await listStock(shop.pool, sale.saleId)).toMatchObject([{ allocated: 10, reserved: 0, sold: 10 }]);
    await worker.stop();
  });
});

describe("a rebuild while the log survives", () => {
  it("applies what Postgres did not have, and loses nothing", async () => {
    await persister?.stop();
    const sale = await openTestSale(shop, { stock: 10 });
    const order = await place(sale, 4);
    expect(await planRebuild(deps(), at(sale))).toMatchObject({ survivors: 2, lost: undefined, epoch: undefined });
    expect(await rebuild(sale)).toMatchObject({ survivors: 2, lost: undefined, epoch: 2 });
    expect((await findOrder(shop.pool, order.orderId))?.status).toBe("RESERVED");
    expect(await stockOf(sale)).toEqual({ epoch: 2, holds: 1, available: 6, reserved: 4, sold: 0 });
    persister = await startPersister(servers());
    await persisted((await place(sale, 6)).orderId);
  });

  it("may come while the sale sells: every order that was acknowledged is there", async () => {
    const sale = await openTestSale(shop, { stock: 10_000 });
    const acknowledged: string[] = [];
    let isSelling = true;
    const buyers = Array.from({ length: 8 }, async () => {
      while (isSelling) {
        const placed = await place(sale).catch((error: { code?: string }) => {
          if (error.code !== "STOCK_UNAVAILABLE") throw error;
        });
        if (placed?.type === "placed") acknowledged.push(placed.orderId);
        else await new Promise(setImmediate); // a refusal may come without any waiting
      }
    });
    for (let epoch = 2; epoch <= 4; epoch += 1) {
      const before = acknowledged.length;
      await until(async () => expect(acknowledged.length).toBeGreaterThan(before + 50));
      expect(await rebuild(sale)).toMatchObject({ epoch, lost: undefined });
    }
    isSelling = false;
    await Promise.all(buyers);
    for (const orderId of acknowledged) await persisted(orderId);
    expect(await stockOf(sale)).toMatchObject({ reserved: acknowledged.length });
  });

  it("fences an older Redis: it is refused before it sells, and rebuilt at a new epoch", async () => {
    const sale = await openTestSale(shop, { stock: 10 });
    const keys = partitionKeys(at(sale));
    const early = await place(sale, 1);
    await persisted(early.orderId);
    const old = await Promise.all([keys.meta, keys.stock, keys.held].map((key) => shop.redis.dumpBuffer(key)));
    const late = await place(sale, 5);
    await persisted(late.orderId);
    for (const [i, key] of [keys.meta, keys.stock, keys.held].entries()) {
      await shop.redis.restore(key, 0, old[i] as Buffer, "REPLACE");
    }
    await expect(place(sale)).rejects.toMatchObject({ code: "STOCK_UNAVAILABLE", facts: { cause: "REGRESSED" } });
    await until(async () => {
      const sql = "SELECT state, reason FROM sale_partitions WHERE sale_id = $1";
      const [row] = (await shop.pool.query(sql, [sale.saleId])).rows;
      expect(row).toEqual({ state: "suspended", reason: "Redis is behind what was acknowledged" });
    });
    expect(await rebuild(sale)).toMatchObject({ epoch: 2, lost: undefined });
    expect(await stockOf(sale)).toEqual({ epoch: 2, holds: 2, available: 4, reserved: 6, sold: 0 });
    await persisted((await place(sale, 4)).orderId);
    await expect(place(sale)).rejects.toMatchObject({ code: "SOLD_OUT" });
  });

  it("is seen by a process that has acknowledged nothing itself, on each connection anew", async () => {
    const sale = await openTestSale(shop, { stock: 10 });
    const order = await place(sale, 1);
    await persisted(order.orderId);
    const redisOfWorker = commandConnection(redis.url, 5_000);
    redisOfWorker.on("error", () => undefined);
    await connect(redisOfWorker);
    const positions = new KnownPositions();
    const { learned } = new ReachedPositions(redisOfWorker, shop.pool, positions);
    const stock = new PartitionStock(redisOfWorker, positions, learned);
    const unheld = { orderId: randomUUID(), reservation: 1 };
    expect(await stock.release(at(sale), 1, [unheld])).toMatchObject({ type: "OK", verdicts: ["ABSENT"] });

    const sql = `INSERT INTO acknowledgements (process, sale_id, partition, epoch, seq, entries)
      VALUES ('of a process that is gone', $1, 0, 1, 1000, '[]')`;
    await shop.pool.query(sql, [sale.saleId]);
    redisOfWorker.disconnect(true);
    await until(async () => {
      const outcome = await stock.release(at(sale), 1, [unheld]).catch(() => undefined);
      expect(outcome).toMatchObject({ type: "REGRESSED" });
    });
    redisOfWorker.disconnect();
  });

  it("delivers an increase that Redis never saw, once", async () => {
    const sale = await openTestSale(shop, { stock: 5 });
    await shop.redis.flushall();
    await rebuild(sale);
    const worker = await startTestWorker(servers(), { sweepIntervalMs: 100 });
    await until(async () => expect(await stockOf(sale)).toMatchObject({ available: 5 }));
    await until(async () => {
      const open = await shop.pool.query("SELECT FROM allocations WHERE sale_id = $1 AND applied_seq IS NULL", [
        sale.saleId,
      ]);
      expect(open.rowCount).toBe(0);
    });
    expect(await stockOf(sale)).toMatchObject({ available: 5 });
    await worker.stop();
  });
});

it("needs a partition that exists", async () => {
  await expect(rebuildPartition(deps(), { saleId: CATALOG_SALE_ID, partition: 9 }, "test")).rejects.toThrow(
    "no partition",
  );
});
