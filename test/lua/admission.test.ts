// admission/place.ts over a real Redis: every verdict as an outcome, and what is said of an order when the answer of the
// call that decided it was lost.
import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { ADMISSION_DEFAULTS, Admission } from "../../engine/admission/admission.ts";
import { type Placement, type PlaceOptions, type PlaceOutcome, placeBatch } from "../../engine/admission/place.ts";
import { uncheckedCall } from "../../engine/durability/durability.ts";
import { commandConnection, connect } from "../../engine/redis/connection.ts";
import { KnownPositions } from "../../engine/stock/known-positions.ts";
import { openPartition, order, sku, type TestPartition } from "./partition.ts";
import { type ReplyProxy, startReplyProxy } from "./reply-proxy.ts";
import { type LuaServer, startLuaServer } from "./server.ts";

const A = sku(1);
const B = sku(2);
const NOT_RETRIED: PlaceOptions = { backlogMax: 0, retryForMs: 0 };
const RETRIED: PlaceOptions = { backlogMax: 0, retryForMs: 20_000 };

let server: LuaServer;
beforeAll(async () => {
  server = await startLuaServer();
});
afterAll(() => server.stop());

const letGo: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const release of letGo.splice(0).toReversed()) await release();
});

function placement(units: number, given: Partial<Placement> = {}): Placement {
  const { id, buyer, payload } = order([[A, units]]);
  return { orderId: id, buyer, idempotency: undefined, payload, lines: [{ productId: A, quantity: units }], ...given };
}

/** The connection of the order path, over the proxy when one is given. */
async function orderConnection(port: number, commandTimeoutMs = 5_000): Promise<Redis> {
  const redis = commandConnection(server.url.replace(/:\d+(?=\/?$)/, `:${port}`), commandTimeoutMs);
  redis.on("error", () => undefined); // the calls on it fail too
  await connect(redis);
  letGo.push(() => redis.disconnect());
  return redis;
}

async function proxied(commandTimeoutMs?: number): Promise<{ proxy: ReplyProxy; redis: Redis }> {
  const proxy = await startReplyProxy(server.port);
  letGo.push(() => proxy.stop());
  return { proxy, redis: await orderConnection(proxy.port, commandTimeoutMs) };
}

const placeAsTold = (
  redis: Redis,
  partition: TestPartition,
  placements: readonly Placement[],
  options = NOT_RETRIED,
  positions = new KnownPositions(),
): Promise<PlaceOutcome[]> => placeBatch(uncheckedCall(redis), positions, partition.at, 1, placements, options);
/** Without the state that refusals were decided on. */
const place = async (...call: Parameters<typeof placeAsTold>) =>
  (await placeAsTold(...call)).map((outcome) => {
    const { on: _, ...rest } = { on: undefined, ...outcome };
    return rest as PlaceOutcome;
  });

