import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { partitionKeys } from "../../engine/keys.ts";
import { listStock } from "../../engine/ledger/allocations.ts";
import { findOrder } from "../../engine/ledger/orders.ts";
import { findPartition } from "../../engine/ledger/partitions.ts";
import { openOutbox } from "../../engine/outbox/outbox.ts";
import { applyMovements } from "../../persister/apply.ts";
import { readAfter } from "../../persister/log-stream.ts";
import { openTestSale, startEngine, startPersister } from "../support/assembly.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startTestRedis, type TestRedis } from "../support/redis.ts";

const database = await createTestDatabase();
let redis: TestRedis;
let shop: Awaited<ReturnType<typeof startEngine>>;
const servers = () => ({ databaseUrl: database.url, redisUrl: redis.url });

beforeAll(async () => {
  redis = await startTestRedis();
  shop = await startEngine(servers());
});
afterAll(async () => {
  await shop.stop();
  await redis.stop();
});

const later = { method: "later" } as const;

async function place(sale: { saleId: string; productId: string }, quantity = 1, customerId: string = randomUUID()) {
  const items = [{ productId: sale.productId, quantity }];
  const order = await shop.engine.place({ saleId: sale.saleId, customerId, items, payment: later });
  if (order.type !== "placed") throw new Error("replayed");
  return order;
}

async function ledger(saleId: string) {
  const [row] = await listStock(shop.pool, saleId);
  return row && { allocated: row.allocated, reserved: row.reserved, sold: row.sold };
}

async function deadLetters(saleId: string) {
  const sql = "SELECT order_id, kind, error FROM dead_letters WHERE sale_id = $1 ORDER BY id";
  return (await shop.pool.query(sql, [saleId])).rows;
}

/** Appends an entry by hand under the partition's next number. */
async function append(saleId: string, fields: Record<string, string>) {
  const keys = partitionKeys({ saleId, partition: 0 });
  const seq = await shop.redis.hincrby(keys.meta, "seq", 1);
  await shop.redis.xadd(keys.stream, `1-${seq}`, ...Object.entries(fields).flat());
}

const until = (assertion: () => Promise<void>) => vi.waitFor(assertion, { timeout: 10_000, interval: 20 });

