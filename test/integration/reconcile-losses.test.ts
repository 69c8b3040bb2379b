// What is lost for good: no copy of a row, no entry in the log. The reconciler puts back what the rest still tells, says what
// it could not, and never guesses while it cannot be certain.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { partitionKeys } from "../../engine/keys.ts";
import { findOrder } from "../../engine/ledger/orders.ts";
import { loadSigningKey } from "../../engine/proof/key.ts";
import { proveSale } from "../../engine/proof/prove.ts";
import { verifyProof } from "../../engine/proof/verify.ts";
import { reconcilePartition } from "../../engine/reconciliation/reconcile.ts";
import { openTestSale, startEngine, startPersister, startTestWorker } from "../support/assembly.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startTestRedis, type TestRedis } from "../support/redis.ts";
import { scratchFolder } from "../support/scratch.ts";

const database = await createTestDatabase();
const key = loadSigningKey({ dataDir: scratchFolder("reconcile-losses") });
let redis: TestRedis;
let shop: Awaited<ReturnType<typeof startEngine>>;
let persister: Awaited<ReturnType<typeof startPersister>> | undefined;
const servers = () => ({ databaseUrl: database.url, redisUrl: redis.url });

beforeAll(async () => {
  redis = await startTestRedis();
  shop = await startEngine(servers());
  persister = await startPersister(servers());
});
afterAll(async () => {
  await persister?.stop();
  await shop.stop();
  await redis.stop();
});

type Sale = Awaited<ReturnType<typeof openTestSale>>;
const at = (sale: Sale) => ({ saleId: sale.saleId, partition: 0 });
const until = (assertion: () => Promise<void>) => vi.waitFor(assertion, { timeout: 20_000, interval: 20 });
const place = async (sale: Sale, quantity = 1, token?: string) => {
  const payment = token === undefined ? ({ method: "later" } as const) : ({ method: "card", token } as const);
  const items = [{ productId: sale.productId, quantity }];
  return (await shop.engine.place({ saleId: sale.saleId, customerId: randomUUID(), items, payment })).orderId;
};
const status = (orderId: string, wanted: string) =>
  until(async () => expect((await findOrder(shop.pool, orderId))?.status).toBe(wanted));
const reconcile = (sale: Sale, apply: boolean, waitMs = 20_000) =>
  reconcilePartition({ pool: shop.pool, redis: shop.redis, stock: shop.engine.stock }, at(sale), {
    apply,
    actor: "cli:test",
    patience: { waitMs },
  });
const figures = async (sale: Sale) => {
  const snapshot = await shop.engine.stock.snapshot(at(sale));
  return snapshot.type === "OK" ? { ...snapshot.stock.get(sale.productId), holds: snapshot.holds } : undefined;
};
const noCopies = () => shop.pool.query("TRUNCATE removed_rows");
async function isProven(sale: Sale) {
  const deps = { pool: shop.pool, redis: shop.redis, stock: shop.engine.stock, key, version: "0.0.0-test" };
  const { text } = await proveSale(deps, sale.saleId);
  const { findings } = await verifyProof(Buffer.from(text), key.publicKey);
  expect(findings.filter(({ holds }) => !holds)).toEqual([]);
}
const kinds = (report: Awaited<ReturnType<typeof reconcile>>) =>
  report.found.type === "DRIFT" ? report.found.drifts.map(({ kind }) => kind).toSorted() : report.found;

