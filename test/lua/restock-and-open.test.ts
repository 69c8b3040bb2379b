// restock.lua and open.lua: where units come from, and what a configuration may and may not change.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CONSUMER_GROUP } from "../../engine/keys.ts";
import { KnownPositions } from "../../engine/stock/known-positions.ts";
import { PartitionStock } from "../../engine/stock/partition-stock.ts";
import { openPartition, order, sku, TestPartition, TTL_MS, writesNothing } from "./partition.ts";
import { type LuaServer, startLuaServer } from "./server.ts";

let server: LuaServer;
beforeAll(async () => {
  server = await startLuaServer();
});
afterAll(() => server.stop());

const A = sku(1);
const B = sku(2);

const unchanged = <T>(call: () => Promise<T>) => writesNothing(server.redis, call);

describe("restock", () => {
  it("adds units, numbers the movement and logs it", async () => {
    const partition = await openPartition(server.redis, { [A]: 0 });
    expect(await partition.restock(A, 40, "m-1")).toEqual(["OK", "1", 1, "MOVED"]);
    expect(await partition.stock(A)).toEqual([40, 0, 0]);
    expect(await partition.log()).toEqual([
      {
        kind: "restock",
        position: { epoch: 1, seq: 1 },
        atMs: expect.any(Number),
        movementId: "m-1",
        sku: A,
        quantity: 40,
        unreadable: [],
      },
    ]);
  });

  it("under a movement id that was seen repeats its number and moves nothing", async () => {
    const partition = await openPartition(server.redis, { [A]: 0 });
    await partition.restock(A, 40, "m-1");
    await partition.restock(A, 1, "m-2");
    expect(await unchanged(() => partition.restock(A, 40, "m-1"))).toEqual(["OK", "1", 1, "REPEATED"]);
    expect(await partition.stock(A)).toEqual([41, 0, 0]);
  });

  it("that is repeated after a rebuild teaches its caller no position of the epoch before", async () => {
    const partition = await openPartition(server.redis, { [A]: 40 });
    // What a rebuild leaves: a new epoch that begins anew, and the ids of what it has from the old one.
    await server.redis.hset(partition.keys.meta, "epoch", 2, "seq", 0);
    await server.redis.hset(partition.keys.movements, "old", 9);
    await server.redis.del(partition.keys.stream);
    const stock = new PartitionStock(server.redis, new KnownPositions());
    const restock = (movementId: string) => stock.restock(partition.at, 2, { movementId, sku: A, quantity: 1 });
    expect(await restock("old")).toEqual({ type: "OK", repeated: true });
    expect(await restock("new")).toEqual({ type: "OK", repeated: false, position: { epoch: 2, seq: 1 } });
  });

  it("takes unsold units away, and never those that are held", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 });
    await partition.place([order([[A, 4]])]);
    expect(await unchanged(() => partition.restock(A, -7))).toEqual(["INSUFFICIENT", 6]);
    expect(await partition.restock(A, -6)).toEqual(["OK", "1", 3, "MOVED"]);
    expect(await partition.stock(A)).toEqual([0, 4, 0]);
    expect((await partition.log()).at(-1)).toMatchObject({ kind: "restock", quantity: -6 });
  });

  it("that was refused may be asked again under its id", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    expect(await partition.restock(A, -6, "m")).toEqual(["INSUFFICIENT", 5]);
    await partition.restock(A, 1);
    expect(await partition.restock(A, -6, "m")).toEqual(["OK", "1", 3, "MOVED"]);
  });

  it("makes a sold-out product sellable", async () => {
    const partition = await openPartition(server.redis, { [A]: 0 });
    expect(await partition.decide(order([[A, 1]]))).toBe(`SOLD_OUT|${A}|0`);
    await partition.restock(A, 1);
    expect(await partition.decide(order([[A, 1]]))).toBe(1);
  });

  it("of a product that is not sold here is refused", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    expect(await unchanged(() => partition.restock(B, 1))).toEqual(["UNKNOWN_SKU"]);
  });

  it("is refused by a partition that is not what the caller knows, and writes nothing", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 }, { epoch: 3 });
    expect(await unchanged(() => partition.restock(A, 1, "m", { epoch: 2 }))).toEqual(["STALE_EPOCH", "3"]);
    expect(await unchanged(() => partition.restock(A, 1, "m", { epoch: 3, minSeq: 2 }))).toEqual([
      "REGRESSED",
      "3",
      "1",
    ]);
    expect(await unchanged(() => new TestPartition(server.redis).restock(A, 1))).toEqual(["NOT_LOADED"]);
  });

  it.each(["0", "1.5", "1e3", "inf", "nan", "0x10", " 7", "", "1000000000001", "-1000000000001"])(
    "of %j units is refused and writes nothing",
    async (quantity) => {
      const partition = await openPartition(server.redis, { [A]: 5 });
      await unchanged(() =>
        expect(partition.run("restock", [1, 0, "m", A, quantity])).rejects.toThrow("INVALID_ARGUMENT restock"),
      );
    },
  );

  it.each(["", "a|b", "a\nb"])("under the movement id %j, which would break its entry, is refused", async (id) => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    await unchanged(() => expect(partition.restock(A, 1, id)).rejects.toThrow("INVALID_ARGUMENT restock"));
  });
});

