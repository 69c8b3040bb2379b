// place.lua: orders that were decided before. An id keeps its first verdict as long as a call may be asked again, an
// idempotency key leads to one order for one to two days, and both forget by taking turns of two buckets.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DAY_MS, keyspaceDigest, openPartition, order, RECENT_MS, sku } from "./partition.ts";
import { type LuaServer, startLuaServer } from "./server.ts";

let server: LuaServer;
beforeAll(async () => {
  server = await startLuaServer();
});
afterAll(() => server.stop());

const A = sku(1);
const keyed = (scope: string, hash = "hash") => order([[A, 1]], { scope, hash });

describe("an order id that was accepted", () => {
  it("gets its first verdict again, and nothing is written", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 });
    const placed = order([[A, 2]]);
    const { deadline } = await partition.place([placed]);
    await partition.place([order([[A, 1]])]);
    const before = await keyspaceDigest(server.redis);

    expect(await partition.decide(placed)).toBe(`KNOWN|1|${deadline}|1-2`);
    expect(await keyspaceDigest(server.redis)).toBe(before);
  });

  it("twice in one call is one order", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 });
    const placed = order([[A, 2]]);
    const { verdicts, deadline } = await partition.place([placed, placed]);
    expect(verdicts).toEqual([1, `KNOWN|1|${deadline}|1-2`]);
    expect(await partition.stock(A)).toEqual([8, 2, 0]);
  });

  it("keeps its verdict when the stock has gone, the sale has closed, or its own key is on record", async () => {
    const partition = await openPartition(server.redis, { [A]: 1 });
    const placed = keyed("s");
    await partition.place([placed]);
    expect(await partition.decide(placed)).toMatch(/^KNOWN\|1\|/);
    await partition.open({ state: "closed" });
    expect(await partition.decide(placed)).toMatch(/^KNOWN\|1\|/);
  });

  it.each(["settle", "release"] as const)("keeps its verdict after %s", async (end) => {
    const partition = await openPartition(server.redis, { [A]: 10 });
    const placed = order([[A, 2]]);
    const { deadline } = await partition.place([placed]);
    await partition[end]([[placed.id, 1]]);
    const stock = await partition.stock(A);

    expect(await partition.decide(placed)).toBe(`KNOWN|1|${deadline}|1-2`);
    expect(await partition.stock(A)).toEqual(stock);
    expect(await server.redis.hlen(partition.keys.held)).toBe(0);
  });

  it("is still known in the next period after its hold ended", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 });
    const placed = order([[A, 2]]);
    await partition.place([placed]);
    await partition.release([[placed.id, 1]]);
    await partition.age("recentPeriod", 1);

    expect(await partition.decide(placed)).toMatch(/^KNOWN\|1\|/);
    // A write of the new period keeps the bucket before it.
    const other = order([[A, 1]]);
    await partition.place([other]);
    expect(await partition.decide(placed)).toMatch(/^KNOWN\|1\|/);
  });

  it("is forgotten two periods after its hold ended, and the write that follows empties both buckets", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 });
    const placed = order([[A, 2]]);
    await partition.place([placed]);
    await partition.release([[placed.id, 1]]);
    await partition.age("recentPeriod", 2);

    expect(await partition.decide(placed)).toBe(2);
    expect(await server.redis.exists(partition.keys.recentEven, partition.keys.recentOdd)).toBe(0);
  });

  it("that was forgotten in time leaves what the period before it recorded", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 });
    const [first, second] = [order([[A, 1]]), order([[A, 1]])];
    await partition.place([first, second]);
    await partition.release([[first.id, 1]]);
    await partition.age("recentPeriod", 1);
    await partition.settle([[second.id, 2]]);
    await partition.age("recentPeriod", 1);

    expect((await partition.place([first, second])).verdicts).toEqual([3, expect.stringMatching(/^KNOWN\|2\|/)]);
  });

  it("is not forgotten when the server's clock steps back", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 });
    const placed = order([[A, 1]]);
    await partition.place([placed]);
    await partition.release([[placed.id, 1]]);
    const period = Number(await server.redis.hget(partition.keys.meta, "recentPeriod"));
    await partition.age("recentPeriod", -1);

    expect(await partition.decide(placed)).toMatch(/^KNOWN\|1\|/);
    await partition.place([order([[A, 1]])]);
    expect(await server.redis.hget(partition.keys.meta, "recentPeriod")).toBe(String(period + 1));
  });

  it("counts periods of ten minutes by Redis TIME", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 });
    const { now } = await partition.place([order([[A, 1]])]);
    expect(await server.redis.hmget(partition.keys.meta, "recentPeriod", "idemPeriod")).toEqual([
      String(Math.floor(now / RECENT_MS)),
      String(Math.floor(now / DAY_MS)),
    ]);
  });
});