describe("an order's row, of which no copy was kept,", () => {
  it("is restored from its hold, lines and timeline, and goes on", async () => {
    const sale = await openTestSale(shop, { stock: 10, perCustomerLimit: 5 });
    const orderId = await place(sale, 2);
    await status(orderId, "RESERVED");
    const before = await findOrder(shop.pool, orderId);
    await shop.pool.query("DELETE FROM orders WHERE id = $1", [orderId]);
    await noCopies();
    const report = await reconcile(sale, true);
    expect(kinds(report)).toEqual(["ORDER_MISSING"]);
    expect(report.verdict.type).toBe("CLEAN");
    const { updatedAt: _before, ...was } = before ?? { updatedAt: null };
    const { updatedAt: _after, ...is } = (await findOrder(shop.pool, orderId)) ?? { updatedAt: null };
    expect(is).toEqual(was);
    await isProven(sale);
  });

  it("nor lines nor timeline, comes back as cancelled, and its units return by the ordinary way", async () => {
    const sale = await openTestSale(shop, { stock: 10, perCustomerLimit: 5 });
    const orderId = await place(sale, 2);
    await status(orderId, "RESERVED");
    for (const table of ["order_lines", "order_timeline"]) {
      await shop.pool.query(`DELETE FROM ${table} WHERE order_id = $1`, [orderId]);
    }
    await shop.pool.query("DELETE FROM orders WHERE id = $1", [orderId]);
    await noCopies();
    const report = await reconcile(sale, true);
    expect(report.repairs[0]?.how).toContain("CANCELLING");
    const worker = await startTestWorker(servers(), { sweepIntervalMs: 100, unsettledAfterMs: 200 });
    await status(orderId, "CANCELLED");
    await worker.stop();
    expect(await figures(sale)).toEqual({ available: 10, reserved: 0, sold: 0, holds: 0 });
    expect((await reconcile(sale, false)).verdict.type).toBe("CLEAN");
    await isProven(sale);
  });

  it("and no hold, is told and not invented", async () => {
    const sale = await openTestSale(shop, { stock: 10 });
    const orderId = await place(sale, 2);
    await status(orderId, "RESERVED");
    await shop.pool.query("DELETE FROM orders WHERE id = $1", [orderId]);
    await noCopies();
    await shop.redis.hdel(partitionKeys(at(sale)).held, orderId);
    const report = await reconcile(sale, true);
    expect(kinds(report)).toEqual(["ORDER_MISSING"]);
    expect(report.repairs).toMatchObject([{ done: false, how: expect.stringContaining("nobody can say whose") }]);
    expect(report.verdict.type).toBe("DRIFT");
  });
});

describe("a movement of the ledger, of which no copy was kept,", () => {
  it.each([
    ["a placement", "seq = 2"],
    ["an increase", "seq = 1"],
    ["a settlement", "kind = 'settle'"],
  ])("%s: is put back from what the rest amounts to", async (_what, which) => {
    const sale = await openTestSale(shop, { stock: 10, perCustomerLimit: 5 });
    const worker = await startTestWorker(servers(), { sweepIntervalMs: 100 });
    const [held, sold] = [await place(sale, 2), await place(sale, 3, "tok_ok")];
    await status(held, "RESERVED");
    await status(sold, "CONFIRMED");
    await worker.stop();
    const select = `SELECT seq, product_id, kind, quantity, refused FROM stock_movements WHERE sale_id = $1 ORDER BY seq`;
    const before = await shop.pool.query(select, [sale.saleId]);
    await shop.pool.query(`DELETE FROM stock_movements WHERE sale_id = $1 AND ${which}`, [sale.saleId]);
    await noCopies();
    const report = await reconcile(sale, true);
    expect(kinds(report)).toEqual(["MOVEMENT_LOST"]);
    expect(report.verdict.type).toBe("CLEAN");
    expect((await shop.pool.query(select, [sale.saleId])).rows).toEqual(before.rows);
    await isProven(sale);
  });
});

