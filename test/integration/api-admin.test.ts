// What operators see and decide over the API, beside a persister and a worker.
import { randomUUID } from "node:crypto";
import { afterAll, describe, expect, test, vi } from "vitest";
import { makeCustomerId } from "../../engine/members/users.ts";
import { startPersister, startTestWorker } from "../support/assembly.ts";
import { accessToken, openApiShop } from "./api-shop.ts";

const WAIT = { timeout: 20_000, interval: 50 };
const shop = await openApiShop();
const servers = { databaseUrl: shop.databaseUrl, redisUrl: shop.redis.url };
const persister = await startPersister(servers);
const worker = await startTestWorker(servers, { sweepIntervalMs: 100 });
const support = await accessToken(makeCustomerId(), ["support"]);

afterAll(async () => {
  await worker.stop();
  await persister.stop();
});

interface Admin {
  readonly items: readonly Record<string, unknown>[];
  readonly nextCursor?: string;
  readonly [name: string]: unknown;
}

async function get(path: string, token = shop.admin): Promise<Admin> {
  const answer = await shop.call("GET", `/api/v1/admin${path}`, { token });
  expect([path, answer.status]).toEqual([path, 200]);
  return answer.body as unknown as Admin;
}

const post = (path: string, body: unknown, token = shop.admin) =>
  shop.call("POST", `/api/v1/admin${path}`, { token, body });

/** An order that Postgres refuses, as a dead letter. */
async function bury(saleId: string, productId: string): Promise<{ id: number; orderId: string }> {
  const { orderId } = await shop.deps.engine.place({
    saleId,
    customerId: randomUUID(),
    items: [{ productId, quantity: 1 }],
    payment: { method: "later" },
    address: { street: "1\0", postalCode: "06236", city: "서울" },
  });
  return await vi.waitFor(async () => {
    const { items } = await get(`/dead-letters?saleId=${saleId}`);
    expect(items).toMatchObject([{ orderId, state: "open", wanted: null, refusal: null }]);
    return { id: Number(items[0]?.["id"]), orderId };
  }, WAIT);
}

describe("dead letters", () => {
  test("are replayed", async () => {
    const { saleId, productId } = await shop.sale({ stock: 3 });
    const { id, orderId } = await bury(saleId, productId);
    const asked = await post(`/dead-letters/${id}/replay`, { reason: "고침" });
    expect([asked.status, asked.body]).toMatchObject([202, { id, state: "open", wanted: "replay" }]);
    await vi.waitFor(async () => {
      expect((await shop.call("GET", `/api/v1/orders/${orderId}`)).body.status).toBe("RESERVED");
      expect(await get(`/dead-letters/${id}`)).toMatchObject({ state: "replayed", wanted: null });
    }, WAIT);
    const again = await post(`/dead-letters/${id}/replay`, {});
    expect([again.status, again.body.code]).toEqual([409, "INVALID_STATE"]);
    expect((await get(`/audit?subject=dead-letter:${id}`)).items).toMatchObject([
      { action: "dead_letter.replay", actor: expect.stringMatching(/^cus_/), reason: "고침" },
    ]);
  });

  test("are discarded; what cannot be replayed says why", async () => {
    const { saleId, productId } = await shop.sale({ stock: 3 });
    const { id, orderId } = await bury(saleId, productId);
    await shop.pool.query(`UPDATE dead_letters SET payload = 'nonsense' WHERE id = $1`, [id]);
    expect((await post(`/dead-letters/${id}/replay`, {})).status).toBe(202);
    await vi.waitFor(async () => {
      const letter = await get(`/dead-letters/${id}`);
      expect(letter).toMatchObject({ state: "open", wanted: null, refusal: expect.stringContaining("not be applied") });
    }, WAIT);
    expect((await post(`/dead-letters/${id}/discard`, {})).status).toBe(400);
    expect((await post(`/dead-letters/${id}/discard`, { reason: "x" }, support)).status).toBe(403);
    expect((await post(`/dead-letters/${id}/discard`, { reason: "unreadable" })).status).toBe(202);
    await vi.waitFor(async () => {
      expect((await shop.call("GET", `/api/v1/sales/${saleId}`)).body.items[0]?.remaining).toBe(3);
    }, WAIT);
    expect((await shop.call("GET", `/api/v1/orders/${orderId}`)).status).toBe(404);
  });

  test.each(["0", "x", "-1", "999999", "1e3", "99999999999999999999"])("%s is none", async (id) => {
    expect((await shop.call("GET", `/api/v1/admin/dead-letters/${id}`, { token: shop.admin })).status).toBe(404);
    expect((await post(`/dead-letters/${id}/replay`, {})).status).toBe(404);
  });
});