describe("an order that was refused", () => {
  it("leaves no trace of its id or key: asked again it is decided anew", async () => {
    const partition = await openPartition(server.redis, { [A]: 1 });
    const first = keyed("first");
    await partition.place([first]);
    const refused = keyed("second");
    expect(await partition.decide(refused)).toBe(`SOLD_OUT|${A}|0`);
    await partition.release([[first.id, 1]]);
    expect(await partition.decide(refused)).toBe(2);
  });
});

describe("an order that was refused when it was asked again", () => {
  const again = { askedAgain: true };

  it("stays refused, with the same verdict, for a first call that comes late", async () => {
    const partition = await openPartition(server.redis, { [A]: 1 });
    const first = keyed("first");
    await partition.place([first]);
    const refused = keyed("second");
    expect(await partition.decide(refused, again)).toBe(`SOLD_OUT|${A}|0`);
    await partition.release([[first.id, 1]]);

    const before = await keyspaceDigest(server.redis);
    expect(await partition.decide(refused)).toBe(`SOLD_OUT|${A}|0`);
    expect(await partition.decide(refused, again)).toBe(`SOLD_OUT|${A}|0`);
    expect(await keyspaceDigest(server.redis)).toBe(before);
    expect(await partition.decide(keyed("second"))).toBe(2);
  });

  it.each([
    ["LIMIT", order([[A, 4]])],
    ["SOLD_OUT", order([[sku(2), 4]])],
    ["UNKNOWN_SKU", order([[sku(3), 1]])],
    ["BACKLOG", order([[A, 1]])],
    ["NOT_OPEN", order([[A, 1]])],
    ["CONFLICT", order([[A, 1]], { scope: "s", hash: "other" })],
    ["REPLAY", order([[A, 1]], { scope: "s", hash: "h" })],
  ])("%s is final, and moves nothing", async (word, refused) => {
    const partition = await openPartition(server.redis, { [A]: 10, [sku(2)]: 3 }, { limits: { [A]: 3 } });
    await partition.place([order([[A, 1]], { scope: "s", hash: "h" })]);
    const log = await partition.log();
    if (word === "NOT_OPEN") await partition.open({ state: "paused" });
    const verdict = await partition.decide(refused, { ...again, backlogMax: word === "BACKLOG" ? 1 : 0 });
    expect(verdict).toMatch(new RegExp(`^${word}`));

    await partition.open({ limits: { [A]: 0, [sku(3)]: 0 } });
    await partition.restock(sku(2), 9);
    await partition.restock(sku(3), 9);
    await server.redis.del(partition.keys.idempotencyEven, partition.keys.idempotencyOdd);
    expect(await partition.decide(refused)).toBe(verdict);
    expect((await partition.log()).slice(0, log.length)).toEqual(log);
    expect(await server.redis.hlen(partition.keys.held)).toBe(1);
  });

  it("beside accepted and known ones is the only one recorded", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    const [known, accepted, refused] = [order([[A, 1]]), order([[A, 2]]), order([[A, 3]])];
    await partition.place([known]);
    const { verdicts } = await partition.place([known, accepted, refused], again);
    expect(verdicts).toEqual([expect.stringMatching(/^KNOWN\|1\|/), 2, `SOLD_OUT|${A}|2`]);
    const { recentEven, recentOdd } = partition.keys;
    const records = { ...(await server.redis.hgetall(recentEven)), ...(await server.redis.hgetall(recentOdd)) };
    expect(records).toEqual({ [refused.id]: `X|SOLD_OUT|${A}|2` });
  });

  it("holds nothing that could be settled or released", async () => {
    const partition = await openPartition(server.redis, { [A]: 1 });
    const refused = order([[A, 2]]);
    await partition.decide(refused, again);
    expect(await partition.release([[refused.id, 1]])).toEqual(["OK", "1", 1, "ABSENT"]);
    expect(await partition.settle([[refused.id, 1]])).toEqual(["OK", "1", 1, "ABSENT"]);
  });

  it("is final for one more period, and forgotten after two, by a turn that empties both buckets", async () => {
    const partition = await openPartition(server.redis, { [A]: 1 });
    const [refused, other] = [order([[A, 2]]), order([[A, 3]])];
    await partition.decide(refused, again);
    await partition.restock(A, 9);
    await partition.age("recentPeriod", 1);
    expect(await partition.decide(refused)).toBe(`SOLD_OUT|${A}|1`);
    await partition.decide(order([[A, 99]]), again);
    expect(await partition.decide(refused)).toBe(`SOLD_OUT|${A}|1`);
    await partition.age("recentPeriod", 2);
    await partition.decide({ ...other, lines: [[A, 99]] }, again);
    expect(await partition.decide(refused)).toBe(1);
    expect(await server.redis.exists(partition.keys.recentEven, partition.keys.recentOdd)).toBe(1);
  });

  it("leaves the records of holds that ended, whatever period it is written in", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    const ended = order([[A, 2]]);
    await partition.place([ended]);
    await partition.release([[ended.id, 1]]);
    await partition.age("recentPeriod", 1);
    await partition.decide(order([[A, 99]]), again);
    expect(await partition.decide(ended)).toMatch(/^KNOWN\|1\|/);
  });
});