describe("every verdict is told as its outcome", () => {
  it("accepted, with what a receipt needs, and the position is learnt", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    const positions = new KnownPositions();
    const placed = placement(2);
    const accepted = {
      type: "ACCEPTED",
      orderId: placed.orderId,
      reservation: 1,
      epoch: 1,
      seq: 2,
      reservedUntilMs: expect.any(Number),
      acknowledged: "fast",
    };
    const first = await place(server.redis, partition, [placed], NOT_RETRIED, positions);
    expect(first).toEqual([accepted]);
    expect(positions.get(partition.at)).toEqual({ epoch: 1, seq: 2 });
    expect(await place(server.redis, partition, [placed])).toEqual(first);
  });

  it("refused", async () => {
    const partition = await openPartition(server.redis, { [A]: 5, [B]: 5 }, { limits: { [B]: 1 } });
    const key = { scope: "scope", payloadHash: "one" };
    const first = placement(4, { idempotency: key });
    const outcomes = await place(server.redis, partition, [
      first,
      placement(4, { idempotency: key }),
      placement(4, { idempotency: { ...key, payloadHash: "two" } }),
      placement(2),
      placement(1, { lines: [{ productId: B, quantity: 2 }] }),
      placement(1, { lines: [{ productId: sku(9), quantity: 1 }] }),
    ]);
    expect(outcomes.slice(1)).toEqual([
      { type: "REPLAYED", orderId: first.orderId },
      { type: "IDEMPOTENCY_CONFLICT" },
      { type: "SOLD_OUT", productId: A, available: 1 },
      { type: "LIMIT_EXCEEDED", productId: B, limit: 1, used: 0 },
      { type: "UNKNOWN_PRODUCT", productId: sku(9) },
    ]);
    expect(await place(server.redis, partition, [placement(1)], { backlogMax: 1, retryForMs: 0 })).toEqual([
      { type: "OVERLOADED", cause: "backlog" },
    ]);
    await partition.open({ state: "paused", opensAt: 5, closesAt: 9 });
    expect(await place(server.redis, partition, [placement(1)])).toEqual([
      { type: "SALE_NOT_OPEN", admission: "paused", opensAtMs: 5, closesAtMs: 9 },
    ]);
  });

  it("refused, with the state that it was decided on", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    const [before] = await server.redis.time();
    const [, refused] = await placeAsTold(server.redis, partition, [placement(4), placement(2)]);
    expect(refused).toMatchObject({ type: "SOLD_OUT", available: 1, on: { epoch: 1, seq: 2 } });
    expect(refused?.type === "SOLD_OUT" && (refused.on?.atMs ?? 0) >= Number(before) * 1_000).toBe(true);
  });

  it("by a partition that is not what the caller knows: the stock is unavailable, and why", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    const unavailable = (cause: string) => [{ type: "STOCK_UNAVAILABLE", cause }];
    const positions = new KnownPositions();
    positions.learn(partition.at, { epoch: 1, seq: 2 });
    expect(await place(server.redis, partition, [placement(1)], NOT_RETRIED, positions)).toEqual(
      unavailable("REGRESSED"),
    );
    await server.redis.hset(partition.keys.meta, "epoch", 2);
    expect(await place(server.redis, partition, [placement(1)])).toEqual(unavailable("STALE_EPOCH"));
    await server.redis.del(partition.keys.meta);
    expect(await place(server.redis, partition, [placement(1)])).toEqual(unavailable("NOT_LOADED"));
  });

  it("by Redis itself, whose memory is full: nothing was taken", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    await server.redis.config("SET", "maxmemory", "1");
    letGo.push(() => server.redis.config("SET", "maxmemory", "0"));
    expect(await place(server.redis, partition, [placement(1)], RETRIED)).toEqual([
      { type: "STOCK_UNAVAILABLE", cause: "REFUSED_BY_REDIS" },
    ]);
    expect(await partition.stock(A)).toEqual([5, 0, 0]);
  });
});

