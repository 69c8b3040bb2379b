// place.lua: what an acceptance writes, how stock is decided, and what makes a call refuse as a whole.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatPosition } from "../../engine/movement.ts";
import { scriptOf } from "../../engine/redis/scripts.ts";
import { keyspaceDigest, openPartition, order, sku, TestPartition, TTL_MS } from "./partition.ts";
import { type LuaServer, startLuaServer } from "./server.ts";

let server: LuaServer;
beforeAll(async () => {
  server = await startLuaServer();
});
afterAll(() => server.stop());

const A = sku(1);
const B = sku(2);

describe("an accepted order", () => {
  it("is answered with its reservation number, the position of its entry and its deadline by Redis TIME", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 });
    const [before] = await server.redis.time();
    const reply = await partition.place([order([[A, 2]])]);
    const [after] = await server.redis.time();

    expect(reply.verdicts).toEqual([1]);
    expect([reply.epoch, reply.seq]).toEqual(["1", 2]);
    expect(reply.deadline).toBe(reply.now + TTL_MS);
    expect(reply.now).toBeGreaterThanOrEqual(Number(before) * 1000);
    expect(reply.now).toBeLessThan((Number(after) + 1) * 1000);
  });

  it("moves its units from available to reserved and writes its hold", async () => {
    const partition = await openPartition(server.redis, { [A]: 10, [B]: 5 }, { limits: { [B]: 4 } });
    const placed = order([
      [A, 2],
      [B, 3],
    ]);
    const reply = await partition.place([placed]);

    expect(await partition.stock(A)).toEqual([8, 2, 0]);
    expect(await partition.stock(B)).toEqual([2, 3, 0]);
    expect(await server.redis.hgetall(partition.keys.held)).toEqual({
      [placed.id]: `1|${reply.deadline}|1-3|${placed.buyer}|${A}=2,${B}=3!`,
    });
    expect(await server.redis.hgetall(partition.keys.limits)).toEqual({ [`${placed.buyer}|${B}`]: "3" });
    expect(await server.redis.hmget(partition.keys.meta, "epoch", "seq", "reservation", "persisted")).toEqual([
      "1",
      "3",
      "1",
      "0",
    ]);
  });

  it("enters the log under (epoch, seq) as the persister reads it", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 }, { epoch: 7 });
    const placed = order([[A, 2]]);
    const reply = await partition.place([placed], { epoch: 7 });

    const movement = (await partition.log()).at(-1);
    expect(movement).toEqual({
      kind: "place",
      position: { epoch: 7, seq: 2 },
      atMs: reply.now,
      deadlineMs: reply.deadline,
      orders: [{ orderId: placed.id, reservation: 1, payload: JSON.parse(placed.payload) }],
      decision: { script: scriptOf("place").version, before: [{ sku: A, available: 10, limit: 0 }], used: [] },
      unreadable: [],
    });
    expect(await server.redis.xrevrange(partition.keys.stream, "+", "-", "COUNT", 1)).toHaveLength(1);
    expect(movement && formatPosition(movement.position)).toBe("7-2");
  });

  it("carries what the call found before its first order: units, limits, and what buyers had already", async () => {
    const partition = await openPartition(server.redis, { [A]: 10, [B]: 5 }, { limits: { [B]: 4 } });
    const buyer = "cus_=,";
    await partition.place([order([[B, 2]], { buyer })]);
    await partition.place([order([[A, 99]]), order([[B, 1]], { buyer }), order([[A, 3]], { buyer }), order([[B, 1]])]);

    const movement = (await partition.log()).at(-1);
    if (movement?.kind !== "place") throw new Error("not a place entry");
    expect(movement.decision?.before.toSorted((a, b) => a.sku.localeCompare(b.sku))).toEqual([
      { sku: A, available: 10, limit: 0 },
      { sku: B, available: 3, limit: 4 },
    ]);
    expect(movement.decision?.used).toEqual([{ buyer, sku: B, units: 2 }]);
  });

  it("shares one entry with the others of its call, each under its own number", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 });
    const orders = [order([[A, 1]]), order([[A, 1]]), order([[A, 1]])];
    expect((await partition.place(orders)).verdicts).toEqual([1, 2, 3]);

    const log = await partition.log();
    expect(log).toHaveLength(2);
    const entry = log[1];
    if (entry?.kind !== "place") throw new Error("not a place entry");
    expect(entry.orders.map(({ orderId, reservation }) => [orderId, reservation])).toEqual(
      orders.map(({ id }, i) => [id, i + 1]),
    );
  });

  it("leaves a log without a gap, whatever was refused in between", async () => {
    const partition = await openPartition(server.redis, { [A]: 3 });
    await partition.place([order([[A, 1]])]);
    await partition.place([order([[A, 99]])]);
    await partition.placeRaw([order([[A, 1]])], { epoch: 2 });
    await partition.place([order([[A, 99]]), order([[A, 1]])]);
    await partition.place([order([[A, 1]])]);
    await partition.place([order([[A, 1]])]);

    expect((await partition.log()).map(({ position }) => position.seq)).toEqual([1, 2, 3, 4]);
    expect(await server.redis.hget(partition.keys.meta, "reservation")).toBe("3");
  });
});