describe("an entry of the log that is gone before Postgres had it", () => {
  it("a placement: declared lost, its units held back, its holds removed, and the log goes on", async () => {
    const sale = await openTestSale(shop, { stock: 10, perCustomerLimit: 5 });
    const first = await place(sale, 1);
    await status(first, "RESERVED");
    await persister?.stop();
    const lost = await place(sale, 2);
    const kept = await place(sale, 3);
    await shop.redis.xdel(partitionKeys(at(sale)).stream, "1-3");
    const plan = await reconcile(sale, false, 100);
    expect(kinds(plan)).toEqual(["MOVEMENT_LOST"]);
    persister = await startPersister(servers());
    await until(async () => {
      const row = await shop.pool.query("SELECT state FROM sale_partitions WHERE sale_id = $1", [sale.saleId]);
      expect(row.rows).toEqual([{ state: "suspended" }]);
    });
    const report = await reconcile(sale, true);
    expect(kinds(report)).toEqual(["MOVEMENT_LOST"]);
    expect(report.verdict.type).toBe("CLEAN");
    await status(kept, "RESERVED");
    expect(await findOrder(shop.pool, lost)).toBeUndefined();
    // 10 less the two orders that are there, and less what is held back for the receipt of the lost one.
    expect(await figures(sale)).toEqual({ available: 4, reserved: 4, sold: 0, holds: 2 });
    const ranges = await shop.pool.query("SELECT from_seq, to_seq FROM lost_ranges WHERE sale_id = $1", [sale.saleId]);
    expect(ranges.rows).toEqual([{ from_seq: 3, to_seq: 3 }]);
    await isProven(sale);
    const next = await place(sale, 1);
    await status(next, "RESERVED");
  });

  it("a settlement: the order is settled again, under a new number", async () => {
    const sale = await openTestSale(shop, { stock: 10, perCustomerLimit: 5 });
    const orderId = await place(sale, 2);
    await status(orderId, "RESERVED");
    await persister?.stop();
    await shop.pool.query("UPDATE orders SET status = 'PAID', version = version + 1 WHERE id = $1", [orderId]);
    await shop.pool.query("INSERT INTO order_timeline (order_id, version, status) VALUES ($1, 3, 'PAID')", [orderId]);
    await shop.engine.stock.settle(at(sale), 1, [{ orderId, reservation: 1 }]);
    await shop.redis.xdel(partitionKeys(at(sale)).stream, "1-3");
    const kept = await place(sale, 1);
    persister = await startPersister(servers());
    expect((await reconcile(sale, true)).verdict.type).toBe("CLEAN");
    const worker = await startTestWorker(servers(), { sweepIntervalMs: 100, unsettledAfterMs: 200 });
    await status(orderId, "CONFIRMED");
    await worker.stop();
    await status(kept, "RESERVED");
    expect(await figures(sale)).toEqual({ available: 7, reserved: 1, sold: 2, holds: 1 });
    expect((await reconcile(sale, false)).verdict.type).toBe("CLEAN");
  });
});

describe("what cannot be certain is told with its reason, and nothing is changed", () => {
  it("while Postgres is behind", async () => {
    const sale = await openTestSale(shop, { stock: 10 });
    await until(async () => expect((await reconcile(sale, false)).verdict.type).toBe("CLEAN"));
    await persister?.stop();
    await place(sale, 2);
    await shop.redis.hincrby(partitionKeys(at(sale)).stock, `${sale.productId}|a`, 3);
    const report = await reconcile(sale, true, 100);
    expect(report.verdict).toMatchObject({ type: "UNCERTAIN", reason: expect.stringContaining("behind") });
    expect(report.repairs).toEqual([]);
    expect(await figures(sale)).toMatchObject({ available: 11, reserved: 2 });
    persister = await startPersister(servers());
    expect((await reconcile(sale, true)).verdict.type).toBe("CLEAN");
    expect(await figures(sale)).toMatchObject({ available: 8, reserved: 2 });
  });

  it.each<[string, (sale: Sale) => Promise<unknown>, string]>([
    [
      "a suspended partition",
      ({ saleId }) =>
        shop.pool.query("UPDATE sale_partitions SET state = 'suspended', reason = 'a test' WHERE sale_id = $1", [
          saleId,
        ]),
      "a test",
    ],
    ["a partition that Redis lost", (sale) => shop.redis.del(partitionKeys(at(sale)).meta), "stock rebuild"],
    ["a Redis that went back", (sale) => shop.redis.hset(partitionKeys(at(sale)).meta, "seq", 0), "went back"],
    [
      "another epoch",
      ({ saleId }) => shop.pool.query("UPDATE sale_partitions SET epoch = 2, seq = 0 WHERE sale_id = $1", [saleId]),
      "epoch",
    ],
  ])("%s", async (_what, spoil, reason) => {
    const sale = await openTestSale(shop, { stock: 10 });
    await until(async () => expect((await reconcile(sale, false)).verdict.type).toBe("CLEAN"));
    await spoil(sale);
    const report = await reconcile(sale, true, 100);
    expect(report.verdict).toMatchObject({ type: "UNCERTAIN", reason: expect.stringContaining(reason) });
    expect(report.repairs).toEqual([]);
  });

  it("while a rebuild is running", async () => {
    const sale = await openTestSale(shop, { stock: 10 });
    const client = await shop.pool.connect();
    await client.query("SELECT pg_advisory_lock($1, hashtext($2))", [0x6f6e72, `${sale.saleId}.0`]);
    expect((await reconcile(sale, false)).verdict).toMatchObject({ reason: expect.stringContaining("rebuild") });
    await client.query("SELECT pg_advisory_unlock($1, hashtext($2))", [0x6f6e72, `${sale.saleId}.0`]);
    client.release();
    expect((await reconcile(sale, false)).verdict.type).toBe("CLEAN");
  });
});
