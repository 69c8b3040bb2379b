// What a proof says of money that came late, came twice, or went back.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { findOrder } from "../../engine/ledger/orders.ts";
import { loadSigningKey } from "../../engine/proof/key.ts";
import { proveSale } from "../../engine/proof/prove.ts";
import { verifyProof } from "../../engine/proof/verify.ts";
import { openTestSale, startEngine, startPersister, startTestWorker } from "../support/assembly.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startTestRedis, type TestRedis } from "../support/redis.ts";
import { scratchFolder } from "../support/scratch.ts";

const database = await createTestDatabase();
const key = loadSigningKey({ dataDir: scratchFolder("proof-money") });
const PRICE = 5_000;
const MONEY = "captured money fits the orders";
let redis: TestRedis;
let shop: Awaited<ReturnType<typeof startEngine>>;
let persister: Awaited<ReturnType<typeof startPersister>>;
/** A sale with one confirmed and one declined order, at rest and without a worker that would go on with it. */
let sale: { readonly saleId: string; readonly paid: string; readonly declined: string };

beforeAll(async () => {
  redis = await startTestRedis();
  const servers = { databaseUrl: database.url, redisUrl: redis.url };
  shop = await startEngine(servers);
  persister = await startPersister(servers);
  const worker = await startTestWorker(servers, { sweepIntervalMs: 100 });
  const { saleId, productId } = await openTestSale(shop, { stock: 10, price: PRICE });
  const place = async (token: string, end: string) => {
    const items = [{ productId, quantity: 1 }];
    const payment = { method: "card", token } as const;
    const { orderId } = await shop.engine.place({ saleId, customerId: randomUUID(), items, payment });
    const isThere = async () => expect((await findOrder(shop.pool, orderId))?.status).toBe(end);
    await vi.waitFor(isThere, { timeout: 30_000, interval: 50 });
    return orderId;
  };
  sale = { saleId, paid: await place("tok_ok", "CONFIRMED"), declined: await place("tok_declined", "CANCELLED") };
  await worker.stop();
}, 60_000);
afterAll(async () => {
  await persister.stop();
  await shop.stop();
  await redis.stop();
});

/** Proves the sale with these changes made, and takes them back. */
async function proven(...changes: string[]) {
  const { saleId, paid, declined } = sale;
  const client = await shop.pool.connect();
  const tables = ["orders", "payment_attempts", "refunds"];
  try {
    for (const table of tables) await client.query(`CREATE TEMP TABLE kept_${table} AS TABLE ${table}`);
    for (const change of changes) {
      await client.query(change.replaceAll(":paid", `'${paid}'`).replaceAll(":declined", `'${declined}'`));
    }
    const { proof, text } = await proveSale({ pool: shop.pool, key, version: "0" }, saleId);
    const { findings } = await verifyProof(Buffer.from(text), key.publicKey);
    return { money: proof.money, failing: findings.filter(({ holds }) => !holds).map(({ check }) => check), proof };
  } finally {
    for (const table of tables) {
      await client.query(`DELETE FROM ${table}`);
      await client.query(`INSERT INTO ${table} TABLE kept_${table}`);
      await client.query(`DROP TABLE kept_${table}`);
    }
    await client.query("DELETE FROM removed_rows");
    client.release();
  }
}

const status = (id: string, to: string) => `UPDATE orders SET status = '${to}' WHERE id = ${id}`;
const charge = (id: string, attempt: number, surplus: "NULL" | "'owed'" | "'refunding'" = "NULL") =>
  `INSERT INTO payment_attempts (order_id, attempt, method, amount, currency, state, surplus)
   VALUES (${id}, ${attempt}, 'card', ${PRICE}, 'KRW', 'succeeded', ${surplus})`;
const refund = (id: string, amount: number, state: "pending" | "succeeded" | "failed", scope = "whole") =>
  `INSERT INTO refunds (id, order_id, attempt, method, scope, amount, currency, state, actor)
   VALUES (gen_random_uuid(), ${id}, 1, 'card', '${scope}', ${amount}, 'KRW', '${state}', 'test')`;
const given = (id: string, amount: number) => `UPDATE orders SET refunded_amount = ${amount} WHERE id = ${id}`;
const late = "UPDATE orders SET late_capture = 2, reason = 'EXPIRED' WHERE id = :declined";

describe("money that went another way holds", { timeout: 60_000 }, () => {
  it("captured for a cancelled order about which nothing is decided", async () => {
    const { failing, money } = await proven(charge(":declined", 2), late);
    expect(failing).toEqual([]);
    expect(money.total).toMatchObject({ captured: 2 * PRICE, late: PRICE, refunded: 0, mismatched: 0 });
  });

  it("on its way back, and back", async () => {
    const opened = [charge(":declined", 2), late, status(":declined", "REFUND_PENDING")];
    expect((await proven(...opened, refund(":declined", PRICE, "pending"))).failing).toEqual([]);
    expect((await proven(...opened, refund(":declined", PRICE, "failed"))).failing).toEqual([]);
    const back = [refund(":declined", PRICE, "succeeded"), given(":declined", PRICE), status(":declined", "REFUNDED")];
    const { failing, money } = await proven(...opened, ...back);
    expect(failing).toEqual([]);
    expect(money).toMatchObject({ given: PRICE, total: { captured: 2 * PRICE, refunded: PRICE, late: 0 } });
  });

  it("of which a part went back", async () => {
    const { failing, money } = await proven(refund(":paid", 1_000, "succeeded", "part"), given(":paid", 1_000));
    expect(failing).toEqual([]);
    expect(money.total).toMatchObject({ captured: PRICE, refunded: 1_000 });
  });

  it("charged beside the order's own, owed and back", async () => {
    const owed = await proven(charge(":paid", 2, "'owed'"));
    expect(owed.failing).toEqual([]);
    expect(owed.money).toMatchObject({ surplus: PRICE, surplusGiven: 0, capturedTwice: 0, total: { captured: PRICE } });
    const back = await proven(charge(":paid", 2, "'refunding'"), refund(":paid", PRICE, "succeeded", "charge"));
    expect(back.failing).toEqual([]);
    expect(back.money).toMatchObject({ surplus: PRICE, surplusGiven: PRICE, given: 0 });
  });
});

describe("money that nobody accounts for does not", { timeout: 60_000 }, () => {
  it.each([
    ["captured twice for one order", [charge(":paid", 2)]],
    ["captured for a cancelled order that knows nothing of it", [charge(":declined", 2)]],
    ["a late capture that did not happen", [late]],
    ["an order that was given back more than its refunds gave", [given(":paid", 1_000)]],
    ["a refund that its order knows nothing of", [refund(":paid", 1_000, "succeeded", "part")]],
    [
      "a refund that did not end, told as given back",
      [refund(":paid", 1_000, "failed", "part"), given(":paid", 1_000)],
    ],
    ["more given back than was captured", [refund(":paid", PRICE + 1, "succeeded"), given(":paid", PRICE + 1)]],
    ["a refunded order of which not all went back", [status(":paid", "REFUNDED"), given(":paid", 1_000)]],
    ["a surplus given back that was never charged", [refund(":paid", PRICE, "succeeded", "charge")]],
  ])("%s", async (_what, changes) => {
    expect((await proven(...changes)).failing).toContain(MONEY);
  });
});
