// place.lua: calls that must leave no trace. Malformed arguments, a full memory, and a script cache that was flushed.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runScript } from "../../engine/redis/scripts.ts";
import { encodeOrder, keyspaceDigest, openPartition, order, sku, type TestPartition } from "./partition.ts";
import { type LuaServer, startLuaServer } from "./server.ts";

let server: LuaServer;
beforeAll(async () => {
  server = await startLuaServer();
});
afterAll(() => server.stop());

const A = sku(1);
const good = () => encodeOrder(order([[A, 1]]));
const head = (count: number | string = 1) => [1, 0, 0, 0, count];
/** One order with the argument at `index` replaced: id, buyer, scope, hash, payload, number of lines, sku, units. */
const withArgument = (index: number, value: string) => [...head(), ...good().with(index, value)];

describe("malformed arguments are refused before anything is read or written", () => {
  const calls: [string, (string | number)[]][] = [
    ["none at all", []],
    ["no orders", head(0)],
    ["fewer orders than counted", [...head(2), ...good()]],
    ["more orders than counted", [...head(1), ...good(), ...good()]],
    ["257 orders", [...head(257), ...Array.from({ length: 257 }, good).flat()]],
    ["a count that is no number", [...head("many"), ...good()]],
    ["a count that is not whole", [...head("1.5"), ...good()]],
    ["a count that is not a number by name", [...head("nan")]],
    ["a minSeq that is no number", [1, "nan", 0, 0, 1, ...good()]],
    ["a negative backlog", [1, 0, -1, 0, 1, ...good()]],
    ["an askedAgain that is neither 0 nor 1", [1, 0, 0, 2, 1, ...good()]],
    ["an empty order id", withArgument(0, "")],
    ["an order id that would break its records", withArgument(0, "a|b")],
    ["a buyer that would break the hold", withArgument(1, "cus|1")],
    ["a payload of two lines, which would forge a line of the log", withArgument(4, "{}\nforged|1|{}")],
    ["no lines", [...head(), ...good().slice(0, 5), 0]],
    ["lines that are not whole", withArgument(5, "1.5")],
    ["more lines than there are", withArgument(5, "2")],
    ["endless lines", withArgument(5, "inf")],
    ["no units", withArgument(7, "0")],
    ["negative units", withArgument(7, "-1")],
    ["half a unit", withArgument(7, "1.5")],
    ["too many units", withArgument(7, "1000000001")],
    ["endless units", withArgument(7, "inf")],
    ["units that are not a number by name", withArgument(7, "nan")],
    ["units that are no number", withArgument(7, "two")],
    ["a good order before a bad one", [...head(2), ...good(), ...good().with(7, "0")]],
  ];
  let partition: TestPartition;
  beforeAll(async () => {
    partition = await openPartition(server.redis, { [A]: 5 });
  });

  it.each(calls)("%s", async (_what, args) => {
    const before = await keyspaceDigest(server.redis);
    await expect(partition.run("place", args)).rejects.toThrow(/^INVALID_ARGUMENT place/);
    expect(await keyspaceDigest(server.redis)).toBe(before);
  });

  it("the same call without the mistake is accepted", async () => {
    expect(await partition.run("place", [...head(), ...good()])).toContain("OK");
  });
});

describe("a full memory", () => {
  const full = async <T>(during: () => Promise<T>): Promise<T> => {
    await server.redis.config("SET", "maxmemory", "1");
    try {
      return await during();
    } finally {
      await server.redis.config("SET", "maxmemory", "0");
    }
  };

  it("refuses an order whole", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    const before = await keyspaceDigest(server.redis);
    await full(() => expect(partition.placeRaw([order([[A, 1]])])).rejects.toThrow(/^OOM/));
    expect(await keyspaceDigest(server.redis)).toBe(before);
    expect(await partition.decide(order([[A, 1]]))).toBe(1);
  });

  it("still answers for what was accepted, refused or keyed before, which writes nothing", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    const first = order([[A, 1]], { scope: "s", hash: "h" });
    await partition.place([first]);
    const { verdicts } = await full(() =>
      partition.place([first, order([[A, 1]], { scope: "s", hash: "h" }), order([[A, 9]])]),
    );
    expect(verdicts).toEqual([expect.stringMatching(/^KNOWN/), `REPLAY|${first.id}`, `SOLD_OUT|${A}|4`]);
  });

  it("refuses a call asked again that would have to record a refusal, and answers one that would not", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    const [known, refused] = [order([[A, 1]]), order([[A, 9]])];
    await partition.place([known]);
    const before = await keyspaceDigest(server.redis);
    const again = { askedAgain: true };
    await full(async () => {
      await expect(partition.placeRaw([known, refused], again)).rejects.toThrow(/^OOM/);
      expect(await partition.decide(known, again)).toMatch(/^KNOWN/);
    });
    expect(await keyspaceDigest(server.redis)).toBe(before);
  });

  it("lets a release through, with all that belongs to it", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 }, { limits: { [A]: 2 } });
    const placed = order([[A, 2]]);
    await partition.place([placed]);
    await full(async () => expect(await partition.release([[placed.id, 1]])).toEqual(["OK", "1", 3, "MOVED"]));
    expect(await partition.stock(A)).toEqual([5, 0, 0]);
    expect(await server.redis.exists(partition.keys.held, partition.keys.limits)).toBe(0);
  });

  it("lets the persister keep its lease, acknowledge and trim, or it would never drain", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    await partition.place([order([[A, 1]])]);
    await server.redis.xreadgroup("GROUP", "persister", "p", "STREAMS", partition.keys.stream, ">");
    await full(async () => {
      expect(await partition.run("lease", ["p", 5_000])).toBe(1);
      expect(await partition.acknowledge("1-2", 1, ["1-1", "1-2"])).toBe(2);
    });
    expect(await server.redis.hget(partition.keys.meta, "persisted")).toBe("1");
  });

  it.each(["settle", "restock"] as const)("refuses a %s whole", async (name) => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    const placed = order([[A, 2]]);
    await partition.place([placed]);
    const before = await keyspaceDigest(server.redis);
    const call = () => (name === "settle" ? partition.settle([[placed.id, 1]]) : partition.restock(A, 1));
    await full(() => expect(call()).rejects.toThrow(/^OOM/));
    expect(await keyspaceDigest(server.redis)).toBe(before);
    expect(await call()).toContain("MOVED");
  });
});

describe("the script cache", () => {
  it("may be flushed at any time: callers notice nothing", async () => {
    const partition = await openPartition(server.redis, { [A]: 50 });
    const calls: Promise<number | string>[] = [];
    for (let i = 0; i < 20; i += 1) {
      calls.push(partition.decide(order([[A, 1]])));
      await server.redis.script("FLUSH");
    }
    expect((await Promise.all(calls)).toSorted((a, b) => Number(a) - Number(b))).toEqual(calls.map((_, i) => i + 1));
    await server.redis.script("FLUSH");
    await partition.open({ state: "paused" });
    expect(await partition.decide(order([[A, 1]]))).toMatch(/^NOT_OPEN\|paused/);
  });

  it("is asked with exactly the keys that the script's header declares", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    await expect(runScript(server.redis, "place", [partition.keys.meta], [])).rejects.toThrow("takes 9 keys, not 1");
  });
});
