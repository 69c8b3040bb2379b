// The reconciler in the background: silent while orders flow, loud within seconds when somebody changed something.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { partitionKeys } from "../../engine/keys.ts";
import { listDrifts, listPasses } from "../../engine/reconciliation/results.ts";
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
  worker = await startTestWorker(servers(), { sweepIntervalMs: 100, reconcileIntervalMs: 100 });
});
afterAll(async () => {
  await worker.stop();
  await persister.stop();
  await shop.stop();
  await redis.stop();
});

const until = (assertion: () => Promise<void>) => vi.waitFor(assertion, { timeout: 20_000, interval: 20 });
const passOf = async (saleId: string) => (await listPasses(shop.pool)).find((pass) => pass.saleId === saleId);
const driftsOf = async (saleId: string) =>
  (await listDrifts(shop.pool, { open: undefined, limit: 100 })).filter((drift) => drift.saleId === saleId);

function place(sale: { saleId: string; productId: string }, token?: string, quantity = 2) {
  const payment = token === undefined ? ({ method: "later" } as const) : ({ method: "card", token } as const);
  const items = [{ productId: sale.productId, quantity }];
  return shop.engine.place({ saleId: sale.saleId, customerId: randomUUID(), items, payment });
}

describe("while orders flow", () => {
  it("no pass sees a drift: what is in flight is none", async () => {
    const sale = await openTestSale(shop, { stock: 100_000, perCustomerLimit: 3 }, { reservationTtlMs: 1_000 });
    // Some are paid, some declined, some run out: every kind of movement is under way all the time.
    const tokens = ["tok_ok", "tok_ok", "tok_declined", undefined];
    const verdicts = new Map<string, string>();
    let placed = 0;
    await until(async () => {
      await Promise.all(Array.from({ length: 60 }, (_, i) => place(sale, tokens[i % tokens.length], 1 + (i % 3))));
      placed += 60;
      const pass = await passOf(sale.saleId);
      if (pass) verdicts.set(String(pass.passes), `${pass.verdict} ${pass.reason ?? ""}`);
      expect(pass?.passes).toBeGreaterThanOrEqual(12);
      expect(placed).toBeGreaterThanOrEqual(3_000);
    });
    expect(await driftsOf(sale.saleId)).toEqual([]);
    expect([...verdicts.values()].filter((verdict) => verdict.startsWith("DRIFT"))).toEqual([]);
    await until(async () => expect((await passOf(sale.saleId))?.verdict).toBe("CLEAN"));
    expect(await driftsOf(sale.saleId)).toEqual([]);
  });
});

describe("what somebody changed", () => {
  it.each<[string, string, (sale: { saleId: string; productId: string }, orderId: string) => Promise<unknown>]>([
    [
      "a stock key",
      "STOCK_EDITED",
      ({ saleId, productId }) =>
        shop.redis.hincrby(partitionKeys({ saleId, partition: 0 }).stock, `${productId}|a`, -1),
    ],
    [
      "a held record",
      "HOLD_MISSING",
      ({ saleId }, orderId) => shop.redis.hdel(partitionKeys({ saleId, partition: 0 }).held, orderId),
    ],
    ["an order's row", "ORDER_MISSING", (_, orderId) => shop.pool.query("DELETE FROM orders WHERE id = $1", [orderId])],
    [
      "a limit",
      "LIMIT_OFF",
      ({ saleId, productId }) => shop.redis.hset(partitionKeys({ saleId, partition: 0 }).stock, `${productId}|l`, 9),
    ],
    [
      "a movement",
      "MOVEMENT_LOST",
      ({ saleId }) => shop.pool.query("DELETE FROM stock_movements WHERE sale_id = $1 AND seq = 2", [saleId]),
    ],
  ])("%s: found as %s, told until it is gone", async (_what, kind, spoil) => {
    const sale = await openTestSale(shop, { stock: 100, perCustomerLimit: 5 });
    const order = await place(sale);
    await until(async () => expect((await passOf(sale.saleId))?.seq).toBe(2));
    await spoil(sale, order.orderId);
    await until(async () => expect((await driftsOf(sale.saleId)).map((drift) => drift.kind)).toEqual([kind]));
    const [drift] = await driftsOf(sale.saleId);
    expect(drift).toMatchObject({ endedAt: null });
    await until(async () => expect((await passOf(sale.saleId))?.verdict).toBe("DRIFT"));
  });
});

it("says that it cannot tell while Redis does not have a partition, and touches nothing", async () => {
  const sale = await openTestSale(shop, { stock: 10 });
  await until(async () => expect((await passOf(sale.saleId))?.verdict).toBe("CLEAN"));
  await shop.redis.del(partitionKeys({ saleId: sale.saleId, partition: 0 }).meta);
  await until(async () => expect((await passOf(sale.saleId))?.verdict).toBe("UNCERTAIN"));
  expect(await driftsOf(sale.saleId)).toEqual([]);
});
