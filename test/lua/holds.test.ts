// settle.lua and release.lua: a hold ends once, under the reservation number that it was taken under, and in no other way.
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPartition, order, sku, type TestPartition, writesNothing } from "./partition.ts";
import { type LuaServer, startLuaServer } from "./server.ts";

let server: LuaServer;
beforeAll(async () => {
  server = await startLuaServer();
});
afterAll(() => server.stop());

const A = sku(1);
const B = sku(2);
const ENDS = ["settle", "release"] as const;

const unchanged = <T>(call: () => Promise<T>) => writesNothing(server.redis, call);

describe("settle", () => {
  it("moves reserved to sold, ends the hold, and logs what was moved", async () => {
    const partition = await openPartition(server.redis, { [A]: 9, [B]: 9 }, { limits: { [B]: 5 } });
    const placed = order([
      [A, 2],
      [B, 3],
    ]);
    const { deadline } = await partition.place([placed]);
    expect(await partition.settle([[placed.id, 1]], { minSeq: 3 })).toEqual(["OK", "1", 4, "MOVED"]);

    expect(await partition.stock(A)).toEqual([7, 0, 2]);
    expect(await partition.stock(B)).toEqual([6, 0, 3]);
    expect(await server.redis.exists(partition.keys.held)).toBe(0);
    expect(await server.redis.hget(partition.keys.limits, `${placed.buyer}|${B}`)).toBe("3");
    expect(await recentOf(partition, placed.id)).toBe(`S|1|${deadline}|1-3`);
    expect((await partition.log()).at(-1)).toEqual({
      kind: "settle",
      position: { epoch: 1, seq: 4 },
      atMs: expect.any(Number),
      holds: [
        {
          orderId: placed.id,
          reservation: 1,
          units: [
            { sku: A, units: 2 },
            { sku: B, units: 3 },
          ],
        },
      ],
      unreadable: [],
    });
  });
});

describe("release", () => {
  it("moves reserved back to available, ends the hold, gives the limit back, and logs what was moved", async () => {
    const partition = await openPartition(server.redis, { [A]: 9, [B]: 9 }, { limits: { [B]: 5 } });
    const placed = order([
      [A, 2],
      [B, 3],
    ]);
    const { deadline } = await partition.place([placed]);
    expect(await partition.release([[placed.id, 1]], { minSeq: 3 })).toEqual(["OK", "1", 4, "MOVED"]);

    expect(await partition.stock(A)).toEqual([9, 0, 0]);
    expect(await partition.stock(B)).toEqual([9, 0, 0]);
    expect(await server.redis.exists(partition.keys.held, partition.keys.limits)).toBe(0);
    expect(await recentOf(partition, placed.id)).toBe(`R|1|${deadline}|1-3`);
    expect((await partition.log()).at(-1)).toMatchObject({
      kind: "release",
      position: { epoch: 1, seq: 4 },
      holds: [{ orderId: placed.id, reservation: 1 }],
    });
  });

  it("makes the units sellable at once", async () => {
    const partition = await openPartition(server.redis, { [A]: 1 });
    const placed = order([[A, 1]]);
    await partition.place([placed]);
    expect(await partition.decide(order([[A, 1]]))).toBe(`SOLD_OUT|${A}|0`);
    await partition.release([[placed.id, 1]]);
    expect(await partition.decide(order([[A, 1]]))).toBe(2);
  });
});

