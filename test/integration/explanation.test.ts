// Explanations: the inputs of a decision are those that the script had, whoever else was in the same call; and refusals are
// found by the id that their buyer was shown.
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { OnrushError } from "../../engine/errors.ts";
import { type Explanation, explain } from "../../engine/explanation/explain.ts";
import { findOrder } from "../../engine/ledger/orders.ts";
import { scriptOf } from "../../engine/redis/scripts.ts";
import { openTestSale, startEngine, startPersister, startTestWorker } from "../support/assembly.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startTestRedis, type TestRedis } from "../support/redis.ts";
import { accessToken, openApiShop } from "./api-shop.ts";

const CLI = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));
const database = await createTestDatabase();
const api = await openApiShop();
let redis: TestRedis;
let shop: Awaited<ReturnType<typeof startEngine>>;
let persister: Awaited<ReturnType<typeof startPersister>>;
let worker: Awaited<ReturnType<typeof startTestWorker>>;
const servers = () => ({ databaseUrl: database.url, redisUrl: redis.url });

beforeAll(async () => {
  redis = await startTestRedis();
  shop = await startEngine(servers());
  persister = await startPersister(servers());
  worker = await startTestWorker(servers(), { sweepIntervalMs: 100 });
});
afterAll(async () => {
  await worker.stop();
  await persister.stop();
  await shop.stop();
  await redis.stop();
});

interface Wish {
  readonly quantity?: number;
  readonly customerId?: string;
  readonly token?: string;
  readonly key?: string;
}
type Sale = Awaited<ReturnType<typeof openTestSale>>;
const place = ({ saleId, productId }: Sale, { quantity = 1, customerId = randomUUID(), token, key }: Wish = {}) =>
  shop.engine.place({
    saleId,
    customerId,
    items: [{ productId, quantity }],
    payment: token === undefined ? { method: "later" } : { method: "card", token },
    idempotencyKey: key,
  });
/** What a buyer was told. */
async function refusedOf(order: Promise<unknown>): Promise<OnrushError> {
  const error = await order.catch((thrown: unknown) => thrown);
  if (!(error instanceof OnrushError)) throw new Error("it was not refused");
  return error;
}
const until = <T>(assertion: () => Promise<T>) => vi.waitFor(assertion, { timeout: 20_000, interval: 50 });
async function explained<T extends Explanation["type"]>(
  id: string,
  type: T,
): Promise<Extract<Explanation, { type: T }>> {
  return await until(async () => {
    const found = await explain(shop.pool, shop.redis, id);
    expect(found?.type).toBe(type);
    return found as Extract<Explanation, { type: T }>;
  });
}
const isStatus = (orderId: string, status: string) =>
  until(async () => expect((await findOrder(shop.pool, orderId))?.status).toBe(status));