describe("open", () => {
  it("creates a partition only when the caller may", async () => {
    const partition = new TestPartition(server.redis);
    expect(await unchanged(() => partition.open({ create: false, limits: { [A]: 1 } }))).toEqual(["NOT_LOADED"]);
    expect(await partition.open({ create: true, limits: { [A]: 1 } })).toEqual(["OK", "1", "0"]);
  });

  it("creates it without a unit, with the persister's group at the log's beginning", async () => {
    const partition = new TestPartition(server.redis);
    await partition.open({ epoch: 4, limits: { [A]: 2 } });
    expect(await server.redis.hgetall(partition.keys.stock)).toEqual({
      [`${A}|a`]: "0",
      [`${A}|r`]: "0",
      [`${A}|s`]: "0",
      [`${A}|l`]: "2",
    });
    expect(await server.redis.hgetall(partition.keys.meta)).toEqual({
      epoch: "4",
      seq: "0",
      reservation: "0",
      persisted: "0",
      opensAt: "0",
      closesAt: "0",
      state: "open",
      ttl: String(TTL_MS),
    });
    const [group] = (await server.redis.xinfo("GROUPS", partition.keys.stream)) as unknown[][];
    expect(group).toEqual(expect.arrayContaining([CONSUMER_GROUP, "0-0"]));
  });

  it("lays a new window, state, time to live and limits over it, and adds products, without moving stock or seq", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 }, { limits: { [A]: 1 } });
    await partition.place([order([[A, 1]])]);
    const settings = { opensAt: 5, closesAt: 9, state: "paused", ttl: 77, limits: { [A]: 4, [B]: 2 } };
    expect(await partition.open({ create: false, ...settings })).toEqual(["OK", "1", "2"]);

    expect(await partition.stock(A)).toEqual([9, 1, 0]);
    expect(await partition.stock(B)).toEqual([0, 0, 0]);
    expect(await server.redis.hmget(partition.keys.stock, `${A}|l`, `${B}|l`)).toEqual(["4", "2"]);
    expect(await server.redis.hgetall(partition.keys.meta)).toMatchObject({
      epoch: "1",
      seq: "2",
      reservation: "1",
      opensAt: "5",
      closesAt: "9",
      state: "paused",
      ttl: "77",
    });
    expect(await partition.log()).toHaveLength(2);
  });

  it("may be repeated: the second call changes nothing, even when it may create", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 });
    await partition.place([order([[A, 1]])]);
    await unchanged(() => partition.open({ create: true, limits: { [A]: 0 } }));
  });

  it("under another epoch is refused and writes nothing", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 }, { epoch: 2 });
    for (const epoch of [1, 3]) {
      expect(await unchanged(() => partition.open({ epoch, state: "closed" }))).toEqual(["STALE_EPOCH", "2"]);
    }
  });

  it.each<[string, (args: (string | number)[]) => (string | number)[]]>([
    ["an epoch of zero", (args) => args.with(0, 0)],
    ["an epoch that is not whole", (args) => args.with(0, "1.5")],
    ["an epoch that Redis would write otherwise", (args) => args.with(0, "1e3")],
    ["a creation that is neither yes nor no", (args) => args.with(1, "yes")],
    ["an opening that is no instant", (args) => args.with(2, "soon")],
    ["a closing that is no instant", (args) => args.with(3, "never")],
    ["a state of its own", (args) => args.with(4, "sold_out")],
    ["no time to live", (args) => args.with(5, 0)],
    ["no group", (args) => args.with(6, "")],
    ["more items than given", (args) => args.with(7, 2)],
    ["fewer items than given", (args) => args.with(7, 0)],
    ["a product that would break a hold", (args) => args.with(8, "a|b")],
    ["a negative limit", (args) => args.with(9, -1)],
    ["a limit that is not whole", (args) => args.with(9, "0.5")],
    ["a limit that is not a number by name", (args) => args.with(9, "nan")],
  ])("with %s is refused and writes nothing", async (_what, spoil) => {
    const partition = new TestPartition(server.redis);
    const args = spoil([1, 1, 0, 0, "open", TTL_MS, CONSUMER_GROUP, 1, A, 1]);
    await unchanged(() => expect(partition.run("open", args)).rejects.toThrow("INVALID_ARGUMENT open"));
  });
});

describe("load", () => {
  const load = (partition: TestPartition, epoch: number, ...items: (string | number)[]) =>
    partition.run("load", [epoch, 7, 0, 0, "open", TTL_MS, CONSUMER_GROUP, 20_000, items.length / 5, ...items]);

  it("lays a partition down under its new epoch, ready to sell from the figures given", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    expect(await load(partition, 2, A, 3, 2, 1, 4)).toEqual(["OK", "2", 0]);
    expect(await partition.stock(A)).toEqual([2, 1, 4]);
    const placed = await partition.place([order([[A, 2]]), order([[A, 1]])], { epoch: 2 });
    expect(placed).toMatchObject({ epoch: "2", seq: 1, verdicts: [8, `SOLD_OUT|${A}|0`] });
    await expect(partition.placeRaw([order([[A, 1]])], { epoch: 1 })).resolves.toEqual(["STALE_EPOCH", "2"]);
  });

  it("leaves a partition of the same or a later epoch alone", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    await load(partition, 3, A, 0, 1, 0, 0);
    for (const epoch of [1, 2, 3]) {
      expect(await unchanged(() => load(partition, epoch, A, 0, 9, 0, 0))).toEqual(["STALE_EPOCH", "3"]);
    }
  });

  it.each([
    [0, A, 0, 1, 0, 0],
    [2, A, 0, -1, 0, 0],
    [2, A, 0, 1.5, 0, 0],
    [2, "a|b", 0, 1, 0, 0],
    [2, A, 0, 1, 0, 0, B],
  ])("refuses malformed arguments and writes nothing (%s %s %s %s)", async (epoch, ...items) => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    await unchanged(() => expect(load(partition, Number(epoch), ...items)).rejects.toThrow("INVALID_ARGUMENT load"));
  });
});