describe("an answer that is lost", () => {
  it("is asked for again under the same ids: each order is placed once, and has its first verdict", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    const { proxy, redis } = await proxied();
    const placements = [placement(2), placement(4), placement(3)];
    proxy.loseNextReply();
    const outcomes = await place(redis, partition, placements, RETRIED);

    expect(proxy.lost).toBe(1);
    expect(outcomes).toMatchObject([
      { type: "ACCEPTED", orderId: placements[0]?.orderId, reservation: 1, seq: 2 },
      { type: "SOLD_OUT", available: 0 },
      { type: "ACCEPTED", orderId: placements[2]?.orderId, reservation: 2, seq: 2 },
    ]);
    expect(await partition.stock(A)).toEqual([0, 5, 0]);
    expect(await partition.log()).toHaveLength(2);
  });

  it("time after time is asked for until it comes", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    const { proxy, redis } = await proxied();
    proxy.loseNextReply(async () => proxy.loseNextReply(async () => proxy.loseNextReply()));
    expect(await place(redis, partition, [placement(2)], RETRIED)).toMatchObject([
      { type: "ACCEPTED", reservation: 1 },
    ]);
    expect(proxy.lost).toBe(3);
    expect(await partition.stock(A)).toEqual([3, 2, 0]);
  });

  it("of a server that stood still is asked for again, and the calls that pile up place the order once", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    const redis = await orderConnection(server.port, 500);
    const calls = vi.spyOn(redis, "evalsha");
    server.freeze();
    const outcome = place(redis, partition, [placement(2)], RETRIED);
    await expect.poll(() => calls.mock.calls.length).toBeGreaterThanOrEqual(2);
    server.thaw();
    expect(await outcome).toMatchObject([{ type: "ACCEPTED", reservation: 1 }]);
    expect(await partition.stock(A)).toEqual([3, 2, 0]);
  });

  it("and never comes leaves the outcome unknown, by the order's id: it may stand", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    const { proxy, redis } = await proxied(500);
    proxy.goSilent();
    const placements = [placement(2), placement(9)];
    expect(await place(redis, partition, placements, { backlogMax: 0, retryForMs: 600 })).toEqual(
      placements.map(({ orderId }) => ({ type: "OUTCOME_UNKNOWN", orderId })),
    );
    await expect.poll(() => proxy.lost).toBeGreaterThan(0);
    await expect.poll(() => partition.stock(A)).toEqual([3, 2, 0]);
  });

  it("and then a refusal by a partition that was replaced in between is unknown too, not refused", async () => {
    const partition = await openPartition(server.redis, { [A]: 5 });
    const { proxy, redis } = await proxied();
    proxy.loseNextReply(() => server.redis.hset(partition.keys.meta, "epoch", 2));
    const placed = placement(1);
    expect(await place(redis, partition, [placed], RETRIED)).toEqual([
      { type: "OUTCOME_UNKNOWN", orderId: placed.orderId },
    ]);
    expect(proxy.lost).toBe(1);
  });
});

describe("a call that is delayed on its way, and asked again meanwhile", () => {
  async function delayed(units: number) {
    const partition = await openPartition(server.redis, { [A]: 5 });
    const holder = placement(4);
    await place(server.redis, partition, [holder]);
    const { proxy, redis } = await proxied();
    const placed = placement(units);
    const deliver = proxy.delayNextCall();
    const outcomes = await place(redis, partition, [placed], RETRIED);
    return { partition, holder, placed, outcomes, deliver };
  }

  it("is refused for good when its buyer was told so, though it would fit by the time it comes", async () => {
    const { partition, holder, placed, outcomes, deliver } = await delayed(3);
    expect(outcomes).toEqual([{ type: "SOLD_OUT", productId: A, available: 1 }]);
    await partition.release([[holder.orderId, 1]]);
    await deliver();
    expect(await partition.stock(A)).toEqual([5, 0, 0]);
    expect(await place(server.redis, partition, [placed])).toEqual(outcomes);
  });

  it("changes nothing when it was accepted meanwhile", async () => {
    const { partition, placed, outcomes, deliver } = await delayed(1);
    expect(outcomes).toMatchObject([{ type: "ACCEPTED", reservation: 2 }]);
    await deliver();
    expect(await partition.stock(A)).toEqual([0, 5, 0]);
    expect(await place(server.redis, partition, [placed])).toEqual(outcomes);
  });
});

describe("a Redis that is down", () => {
  it("is unreachable, at once: nothing was sent, and nothing is sent later", async () => {
    const own = await startLuaServer();
    letGo.push(() => own.stop());
    const partition = await openPartition(own.redis, { [A]: 5 });
    const redis = commandConnection(own.url, 5_000);
    redis.on("error", () => undefined); // the calls on it fail too
    own.redis.on("error", () => undefined);
    letGo.push(() => redis.disconnect());
    await connect(redis);
    const closed = new Promise((resolve) => redis.once("close", resolve));
    await own.kill();
    await closed;
    const placements = [placement(1), placement(1)];
    const unreachable = { type: "STOCK_UNAVAILABLE", cause: "UNREACHABLE" };
    expect(await place(redis, partition, placements, RETRIED)).toEqual([unreachable, unreachable]);
  });
});