describe.each(ENDS)("%s", (end) => {
  it("of a hold that ended already says ALREADY and writes nothing, whichever way it ended", async () => {
    const partition = await openPartition(server.redis, { [A]: 9 });
    const orders = [order([[A, 2]]), order([[A, 2]])] as const;
    await partition.place(orders);
    await partition.settle([[orders[0].id, 1]]);
    await partition.release([[orders[1].id, 2]]);
    expect(
      await unchanged(() =>
        partition[end]([
          [orders[0].id, 1],
          [orders[1].id, 2],
        ]),
      ),
    ).toEqual(["OK", "1", 4, "ALREADY", "ALREADY"]);
  });

  it("under another reservation number says MISMATCH and frees nothing", async () => {
    const partition = await openPartition(server.redis, { [A]: 9 });
    const orders = [order([[A, 2]]), order([[A, 2]])] as const;
    await partition.place(orders);
    expect(
      await unchanged(() =>
        partition[end]([
          [orders[0].id, 2],
          [orders[1].id, 1],
        ]),
      ),
    ).toEqual(["OK", "1", 2, "MISMATCH", "MISMATCH"]);
  });

  it("of an order that nothing is known of says ABSENT and writes nothing", async () => {
    const partition = await openPartition(server.redis, { [A]: 9 });
    expect(await unchanged(() => partition[end]([[order([]).id, 1]]))).toEqual(["OK", "1", 1, "ABSENT"]);
  });

  it("named twice in one call moves once", async () => {
    const partition = await openPartition(server.redis, { [A]: 9 });
    const placed = order([[A, 2]]);
    await partition.place([placed]);
    const reply = await partition[end]([
      [placed.id, 1],
      [placed.id, 1],
    ]);
    expect(reply).toEqual(["OK", "1", 3, "MOVED", "ALREADY"]);
    expect((await partition.stock(A))[1]).toBe(0);
    expect((await partition.log()).at(-1)).toMatchObject({ holds: [{ orderId: placed.id }] });
  });

  it("moves those of a call that stand, in one entry, and answers for each", async () => {
    const partition = await openPartition(server.redis, { [A]: 9 });
    const orders = [order([[A, 1]]), order([[A, 2]]), order([[A, 3]])] as const;
    await partition.place(orders);
    await partition.settle([[orders[1].id, 2]]);
    const reply = await partition[end]([
      [orders[0].id, 1],
      [orders[1].id, 2],
      [orders[2].id, 9],
      [order([]).id, 1],
      [orders[2].id, 3],
    ]);
    expect(reply).toEqual(["OK", "1", 4, "MOVED", "ALREADY", "MISMATCH", "ABSENT", "MOVED"]);
    expect((await partition.log()).at(-1)).toMatchObject({
      kind: end,
      holds: [
        { orderId: orders[0].id, reservation: 1, units: [{ sku: A, units: 1 }] },
        { orderId: orders[2].id, reservation: 3, units: [{ sku: A, units: 3 }] },
      ],
    });
  });

  it("that comes late does not touch the hold that the same order took anew", async () => {
    const partition = await openPartition(server.redis, { [A]: 9 });
    const placed = order([[A, 2]]);
    await partition.place([placed]);
    await partition.release([[placed.id, 1]]);
    await partition.age("recentPeriod", 2);
    expect(await partition.decide(placed)).toBe(2);

    expect(await unchanged(() => partition[end]([[placed.id, 1]]))).toEqual(["OK", "1", 4, "MISMATCH"]);
    expect(await partition.stock(A)).toEqual([7, 2, 0]);
    expect(await partition[end]([[placed.id, 2]])).toEqual(["OK", "1", 5, "MOVED"]);
  });

  it("of a thousand holds goes in one call, of one more it is refused", async () => {
    const partition = await openPartition(server.redis, { [A]: 2_000 });
    const orders = Array.from({ length: 1_001 }, () => order([[A, 1]]));
    for (let from = 0; from < orders.length; from += 256) await partition.place(orders.slice(from, from + 256));
    const holds = orders.map(({ id }, i) => [id, i + 1] as const);
    await unchanged(() => expect(partition[end](holds)).rejects.toThrow(`INVALID_ARGUMENT ${end}`));
    const reply = (await partition[end](holds.slice(0, 1_000))) as unknown[];
    expect(new Set(reply.slice(3))).toEqual(new Set(["MOVED"]));
    expect((await partition.stock(A))[1]).toBe(1);
  });

  it("is refused whole by a partition that is not what the caller knows, and writes nothing", async () => {
    const partition = await openPartition(server.redis, { [A]: 9 }, { epoch: 3 });
    const placed = order([[A, 2]]);
    await partition.place([placed], { epoch: 3 });
    const hold = [[placed.id, 1]] as const;
    expect(await unchanged(() => partition[end](hold, { epoch: 2 }))).toEqual(["STALE_EPOCH", "3"]);
    expect(await unchanged(() => partition[end](hold, { epoch: 4 }))).toEqual(["STALE_EPOCH", "3"]);
    expect(await unchanged(() => partition[end](hold, { epoch: 3, minSeq: 3 }))).toEqual(["REGRESSED", "3", "2"]);
    await server.redis.del(Object.values(partition.keys));
    expect(await unchanged(() => partition[end](hold, { epoch: 3 }))).toEqual(["NOT_LOADED"]);
  });

  it.each<[string, (string | number)[]]>([
    ["no hold", [1, 0]],
    ["half a hold", [1, 0, "id"]],
    ["one and a half holds", [1, 0, "id", 1, "id"]],
    ["a minSeq that is no number", [1, "nan", "id", 1]],
    ["a negative minSeq", [1, -1, "id", 1]],
  ])("with malformed arguments, %s, is refused and writes nothing", async (_what, args) => {
    const partition = await openPartition(server.redis, { [A]: 9 });
    await unchanged(() => expect(partition.run(end, args)).rejects.toThrow(`INVALID_ARGUMENT ${end}`));
  });
});

describe("any sequence of placing, settling and releasing", () => {
  it("keeps available + reserved + sold at what was put in, and every hold covered by what is reserved", async () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant("place" as const), a: fc.integer({ min: 1, max: 4 }), b: fc.nat({ max: 3 }) }),
      fc.record({ do: fc.constantFrom(...ENDS), order: fc.nat({ max: 9 }), shift: fc.constantFrom(0, 0, 0, 1) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
        const partition = await openPartition(server.redis, { [A]: 12, [B]: 7 });
        const placed: [string, number][] = [];
        for (const s of steps) {
          if (s.do === "place") {
            const next = order(
              s.b
                ? [
                    [A, s.a],
                    [B, s.b],
                  ]
                : [[A, s.a]],
            );
            const verdict = await partition.decide(next);
            if (typeof verdict === "number") placed.push([next.id, verdict]);
          } else {
            const [id, reservation] = placed[s.order % Math.max(placed.length, 1)] ?? ["unknown", 1];
            await partition[s.do]([[id, reservation + s.shift]]);
          }
        }
        const held = await unitsHeld(partition);
        for (const [name, allocated] of [
          [A, 12],
          [B, 7],
        ] as const) {
          const [available, reserved, sold] = await partition.stock(name);
          expect(available + reserved + sold).toBe(allocated);
          expect(Math.min(available, reserved, sold)).toBeGreaterThanOrEqual(0);
          expect(held.get(name) ?? 0).toBe(reserved);
        }
      }),
      { numRuns: 60 },
    );
  });
});

async function recentOf(partition: TestPartition, id: string): Promise<string | null> {
  const { recentEven, recentOdd } = partition.keys;
  return (await server.redis.hget(recentEven, id)) ?? (await server.redis.hget(recentOdd, id));
}

async function unitsHeld(partition: TestPartition): Promise<Map<string, number>> {
  const held = new Map<string, number>();
  for (const record of await server.redis.hvals(partition.keys.held)) {
    for (const part of record.split("|")[4]?.split(",") ?? []) {
      const [name = "", units] = part.replace("!", "").split("=");
      held.set(name, (held.get(name) ?? 0) + Number(units));
    }
  }
  return held;
}
