// acknowledge.lua, lease.lua and snapshot.lua: how the log is let go of, who may apply it, and what it looks like in between.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CONSUMER_GROUP } from "../../engine/keys.ts";
import { KnownPositions } from "../../engine/stock/known-positions.ts";
import { PartitionStock } from "../../engine/stock/partition-stock.ts";
import { keyspaceDigest, openPartition, order, sku, TestPartition, writesNothing } from "./partition.ts";
import { type LuaServer, startLuaServer } from "./server.ts";

let server: LuaServer;
beforeAll(async () => {
  server = await startLuaServer();
});
afterAll(() => server.stop());

const A = sku(1);
const B = sku(2);

const unchanged = <T>(call: () => Promise<T>) => writesNothing(server.redis, call);

describe("acknowledge", () => {
  /** A log of `count` place entries after its first restock; all of them delivered to `reader` when it is named. */
  async function logOf(count: number, reader?: string): Promise<TestPartition> {
    const partition = await openPartition(server.redis, { [A]: count });
    // Whole nodes are trimmed: small ones make every entry count.
    for (let i = 0; i < count; i += 1) await partition.place([order([[A, 1]])]);
    if (reader) await deliver(partition, reader);
    return partition;
  }
  const deliver = (partition: TestPartition, reader: string, count = 10_000) =>
    server.redis.xreadgroup("GROUP", CONSUMER_GROUP, reader, "COUNT", count, "STREAMS", partition.keys.stream, ">");
  const ids = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => `1-${from + i}`);
  const idsInLog = async (partition: TestPartition) => (await partition.log()).map(({ position }) => position.seq);

  beforeAll(() => server.redis.config("SET", "stream-node-max-entries", "1"));
  afterAll(() => server.redis.config("SET", "stream-node-max-entries", "100"));

  it("takes entries off the pending list and lets go of what is below the position", async () => {
    const partition = await logOf(9, "p");
    expect(await partition.acknowledge("1-10", 9, ids(1, 10))).toBe(10);
    expect(await server.redis.xpending(partition.keys.stream, CONSUMER_GROUP)).toMatchObject([0, null, null, null]);
    expect(await idsInLog(partition)).toEqual([10]);
    expect(await server.redis.hget(partition.keys.meta, "persisted")).toBe("9");
  });

  it("keeps every entry that is still pending, and those after it", async () => {
    const partition = await logOf(9, "p");
    await partition.acknowledge("1-10", 9, [...ids(1, 4), ...ids(6, 10)]);
    expect((await idsInLog(partition))[0]).toBe(5);
  });

  it("keeps every entry that was never delivered, whatever position is named", async () => {
    const partition = await logOf(9);
    await deliver(partition, "p", 4);
    await partition.acknowledge("1-10", 9, ids(1, 4));
    expect(await idsInLog(partition)).toEqual([4, 5, 6, 7, 8, 9, 10]);
  });

  it("keeps the whole log when nothing was delivered, or there is no group", async () => {
    const partition = await logOf(3);
    await partition.acknowledge("1-4", 3, []);
    expect(await idsInLog(partition)).toHaveLength(4);
    await server.redis.xgroup("DESTROY", partition.keys.stream, CONSUMER_GROUP);
    expect(await partition.acknowledge("1-4", 3, ids(1, 4))).toBe(0);
    expect(await idsInLog(partition)).toHaveLength(4);
  });

  it("keeps what is above the position, though it is acknowledged", async () => {
    const partition = await logOf(9, "p");
    await partition.acknowledge("1-3", 2, ids(1, 10));
    expect((await idsInLog(partition))[0]).toBe(3);
  });

  it("notes how far Postgres is, and only ever further", async () => {
    const partition = await logOf(3);
    const persisted = async (value: number) => {
      await partition.acknowledge("1-1", value, []);
      return server.redis.hget(partition.keys.meta, "persisted");
    };
    expect([
      await persisted(2),
      await persisted(1),
      await persisted(0),
      await persisted(10),
      await persisted(9),
    ]).toEqual(["2", "2", "2", "10", "10"]);
  });

  it("of another epoch leaves the count alone", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 }, { epoch: 2 });
    await partition.acknowledge("1-9", 5, []);
    expect(await server.redis.hget(partition.keys.meta, "persisted")).toBe("0");
  });

  it("does not bring a wiped partition back", async () => {
    const partition = await logOf(3, "p");
    await server.redis.del(Object.values(partition.keys));
    expect(await unchanged(() => partition.acknowledge("1-4", 3, ids(1, 4)))).toBe(0);
  });

  it.each<[string, (string | number)[]]>([
    ["no position", [CONSUMER_GROUP]],
    ["a position that is none", [CONSUMER_GROUP, "12", 0]],
    ["a position beyond all numbers", [CONSUMER_GROUP, "1-99999999999999999999", 0]],
    ["a count that is no number", [CONSUMER_GROUP, "1-1", "nan"]],
    ["a negative count", [CONSUMER_GROUP, "1-1", -1]],
    ["an id that is none", [CONSUMER_GROUP, "1-1", 0, "1-1", "x"]],
    ["1,001 ids", [CONSUMER_GROUP, "1-1", 0, ...ids(1, 1_001)]],
  ])("with %s is refused and writes nothing", async (_what, args) => {
    const partition = await logOf(2, "p");
    await unchanged(() => expect(partition.run("acknowledge", args)).rejects.toThrow("INVALID_ARGUMENT acknowledge"));
  });
});