describe("an accepted order", { timeout: 120_000 }, () => {
  it("is explained by what the script found, its entry, its payment and its movements", async () => {
    const sale = await openTestSale(shop, { stock: 7, perCustomerLimit: 5 });
    const customerId = randomUUID();
    await place(sale, { quantity: 2, customerId });
    const { orderId } = await place(sale, { quantity: 3, customerId, token: "tok_ok" });
    await isStatus(orderId, "CONFIRMED");
    const found = await explained(orderId, "accepted");
    expect(found).toMatchObject({
      buyer: customerId,
      sale: { id: sale.saleId, partition: 0 },
      decision: {
        ...{ epoch: 1, seq: 3, reservation: 2, isPresentScript: true, isExact: true },
        script: scriptOf("place").version,
        inputs: [{ productId: sale.productId, name: "커피", wanted: 3, availableBefore: 5, limit: 5, usedBefore: 2 }],
      },
      ledger: { stock: "sold", honoured: false },
      status: "CONFIRMED",
      payments: [{ attempt: 1, state: "succeeded", amount: 15_000 }],
    });
    const settled = found.timeline.at(-1);
    expect(settled).toMatchObject({ status: "CONFIRMED", epoch: 1 });
    expect(found.movements.map(({ kind, seq }) => [kind, seq])).toEqual([
      ["place", 3],
      ["settle", settled?.seq],
    ]);
  });

  it("is told from the others of its call: each sees what the ones before it left", async () => {
    const sale = await openTestSale(shop, { stock: 20, perCustomerLimit: 6 });
    const customerId = randomUUID();
    const wishes = [{ quantity: 1 }, { quantity: 2, customerId }, { quantity: 99 }, { quantity: 3, customerId }, {}];
    // Placed at once, they go out as one call.
    const orders = await Promise.all(wishes.map((wish) => place(sale, wish).catch(() => undefined)));
    const ids = orders.flatMap((order) => (order ? [order.orderId] : []));
    const all = await Promise.all(ids.map((id) => explained(id, "accepted")));
    expect(new Set(all.map(({ decision }) => decision.seq)).size).toBe(1);
    expect(all.map(({ decision }) => decision.inputs[0]?.availableBefore)).toEqual([20, 19, 17, 14]);
    expect(all.map(({ decision }) => decision.inputs[0]?.usedBefore)).toEqual([0, 0, 2, 0]);
  });

  it("is explained by its release when it was cancelled", async () => {
    const sale = await openTestSale(shop, { stock: 2 });
    const { orderId } = await place(sale, { token: "tok_declined" });
    await isStatus(orderId, "CANCELLED");
    const found = await explained(orderId, "accepted");
    expect(found.decision.inputs).toMatchObject([{ availableBefore: 2, limit: 0 }]);
    expect(found.movements.map(({ kind }) => kind)).toEqual(["place", "release"]);
    expect(found.reason).toBe("PAYMENT_DECLINED");
  });

  it("is found in the log before Postgres has it", async () => {
    const sale = await openTestSale(shop, { stock: 2 });
    await persister.stop();
    try {
      const { orderId } = await place(sale);
      const found = await explained(orderId, "pending");
      expect(found).toMatchObject({ epoch: 1, seq: 2, reservation: 1, sale: { id: sale.saleId } });
    } finally {
      persister = await startPersister(servers());
    }
  });

  it("says what it does not know: of entries by versions that did not record what they found", async () => {
    const sale = await openTestSale(shop, { stock: 2 });
    const { orderId } = await place(sale);
    await explained(orderId, "accepted");
    await shop.pool.query(
      "UPDATE stock_movements SET script = NULL, available = NULL, buyer_limit = NULL WHERE sale_id = $1",
      [sale.saleId],
    );
    const { decision } = await explained(orderId, "accepted");
    expect(decision).toMatchObject({ script: null, isExact: false });
    expect(decision.inputs).toMatchObject([{ wanted: 1, availableBefore: null, limit: null, usedBefore: null }]);
  });
});

describe("a refusal", { timeout: 120_000 }, () => {
  it.each([
    ["SOLD_OUT", { quantity: 4 }, { remaining: 3 }],
    ["LIMIT_EXCEEDED", { quantity: 3 }, { limit: 2, used: 0 }],
  ])("%s is explained by the state that it was decided on", async (code, wish, facts) => {
    const sale = await openTestSale(shop, { stock: 3, ...(code === "LIMIT_EXCEEDED" && { perCustomerLimit: 2 }) });
    const customerId = randomUUID();
    const error = await refusedOf(place(sale, { ...wish, customerId }));
    const found = await explained(error.requestId ?? "", "refused");
    expect(found).toMatchObject({
      ...{ code, buyer: customerId, decidedBy: "redis", epoch: 1, seq: 1, script: scriptOf("place").version },
      facts: { productId: sale.productId, ...facts },
    });
    expect(found.decidedAt?.getTime()).toBeGreaterThan(0);
    expect((await explained(found.orderId ?? "", "refused")).requestId).toBe(error.requestId);
  });

  it("from what a process remembers says so, and is kept too", async () => {
    const sale = await openTestSale(shop, { stock: 1 });
    await place(sale);
    const [first, second] = [await refusedOf(place(sale)), await refusedOf(place(sale))];
    expect(await explained(first.requestId ?? "", "refused")).toMatchObject({
      decidedBy: "redis",
      facts: { remaining: 0 },
    });
    const found = await explained(second.requestId ?? "", "refused");
    expect(found).toMatchObject({ code: "SOLD_OUT", facts: { remaining: 0 } });
    // The memory lasts a moment: a machine that is slow may have asked Redis again.
    expect(["memory", "redis"]).toContain(found.decidedBy);
  });

  it("of a sale that is not open, and of a key that was used otherwise", async () => {
    const later = await openTestSale(shop, { stock: 1 }, { opensAt: new Date(4_000_000_000_000) });
    const early = await refusedOf(place(later));
    expect((await explained(early.requestId ?? "", "refused")).facts).toMatchObject({
      opensAt: "2096-10-02T07:06:40.000Z",
    });
    const sale = await openTestSale(shop, { stock: 5 });
    const customerId = randomUUID();
    await place(sale, { customerId, key: "k" });
    const conflict = await refusedOf(place(sale, { customerId, key: "k", quantity: 2 }));
    expect((await explained(conflict.requestId ?? "", "refused")).code).toBe("IDEMPOTENCY_CONFLICT");
  });

  it("that was only counted is told by its second", async () => {
    const sale = await openTestSale(shop, { stock: 1 });
    await place(sale);
    const errors = await Promise.all(Array.from({ length: 600 }, () => refusedOf(place(sale))));
    await shop.engine.refusals.drain();
    await shop.engine.refusals.drain();
    const kept = await shop.pool.query<{ id: string }>("SELECT request_id AS id FROM refusals WHERE sale_id = $1", [
      sale.saleId,
    ]);
    const counted = await shop.pool.query<{ n: number }>(
      "SELECT COALESCE(sum(passed_over), 0)::int AS n FROM refusal_counts WHERE sale_id = $1",
      [sale.saleId],
    );
    expect(kept.rows.length + (counted.rows[0]?.n ?? 0)).toBe(600);
    const known = new Set(kept.rows.map(({ id }) => id));
    const passedOver = errors.find(({ requestId }) => !known.has(requestId ?? ""));
    // A machine that takes seconds for this keeps them all.
    if (passedOver) {
      const found = await explained(passedOver.requestId ?? "", "counted");
      expect(found.refused).toContainEqual(expect.objectContaining({ saleId: sale.saleId, code: "SOLD_OUT" }));
    }
  });

  it("is nothing that an id from elsewhere finds", async () => {
    for (const id of [randomUUID(), "", "nonsense", "a".repeat(10_000), "\0", "'; --", "1o3m4x2k9f-2s_zzzzz"]) {
      expect(await explain(shop.pool, shop.redis, id)).toBeUndefined();
    }
  });
});

