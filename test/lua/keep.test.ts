// keep.lua: a copy never gives way to an older one.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it, test } from "vitest";
import { PRODUCT_COPIES } from "../../engine/keys.ts";
import { runScript } from "../../engine/redis/scripts.ts";
import { writesNothing } from "./partition.ts";
import { type LuaServer, startLuaServer } from "./server.ts";

let server: LuaServer;
beforeAll(async () => {
  server = await startLuaServer();
});
afterAll(() => server.stop());

const keyOf = () => `${PRODUCT_COPIES}:${randomUUID()}`;
const keep = (key: string, ...args: (string | number)[]) => runScript(server.redis, "keep", [key], args);

describe("a copy", () => {
  it("is all of what was given, and expires", async () => {
    const key = keyOf();
    expect(await keep(key, 7, 60_000, "name", "커피", "imageUrl", "x")).toBe("KEPT");
    expect(await keep(key, 8, 60_000, "name", "홍차", "description", "")).toBe("KEPT");
    expect(await server.redis.hgetall(key)).toEqual({ catalogue: "8", name: "홍차", description: "" });
    const ttl = await server.redis.pttl(key);
    expect(ttl).toBeGreaterThan(0);
    expect(ttl).toBeLessThanOrEqual(60_000);
  });

  it("stays when an older one comes late", async () => {
    const key = keyOf();
    await keep(key, 10, 60_000, "name", "new");
    expect(await writesNothing(server.redis, () => keep(key, 9, 60_000, "name", "old"))).toBe("OLDER");
    expect(await server.redis.hget(key, "name")).toBe("new");
  });

  it("lives on when it is read again", async () => {
    const key = keyOf();
    await keep(key, 7, 1_000, "name", "x");
    expect(await keep(key, 7, 60_000, "name", "x")).toBe("KEPT");
    expect(await server.redis.pttl(key)).toBeGreaterThan(1_000);
  });

  test.each(["", "x", "-1", "1e9", "9".repeat(20)])("takes the place of one whose version is %j", async (catalogue) => {
    const key = keyOf();
    await server.redis.hset(key, { catalogue, name: "rubbish" });
    expect(await keep(key, 1, 60_000, "name", "x")).toBe("KEPT");
  });
});

test.each([[], [1], ["x", 60_000], [-1, 60_000], [1.5, 60_000], [1, 0], [1, "1e3"], [1, 60_000, "name"]])(
  "refuses %j",
  async (...args) => {
    const call = () => expect(keep(keyOf(), ...args)).rejects.toThrow("INVALID_ARGUMENT keep");
    await writesNothing(server.redis, call);
  },
);
