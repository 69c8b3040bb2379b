// The test support itself: a database and a Redis of one's own, with the rights of production.
import { readFileSync } from "node:fs";
import path from "node:path";
import { Redis } from "ioredis";
import { afterAll, describe, expect, it } from "vitest";
import { REDIS_ROLES, type RedisRole } from "../../runtime/embedded/redis-acl.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startTestRedis } from "../support/redis.ts";

const database = await createTestDatabase();
const redis = await startTestRedis();
afterAll(() => redis.stop());

async function as<T>(role: RedisRole, work: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis(redis.urlOf(role), { lazyConnect: true, retryStrategy: () => null });
  client.on("error", () => undefined);
  try {
    await client.connect();
    return await work(client);
  } finally {
    client.disconnect();
  }
}

describe("a test database", () => {
  it("has this version's schema, in UTF-8 and Postgres' own C.UTF-8", async () => {
    const orders = await database.pool.query("SELECT count(*)::int AS n FROM orders");
    const locale = await database.pool.query(
      "SELECT pg_encoding_to_char(encoding) AS encoding, datlocale FROM pg_database WHERE datname = current_database()",
    );
    expect(orders.rows).toEqual([{ n: 0 }]);
    expect(locale.rows).toEqual([{ encoding: "UTF8", datlocale: "C.UTF-8" }]);
  });
});

describe("a Redis role", () => {
  it.each(REDIS_ROLES)("%s runs scripts, streams and subscriptions below onrush:", async (role) => {
    const answers = await as(role, async (client) => {
      const sha = (await client.script("LOAD", "return redis.call('HINCRBY', KEYS[1], 'n', 1)")) as string;
      await client.evalsha(sha, 1, "onrush:test:hash");
      await client.xadd("onrush:test:stream", "*", "a", "1");
      await client.xread("STREAMS", "onrush:test:stream", "0");
      await client.publish("onrush:test", "hello");
      await client.info("server");
      await client.config("GET", "appendfsync");
      return client.ping();
    });
    expect(answers).toBe("PONG");
  });

  it.each(REDIS_ROLES.filter((role) => role !== "onrush_admin"))("%s reaches nothing else", async (role) => {
    const refused = /NOPERM/;
    await as(role, async (client) => {
      await expect(client.get("somebody:else")).rejects.toThrow(refused);
      await expect(client.publish("somebody:else", "x")).rejects.toThrow(refused);
      await expect(client.flushall()).rejects.toThrow(refused);
      await expect(client.keys("*")).rejects.toThrow(refused);
      await expect(client.config("SET", "appendfsync", "no")).rejects.toThrow(refused);
      await expect(client.script("FLUSH")).rejects.toThrow(refused);
      await expect(client.acl("LIST")).rejects.toThrow(refused);
      await expect(client.shutdown()).rejects.toThrow(refused);
    });
  });

  it.each(["onrush_api", "onrush_worker"] as const)(
    "%s does not take entries out of the order stream",
    async (role) => {
      await as(role, async (client) => {
        await expect(client.xdel("onrush:test:stream", "0-1")).rejects.toThrow(/NOPERM/);
        await expect(client.xtrim("onrush:test:stream", "MAXLEN", 0)).rejects.toThrow(/NOPERM/);
        await expect(client.xgroup("DESTROY", "onrush:test:stream", "persister")).rejects.toThrow(/NOPERM/);
      });
    },
  );

  it("is nobody who comes as the default user, whatever the password", async () => {
    const anybody = new Redis({ port: redis.port, username: "default", password: "", lazyConnect: true });
    anybody.on("error", () => undefined);
    await expect(anybody.call("AUTH", "default", "x")).rejects.toThrow(/WRONGPASS/);
    anybody.disconnect();
  });

  it("does not exist without a password", async () => {
    const anonymous = new Redis(redis.port, "127.0.0.1", { lazyConnect: true, retryStrategy: () => null });
    anonymous.on("error", () => undefined);
    await expect(anonymous.connect().then(() => anonymous.ping())).rejects.toThrow(/NOAUTH|closed/i);
    anonymous.disconnect();
  });
});

describe("a Redis that is killed", () => {
  it("has every acknowledged write after its restart, of scripts and transactions too", async () => {
    const script = "redis.call('SET', KEYS[1], '1') redis.call('SET', KEYS[2], '1') return 1";
    const keys = ["onrush:kept:plain", "onrush:kept:{s}1", "onrush:kept:{s}2", "onrush:kept:{t}1", "onrush:kept:{t}2"];
    await as("onrush_api", async (client) => {
      await client.set("onrush:kept:plain", "1");
      await client.eval(script, 2, "onrush:kept:{s}1", "onrush:kept:{s}2");
      await client.multi().set("onrush:kept:{t}1", "1").set("onrush:kept:{t}2", "1").exec();
    });
    await redis.kill();
    await redis.restart();
    expect(await as("onrush_api", (client) => client.mget(keys))).toEqual(keys.map(() => "1"));
    expect(readFileSync(path.join(redis.directory, "redis.log"), "utf8")).not.toContain("CRITICAL");
  });
});