describe("admission", () => {
  it("decides orders that come together as few calls, each with its own outcome, in the order in which they came", async () => {
    const partition = await openPartition(server.redis, { [A]: 700 });
    const redis = await orderConnection(server.port);
    const calls = vi.spyOn(redis, "evalsha");
    const admission = new Admission(uncheckedCall(redis), new KnownPositions());
    const outcomes = await Promise.all(
      Array.from({ length: 1_000 }, () => admission.place(partition.at, 1, placement(1))),
    );
    expect(outcomes.slice(0, 700).map((outcome) => outcome.type === "ACCEPTED" && outcome.reservation)).toEqual(
      Array.from({ length: 700 }, (_, i) => i + 1),
    );
    expect(new Set(outcomes.slice(700).map(({ type }) => type))).toEqual(new Set(["SOLD_OUT"]));
    expect(calls.mock.calls.length).toBeLessThanOrEqual(5);
    expect(admission.waiting).toBe(0);
  });

  it("keeps a call within what it may carry in lines", async () => {
    const partition = await openPartition(server.redis, { [A]: 100_000 });
    const admission = new Admission(uncheckedCall(server.redis), new KnownPositions());
    const lines = Array.from({ length: 100 }, () => ({ productId: A, quantity: 1 }));
    const outcomes = await Promise.all(
      Array.from({ length: 25 }, () => admission.place(partition.at, 1, placement(1, { lines }))),
    );
    expect(new Set(outcomes.map(({ type }) => type))).toEqual(new Set(["ACCEPTED"]));
    const sizes = (await partition.log()).slice(1).map((entry) => (entry.kind === "place" ? entry.orders.length : 0));
    expect(sizes).toEqual([10, 10, 5]);
  });

  it("refuses as overloaded what it has no room to keep waiting", async () => {
    const partition = await openPartition(server.redis, { [A]: 100 });
    const admission = new Admission(uncheckedCall(server.redis), new KnownPositions(), {
      ...ADMISSION_DEFAULTS,
      waitingMax: 3,
    });
    const outcomes = await Promise.all(Array.from({ length: 5 }, () => admission.place(partition.at, 1, placement(1))));
    expect(outcomes.map(({ type }) => type)).toEqual(["ACCEPTED", "ACCEPTED", "ACCEPTED", "OVERLOADED", "OVERLOADED"]);
  });

  it("never puts orders of two epochs into one call", async () => {
    const partition = await openPartition(server.redis, { [A]: 100 });
    const admission = new Admission(uncheckedCall(server.redis), new KnownPositions());
    const outcomes = await Promise.all([1, 2, 1].map((epoch) => admission.place(partition.at, epoch, placement(1))));
    expect(outcomes).toMatchObject([
      { type: "ACCEPTED" },
      { type: "STOCK_UNAVAILABLE", cause: "STALE_EPOCH" },
      { type: "ACCEPTED" },
    ]);
  });

  it("of an order that a defect made malformed says that nothing was taken, and its id may be used again", async () => {
    const partition = await openPartition(server.redis, { [A]: 100 });
    const broken = placement(1, { orderId: randomUUID(), payload: "two\nlines" });
    expect(await place(server.redis, partition, [broken])).toEqual([
      { type: "STOCK_UNAVAILABLE", cause: "REFUSED_BY_REDIS" },
    ]);
    expect(await place(server.redis, partition, [{ ...broken, payload: "{}" }])).toMatchObject([{ type: "ACCEPTED" }]);
  });
});