describe("stock", () => {
  it("is compared with the quantity, not with nothing: the last unit does not serve an order for two", async () => {
    const partition = await openPartition(server.redis, { [A]: 1 });
    expect(await partition.decide(order([[A, 2]]))).toBe(`SOLD_OUT|${A}|1`);
    expect(await partition.decide(order([[A, 1]]))).toBe(1);
    expect(await partition.decide(order([[A, 1]]))).toBe(`SOLD_OUT|${A}|0`);
    expect(await partition.stock(A)).toEqual([0, 1, 0]);
  });

  it("is compared with the sum of an order's lines of one product", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    const twice = (units: number) =>
      order([
        [A, units],
        [A, units],
      ]);
    expect(await partition.decide(twice(3))).toBe(`SOLD_OUT|${A}|5`);
    const placed = twice(2);
    expect(await partition.decide(placed)).toBe(1);
    expect(await partition.stock(A)).toEqual([1, 4, 0]);
    expect(await server.redis.hget(partition.keys.held, placed.id)).toMatch(new RegExp(`\\|${A}=4$`));
  });

  it("is taken for all lines of an order or for none", async () => {
    const partition = await openPartition(server.redis, { [A]: 5, [B]: 1 });
    const before = await keyspaceDigest(server.redis);
    expect(
      await partition.decide(
        order([
          [A, 1],
          [B, 2],
        ]),
      ),
    ).toBe(`SOLD_OUT|${B}|1`);
    expect(
      await partition.decide(
        order([
          [A, 1],
          [sku(99), 1],
        ]),
      ),
    ).toBe(`UNKNOWN_SKU|${sku(99)}`);
    expect(await keyspaceDigest(server.redis)).toBe(before);
  });

  it("that an earlier order of the call took is gone for the later ones, which may still fit by less", async () => {
    const partition = await openPartition(server.redis, { [A]: 3, [B]: 1 });
    const { verdicts } = await partition.place([
      order([[A, 2]]),
      order([[A, 2]]),
      order([
        [A, 1],
        [B, 2],
      ]),
      order([[A, 1]]),
      order([[A, 1]]),
    ]);
    expect(verdicts).toEqual([1, `SOLD_OUT|${A}|1`, `SOLD_OUT|${B}|1`, 2, `SOLD_OUT|${A}|0`]);
    expect(await partition.stock(A)).toEqual([0, 3, 0]);
    expect(await partition.stock(B)).toEqual([1, 0, 0]);
  });

  it("is never oversold by calls that run at the same time", async () => {
    const partition = await openPartition(server.redis, { [A]: 100 });
    const calls = Array.from({ length: 40 }, () => partition.place(Array.from({ length: 5 }, () => order([[A, 1]]))));
    const verdicts = (await Promise.all(calls)).flatMap((reply) => reply.verdicts);
    expect(verdicts.filter((verdict) => typeof verdict === "number")).toHaveLength(100);
    expect(await partition.stock(A)).toEqual([0, 100, 0]);
  });

  it("of 256 orders of 40 products each, far above what Lua can unpack at once, is decided in one call", async () => {
    const orders = Array.from({ length: 256 }, (_, o) =>
      order(
        Array.from({ length: 40 }, (_, line) => [sku(o * 40 + line), 1] as const),
        { scope: `scope-${o}`, hash: "h" },
      ),
    );
    const names = orders.flatMap(({ lines }) => lines.map(([name]) => name));
    const partition = new TestPartition(server.redis);
    await partition.open({ limits: Object.fromEntries(names.slice(0, 5_000).map((name) => [name, 1])) });
    await partition.open({ limits: Object.fromEntries(names.slice(5_000).map((name) => [name, 1])) });
    await server.redis.hset(partition.keys.stock, Object.fromEntries(names.map((name) => [`${name}|a`, 1])));

    expect((await partition.place(orders)).verdicts).toEqual(orders.map((_, i) => i + 1));
    expect(await server.redis.hlen(partition.keys.held)).toBe(256);
    expect(await server.redis.hlen(partition.keys.limits)).toBe(10_240);
    for (const name of [names[0], names[5_000], names.at(-1)] as string[]) {
      expect(await partition.stock(name)).toEqual([0, 1, 0]);
    }
    const again = await partition.place(orders.map(({ lines, buyer }) => order(lines, { buyer })));
    expect(again.verdicts).toEqual(orders.map(({ lines }) => `LIMIT|${lines[0]?.[0]}|1|1`));
  });
});

