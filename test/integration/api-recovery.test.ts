// What an administrator does over the API after a loss of Redis: rebuild a sale, honour an order that was lost.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { createLogger } from "../../engine/log.ts";
import { makeCustomerId } from "../../engine/members/users.ts";
import { commandConnection, connect } from "../../engine/redis/connection.ts";
import { type QueuedRebuilds, startQueuedRebuilds } from "../../persister/recovery/queued.ts";
import { startPersister } from "../support/assembly.ts";
import { type ApiShop, accessToken, openApiShop } from "./api-shop.ts";

let shop: ApiShop;
let persister: Awaited<ReturnType<typeof startPersister>>;
let rebuilds: QueuedRebuilds;
const closing: (() => unknown)[] = [];

beforeAll(async () => {
  shop = await openApiShop();
  persister = await startPersister({ databaseUrl: shop.databaseUrl, redisUrl: shop.redis.urlOf("onrush_persister") });
  closing.push(() => persister.stop());
  const redis = commandConnection(shop.redis.urlOf("onrush_persister"), 5_000);
  await connect(redis);
  rebuilds = startQueuedRebuilds({ ...shop.deps, redis, log: createLogger("test", "silent") });
  closing.push(async () => {
    await rebuilds.stop();
    redis.disconnect();
  });
});
// After the tests and before the shop, which was opened first.
afterAll(async () => {
  for (const close of closing) await close();
});

const wipe = async () => {
  const admin = commandConnection(shop.redis.url, 5_000);
  await connect(admin);
  await admin.flushall();
  admin.disconnect();
};
const until = (assertion: () => Promise<void>) => vi.waitFor(assertion, { timeout: 20_000, interval: 50 });

async function order(sale: { saleId: string; productId: string }, quantity: number) {
  const items = [{ productId: sale.productId, quantity }];
  const body = { saleId: sale.saleId, customerId: randomUUID(), items, payment: { method: "later" } };
  const answer = await shop.call("POST", "/api/v1/orders", { body });
  expect(answer.status).toBe(202);
  return answer.body;
}

const rebuild = (saleId: string, body: object) =>
  shop.call("POST", `/api/v1/admin/sales/${saleId}/rebuild`, {
    token: shop.admin,
    body,
    headers: { prefer: "wait=30" },
  });
const honour = (body: unknown, token: string | undefined = shop.admin) =>
  shop.call("POST", "/api/v1/admin/orders/honour", { token, body });

describe("after a loss of Redis", () => {
  it("a sale is rebuilt, and an order that was lost is honoured by the body that its client kept", async () => {
    const sale = await shop.sale({ stock: 10 });
    const kept = await order(sale, 1);
    await until(async () =>
      expect((await shop.call("GET", `/api/v1/orders/${kept.orderTrackingId}`)).body.status).toBe("RESERVED"),
    );
    await persister.stop();
    const lost = await order(sale, 3);
    await until(async () => {
      const reports = await shop.pool.query("SELECT seq FROM acknowledgements WHERE sale_id = $1", [sale.saleId]);
      expect(reports.rows).toEqual([{ seq: 3 }]);
    });
    await wipe();

    const plan = await rebuild(sale.saleId, {});
    expect(plan.status).toBe(200);
    expect(plan.body).toMatchObject({
      saleId: sale.saleId,
      apply: false,
      state: "done",
      reports: [
        { partition: 0, from: { epoch: 1, seq: 2 }, lost: { fromSeq: 3, toSeq: 3 }, heldBack: { [sale.productId]: 3 } },
      ],
    });
    expect((await shop.pool.query("SELECT FROM lost_ranges WHERE sale_id = $1", [sale.saleId])).rowCount).toBe(0);
    const done = await rebuild(sale.saleId, { apply: true });
    expect(done.body).toMatchObject({ state: "done", reports: [{ epoch: 2, stock: [{ available: 6, reserved: 1 }] }] });
    const list = await shop.call("GET", `/api/v1/admin/sales/${sale.saleId}/rebuilds?limit=1`, { token: shop.admin });
    expect(list.body.items).toEqual([done.body]);
    const rest = await shop.call("GET", `/api/v1/admin/sales/${sale.saleId}/rebuilds?cursor=${list.body.nextCursor}`, {
      token: shop.admin,
    });
    expect(rest.body.items).toEqual([plan.body]);
    const audit = await shop.pool.query("SELECT FROM audit_log WHERE action = 'stock.rebuild' AND subject = $1", [
      `sale:${sale.saleId}`,
    ]);
    expect(audit.rowCount).toBe(1);

    const path = `/api/v1/orders/${lost.orderTrackingId}`;
    expect((await shop.call("GET", path)).status).toBe(404);
    const honoured = await honour(lost);
    expect(honoured.status).toBe(202);
    expect(honoured.headers.get("location")).toBe(path);
    expect(honoured.body).toMatchObject({
      orderTrackingId: lost.orderTrackingId,
      customerId: lost.customerId,
      status: "PENDING",
      items: lost.items,
      price: lost.price,
    });
    persister = await startPersister({ databaseUrl: shop.databaseUrl, redisUrl: shop.redis.urlOf("onrush_persister") });
    await until(async () => expect((await shop.call("GET", path)).body.status).toBe("RESERVED"));
    const again = await honour(lost);
    expect([again.status, again.body.status]).toEqual([200, "RESERVED"]);
  });
});

describe("a lost order's body", () => {
  it.each<[what: string, body: unknown, status: number]>([
    ["nothing", {}, 400],
    ["a list", [], 400],
    ["no receipt", { orderTrackingId: randomUUID() }, 400],
  ])("that is %s is refused", async (_what, body, status) => {
    expect((await honour(body)).status).toBe(status);
  });

  it("is refused when it was changed, and where nothing was lost", async () => {
    const sale = await shop.sale({ stock: 10 });
    const body = await order(sale, 1);
    expect((await honour({ ...body, payable: 1 })).body.code).toBe("VALIDATION");
    expect((await honour(body)).body.code).toBe("INVALID_STATE");
  });
});

it("only administrators recover", async () => {
  const token = await accessToken(makeCustomerId(), ["support"]);
  expect((await honour({}, token)).status).toBe(403);
  for (const [method, path] of [
    ["POST", "/api/v1/admin/sales/catalog/rebuild"],
    ["GET", "/api/v1/admin/sales/catalog/rebuilds"],
  ] as const) {
    expect((await shop.call(method, path, { token, body: method === "POST" ? {} : undefined })).status).toBe(403);
    expect((await shop.call(method, path, { body: method === "POST" ? {} : undefined })).status).toBe(401);
  }
  expect((await rebuild("no-such-sale", {})).status).toBe(404);
});
