// What a blocking read hands out is not handed out again. The persister must not lose it with the answer.
import { randomUUID } from "node:crypto";
import { pino } from "pino";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { partitionKeys } from "../../engine/keys.ts";
import { findOrder } from "../../engine/ledger/orders.ts";
import { openOutbox } from "../../engine/outbox/outbox.ts";
import { blockingConnection, connect } from "../../engine/redis/connection.ts";
import { Persister } from "../../persister/persister.ts";
import { openTestSale, startEngine } from "../support/assembly.ts";
import { FaultProxy } from "../support/faults/proxy.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startTestRedis, type TestRedis } from "../support/redis.ts";

const BLOCK_MS = 4_000;

const database = await createTestDatabase();
let redis: TestRedis;
let shop: Awaited<ReturnType<typeof startEngine>>;
let proxy: FaultProxy;
beforeAll(async () => {
  redis = await startTestRedis();
  shop = await startEngine({ databaseUrl: database.url, redisUrl: redis.url });
  proxy = await FaultProxy.start(Number(new URL(redis.url).port));
});
afterAll(async () => {
  await shop.stop();
  await proxy.stop();
  await redis.stop();
});

const until = (assertion: () => Promise<void>) => vi.waitFor(assertion, { timeout: 20_000, interval: 50 });

it("applies and acknowledges entries whose answer was lost, without waiting for the next ones", async () => {
  const sale = await openTestSale(shop, { stock: 10 });
  const { stream } = partitionKeys({ saleId: sale.saleId, partition: 0 });
  const place = async () => {
    const items = [{ productId: sale.productId, quantity: 1 }];
    const payment = { method: "later" } as const;
    return (await shop.engine.place({ saleId: sale.saleId, customerId: randomUUID(), items, payment })).orderId;
  };
  const isSettledWith = (orderId: string) =>
    until(async () => {
      expect((await findOrder(shop.pool, orderId))?.status).toBe("RESERVED");
      expect(await shop.redis.xpending(stream, "persister")).toMatchObject([0, null, null, null]);
    });

  const throughProxy = new URL(redis.url);
  throughProxy.port = String(proxy.port);
  const blocking = blockingConnection(throughProxy.href, BLOCK_MS);
  blocking.on("error", () => undefined);
  await connect(blocking);
  const outbox = await openOutbox(database.url, () => undefined);
  const persister = new Persister({
    pool: shop.pool,
    outbox,
    redis: shop.redis,
    blocking,
    log: pino({ level: "silent" }),
    timings: { blockMs: BLOCK_MS },
  });
  await persister.start();
  try {
    await isSettledWith(await place());
    proxy.loseAnswersTo({ request: "xreadgroup", times: 1 });
    await isSettledWith(await place()); // by the read that was out already
    await isSettledWith(await place());
    await until(async () => expect(proxy.counts.lost).toBe(1));
  } finally {
    await persister.stop();
    await outbox.close();
  }
});
