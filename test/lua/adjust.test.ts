// What adjust.lua moves, and everything that keeps it from moving anything.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPartition, order, sku, type TestPartition, writesNothing } from "./partition.ts";
import { type LuaServer, startLuaServer } from "./server.ts";

const A = sku(1);
let server: LuaServer;
beforeAll(async () => {
  server = await startLuaServer();
});
afterAll(() => server.stop());

type Change = readonly [key: string, field: string, was: string | number, wanted: string | number];
const DETAILS = '{"actor":"x"}';

function adjust(
  partition: TestPartition,
  changes: readonly Change[],
  {
    epoch = 1,
    minSeq = 0,
    judged = 1,
    id = "m",
  }: { epoch?: number; minSeq?: number; judged?: number; id?: string } = {},
) {
  return partition.run("adjust", [epoch, minSeq, id, judged, DETAILS, changes.length, ...changes.flat()]);
}
const unchanged = <T>(call: () => Promise<T>) => writesNothing(server.redis, call);

describe("an adjustment", () => {
  it("sets figures, limits, holds and what counts to limits, as one numbered entry", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 }, { limits: { [A]: 5 } });
    const record = `1|9|1-1|buyer|${A}=2!`;
    const changes: Change[] = [
      ["stock", `${A}|a`, 10, 8],
      ["stock", `${A}|r`, 0, 2],
      ["stock", `${A}|l`, 5, 3],
      ["held", "order", "", record],
      ["limits", `buyer|${A}`, "", 2],
    ];
    expect(await adjust(partition, changes)).toEqual(["OK", "1", 2, "MOVED"]);
    expect(await partition.stock(A)).toEqual([8, 2, 0]);
    expect(await server.redis.hget(partition.keys.stock, `${A}|l`)).toBe("3");
    expect(await server.redis.hget(partition.keys.held, "order")).toBe(record);
    expect(await server.redis.hget(partition.keys.limits, `buyer|${A}`)).toBe("2");
    expect(await server.redis.hmget(partition.keys.meta, "seq", "adjusted")).toEqual(["2", "2"]);
    const entries = await server.redis.xrange(partition.keys.stream, "1-2", "1-2");
    expect(entries[0]?.[1]).toEqual(expect.arrayContaining(["kind", "adjust", "lines", `m|${DETAILS}`]));
    // What it wrote is a hold like any other.
    expect(await partition.release([["order", 1]])).toEqual(["OK", "1", 3, "MOVED"]);
    expect(await partition.stock(A)).toEqual([10, 0, 0]);
    expect(await server.redis.hget(partition.keys.limits, `buyer|${A}`)).toBeNull();
  });

  it("removes a record that is to be none", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 });
    await server.redis.hset(partition.keys.held, "order", "nonsense");
    expect(await adjust(partition, [["held", "order", "nonsense", ""]])).toEqual(["OK", "1", 2, "MOVED"]);
    expect(await server.redis.hexists(partition.keys.held, "order")).toBe(0);
  });

  it("is made once: its id is answered with the first number", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 });
    await adjust(partition, [["stock", `${A}|a`, 10, 12]]);
    expect(await unchanged(() => adjust(partition, [["stock", `${A}|a`, 10, 12]]))).toEqual(["OK", "1", 2, "REPEATED"]);
    expect(await partition.stock(A)).toEqual([12, 0, 0]);
  });

  it("moves a figure that flows by the difference that was found", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 });
    await partition.place([order([[A, 4]])]); // 6 left by now; judged at 10, which were 3 too many
    expect(await adjust(partition, [["stock", `${A}|a`, 10, 7]])).toEqual(["OK", "1", 3, "MOVED"]);
    expect(await partition.stock(A)).toEqual([3, 4, 0]);
  });

  it("replaces a figure that is no number", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 });
    await server.redis.hset(partition.keys.stock, `${A}|a`, "ten");
    expect(await adjust(partition, [["stock", `${A}|a`, "ten", 10]])).toEqual(["OK", "1", 2, "MOVED"]);
    expect(await partition.stock(A)).toEqual([10, 0, 0]);
  });
});

describe("nothing at all is moved", () => {
  it("below zero", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 });
    await partition.place([order([[A, 9]])]);
    const changes: Change[] = [
      ["stock", `${A}|r`, 0, 1],
      ["stock", `${A}|a`, 10, 8],
    ];
    expect(await unchanged(() => adjust(partition, changes))).toEqual(["BELOW_ZERO", `${A}|a`, "1"]);
  });

  it("when a record is not as it was judged", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 });
    for (const change of [
      ["held", "order", "record", ""],
      ["limits", "buyer", 1, 2],
      ["stock", `${A}|l`, 9, 5],
    ] as const) {
      expect(await unchanged(() => adjust(partition, [["stock", `${A}|a`, 10, 9], change]))).toEqual([
        "CHANGED",
        change[1],
        change[0] === "stock" ? "0" : "",
      ]);
    }
  });

  it("when a figure was changed without a movement, or is no number", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 });
    expect(await unchanged(() => adjust(partition, [["stock", `${A}|a`, 11, 9]]))).toEqual(["CHANGED", `${A}|a`, "10"]);
    await partition.place([order([[A, 1]])]);
    await server.redis.hset(partition.keys.stock, `${A}|a`, "ten");
    expect(await unchanged(() => adjust(partition, [["stock", `${A}|a`, 10, 9]]))).toEqual([
      "CHANGED",
      `${A}|a`,
      "ten",
    ]);
  });

  it("when another adjustment came after the judgement", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 });
    await adjust(partition, [["stock", `${A}|a`, 10, 12]], { id: "first" });
    expect(await unchanged(() => adjust(partition, [["stock", `${A}|a`, 10, 12]], { id: "second" }))).toEqual([
      "CHANGED",
      "adjusted",
      "2",
    ]);
  });

  it("in a partition that is not what the caller knows", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 }, { epoch: 3 });
    const change: Change[] = [["stock", `${A}|a`, 10, 9]];
    expect(await unchanged(() => adjust(partition, change, { epoch: 2 }))).toEqual(["STALE_EPOCH", "3"]);
    expect(await unchanged(() => adjust(partition, change, { epoch: 3, minSeq: 9 }))).toEqual(["REGRESSED", "3", "1"]);
    await server.redis.del(partition.keys.meta);
    expect(await unchanged(() => adjust(partition, change))).toEqual(["NOT_LOADED"]);
  });

  it.each<[string, (string | number)[]]>([
    ["no change", [1, 0, "m", 1, DETAILS, 0]],
    ["more changes than given", [1, 0, "m", 1, DETAILS, 2, "stock", "f", 1, 2]],
    ["another key", [1, 0, "m", 1, DETAILS, 1, "meta", "seq", 1, 2]],
    ["no field", [1, 0, "m", 1, DETAILS, 1, "held", "", "", "x"]],
    ["a figure below zero", [1, 0, "m", 1, DETAILS, 1, "stock", `${A}|a`, 1, -2]],
    ["a figure that is none", [1, 0, "m", 1, DETAILS, 1, "stock", `${A}|a`, 1, ""]],
    ["an id that would break its entry", [1, 0, "a|b", 1, DETAILS, 1, "held", "o", "", "x"]],
    ["details that would break its entry", [1, 0, "m", 1, "a\nb", 1, "held", "o", "", "x"]],
  ])("with %s", async (_what, args) => {
    const partition = await openPartition(server.redis, { [A]: 10 });
    await unchanged(() => expect(partition.run("adjust", args)).rejects.toThrow("INVALID_ARGUMENT adjust"));
  });
});