describe("lease", () => {
  const lease = (partition: TestPartition, owner: string, ttl: number | string) => partition.run("lease", [owner, ttl]);

  it("is taken from an owner that the caller knows to be gone, and from no other", async () => {
    const partition = await openPartition(server.redis, {});
    await lease(partition, "one", 60_000);
    expect(await unchanged(() => partition.run("lease", ["two", 60_000, "another"]))).toBe("one");
    expect(await partition.run("lease", ["two", 60_000, "one"])).toBe(1);
    expect(await unchanged(() => partition.run("lease", ["three", 60_000, "one"]))).toBe("two");
  });

  it("is held by who took it, and by nobody else", async () => {
    const partition = new TestPartition(server.redis);
    expect(await lease(partition, "one", 60_000)).toBe(1);
    expect(await unchanged(() => lease(partition, "two", 60_000))).toBe("one");
    expect(await unchanged(() => lease(partition, "two", 0))).toBe("one");
    expect(await server.redis.get(partition.keys.lease)).toBe("one");
  });

  it("is kept by renewing", async () => {
    const partition = new TestPartition(server.redis);
    await lease(partition, "one", 1_000);
    expect(await lease(partition, "one", 60_000)).toBe(1);
    expect(await server.redis.pttl(partition.keys.lease)).toBeGreaterThan(1_000);
  });

  it("goes to the next when it is given up", async () => {
    const partition = new TestPartition(server.redis);
    await lease(partition, "one", 60_000);
    expect(await lease(partition, "one", 0)).toBe(1);
    expect(await server.redis.exists(partition.keys.lease)).toBe(0);
    expect(await lease(partition, "two", 60_000)).toBe(1);
  });

  it("that nobody holds may be given up", async () => {
    const partition = new TestPartition(server.redis);
    expect(await unchanged(() => lease(partition, "one", 0))).toBe(1);
  });

  it("goes to the next when it has run out", async () => {
    const partition = new TestPartition(server.redis);
    await lease(partition, "one", 1);
    await expect.poll(() => lease(partition, "two", 60_000)).toBe(1);
    expect(await lease(partition, "one", 60_000)).toBe("two");
  });

  it.each([
    ["one", "1.5"],
    ["one", "-1"],
    ["one", "nan"],
    ["", "1"],
  ])("asked for by %j over %j ms is refused", async (owner, ttl) => {
    const partition = new TestPartition(server.redis);
    await unchanged(() => expect(lease(partition, owner, ttl)).rejects.toThrow("INVALID_ARGUMENT lease"));
  });
});

describe("snapshot", () => {
  it("is one consistent picture of the partition, and writes nothing", async () => {
    const partition = await openPartition(server.redis, { [A]: 10, [B]: 5 }, { epoch: 3, state: "open" });
    const orders = [order([[A, 3]]), order([[B, 2]])] as const;
    await partition.place(orders, { epoch: 3 });
    await partition.settle([[orders[1].id, 2]], { epoch: 3 });
    await partition.acknowledge("3-1", 1, []);

    const positions = new KnownPositions();
    const stock = new PartitionStock(server.redis, positions);
    const before = await keyspaceDigest(server.redis);
    expect(await stock.snapshot(partition.at)).toEqual({
      type: "OK",
      atMs: expect.any(Number),
      position: { epoch: 3, seq: 4 },
      reservation: 2,
      persisted: 1,
      admission: "open",
      stock: new Map([
        [A, { available: 7, reserved: 3, sold: 0 }],
        [B, { available: 3, reserved: 0, sold: 2 }],
      ]),
      holds: 1,
      streamLength: 4,
    });
    expect(await keyspaceDigest(server.redis)).toBe(before);
    expect(positions.get(partition.at)).toEqual({ epoch: 3, seq: 4 });
  });

  it("of a partition that is not there says so", async () => {
    expect(await new TestPartition(server.redis).run("snapshot", [])).toEqual(["NOT_LOADED"]);
  });
});