describe("over HTTP", { timeout: 120_000 }, () => {
  it("a problem document's id leads operators, and nobody else, to the explanation", async () => {
    const { saleId, productId } = await api.sale({ stock: 1 });
    const body = { saleId, customerId: randomUUID(), items: [{ productId, quantity: 2 }] };
    const refused = await api.call("POST", "/api/v1/orders", { body });
    const { requestId } = JSON.parse(refused.text) as { requestId: string };
    const at = `/api/v1/admin/orders/${requestId}/explanation`;
    const token = await accessToken("cus_012345678901234567890124", ["support"]);
    await until(async () => {
      const found = await api.call("GET", at, { token });
      expect(JSON.parse(found.text)).toMatchObject({
        type: "refused",
        code: "SOLD_OUT",
        facts: { productId, remaining: 1 },
      });
    });
    expect((await api.call("GET", at)).status).toBe(401);
    expect((await api.call("GET", at, { token: await accessToken("cus_012345678901234567890123") })).status).toBe(403);
    const unknown = `/api/v1/admin/orders/${randomUUID()}/explanation`;
    expect((await api.call("GET", unknown, { token })).status).toBe(404);
  });
});

describe("onrush orders explain", () => {
  const onrush = (...args: string[]) =>
    new Promise<{ code: number; out: string; err: string }>((resolve) => {
      const env = { PATH: process.env["PATH"], REDIS_URL: redis.url, DATABASE_URL: database.url };
      execFile(process.execPath, [CLI, "orders", "explain", ...args], { env }, (error, out, err) => {
        resolve({ code: typeof error?.code === "number" ? error.code : 0, out, err });
      });
    });

  it("tells a person and a program the same", { timeout: 120_000 }, async () => {
    const sale = await openTestSale(shop, { stock: 5 });
    const { orderId } = await place(sale, { token: "tok_ok" });
    await isStatus(orderId, "CONFIRMED");
    const told = await onrush(orderId);
    expect(told.code).toBe(0);
    for (const part of [
      /CONFIRMED/,
      /entry +1-2, reservation 1/,
      /커피 +1 +5 +none/,
      /settle +1-/,
      /succeeded +5000 KRW/,
    ]) {
      expect(told.out).toMatch(part);
    }
    const { out } = await onrush(orderId, "--json");
    expect(JSON.parse(out)).toMatchObject({ type: "accepted", orderId });
    const { requestId } = await refusedOf(place(sale, { quantity: 9 }));
    await explained(requestId ?? "", "refused");
    expect((await onrush(requestId ?? "")).out).toMatch(/refused +SOLD_OUT[\s\S]*remaining +4/);
    expect(await onrush(randomUUID())).toMatchObject({ code: 1, err: expect.stringContaining("Nothing is known") });
    expect(await onrush()).toMatchObject({ code: 2 });
  });
});
