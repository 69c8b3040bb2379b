// honour.lua: the units of an order that was lost go from the holdback, which Redis does not count, straight to reserved.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPartition, order, sku, TTL_MS, writesNothing } from "./partition.ts";
import { type LuaServer, startLuaServer } from "./server.ts";

let server: LuaServer;
beforeAll(async () => {
  server = await startLuaServer();
});
afterAll(() => server.stop());

const A = sku(1);
const B = sku(2);

const unchanged = <T>(call: () => Promise<T>) => writesNothing(server.redis, call);

describe("honour", () => {
  it("reserves held-back units, and none that are available", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    const lost = order([[A, 3]]);
    const verdict = expect.stringMatching(/^HONOURED\|1\|\d+$/);
    expect(await partition.honour(lost, { [A]: 3 })).toEqual(["OK", "1", 2, verdict]);
    expect(await partition.stock(A)).toEqual([5, 3, 0]);
    const [hold] = await server.redis.hmget(partition.keys.held, lost.id);
    expect(hold).toMatch(new RegExp(`^1\\|\\d+\\|1-2\\|${lost.buyer}\\|${A}=3$`));
  });

  it("logs a placement that says where its units come from, with a whole reservation's time", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    const lost = order([[A, 3]]);
    await partition.honour(lost, { [A]: 3 });
    const placed = (await partition.log()).at(-1);
    if (placed?.kind !== "place") throw new Error("no placement");
    expect(placed).toMatchObject({
      position: { epoch: 1, seq: 2 },
      fromHoldback: true,
      orders: [{ orderId: lost.id, reservation: 1, payload: JSON.parse(lost.payload) }],
      unreadable: [],
    });
    expect(placed.deadlineMs - placed.atMs).toBe(TTL_MS);
  });

  it("takes from what is available what the holdback lacks", async () => {
    const partition = await openPartition(server.redis, { [A]: 5, [B]: 2 });
    const lost = order([
      [A, 3],
      [B, 2],
    ]);
    await partition.honour(lost, { [A]: 1 });
    expect(await partition.stock(A)).toEqual([3, 3, 0]);
    expect(await partition.stock(B)).toEqual([0, 2, 0]);
  });

  it("asked again repeats its verdict, whatever became of the hold", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    const lost = order([[A, 1]]);
    await partition.honour(lost, { [A]: 1 });
    const known = expect.stringMatching(/^KNOWN\|1\|\d+\|1-2$/);
    expect(await unchanged(() => partition.honour(lost, { [A]: 1 }))).toEqual(["OK", "1", 2, known]);
    await partition.release([[lost.id, 1]]);
    expect(await partition.stock(A)).toEqual([6, 0, 0]);
    expect(await unchanged(() => partition.honour(lost, { [A]: 1 }))).toEqual(["OK", "1", 3, known]);
  });

  it("does not ask whether the sale is open", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 }, { state: "closed" });
    expect(await partition.honour(order([[A, 1]]), { [A]: 1 })).toEqual([
      "OK",
      "1",
      2,
      expect.stringMatching(/^HONOURED/),
    ]);
  });

  it("keeps the buyer's limit, and counts to it", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 }, { limits: { [A]: 2 } });
    const first = order([[A, 1]]);
    await partition.place([first]);
    const lost = order([[A, 2]], { buyer: first.buyer });
    expect(await unchanged(() => partition.honour(lost, { [A]: 2 }))).toEqual(["OK", "1", 2, `LIMIT|${A}|2|1`]);
    await partition.release([[first.id, 1]]);
    await partition.honour(lost, { [A]: 2 });
    expect(await partition.decide(order([[A, 1]], { buyer: first.buyer }))).toBe(`LIMIT|${A}|2|2`);
  });

  it.each<[what: string, lines: [string, number], held: number, verdict: string]>([
    ["too few units are left beside the holdback", [A, 9], 3, `SOLD_OUT|${A}|5`],
    ["the product is not sold here", [B, 1], 1, `UNKNOWN_SKU|${B}`],
  ])("refuses whole, when %s", async (_what, [name, units], held, verdict) => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    const lost = order([[name, units]]);
    expect(await unchanged(() => partition.honour(lost, { [name]: held }))).toEqual(["OK", "1", 1, verdict]);
  });

  it("is refused under another epoch, on a Redis that is behind, and on one that is empty", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    const lost = order([[A, 1]]);
    expect(await unchanged(() => partition.honour(lost, {}, { epoch: 2 }))).toEqual(["STALE_EPOCH", "1"]);
    expect(await unchanged(() => partition.honour(lost, {}, { minSeq: 9 }))).toEqual(["REGRESSED", "1", "1"]);
    await server.redis.del(partition.keys.meta);
    expect(await unchanged(() => partition.honour(lost))).toEqual(["NOT_LOADED"]);
  });

  it.each<[what: string, args: (string | number)[]]>([
    ["more from the holdback than are wanted", [1, 0, "id", "b", "{}", 1, A, 1, 2]],
    ["no units", [1, 0, "id", "b", "{}", 1, A, 0, 0]],
    ["a product twice", [1, 0, "id", "b", "{}", 2, A, 1, 0, A, 1, 0]],
    ["a line feed in the payload", [1, 0, "id", "b", "{\n}", 1, A, 1, 0]],
    ["a bar in the id", [1, 0, "i|d", "b", "{}", 1, A, 1, 0]],
    ["a count that is not theirs", [1, 0, "id", "b", "{}", 2, A, 1, 0]],
  ])("refuses %s", async (_what, args) => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    await unchanged(() => expect(partition.run("honour", args)).rejects.toThrow("INVALID_ARGUMENT honour"));
  });
});
