// Thousands of reservations that end together: every unit and every buyer's limit comes back, once, and the sale can be sold
// again to the same buyers, to the last unit.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { partitionKeys } from "../../engine/keys.ts";
import { listStock } from "../../engine/ledger/allocations.ts";
import { openTestSale, startEngine, startPersister, startTestWorker } from "../support/assembly.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startTestRedis, type TestRedis } from "../support/redis.ts";

const ORDERS = 5_000;
const AT_ONCE = 500;
const WAIT_MS = 60_000;

const database = await createTestDatabase();
let redis: TestRedis;
let shop: Awaited<ReturnType<typeof startEngine>>;
let persister: Awaited<ReturnType<typeof startPersister>>;
let stopWorker: () => Promise<void> = async () => undefined;
const servers = () => ({ databaseUrl: database.url, redisUrl: redis.url });

beforeAll(async () => {
  redis = await startTestRedis();
  shop = await startEngine(servers());
  persister = await startPersister(servers());
});
afterAll(async () => {
  await stopWorker();
  await persister.stop();
  await shop.stop();
  await redis.stop();
});

const until = (assertion: () => Promise<void>) => vi.waitFor(assertion, { timeout: WAIT_MS, interval: 100 });

it("gives every unit and every limit back, once", { timeout: 4 * WAIT_MS }, async () => {
  const sale = await openTestSale(shop, { stock: ORDERS, perCustomerLimit: 1 }, { reservationTtlMs: 2_000 });
  const at = { saleId: sale.saleId, partition: 0 };
  const keys = partitionKeys(at);
  const buyers = Array.from({ length: ORDERS }, () => randomUUID());
  const placeAll = async () => {
    for (let from = 0; from < ORDERS; from += AT_ONCE) {
      const some = buyers.slice(from, from + AT_ONCE);
      await Promise.all(some.map((buyer) => place(sale, buyer)));
    }
  };
  const units = async () => {
    const snapshot = await shop.engine.stock.snapshot(at);
    if (snapshot.type !== "OK") throw new Error(snapshot.type);
    const [row] = await listStock(shop.pool, sale.saleId);
    return { redis: snapshot.stock.get(sale.productId), ledger: [row?.reserved, row?.sold], holds: snapshot.holds };
  };

  await placeAll();
  await until(async () =>
    expect(await units()).toEqual({
      redis: { available: 0, reserved: ORDERS, sold: 0 },
      ledger: [ORDERS, 0],
      holds: ORDERS,
    }),
  );
  expect(await shop.redis.hlen(keys.limits)).toBe(ORDERS);
  const worker = await startTestWorker(servers(), { sweepIntervalMs: 100 });
  stopWorker = () => worker.stop();
  await until(async () => expect(await ended(sale.saleId)).toEqual({ orders: ORDERS, cancelled: ORDERS, versions: 4 }));
  expect(await units()).toEqual({
    redis: { available: ORDERS, reserved: 0, sold: 0 },
    ledger: [0, 0],
    holds: 0,
  });
  expect(await shop.redis.exists(keys.held, keys.limits)).toBe(0);
  const { rows } = await shop.pool.query(
    "SELECT sum(quantity)::int AS released FROM stock_movements WHERE sale_id = $1 AND kind = 'release'",
    [sale.saleId],
  );
  expect(rows).toEqual([{ released: ORDERS }]);
  await until(async () =>
    expect(await shop.redis.xpending(keys.stream, "persister")).toMatchObject([0, null, null, null]),
  );

  // Nobody ends these: the next order finds nothing left.
  await worker.stop();
  stopWorker = async () => undefined;
  await placeAll();
  await expect(place(sale, randomUUID())).rejects.toMatchObject({ code: "SOLD_OUT" });
  await until(async () =>
    expect(await units()).toEqual({
      redis: { available: 0, reserved: ORDERS, sold: 0 },
      ledger: [ORDERS, 0],
      holds: ORDERS,
    }),
  );
});

function place({ saleId, productId }: { saleId: string; productId: string }, customerId: string) {
  const items = [{ productId, quantity: 1 }];
  return shop.engine.place({ saleId, customerId, items, payment: { method: "later" } });
}

/** Orders of the sale, those of them that expired, and the versions that each of them has had. */
async function ended(saleId: string) {
  const { rows } = await shop.pool.query(
    `SELECT count(*)::int AS orders, max(version) AS versions,
       (count(*) FILTER (WHERE status = 'CANCELLED' AND reason = 'EXPIRED'))::int AS cancelled
     FROM orders WHERE sale_id = $1`,
    [saleId],
  );
  return rows[0];
}