describe("the persister", () => {
  it("writes accepted orders, their lines, timeline and stock, and leaves nothing pending", async () => {
    const sale = await openTestSale(shop, { stock: 10 });
    const persister = await startPersister(servers());
    const order = await place(sale, 3);
    await until(async () => expect((await findOrder(shop.pool, order.orderId))?.status).toBe("RESERVED"));
    const row = await findOrder(shop.pool, order.orderId);
    expect(row).toMatchObject({ version: 2, price: 15_000, currency: "KRW", saleId: sale.saleId, epoch: 1, seq: 2 });
    expect(row?.lines).toEqual([{ productId: sale.productId, name: "커피", quantity: 3, unitPrice: 5_000 }]);
    expect(row?.timeline.map(({ status, version }) => [status, version])).toEqual([
      ["PENDING", 1],
      ["RESERVED", 2],
    ]);
    expect(row?.reservedUntil).toEqual(order.reservedUntil);
    expect(await ledger(sale.saleId)).toEqual({ allocated: 10, reserved: 3, sold: 0 });
    await until(async () => {
      const { stream, meta } = partitionKeys({ saleId: sale.saleId, partition: 0 });
      expect((await shop.redis.xpending(stream, "persister"))[0]).toBe(0);
      expect(await shop.redis.hget(meta, "persisted")).toBe("1");
    });
    await persister.stop();
  });

  it("keeps every number of the log, and the ledger equal to Redis, under parallel orders", async () => {
    const sale = await openTestSale(shop, { stock: 60 });
    const persister = await startPersister(servers());
    const outcomes = await Promise.allSettled(Array.from({ length: 100 }, () => place(sale)));
    const accepted = outcomes.filter((outcome) => outcome.status === "fulfilled");
    const refused = outcomes.filter((outcome) => outcome.status === "rejected");
    expect(accepted).toHaveLength(60);
    expect(refused.map(({ reason }) => reason.code)).toEqual(Array(40).fill("SOLD_OUT"));
    await until(async () => expect(await ledger(sale.saleId)).toEqual({ allocated: 60, reserved: 60, sold: 0 }));
    const numbers = await shop.pool.query(
      "SELECT count(DISTINCT seq)::int AS count, max(seq)::int AS max FROM stock_movements WHERE sale_id = $1",
      [sale.saleId],
    );
    expect(numbers.rows[0].count).toBe(numbers.rows[0].max);
    await persister.stop();
  });

  it("applies nothing twice when its predecessor died between commit and acknowledgement", async () => {
    const sale = await openTestSale(shop, { stock: 10 });
    const at = { saleId: sale.saleId, partition: 0 };
    const { stream } = partitionKeys(at);
    const order = await place(sale, 2);
    // What a persister does up to the crash: the entries are delivered and committed, and not acknowledged.
    await shop.redis.xreadgroup("GROUP", "persister", "persister", "COUNT", 100, "STREAMS", stream, ">");
    const movements = await readAfter(shop.redis, at, { epoch: 1, seq: 0 });
    const outbox = await openOutbox(database.url, () => undefined);
    await applyMovements({ pool: shop.pool, outbox }, at, movements);
    await outbox.close();
    expect((await shop.redis.xpending(stream, "persister"))[0]).toBe(2);

    const persister = await startPersister(servers());
    await until(async () => expect((await shop.redis.xpending(stream, "persister"))[0]).toBe(0));
    expect(await ledger(sale.saleId)).toEqual({ allocated: 10, reserved: 2, sold: 0 });
    expect((await findOrder(shop.pool, order.orderId))?.version).toBe(2);
    expect(await deadLetters(sale.saleId)).toEqual([]);
    await persister.stop();
  });

  it.each(["delivered to nobody", "delivered and pending"])(
    "suspends a partition whose log says something else than was applied: Redis gave a number twice (%s)",
    async (how) => {
      const sale = await openTestSale(shop, { stock: 10 });
      const at = { saleId: sale.saleId, partition: 0 };
      const { stream } = partitionKeys(at);
      await place(sale, 2);
      const movements = await readAfter(shop.redis, at, { epoch: 1, seq: 0 });
      const outbox = await openOutbox(database.url, () => undefined);
      // Read from a Redis that then went back in time, and committed after the number had been given again.
      const read = movements.map((movement) => ({ ...movement, atMs: movement.atMs - 1_000 }));
      expect((await applyMovements({ pool: shop.pool, outbox }, at, read)).type).toBe("applied");
      await outbox.close();
      if (how.includes("pending")) {
        await shop.redis.xreadgroup("GROUP", "persister", "persister", "COUNT", 100, "STREAMS", stream, ">");
      }
      const persister = await startPersister(servers());
      await until(async () =>
        expect(await findPartition(shop.pool, at)).toMatchObject({
          state: "suspended",
          reason: "the log has another entry at 1-1 than was applied",
        }),
      );
      expect(await ledger(sale.saleId)).toEqual({ allocated: 10, reserved: 2, sold: 0 });
      await persister.stop();
    },
  );

  it("applies what its predecessor was given and never committed", async () => {
    const sale = await openTestSale(shop, { stock: 10 });
    const { stream } = partitionKeys({ saleId: sale.saleId, partition: 0 });
    await place(sale, 2);
    await shop.redis.xreadgroup("GROUP", "persister", "persister", "COUNT", 100, "STREAMS", stream, ">");
    const persister = await startPersister(servers());
    await until(async () => expect(await ledger(sale.saleId)).toEqual({ allocated: 10, reserved: 2, sold: 0 }));
    await persister.stop();
  });

  it("takes over a partition when the lease of another persister runs out, and not before", async () => {
    const sale = await openTestSale(shop, { stock: 10 });
    const { lease } = partitionKeys({ saleId: sale.saleId, partition: 0 });
    await shop.redis.set(lease, "a persister that died");
    const persister = await startPersister(servers());
    await place(sale);
    const other = await openTestSale(shop, { stock: 10 });
    await place(other);
    await until(async () => expect(await ledger(other.saleId)).toMatchObject({ reserved: 1 }));
    expect(await ledger(sale.saleId)).toMatchObject({ reserved: 0 });
    await shop.redis.pexpire(lease, 1);
    await until(async () => expect(await ledger(sale.saleId)).toMatchObject({ reserved: 1 }));
    await persister.stop();
  });

  it("loses and doubles nothing when two persisters stand by for each other and one leaves under load", async () => {
    const sale = await openTestSale(shop, { stock: 1_000 });
    const first = await startPersister(servers());
    const second = await startPersister(servers());
    const orders = Promise.all(Array.from({ length: 300 }, () => place(sale)));
    await first.stop();
    await orders;
    await until(async () => expect(await ledger(sale.saleId)).toEqual({ allocated: 1_000, reserved: 300, sold: 0 }));
    expect(await deadLetters(sale.saleId)).toEqual([]);
    await second.stop();
  });

  it("takes product ids of any UUID version and variant, as shops have them", async () => {
    const productId = "3c4d5e6f-7081-92a3-b4c5-def678901234";
    const sale = await openTestSale(shop, { stock: 10, productId });
    const persister = await startPersister(servers());
    const order = await place(sale);
    await until(async () => expect((await findOrder(shop.pool, order.orderId))?.status).toBe("RESERVED"));
    expect(await deadLetters(sale.saleId)).toEqual([]);
    await persister.stop();
  });

  it("sets an order that cannot be read aside and applies the others of its entry", async () => {
    const sale = await openTestSale(shop, { stock: 10 });
    const persister = await startPersister(servers());
    await place(sale);
    const broken = randomUUID();
    await append(sale.saleId, { kind: "place", at: "1", deadline: "2", lines: `${broken}|99|{"customerId":` });
    await append(sale.saleId, { kind: "nonsense", at: "1", lines: "?" });
    await append(sale.saleId, { surprise: "!" });
    const after = await place(sale);
    await until(async () => expect((await findOrder(shop.pool, after.orderId))?.status).toBe("RESERVED"));
    expect(await deadLetters(sale.saleId)).toMatchObject([
      { order_id: broken, kind: "place" },
      { order_id: null, kind: "unreadable" },
      { order_id: null, kind: "unreadable" },
    ]);
    await persister.stop();
  });

  it("sets an order that Postgres refuses aside and applies the others of its entry", async () => {
    const sale = await openTestSale(shop, { stock: 10 });
    const persister = await startPersister(servers());
    const order = (name: string) => ({
      customerId: "buyer",
      lines: [{ productId: sale.productId, name, quantity: 1, unitPrice: 1 }],
      price: 1,
      payable: 1,
      currency: "KRW",
      payment: { method: "later" },
      onDecline: "release",
    });
    const [good, bad] = [randomUUID(), randomUUID()];
    // PostgreSQL's text cannot hold U+0000.
    const lines = [`${good}|1|${JSON.stringify(order("x"))}`, `${bad}|2|${JSON.stringify(order("\0"))}`].join("\n");
    await append(sale.saleId, { kind: "place", at: "1", deadline: "2000000000000", lines });
    await until(async () => expect((await findOrder(shop.pool, good))?.status).toBe("RESERVED"));
    expect(await findOrder(shop.pool, bad)).toBeUndefined();
    expect(await deadLetters(sale.saleId)).toMatchObject([{ order_id: bad, kind: "place" }]);
    expect(await ledger(sale.saleId)).toMatchObject({ reserved: 1 });
    await persister.stop();
  });

  it("refuses in the ledger what Redis should not have sold", async () => {
    const sale = await openTestSale(shop, { stock: 5 });
    await shop.redis.hset(partitionKeys({ saleId: sale.saleId, partition: 0 }).stock, `${sale.productId}|a`, "8");
    const orders = [];
    for (let i = 0; i < 8; i += 1) orders.push(await place(sale));
    const persister = await startPersister(servers());
    await until(async () => expect(await ledger(sale.saleId)).toEqual({ allocated: 5, reserved: 5, sold: 0 }));
    const fates = await Promise.all(orders.map((order) => findOrder(shop.pool, order.orderId)));
    expect(fates.map((order) => order?.status)).toEqual([...Array(5).fill("RESERVED"), ...Array(3).fill("CANCELLING")]);
    expect(fates[7]?.reason).toBe("LEDGER_GUARD");
    await persister.stop();
  });

  it("suspends a partition whose log has a hole instead of applying over it", async () => {
    const sale = await openTestSale(shop, { stock: 10 });
    await place(sale);
    await shop.redis.hincrby(partitionKeys({ saleId: sale.saleId, partition: 0 }).meta, "seq", 1);
    await place(sale);
    const persister = await startPersister(servers());
    await until(async () => {
      await shop.engine.catalogue.refresh();
      await expect(place(sale)).rejects.toMatchObject({ code: "STOCK_UNAVAILABLE" });
    });
    expect(await ledger(sale.saleId)).toEqual({ allocated: 10, reserved: 1, sold: 0 });
    await persister.stop();
  });

  it("sells nothing from a Redis that lost everything", async () => {
    const sale = await openTestSale(shop, { stock: 10 });
    const persister = await startPersister(servers());
    await place(sale);
    await until(async () => expect(await ledger(sale.saleId)).toMatchObject({ reserved: 1 }));
    await shop.redis.flushall();
    await expect(place(sale)).rejects.toMatchObject({ code: "STOCK_UNAVAILABLE", facts: { cause: "NOT_LOADED" } });
    await until(async () => {
      await shop.engine.catalogue.refresh();
      expect(shop.engine.catalogue.sale(sale.saleId)?.partitionEpochs[0]?.state).toBe("suspended");
    });
    await persister.stop();
  });
});
