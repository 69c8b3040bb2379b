// revive.lua and take-back.lua: units that move after an order's end.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPartition, order, sku, type TestOrder, type TestPartition, writesNothing } from "./partition.ts";
import { type LuaServer, startLuaServer } from "./server.ts";

let server: LuaServer;
beforeAll(async () => {
  server = await startLuaServer();
});
afterAll(() => server.stop());

const [A, B] = [sku(1), sku(2)] as const;

async function stockOf({ redis, keys }: TestPartition, name: string): Promise<number[]> {
  return (await redis.hmget(keys.stock, `${name}|a`, `${name}|r`, `${name}|s`)).map(Number);
}
const limitOf = ({ redis, keys }: TestPartition, buyer: string, name: string) =>
  redis.hget(keys.limits, `${buyer}|${name}`);
async function entries(partition: TestPartition) {
  return (await partition.log()).map(({ position: _, atMs: __, ...rest }) => rest);
}

/** An order that was placed under number 1 and released again. */
async function released(partition: TestPartition, placed: TestOrder): Promise<void> {
  const reservation = await partition.decide(placed);
  await partition.release([[placed.id, Number(reservation)]]);
}

describe("revive", () => {
  it("takes the units again under a new number, limit included, and says so in the log", async () => {
    const partition = await openPartition(server.redis, { [A]: 5, [B]: 5 }, { limits: { [A]: 3 } });
    const late = order([
      [A, 2],
      [B, 1],
    ]);
    await released(partition, late);
    expect(await partition.revive([late])).toEqual(["OK", "1", 5, "REVIVED|2|1-5"]);
    expect(await stockOf(partition, A)).toEqual([3, 2, 0]);
    expect(await stockOf(partition, B)).toEqual([4, 1, 0]);
    expect(await limitOf(partition, late.buyer, A)).toBe("2");
    expect(await limitOf(partition, late.buyer, B)).toBeNull();
    const units = [
      { sku: A, units: 2 },
      { sku: B, units: 1 },
    ];
    const holds = [{ orderId: late.id, reservation: 2, buyer: late.buyer, units }];
    expect((await entries(partition)).at(-1)).toEqual({ kind: "revive", holds, unreadable: [] });
  });

  it("may come after the sale, or while it is paused", async () => {
    const partition = await openPartition(server.redis, { [A]: 1 });
    const late = order([[A, 1]]);
    await released(partition, late);
    await partition.open({ create: false, state: "closed", closesAt: 1, limits: { [A]: 0 } });
    expect(await partition.revive([late])).toEqual(["OK", "1", 4, "REVIVED|2|1-4"]);
  });

  it("takes all of an order or nothing, and says what is missing", async () => {
    const partition = await openPartition(server.redis, { [A]: 5, [B]: 1 }, { limits: { [A]: 2 } });
    const buyer = "cus_again";
    const wants = (lines: [string, number][]) => order(lines, { buyer });
    await partition.place([wants([[A, 1]])]);
    const verdicts = await partition.revive([
      wants([
        [A, 1],
        [B, 2],
      ]),
      wants([[A, 2]]),
      wants([[sku(9), 1]]),
      wants([[A, 1]]),
      wants([[A, 1]]),
    ]);
    expect(verdicts).toEqual([
      ...["OK", "1", 4],
      `SOLD_OUT|${B}|1`,
      `LIMIT|${A}|2|1`,
      `UNKNOWN_SKU|${sku(9)}`,
      "REVIVED|2|1-4",
      `LIMIT|${A}|2|2`,
    ]);
    expect(await stockOf(partition, A)).toEqual([3, 2, 0]);
    expect(await stockOf(partition, B)).toEqual([1, 0, 0]);
  });

  it("repeats its verdict: a hold is taken once", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    const late = order([[A, 2]]);
    await released(partition, late);
    await partition.revive([late]);
    const again = () => partition.revive([late, late], { minSeq: 4 });
    expect(await writesNothing(server.redis, again)).toEqual(["OK", "1", 4, "KNOWN|2|1-4", "KNOWN|2|1-4"]);
    await partition.settle([[late.id, 2]]);
    expect(await writesNothing(server.redis, again)).toEqual(["OK", "1", 5, "KNOWN|2|1-4", "KNOWN|2|1-4"]);
  });

  it("repeats its refusal, whatever came back since: the money may be on its way", async () => {
    const partition = await openPartition(server.redis, { [A]: 1 });
    const late = order([[A, 1]]);
    await released(partition, late);
    const other = order([[A, 1]]);
    await partition.place([other]);
    expect(await partition.revive([late])).toEqual(["OK", "1", 4, `SOLD_OUT|${A}|0`]);
    await partition.release([[other.id, 2]]);
    const again = () => partition.revive([late]);
    expect(await writesNothing(server.redis, again)).toEqual(["OK", "1", 5, `SOLD_OUT|${A}|0`]);
    expect(await stockOf(partition, A)).toEqual([1, 0, 0]);
  });

  it("knows a hold that a rebuild wrote", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    const late = order([[A, 2]]);
    await released(partition, late);
    await partition.revive([late]);
    await server.redis.del(partition.keys.movements);
    expect(await partition.revive([late])).toEqual(["OK", "1", 4, "KNOWN|2|1-4"]);
  });

  it("the old number ends nothing, the new one does", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    const late = order([[A, 2]]);
    await released(partition, late);
    await partition.revive([late]);
    expect(await partition.release([[late.id, 1]])).toEqual(["OK", "1", 4, "MISMATCH"]);
    expect(await partition.settle([[late.id, 2]])).toEqual(["OK", "1", 5, "MOVED"]);
    expect(await stockOf(partition, A)).toEqual([3, 0, 2]);
    expect(await partition.release([[late.id, 1]])).toEqual(["OK", "1", 5, "ALREADY"]);
  });

  it("is refused whole by a partition that is lost, of another epoch, or behind", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    const late = order([[A, 1]]);
    expect(await partition.revive([late], { epoch: 2 })).toEqual(["STALE_EPOCH", "1"]);
    expect(await partition.revive([late], { minSeq: 2 })).toEqual(["REGRESSED", "1", "1"]);
    await server.redis.del(partition.keys.meta);
    expect(await partition.revive([late])).toEqual(["NOT_LOADED"]);
  });

  it.each([
    ["no order", [1, 0, 0]],
    ["too many orders", [1, 0, 101]],
    ["no product", [1, 0, 1, "id", "cus", 0]],
    ["a product twice", [1, 0, 1, "id", "cus", 2, A, 1, A, 1]],
    ["no units", [1, 0, 1, "id", "cus", 1, A, 0]],
    ["units in words", [1, 0, 1, "id", "cus", 1, A, "1e3"]],
    ["too little", [1, 0, 1, "id", "cus", 2, A, 1]],
    ["too much", [1, 0, 1, "id", "cus", 1, A, 1, "more"]],
    ["an id that takes records apart", [1, 0, 1, "i|d", "cus", 1, A, 1]],
    ["a buyer that takes records apart", [1, 0, 1, "id", "c|us", 1, A, 1]],
    ["no buyer", [1, 0, 1, "id", "", 1, A, 1]],
  ])("refuses %s and writes nothing", async (_what, args) => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    await writesNothing(server.redis, () => expect(partition.run("revive", args)).rejects.toThrow("INVALID_ARGUMENT"));
  });
});

