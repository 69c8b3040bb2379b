// No order goes to a Redis that does not keep what ACK_MODE promises: at the start, after the server was restarted with other
// settings, and until it is mended, all without a restart of the engine.
import { randomUUID } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Redis } from "ioredis";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createApp } from "../../api/app.ts";
import { ServerGate, type ServerNotice } from "../../engine/durability/server-gate.ts";
import type { EngineOptions } from "../../engine/engine.ts";
import { openTestSale, startEngine } from "../support/assembly.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startTestRedis, type TestRedis, type TestRedisOptions } from "../support/redis.ts";
import { callApp, openApiShop } from "./api-shop.ts";

const database = await createTestDatabase();
const api = await openApiShop();
const letGo: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const release of letGo.splice(0).toReversed()) await release();
  // The next test's Redis has none of this one's sales.
  await database.pool.query("UPDATE sale_partitions SET state = 'suspended', reason = 'its server is gone'");
});
const until = (assertion: () => Promise<void> | void) => vi.waitFor(assertion, { timeout: 20_000, interval: 20 });

async function startServer(options: TestRedisOptions = {}) {
  const redis = await startTestRedis(options);
  const admin = new Redis(redis.url);
  admin.on("error", () => undefined); // restarted by the tests
  letGo.push(
    () => redis.stop(),
    () => admin.disconnect(),
  );
  return { redis, admin };
}

async function startShop(redisUrl: string, options: Partial<EngineOptions> = {}) {
  const notices: ServerNotice[] = [];
  const onNotice = (notice: ServerNotice) => notices.push(notice);
  const shop = await startEngine({ databaseUrl: database.url, redisUrl }, { onNotice, ...options });
  letGo.push(() => shop.stop());
  const said = (severity: ServerNotice["severity"]) =>
    notices.filter((notice) => notice.severity === severity).map(({ message }) => message);
  return { ...shop, said };
}

const suspended = { code: "STOCK_UNAVAILABLE", facts: { cause: "suspended" } };

type Shop = Awaited<ReturnType<typeof startShop>>;

const place = ({ engine }: Shop, { saleId, productId }: { saleId: string; productId: string }) =>
  engine.place({ saleId, customerId: randomUUID(), items: [{ productId, quantity: 1 }] });

/** Ends the server and starts it with other settings, on the same data. */
async function restartWith(redis: TestRedis, from: string, to: string) {
  const file = path.join(redis.directory, "redis.conf");
  const before = readFileSync(file, "utf8");
  expect(before).toContain(from);
  writeFileSync(file, before.replace(from, to));
  await redis.restart();
}

describe("a server that does not fit from the start gets no order, and it is said why", () => {
  it.each([
    [
      "fsync",
      { appendfsync: "everysec" },
      "Redis does not fit: appendfsync is everysec, ACK_MODE=fsync needs always. No order is admitted until that is mended.",
    ],
    [
      "fsync",
      { settings: ["no-appendfsync-on-rewrite yes"] },
      "Redis does not fit: no-appendfsync-on-rewrite is yes, ACK_MODE=fsync needs no. No order is admitted until that is mended.",
    ],
    [
      "fast",
      { settings: ["maxmemory-policy allkeys-lru"] },
      "Redis does not fit: maxmemory-policy is allkeys-lru, reservations need noeviction. No order is admitted until that is mended.",
    ],
    [
      "fast",
      { settings: ["appendonly no"] },
      "Redis does not fit: appendonly is no, ACK_MODE=fast needs yes. No order is admitted until that is mended.",
    ],
    [
      "postgres",
      { appendfsync: "no" },
      "Redis does not fit: appendfsync is no, ACK_MODE=postgres needs everysec or always. No order is admitted until that is mended.",
    ],
  ] as const)("%s with %o", async (ackMode, settings, sentence) => {
    const { redis } = await startServer(settings as TestRedisOptions);
    const shop = await startShop(redis.urlOf("onrush_api"), { ackMode });
    const sale = await openTestSale(shop, { stock: 5 });
    const refused = { code: "STOCK_UNAVAILABLE", facts: { cause: "REDIS_UNSAFE" } };
    await expect(place(shop, sale)).rejects.toMatchObject(refused);
    expect(shop.said("error")).toEqual([sentence]);
    const snapshot = await shop.engine.stock.snapshot({ saleId: sale.saleId, partition: 0 });
    expect(snapshot.type === "OK" && snapshot.stock.get(sale.productId)?.available).toBe(5);
  });

  it("a replica", async () => {
    const master = await startServer();
    const shop = await startShop(master.redis.urlOf("onrush_api"));
    const sale = await openTestSale(shop, { stock: 5 });
    const replica = await startServer({
      settings: [
        `replicaof 127.0.0.1 ${master.redis.port}`,
        "masteruser onrush_admin",
        "masterauth onrush_admin_password",
      ],
    });
    const astray = await startShop(replica.redis.urlOf("onrush_api"));
    await expect(place(astray, sale)).rejects.toMatchObject({ facts: { cause: "REDIS_UNSAFE" } });
    expect(astray.said("error")).toEqual([expect.stringContaining("role is slave, orders need master")]);
  });
});

