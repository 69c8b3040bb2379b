// place.lua: the rules of the sale, that is its window and state, and what one buyer may have.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { keyspaceDigest, openPartition, order, sku } from "./partition.ts";
import { type LuaServer, startLuaServer } from "./server.ts";

let server: LuaServer;
beforeAll(async () => {
  server = await startLuaServer();
});
afterAll(() => server.stop());

const A = sku(1);
const B = sku(2);
const HOUR_MS = 3_600_000;

async function redisNow(): Promise<number> {
  const [seconds, micros] = await server.redis.time();
  return Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000);
}

describe("the window, by Redis TIME", () => {
  it.each([
    { name: "before it opens", opens: HOUR_MS, closes: 2 * HOUR_MS, accepted: false },
    { name: "from the instant at which it opens", opens: 0, closes: HOUR_MS, accepted: true },
    { name: "within it", opens: -HOUR_MS, closes: HOUR_MS, accepted: true },
    { name: "from the instant at which it closes", opens: -HOUR_MS, closes: 0, accepted: false },
  ])("$name: accepted $accepted", async ({ opens, closes, accepted }) => {
    const now = await redisNow();
    const window = { opensAt: now + opens, closesAt: now + closes };
    const partition = await openPartition(server.redis, { [A]: 5 }, window);
    const before = await keyspaceDigest(server.redis);
    const verdict = await partition.decide(order([[A, 1]]));
    expect(verdict).toBe(accepted ? 1 : `NOT_OPEN|open|${window.opensAt}|${window.closesAt}`);
    expect((await keyspaceDigest(server.redis)) === before).toBe(!accepted);
  });

  it("without an end never closes", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 }, { opensAt: 0, closesAt: 0 });
    expect(await partition.decide(order([[A, 1]]))).toBe(1);
  });

  it.each(["paused", "closed"])("does not count while the sale is %s", async (state) => {
    const partition = await openPartition(server.redis, { [A]: 5 }, { state });
    expect(await partition.decide(order([[A, 1]]))).toBe(`NOT_OPEN|${state}|0|0`);
    await partition.open({ state: "open" });
    expect(await partition.decide(order([[A, 1]]))).toBe(1);
  });

  it("fixes the deadline by the time to live that holds at acceptance", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 }, { ttl: 1_234 });
    const { now, deadline } = await partition.place([order([[A, 1]])]);
    expect(deadline - now).toBe(1_234);
  });
});

describe("the limit per buyer", () => {
  const buyer = "cus_one";
  const of = (units: number, who = buyer) => order([[A, units]], { buyer: who });

  it("is in units, over orders", async () => {
    const partition = await openPartition(server.redis, { [A]: 99 }, { limits: { [A]: 3 } });
    expect(await partition.decide(of(4))).toBe(`LIMIT|${A}|3|0`);
    expect(await partition.decide(of(2))).toBe(1);
    expect(await partition.decide(of(2))).toBe(`LIMIT|${A}|3|2`);
    expect(await partition.decide(of(1))).toBe(2);
    expect(await partition.decide(of(1))).toBe(`LIMIT|${A}|3|3`);
    expect(await partition.decide(of(3, "cus_two"))).toBe(3);
  });

  it("sums the lines of one product, and sees the orders before it in the call", async () => {
    const partition = await openPartition(server.redis, { [A]: 99 }, { limits: { [A]: 3 } });
    const { verdicts } = await partition.place([
      order(
        [
          [A, 2],
          [A, 2],
        ],
        { buyer },
      ),
      of(2),
      of(2),
      of(2, "cus_two"),
      of(1),
    ]);
    expect(verdicts).toEqual([`LIMIT|${A}|3|0`, 1, `LIMIT|${A}|3|2`, 2, 3]);
  });

  it("stands for each product by itself, and one line above it refuses the order whole", async () => {
    const partition = await openPartition(server.redis, { [A]: 99, [B]: 99 }, { limits: { [A]: 1, [B]: 2 } });
    const both = (a: number, b: number) =>
      order(
        [
          [A, a],
          [B, b],
        ],
        { buyer },
      );
    expect(await partition.decide(both(1, 3))).toBe(`LIMIT|${B}|2|0`);
    expect(await server.redis.exists(partition.keys.limits)).toBe(0);
    expect(await partition.decide(both(1, 2))).toBe(1);
  });

  it("is not used up by an order that is refused for stock", async () => {
    const partition = await openPartition(server.redis, { [A]: 2 }, { limits: { [A]: 3 } });
    expect(await partition.decide(of(3))).toBe(`SOLD_OUT|${A}|2`);
    expect(await partition.decide(of(2))).toBe(1);
  });

  it("comes back with a release, to nothing kept at all", async () => {
    const partition = await openPartition(server.redis, { [A]: 99 }, { limits: { [A]: 3 } });
    const [first, second] = [of(2), of(1)];
    await partition.place([first, second]);
    await partition.release([[first.id, 1]]);
    expect(await server.redis.hget(partition.keys.limits, `${buyer}|${A}`)).toBe("1");
    expect(await partition.decide(of(3))).toBe(`LIMIT|${A}|3|1`);
    await partition.release([[second.id, 2]]);
    expect(await server.redis.exists(partition.keys.limits)).toBe(0);
    expect(await partition.decide(of(3))).toBe(3);
  });

  it("stays used by what was settled", async () => {
    const partition = await openPartition(server.redis, { [A]: 99 }, { limits: { [A]: 3 } });
    const first = of(3);
    await partition.place([first]);
    await partition.settle([[first.id, 1]]);
    expect(await partition.decide(of(1))).toBe(`LIMIT|${A}|3|3`);
  });

  it("gives back only what was counted: a hold from before there was a limit frees none", async () => {
    const partition = await openPartition(server.redis, { [A]: 99 });
    const free = of(5);
    await partition.place([free]);
    await partition.open({ limits: { [A]: 2 } });
    await partition.place([of(2)]);
    await partition.release([[free.id, 1]]);
    expect(await partition.decide(of(1))).toBe(`LIMIT|${A}|2|2`);
  });

  it("that was lowered below what a buyer has takes nothing away and lets nothing more in", async () => {
    const partition = await openPartition(server.redis, { [A]: 99 }, { limits: { [A]: 5 } });
    await partition.place([of(4)]);
    await partition.open({ limits: { [A]: 2 } });
    expect(await partition.decide(of(1))).toBe(`LIMIT|${A}|2|4`);
    await partition.open({ limits: { [A]: 0 } });
    expect(await partition.decide(of(9))).toBe(2);
  });

  it("holds against a thousand orders of one buyer at the same time", async () => {
    const partition = await openPartition(server.redis, { [A]: 5_000 }, { limits: { [A]: 7 } });
    const replies = await Promise.all(Array.from({ length: 1_000 }, () => partition.decide(of(1))));
    expect(replies.filter((verdict) => typeof verdict === "number")).toHaveLength(7);
    expect(await partition.stock(A)).toEqual([4_993, 7, 0]);
  });
});