describe("take back", () => {
  /** A partition with an order of two units that is sold, under a limit. */
  async function sold(limit = 3) {
    const partition = await openPartition(server.redis, { [A]: 5, [B]: 5 }, { limits: { [A]: limit } });
    const bought = order([[A, 2]]);
    await partition.place([bought]);
    await partition.settle([[bought.id, 1]]);
    const returned = (movementId: string, units: number, name: string = A) =>
      ({ movementId, orderId: bought.id, buyer: bought.buyer, lines: [[name, units]] }) as const;
    return { partition, bought, returned };
  }

  it("puts units on sale again and gives their limit back", async () => {
    const { partition, bought, returned } = await sold();
    expect(await partition.takeBack(true, [returned("r1", 1)])).toEqual(["OK", "1", 5, "MOVED"]);
    expect(await stockOf(partition, A)).toEqual([4, 0, 1]);
    expect(await limitOf(partition, bought.buyer, A)).toBe("1");
    const { id: orderId, buyer } = bought;
    const returns = [{ movementId: "r1", orderId, buyer, restock: true, units: [{ sku: A, units: 1 }] }];
    expect((await entries(partition)).at(-1)).toEqual({ kind: "return", returns, unreadable: [] });
    await partition.takeBack(true, [returned("r2", 1)]);
    expect(await limitOf(partition, bought.buyer, A)).toBeNull();
  });

  it("writes units off: they are gone, and stay counted", async () => {
    const { partition, bought, returned } = await sold();
    expect(await partition.takeBack(false, [returned("r1", 2)])).toEqual(["OK", "1", 5, "MOVED"]);
    expect(await stockOf(partition, A)).toEqual([3, 0, 0]);
    expect(await limitOf(partition, bought.buyer, A)).toBe("2");
  });

  it("moves a return once, also within one call", async () => {
    const { partition, returned } = await sold();
    const twice = [returned("r1", 1), returned("r1", 1)];
    expect(await partition.takeBack(true, twice)).toEqual(["OK", "1", 5, "MOVED", "REPEATED"]);
    const again = () => partition.takeBack(true, twice);
    expect(await writesNothing(server.redis, again)).toEqual(["OK", "1", 5, "REPEATED", "REPEATED"]);
    expect(await stockOf(partition, A)).toEqual([4, 0, 1]);
  });

  it("takes back no more than is sold; what was refused may come again", async () => {
    const { partition, bought, returned } = await sold();
    const replies = await partition.takeBack(true, [returned("r1", 1), returned("r2", 2), returned("r3", 1, B)]);
    expect(replies).toEqual(["OK", "1", 5, "MOVED", "INSUFFICIENT", "INSUFFICIENT"]);
    const more = order([[A, 1]], { buyer: bought.buyer });
    await partition.place([more]);
    await partition.settle([[more.id, 2]]);
    expect(await partition.takeBack(true, [returned("r2", 2)])).toEqual(["OK", "1", 8, "MOVED"]);
    expect(await stockOf(partition, A)).toEqual([5, 0, 0]);
  });

  it("gives back what was counted, and no more", async () => {
    const { partition, bought, returned } = await sold(0);
    await partition.open({ create: false, limits: { [A]: 2 } });
    await partition.takeBack(true, [returned("r1", 2)]);
    expect(await limitOf(partition, bought.buyer, A)).toBeNull();
    expect(await partition.decide(order([[A, 2]], { buyer: bought.buyer }))).toBe(2);
  });

  it("is refused whole by a partition that is lost, of another epoch, or behind", async () => {
    const { partition, returned } = await sold();
    expect(await partition.takeBack(true, [returned("r", 1)], { epoch: 2 })).toEqual(["STALE_EPOCH", "1"]);
    expect(await partition.takeBack(true, [returned("r", 1)], { minSeq: 9 })).toEqual(["REGRESSED", "1", "4"]);
    await server.redis.del(partition.keys.meta);
    expect(await partition.takeBack(true, [returned("r", 1)])).toEqual(["NOT_LOADED"]);
  });

  it.each([
    ["no return", [1, 0, 1, 0]],
    ["too many returns", [1, 0, 1, 101]],
    ["neither 0 nor 1", [1, 0, 2, 1, "r", "id", "cus", 1, A, 1]],
    ["no product", [1, 0, 1, 1, "r", "id", "cus", 0]],
    ["a product twice", [1, 0, 1, 1, "r", "id", "cus", 2, A, 1, A, 1]],
    ["too little", [1, 0, 1, 1, "r", "id", "cus", 2, A, 1]],
    ["too much", [1, 0, 1, 1, "r", "id", "cus", 1, A, 1, "more"]],
    ["an id that takes records apart", [1, 0, 1, 1, "r", "i|d", "cus", 1, A, 1]],
    ["a movement that takes records apart", [1, 0, 1, 1, "r|", "id", "cus", 1, A, 1]],
  ])("refuses %s and writes nothing", async (_what, args) => {
    const { partition } = await sold();
    const call = () => expect(partition.run("take-back", args)).rejects.toThrow("INVALID_ARGUMENT");
    await writesNothing(server.redis, call);
  });
});
