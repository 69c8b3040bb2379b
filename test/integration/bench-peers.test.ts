// The benchmark's peers are what they claim to be: none sells more than there is, and none loses what it acknowledged.
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { afterAll, afterEach, describe, expect, inject, it } from "vitest";
import { PEERS, type PeerName, PeerShop } from "../../bench/groups/peer-shop.ts";
import { orderBody } from "../../bench/load/order-request.ts";
import { RecordedLoad } from "../../bench/load/recorded.ts";
import { RedisLock } from "../../bench/peers/lock.ts";
import { startTestRedis } from "../support/redis.ts";

const STOCK = 10;
const BUYERS = 60;
const POOL_SIZE = 8;

const redis = await startTestRedis();
const started: PeerShop[] = [];
const opened: Redis[] = [];

async function peer(name: PeerName, stock?: number) {
  const productId = randomUUID();
  const databaseName = `peer_${randomUUID().replaceAll("-", "")}`;
  const servers = { databaseUrl: inject("postgresUrl"), redisUrl: redis.url };
  const shop = await PeerShop.create(name, servers, productId, databaseName, stock);
  started.push(shop);
  await shop.start(POOL_SIZE);
  return { shop, order: { saleId: randomUUID(), productId, price: 1_000 } };
}

async function untilAtRest(shop: PeerShop) {
  while ((await shop.underWay()) > 0) await delay(20);
}

function client() {
  const one = new Redis(redis.url);
  opened.push(one);
  return one;
}

afterEach(async () => {
  await Promise.all(started.splice(0).map((shop) => shop.stop()));
  for (const one of opened.splice(0)) one.disconnect();
  await redis.restart();
});
afterAll(() => redis.stop());

describe.each(PEERS)("%s", (name) => {
  it(`sells ${STOCK} units to ${BUYERS} buyers and no more`, async () => {
    const { shop, order } = await peer(name, STOCK);
    const statuses = await Promise.all(
      Array.from({ length: BUYERS }, async () => {
        const headers = { "content-type": "application/json" };
        const body = orderBody(order, randomUUID());
        return (await fetch(shop.url ?? "", { method: "POST", headers, body })).status;
      }),
    );
    await untilAtRest(shop);

    const accepted = statuses.filter((status) => status === 202).length;
    // Whoever met only locked units may try again; nobody else is sent away while there are some.
    expect(statuses.every((status) => [202, 409, 503].includes(status))).toBe(true);
    expect(accepted).toBeLessThanOrEqual(STOCK);
    if (!statuses.includes(503)) expect(accepted).toBe(STOCK);
    expect(await shop.database.sold()).toEqual({ orders: accepted, buyers: accepted, units: accepted });
    expect(await shop.audit({ answered: accepted, sent: BUYERS })).toEqual({ oversold: 0, lost: 0, duplicated: 0 });
    if (name !== "bullmq") expect(await shop.taken()).toBe(accepted);
  });

  it("loses nothing that it acknowledged when its processes are killed", { timeout: 60_000 }, async () => {
    const { shop, order } = await peer(name);
    await shop.stockUp(1);
    const load = new RecordedLoad(() => shop.url, order);
    await load.untilMore(50);
    await shop.killProcesses();
    await shop.start(POOL_SIZE);
    await load.untilMore(50);
    await load.end();
    await untilAtRest(shop);

    expect(await shop.database.missing(load.acknowledged.map(({ id }) => id))).toBe(0);
    const faults = await shop.audit({ answered: load.acknowledged.length, sent: 0 });
    expect(faults).toEqual({ oversold: 0, lost: 0, duplicated: 0 });
  });
});

describe("the lock", () => {
  it("is held by one at a time over two processes' connections, with tokens that grow", async () => {
    const name = randomUUID();
    const locks = [new RedisLock(client(), name), new RedisLock(client(), name)];
    const tokens: number[] = [];
    let holders = 0;
    const work = async (token: number) => {
      holders += 1;
      expect(holders).toBe(1);
      await delay(1);
      tokens.push(token);
      holders -= 1;
    };
    await Promise.all(Array.from({ length: 20 }, (_, n) => locks[n % 2]?.hold(work)));

    expect(tokens).toEqual(tokens.toSorted((a, b) => a - b));
    expect(new Set(tokens).size).toBe(20);
  });

  it("that ended under its holder is not given back in the next one's name", async () => {
    const name = randomUUID();
    const [mine, direct] = [new RedisLock(client(), name), client()];
    await mine.hold(async () => {
      await direct.set(`lock:{${name}}`, "somebody else");
    });
    await direct.ping();

    expect(await direct.get(`lock:{${name}}`)).toBe("somebody else");
  });

  it("keeps a row from a holder whose token is old", async () => {
    const { shop, order } = await peer("redis_lock", STOCK);
    const buy = async () => {
      const headers = { "content-type": "application/json" };
      return (await fetch(shop.url ?? "", { method: "POST", headers, body: orderBody(order, randomUUID()) })).status;
    };
    expect(await buy()).toBe(202);
    await client().set(`fence:{${order.productId}}`, 0); // a Redis that forgot

    expect(await buy()).toBe(503);
    expect(await shop.taken()).toBe(1);
  });
});