test("orders are found by their beginning, their customer, sale and status, page by page", async () => {
  const { saleId, productId } = await shop.sale({ stock: 9 });
  const customerId = randomUUID();
  const ids: string[] = [];
  for (let i = 0; i < 3; i += 1) {
    const body = { saleId, customerId, items: [{ productId, quantity: 1 }], payment: { method: "later" } };
    ids.push((await shop.call("POST", "/api/v1/orders", { body })).body.orderTrackingId);
  }
  const found = async (query: string) => (await get(`/orders?${query}`)).items.map((item) => item["orderTrackingId"]);
  const newestFirst = [...ids].sort().reverse();
  await vi.waitFor(async () => expect(await found(`saleId=${saleId}`)).toEqual(newestFirst), WAIT);
  expect(await found(`query=${customerId}`)).toEqual(newestFirst);
  expect(await found(`query=${ids[1]}`)).toEqual([ids[1]]);
  expect(await found(`query=${ids[1]?.slice(0, 23)}`)).toEqual([ids[1]]);
  expect(await found(`saleId=${saleId}&status=CONFIRMED`)).toEqual([]);
  expect(await found("query=nobody")).toEqual([]);
  const first = await get(`/orders?saleId=${saleId}&limit=2`, support);
  const rest = await get(`/orders?saleId=${saleId}&limit=2&cursor=${first.nextCursor}`);
  expect([...first.items, ...rest.items].map((item) => item["orderTrackingId"])).toEqual(newestFirst);
  expect(rest.nextCursor).toBeUndefined();
  for (const wrong of ["status=DONE", "limit=0", "cursor=x", "query=", "query=%00"]) {
    expect((await shop.call("GET", `/api/v1/admin/orders?${wrong}`, { token: shop.admin })).status).toBe(400);
  }
});

test("the audit trail is paged and filtered", async () => {
  const { saleId } = await shop.sale({ stock: 1 });
  for (const name of ["pause", "open", "close"]) {
    await shop.call("POST", `/api/v1/sales/${saleId}/${name}`, { token: shop.admin });
  }
  const seen: unknown[] = [];
  let next = "";
  do {
    const { items, nextCursor } = await get(`/audit?subject=sale:${saleId}&limit=1${next}`);
    seen.push(...items.map((item) => item["action"]));
    next = nextCursor ? `&cursor=${nextCursor}` : "";
  } while (next !== "");
  expect(seen).toEqual(["sale.close", "sale.open", "sale.pause", "sale.create"]);
  expect((await get(`/audit?subject=sale:${saleId}&action=sale.pause`)).items).toHaveLength(1);
  for (const wrong of ["action=sale.buy", "cursor=x", "limit=101", "subject=%00"]) {
    expect((await shop.call("GET", `/api/v1/admin/audit?${wrong}`, { token: shop.admin })).status).toBe(400);
  }
});

test("the overview tells what is wrong, and the instances which roles run", async () => {
  const { saleId, productId } = await shop.sale({ stock: 5 });
  await vi.waitFor(async () => {
    const { sales } = (await get("/overview", support)) as unknown as { sales: { id: string }[] };
    expect(sales.find(({ id }) => id === saleId)).toMatchObject({
      state: "open",
      available: 5,
      partitions: [{ state: "live", lag: 0, backlog: 0, drift: 0 }],
    });
  }, WAIT);
  await shop.deps.redis.eval(
    "redis.call('HINCRBY', KEYS[1], ARGV[1], 3)",
    1,
    `onrush:{${saleId}.0}:stock`,
    `${productId}|a`,
  );
  expect((await get("/overview"))["findings"]).toContain(`${saleId}.0: Redis and the ledger differ by 3 units.`);
  const { items } = await get("/instances", support);
  expect(items).toContainEqual(expect.objectContaining({ role: "worker", state: "up" }));
});

test.each(["/overview", "/orders", "/dead-letters", "/instances", "/audit"])("%s is for operators", async (path) => {
  const customer = await accessToken(makeCustomerId());
  expect((await shop.call("GET", `/api/v1/admin${path}`)).status).toBe(401);
  expect((await shop.call("GET", `/api/v1/admin${path}`, { token: customer })).status).toBe(403);
  const { body } = await shop.call("GET", "/openapi.json");
  expect(Object.keys((body as unknown as { paths: object }).paths)).toContain(`/api/v1/admin${path}`);
});
