// Refusals on their way from memory to Postgres: kept, sampled above a rate with exact counts, never in an order's way.
import { randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { openPool } from "../../engine/ledger/database.ts";
import { type Refusal, RefusalRing, type RefusalRingOptions } from "../../engine/refusals/ring.ts";
import { countsOfSecond, dropOldRefusals, findRefusal } from "../../engine/refusals/store.ts";
import { nextRequestId, secondOfRequest } from "../../engine/request-id.ts";
import { createTestDatabase } from "../support/postgres.ts";

const database = await createTestDatabase();
const SECOND = 1_800_000_000;

function refusal(given: Partial<Refusal> = {}): Refusal {
  const facts = { productId: randomUUID(), remaining: 0 };
  return {
    ...{ requestId: nextRequestId(), orderId: null, buyer: "cus_1", saleId: "summer", partition: 0, code: "SOLD_OUT" },
    ...{ facts, decidedBy: "redis", epoch: 1, seq: 9, script: "abc", decidedAtMs: 1, atMs: SECOND * 1_000 },
    ...given,
  };
}
const ringOf = (options?: Partial<RefusalRingOptions>) => new RefusalRing(database.pool, options);
const kept = async (saleId: string) => {
  const result = await database.pool.query<{ n: number }>(
    "SELECT count(*)::int AS n FROM refusals WHERE sale_id = $1",
    [saleId],
  );
  return result.rows[0]?.n;
};
const passedOver = async (second: number, saleId: string) =>
  Object.fromEntries(
    (await countsOfSecond(database.pool, second))
      .filter((count) => count.saleId === saleId)
      .map(({ code, passedOver }) => [code, Number(passedOver)]),
  );

describe("a refusal", () => {
  it("is found again by its request's id, and by the id that its order would have had", async () => {
    const ring = ringOf();
    const noted = refusal({ orderId: randomUUID() });
    ring.note(noted);
    await ring.drain();
    const { atMs, ...facts } = noted;
    expect(await findRefusal(database.pool, noted.requestId)).toMatchObject({ buyer: "cus_1", facts: facts.facts });
    const found = await findRefusal(database.pool, noted.orderId ?? "");
    expect(found).toMatchObject({ requestId: noted.requestId, code: "SOLD_OUT", decidedBy: "redis", script: "abc" });
    expect(found?.at.getTime()).toBe(atMs);
    expect(await findRefusal(database.pool, "nonsense")).toBeUndefined();
  });

  it("is kept up to a rate, and counted exactly beyond it, by code and second", async () => {
    const ring = ringOf({ keptPerSecondMax: 3 });
    const saleId = "sampled";
    for (let n = 0; n < 10; n += 1) ring.note(refusal({ saleId }));
    await ring.drain();
    for (let n = 0; n < 5; n += 1) ring.note(refusal({ saleId, code: "LIMIT_EXCEEDED" }));
    ring.note(refusal({ saleId, atMs: (SECOND + 1) * 1_000 }));
    for (let n = 0; n < 4; n += 1) ring.note(refusal({ saleId, atMs: (SECOND + 1) * 1_000 + 999 }));
    await ring.drain();
    await ring.drain();
    expect(await kept(saleId)).toBe(6);
    expect(await passedOver(SECOND, saleId)).toEqual({ SOLD_OUT: 7, LIMIT_EXCEEDED: 5 });
    expect(await passedOver(SECOND + 1, saleId)).toEqual({ SOLD_OUT: 2 });
  });

  it("is counted for each partition by its own rate, and by each process", async () => {
    const saleId = "apart";
    for (const ring of [ringOf({ keptPerSecondMax: 1 }), ringOf({ keptPerSecondMax: 1 })]) {
      for (const partition of [0, 1]) for (let n = 0; n < 3; n += 1) ring.note(refusal({ saleId, partition }));
      await ring.drain();
    }
    expect(await kept(saleId)).toBe(4);
    expect(await passedOver(SECOND, saleId)).toEqual({ SOLD_OUT: 8 });
  });
});

describe("while Postgres is away", () => {
  it("they wait as far as there is room, and the others are counted; nothing is lost or counted twice", async () => {
    const pool = openPool(
      "postgres://127.0.0.1:1/none",
      { connectionsMax: 1, applicationName: "away", statementTimeoutMs: 1_000 },
      () => undefined,
    );
    let target = pool;
    const through = { query: (...args: [never]) => target.query(...args) } as unknown as typeof pool;
    const errors: unknown[] = [];
    const options = {
      keptPerSecondMax: 1_000,
      waitingMax: 5,
      drainMs: 250,
      onError: (error: unknown) => errors.push(error),
    };
    const ring = new RefusalRing(through, options);
    const saleId = "away";
    for (let n = 0; n < 8; n += 1) ring.note(refusal({ saleId }));
    await ring.drain();
    for (let n = 0; n < 8; n += 1) ring.note(refusal({ saleId }));
    await ring.drain();
    expect(errors).toHaveLength(1);
    await pool.end();

    target = database.pool;
    for (let n = 0; n < 3; n += 1) await ring.drain();
    expect(await kept(saleId)).toBe(10);
    expect(await passedOver(SECOND, saleId)).toEqual({ SOLD_OUT: 6 });
    expect(ring.uncounted).toBe(0);
  });
});

describe("one that Postgres does not take", () => {
  it("holds up no other", async () => {
    const errors: unknown[] = [];
    const ring = ringOf({ onError: (error) => errors.push(error) });
    ring.note(refusal({ saleId: "poison", buyer: "\0" }));
    await ring.drain();
    ring.note(refusal({ saleId: "poison" }));
    await ring.drain();
    expect(await kept("poison")).toBe(1);
    expect([errors.length, ring.uncounted]).toEqual([1, 1]);
  });
});

describe("what was kept for long enough", () => {
  it("is removed, and the rest stays", async () => {
    const ring = ringOf({ keptPerSecondMax: 1 });
    const saleId = "old";
    const now = Date.now();
    for (const atMs of [now, now - 8 * 86_400_000]) for (let n = 0; n < 2; n += 1) ring.note(refusal({ saleId, atMs }));
    await ring.drain();
    await ring.drain();
    expect(await kept(saleId)).toBe(2);
    while ((await dropOldRefusals(database.pool, 7, 1)) > 0);
    expect(await kept(saleId)).toBe(1);
    expect(await passedOver(Math.floor(now / 1_000), saleId)).toEqual({ SOLD_OUT: 1 });
    expect(await passedOver(Math.floor(now / 1_000) - 8 * 86_400, saleId)).toEqual({});
  });
});

describe("a request's id", () => {
  it("is one of a kind and tells its second", () => {
    const ids = Array.from({ length: 1_000 }, () => nextRequestId(SECOND * 1_000 + 999));
    expect(new Set(ids).size).toBe(1_000);
    expect(ids.every((id) => secondOfRequest(id) === SECOND)).toBe(true);
    expect(secondOfRequest("0f7b2a-1")).toBeUndefined();
    expect(secondOfRequest(randomUUID())).toBeUndefined();
  });
});
