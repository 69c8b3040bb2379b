// ACK_MODE=replicated over a real replica: what is said when it has an order, and when it is late or gone.
import { randomUUID } from "node:crypto";
import { Redis } from "ioredis";
import { afterAll, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { placeBatch } from "../../engine/admission/place.ts";
import type { PlaceCall } from "../../engine/durability/durability.ts";
import type { ServerNotice } from "../../engine/durability/server-gate.ts";
import { KnownPositions } from "../../engine/stock/known-positions.ts";
import { openTestSale, startEngine } from "../support/assembly.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startTestRedis, type TestRedis } from "../support/redis.ts";

const WAIT_MS = 300;

const database = await createTestDatabase();
let master: TestRedis;
let replica: TestRedis;
let admin: Redis;
let shop: Awaited<ReturnType<typeof startEngine>>;
let sale: { saleId: string; productId: string };
const notices: ServerNotice[] = [];

beforeAll(async () => {
  master = await startTestRedis();
  replica = await startTestRedis({
    settings: [`replicaof 127.0.0.1 ${master.port}`, "masteruser onrush_admin", "masterauth onrush_admin_password"],
  });
  admin = new Redis(master.url);
  shop = await startEngine(
    { databaseUrl: database.url, redisUrl: master.urlOf("onrush_api") },
    { ackMode: "replicated", replication: { waitMs: WAIT_MS }, onNotice: (notice) => notices.push(notice) },
  );
  sale = await openTestSale(shop, { stock: 100_000 });
});
afterAll(async () => {
  await shop.stop();
  admin.disconnect();
  await replica.stop();
  await master.stop();
});
beforeEach(async () => {
  replica.thaw();
  await until(async () => expect(await place()).toMatchObject({ acknowledged: "replicated" }));
  notices.length = 0;
});

const until = (assertion: () => Promise<void> | void) => vi.waitFor(assertion, { timeout: 20_000, interval: 20 });
const place = async () => {
  const { saleId, productId } = sale;
  const order = await shop.engine.place({ saleId, customerId: randomUUID(), items: [{ productId, quantity: 1 }] });
  if (order.type !== "placed") throw new Error("replayed");
  return order;
};

async function callsOf(command: string): Promise<number> {
  const stats = await admin.info("commandstats");
  return Number(stats.match(new RegExp(`cmdstat_${command}:calls=(\\d+)`))?.[1] ?? 0);
}

it("asks the replica once a batch, in the batch's own write, for all of its orders", async () => {
  const [scripts, waits] = await Promise.all([callsOf("evalsha"), callsOf("wait")]);
  const orders = await Promise.all(Array.from({ length: 1_000 }, place));
  expect(new Set(orders.map(({ acknowledged }) => acknowledged))).toEqual(new Set(["replicated"]));
  const batches = (await callsOf("evalsha")) - scripts;
  expect(batches).toBeLessThanOrEqual(10);
  expect((await callsOf("wait")) - waits).toBe(batches);
});

it("has on the replica what it calls replicated", async () => {
  const orders = await Promise.all(Array.from({ length: 50 }, place));
  const other = new Redis(replica.url);
  const held = await other.hmget(`onrush:{${sale.saleId}.0}:held`, ...orders.map(({ orderId }) => orderId));
  other.disconnect();
  expect(held).not.toContain(null);
});

it("runs the script by its text when the server forgot it, and waits for that", async () => {
  await admin.script("FLUSH");
  expect(await place()).toMatchObject({ acknowledged: "replicated" });
});

it("does not call replicated what an earlier call wrote: WAIT speaks for the writes of this one", async () => {
  const at = { saleId: sale.saleId, partition: 0 };
  const lines = [{ productId: sale.productId, quantity: 1 }];
  let calls = 0;
  const losingFirstAnswer: PlaceCall = async (keys, args) => {
    const answer = await shop.engine.durability.place(keys, args);
    calls += 1;
    if (calls === 1) throw new Error("the answer was lost");
    return answer;
  };
  const placement = { orderId: randomUUID(), buyer: randomUUID(), idempotency: undefined, payload: "{}", lines };
  const options = { backlogMax: 0, retryForMs: 10_000 };
  const outcomes = await placeBatch(losingFirstAnswer, new KnownPositions(), at, 1, [placement], options);
  expect(calls).toBe(2);
  expect(outcomes).toMatchObject([{ type: "ACCEPTED", acknowledged: "fsync" }]);
});

it("accepts what the replica does not get in time, says fsync, and tells of it once", async () => {
  replica.freeze();
  const orders = await Promise.all(Array.from({ length: 600 }, place));
  expect(new Set(orders.map(({ acknowledged }) => acknowledged))).toEqual(new Set(["fsync"]));
  expect(notices).toEqual([
    {
      severity: "warn",
      message: `Orders reached 0 of 1 replicas within ${WAIT_MS} ms: they are accepted, and "acknowledged" says less than replicated.`,
    },
  ]);
  replica.thaw();
  await until(async () => expect((await place()).acknowledged).toBe("replicated"));
  expect(notices[1]).toEqual({ severity: "info", message: "Orders reach the replicas again." });
});

it("gives a replica that hangs the whole time once, and not before every answer", async () => {
  replica.freeze();
  await place();
  const startedAt = performance.now();
  for (let i = 0; i < 10; i += 1) await place();
  // Ten whole waits would be ten times WAIT_MS.
  expect(performance.now() - startedAt).toBeLessThan(5 * WAIT_MS);
});

it("accepts while the replica is gone, and calls orders replicated once it is back", async () => {
  await replica.kill();
  expect(await place()).toMatchObject({ acknowledged: "fsync", status: "PENDING" });
  await replica.restart();
  await until(async () => expect((await place()).acknowledged).toBe("replicated"));
});

it("says only what the disk gives when the server syncs once a second and the replica is late", async () => {
  await admin.config("SET", "appendfsync", "everysec");
  const lax = await startEngine(
    { databaseUrl: database.url, redisUrl: master.url },
    { ackMode: "replicated", replication: { waitMs: WAIT_MS, replicasRequired: 2 } },
  );
  const { saleId, productId } = sale;
  const order = await lax.engine.place({ saleId, customerId: randomUUID(), items: [{ productId, quantity: 1 }] });
  expect(order).toMatchObject({ acknowledged: "fast" });
  await lax.stop();
  await admin.config("SET", "appendfsync", "always");
});