describe("an idempotency key", () => {
  it("leads every later order of the same payload to the first, and writes nothing", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 });
    const first = keyed("scope");
    await partition.place([first]);
    const before = await keyspaceDigest(server.redis);
    expect(await partition.decide(keyed("scope"))).toBe(`REPLAY|${first.id}`);
    expect(await keyspaceDigest(server.redis)).toBe(before);
  });

  it("with another payload is a conflict", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 });
    await partition.place([keyed("scope", "one")]);
    expect(await partition.decide(keyed("scope", "two"))).toBe("CONFLICT");
    expect(await partition.stock(A)).toEqual([9, 1, 0]);
  });

  it("binds within one call already", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 });
    const first = keyed("scope", "one");
    const { verdicts } = await partition.place([first, keyed("scope", "one"), keyed("scope", "two"), keyed("else")]);
    expect(verdicts).toEqual([1, `REPLAY|${first.id}`, "CONFLICT", 2]);
    expect(await partition.stock(A)).toEqual([8, 2, 0]);
  });

  it("of another scope, which another buyer's is, is another order", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 });
    expect(await partition.decide(keyed("scope of one buyer"))).toBe(1);
    expect(await partition.decide(keyed("scope of another"))).toBe(2);
  });

  it("that is absent binds nothing", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 });
    expect((await partition.place([order([[A, 1]]), order([[A, 1]])])).verdicts).toEqual([1, 2]);
    expect(await server.redis.exists(partition.keys.idempotencyEven, partition.keys.idempotencyOdd)).toBe(0);
  });

  it.each(["sold out", "paused", "closed", "not open yet"])("is answered when the sale is %s", async (state) => {
    const partition = await openPartition(server.redis, { [A]: 1 });
    const first = keyed("scope");
    const { now } = await partition.place([first]);
    if (state === "not open yet") await partition.open({ opensAt: now + 3_600_000 });
    else if (state !== "sold out") await partition.open({ state });
    expect(await partition.decide(keyed("scope"))).toBe(`REPLAY|${first.id}`);
    expect(await partition.decide(keyed("scope", "other"))).toBe("CONFLICT");
  });

  it.each(["settle", "release"] as const)("still leads to its order after %s", async (end) => {
    const partition = await openPartition(server.redis, { [A]: 10 });
    const first = keyed("scope");
    await partition.place([first]);
    await partition[end]([[first.id, 1]]);
    await partition.age("recentPeriod", 5);
    expect(await partition.decide(keyed("scope"))).toBe(`REPLAY|${first.id}`);
  });

  it("is read on the day after it was used", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 });
    const first = keyed("scope");
    await partition.place([first]);
    await partition.age("idemPeriod", 1);
    expect(await partition.decide(keyed("scope"))).toBe(`REPLAY|${first.id}`);

    // An order of the new day takes its own bucket and leaves yesterday's.
    await partition.place([keyed("today")]);
    expect((await partition.place([keyed("scope"), keyed("today")])).verdicts).toEqual([
      `REPLAY|${first.id}`,
      expect.stringMatching(/^REPLAY\|/),
    ]);
  });

  it("is forgotten two days after, and the acceptance that follows empties the old buckets", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 });
    await partition.place([keyed("scope")]);
    await partition.age("idemPeriod", 1);
    await partition.place([keyed("a day later")]);
    await partition.age("idemPeriod", 2);

    expect(await partition.decide(keyed("scope", "other payload"))).toBe(3);
    const { idempotencyEven, idempotencyOdd } = partition.keys;
    const records = {
      ...(await server.redis.hgetall(idempotencyEven)),
      ...(await server.redis.hgetall(idempotencyOdd)),
    };
    expect(Object.keys(records)).toEqual(["scope"]);
  });

  it("that has run out does not come back by a turn of the day without an acceptance", async () => {
    const partition = await openPartition(server.redis, { [A]: 10 });
    await partition.place([keyed("scope")]);
    await partition.age("idemPeriod", 2);
    expect(await partition.decide({ ...keyed("other"), lines: [[A, 99]] })).toBe(`SOLD_OUT|${A}|9`);
    expect(await partition.decide({ ...keyed("scope", "changed"), id: randomUUID() })).toBe(2);
  });
});