describe("a server that is restarted with a setting that does not fit", () => {
  it("gets no order, not even one that was under way, until it is mended", async () => {
    const { redis, admin } = await startServer();
    const shop = await startShop(redis.urlOf("onrush_api"));
    const sale = await openTestSale(shop, { stock: 1_000 });
    expect(await place(shop, sale)).toMatchObject({ acknowledged: "fsync" });

    let isRestarted = false;
    const acceptedBySecond: string[] = [];
    const rush = (async () => {
      while (!isRestarted || acceptedBySecond.length < 20) {
        const wasRestarted = isRestarted;
        const outcome = await place(shop, sale).then(
          () => "accepted",
          (error: { facts: { cause?: string } }) => String(error.facts.cause),
        );
        if (wasRestarted) acceptedBySecond.push(outcome);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    })();
    await restartWith(redis, "appendfsync always", "appendfsync everysec");
    const held = async () => Number(await admin.hlen(`onrush:{${sale.saleId}.0}:held`));
    const before = await held();
    isRestarted = true;
    await rush;
    expect(acceptedBySecond).not.toContain("accepted");
    await until(() => expect(place(shop, sale)).rejects.toMatchObject({ facts: { cause: "REDIS_UNSAFE" } }));
    expect(await held()).toBe(before);
    expect(shop.said("error")).toEqual([
      expect.stringContaining("appendfsync is everysec, ACK_MODE=fsync needs always"),
    ]);

    await admin.config("SET", "appendfsync", "always");
    await until(async () => expect(await place(shop, sale)).toMatchObject({ acknowledged: "fsync" }));
    expect(shop.said("info")).toEqual(["Redis fits; orders are admitted."]);
    expect(shop.said("error")).toHaveLength(1);
  });

  it("is told of by /readyz, with the reason", async () => {
    const { admin, redis } = await startServer({ appendfsync: "everysec" });
    const shop = await startShop(redis.urlOf("onrush_api"));
    const app = createApp({ ...api.deps, engine: shop.engine, pool: shop.pool, redis: shop.redis });
    const reason = "Redis does not fit: appendfsync is everysec, ACK_MODE=fsync needs always.";
    const answer = await callApp(app, "GET", "/readyz");
    expect(answer.status).toBe(503);
    expect(answer.body).toMatchObject({ checks: { redis: true, postgres: true, durability: false }, reason });
    await admin.config("SET", "appendfsync", "always");
    await until(async () =>
      expect((await callApp(app, "GET", "/readyz")).body).not.toMatchObject({ checks: { durability: false } }),
    );
  });
});

describe("a setting that is changed while the server runs", () => {
  it("is noticed at the next look, without a break of the connection", async () => {
    const { redis, admin } = await startServer();
    const connection = new Redis(redis.url);
    const notices: string[] = [];
    const changes: unknown[] = [];
    const gate = new ServerGate({
      redis: connection,
      ackMode: "fsync",
      onNotice: ({ message }) => notices.push(message),
      onServerChanged: async (change) => {
        changes.push(change);
      },
      timings: { retryMs: 20, recheckMs: 20 },
    });
    letGo.push(
      () => connection.disconnect(),
      () => gate.stop(),
    );
    expect(gate.closed).toBe("REDIS_UNCHECKED");
    await gate.start();
    expect([gate.closed, gate.level]).toEqual([undefined, "fsync"]);
    await admin.config("SET", "maxmemory-policy", "allkeys-lfu");
    await until(() => expect(gate.closed).toBe("REDIS_UNSAFE"));
    await admin.config("SET", "maxmemory-policy", "noeviction");
    await until(() => expect(gate.closed).toBeUndefined());
    expect(notices).toHaveLength(2);
    expect(changes).toHaveLength(1);
  });
});

/** Closed for every process, with the reason that an operator reads. */
async function untilSuspended(sale: { saleId: string }, reason: string) {
  const sql = "SELECT state, reason FROM sale_partitions WHERE sale_id = $1";
  await until(async () => {
    expect((await database.pool.query(sql, [sale.saleId])).rows).toEqual([{ state: "suspended", reason }]);
  });
}

describe("another run of the server", () => {
  it("is compared with what is known of it before it is asked, and what it lost is told", async () => {
    const { redis, admin } = await startServer();
    const shop = await startShop(redis.urlOf("onrush_api"));
    const sale = await openTestSale(shop, { stock: 10 });
    await place(shop, sale);
    const known = shop.engine.positions.get({ saleId: sale.saleId, partition: 0 });
    await redis.restart();
    await until(async () => void (await place(shop, sale)));
    expect(shop.said("error")).toEqual([]);

    await admin.flushall();
    await redis.restart();
    await until(() => expect(shop.said("error")).toHaveLength(1));
    expect(shop.said("error")[0]).toMatch(
      `${sale.saleId}.0 (known up to ${known?.epoch}-${(known?.seq ?? 0) + 1}, found nothing)`,
    );
    await untilSuspended(sale, "Redis lost movements: the log does not exist, and is known up to 1-3");
    // The partition is suspended before the server is opened again: for a moment the server is the cause that is told.
    await until(() => expect(place(shop, sale)).rejects.toMatchObject(suspended));
  });

  it("is held to what other processes have brought to Postgres, too", async () => {
    const { redis } = await startServer();
    const shop = await startShop(redis.urlOf("onrush_api"));
    const sale = await openTestSale(shop, { stock: 10 });
    await place(shop, sale);
    await database.pool.query("UPDATE sale_partitions SET seq = 40 WHERE sale_id = $1", [sale.saleId]);
    await redis.restart();
    await until(() =>
      expect(shop.said("error")).toEqual([expect.stringMatching(/\.0 \(known up to 1-40, found 1-\d+\)/)]),
    );
    await untilSuspended(sale, "Redis lost movements: the log ends at 1-2, and is known up to 1-40");
    // The partition is suspended before the server is opened again: for a moment the server is the cause that is told.
    await until(() => expect(place(shop, sale)).rejects.toMatchObject(suspended));
  });

  it("is kept closed as long as it cannot be compared", async () => {
    const { redis } = await startServer();
    const connection = new Redis(redis.url);
    connection.on("error", () => undefined);
    let fails = true;
    const gate = new ServerGate({
      redis: connection,
      ackMode: "fsync",
      onNotice: () => undefined,
      onServerChanged: async () => {
        if (fails) throw new Error("cannot be compared");
      },
      timings: { retryMs: 20, recheckMs: 20 },
    });
    letGo.push(
      () => connection.disconnect(),
      () => gate.stop(),
    );
    await gate.start();
    expect(gate.closed).toBe("REDIS_UNCHECKED");
    fails = false;
    await until(() => expect(gate.closed).toBeUndefined());
    fails = true;
    await redis.restart();
    await until(() => expect(gate.closed).toBe("REDIS_UNCHECKED"));
  });
});

describe("a server that does not tell its settings", () => {
  it("gets orders, a warning is given once, and they are called no more than fast", async () => {
    const { redis, admin } = await startServer();
    const rules = ["on", ">managed", "~*", "&*", "+@all", "-config"];
    await admin.call("ACL", "SETUSER", "managed", ...rules);
    const shop = await startShop(`redis://managed:managed@127.0.0.1:${redis.port}`);
    const sale = await openTestSale(shop, { stock: 5 });
    expect(await place(shop, sale)).toMatchObject({ acknowledged: "fast" });
    expect(shop.said("warn")).toEqual([
      'Redis does not tell appendfsync, no-appendfsync-on-rewrite: what ACK_MODE=fsync needs of it could not be checked, and "acknowledged" says fast.',
    ]);
  });

  it("is still held to what INFO tells", async () => {
    const { redis, admin } = await startServer({ settings: ["maxmemory-policy allkeys-lru"] });
    await admin.call("ACL", "SETUSER", "managed", "on", ">managed", "~*", "&*", "+@all", "-config");
    const shop = await startShop(`redis://managed:managed@127.0.0.1:${redis.port}`);
    expect(shop.engine.durability.server.closed).toBe("REDIS_UNSAFE");
  });
});