describe("a partition that is not what the caller knows", () => {
  const refusals: [string, (partition: TestPartition) => Promise<unknown>, unknown[]][] = [
    ["has a newer epoch", (partition) => partition.placeRaw([order([[A, 1]])], { epoch: 2 }), ["STALE_EPOCH", "3"]],
    ["has an older epoch", (partition) => partition.placeRaw([order([[A, 1]])], { epoch: 4 }), ["STALE_EPOCH", "3"]],
    [
      "is behind what the caller has seen",
      (partition) => partition.placeRaw([order([[A, 1]])], { epoch: 3, minSeq: 2 }),
      ["REGRESSED", "3", "1"],
    ],
  ];
  it.each(refusals)("%s: the call is refused whole and nothing is written", async (_why, call, answer) => {
    const partition = await openPartition(server.redis, { [A]: 5 }, { epoch: 3 });
    const before = await keyspaceDigest(server.redis);
    expect(await call(partition)).toEqual(answer);
    expect(await keyspaceDigest(server.redis)).toBe(before);
  });

  it("is not there: NOT_LOADED, and no key is made", async () => {
    const partition = new TestPartition(server.redis);
    const before = await keyspaceDigest(server.redis);
    expect(await partition.placeRaw([order([[A, 1]])])).toEqual(["NOT_LOADED"]);
    expect(await keyspaceDigest(server.redis)).toBe(before);
  });

  it("lost its keys while it sold: the next order is refused, not sold from nothing", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    await partition.place([order([[A, 1]])]);
    await server.redis.del(Object.values(partition.keys));
    expect(await partition.placeRaw([order([[A, 1]])], { minSeq: 2 })).toEqual(["NOT_LOADED"]);
  });

  it("at exactly the seq that the caller has seen decides as usual", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    expect(await partition.decide(order([[A, 1]]), { minSeq: 1 })).toBe(1);
  });

  it("has a log that is ahead of its numbers: Redis refuses the entry and nothing is written", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    await server.redis.xadd(partition.keys.stream, "1-900", "kind", "place");
    const before = await keyspaceDigest(server.redis);
    await expect(partition.placeRaw([order([[A, 1]])])).rejects.toThrow(/equal or smaller/);
    expect(await keyspaceDigest(server.redis)).toBe(before);
  });
});

describe("the backlog cap", () => {
  it("counts accepted orders that Postgres does not have, over the orders of one call too", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 });
    const { verdicts } = await partition.place([order([[A, 1]]), order([[A, 1]]), order([[A, 1]])], { backlogMax: 2 });
    expect(verdicts).toEqual([1, 2, "BACKLOG"]);
    expect(await partition.decide(order([[A, 1]]), { backlogMax: 2 })).toBe("BACKLOG");
    expect(await partition.decide(order([[A, 1]]), { backlogMax: 0 })).toBe(3);
  });

  it("gives room again when Postgres has caught up", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 });
    await partition.place([order([[A, 1]]), order([[A, 1]])], { backlogMax: 2 });
    await partition.acknowledge("1-2", 1, []);
    const { verdicts } = await partition.place([order([[A, 1]]), order([[A, 1]])], { backlogMax: 2 });
    expect(verdicts).toEqual([3, "BACKLOG"]);
  });

  it("still answers orders that were accepted before", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 });
    const first = order([[A, 1]], { scope: "s", hash: "h" });
    await partition.place([first], { backlogMax: 1 });
    const { verdicts } = await partition.place([first, { ...first, id: randomUUID() }], { backlogMax: 1 });
    expect(verdicts).toEqual([expect.stringMatching(/^KNOWN\|1\|\d+\|1-2$/), `REPLAY|${first.id}`]);
  });
});
