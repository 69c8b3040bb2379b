// Editing sales and their stock over the API, with the trail that it leaves.
import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { listAudit } from "../../engine/ledger/audit.ts";
import { openApiShop } from "./api-shop.ts";

const shop = await openApiShop();
const asAdmin = (method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
  shop.call(method, path, { token: shop.admin, body, ...(headers && { headers }) });
const product = async (body: object = {}) =>
  (await asAdmin("POST", "/api/v1/products", { name: "녹차", price: 3_000, ...body })).body.id;
const buy = (saleId: string, productId: string, quantity = 1) =>
  shop.call("POST", "/api/v1/orders", { body: { saleId, items: [{ productId, quantity }] } });
const trail = (subject: string) => listAudit(shop.pool, { limit: 50, subject });

describe("an edit of a sale", () => {
  test("changes price and limit of an item, for orders from now on", async () => {
    const { saleId, productId } = await shop.sale({ stock: 10, price: 5_000 });
    const answer = await asAdmin("PATCH", `/api/v1/sales/${saleId}`, {
      name: "가을 세일",
      items: [{ productId, price: 4_000, perCustomerLimit: 2 }],
      reservationTtlSeconds: 60,
      onDecline: "hold",
      reason: "가격 인하",
    });
    expect(answer.body).toMatchObject({
      name: "가을 세일",
      version: 2,
      reservationTtlSeconds: 60,
      onDecline: "hold",
      items: [{ productId, price: 4_000, perCustomerLimit: 2, remaining: 10 }],
    });
    expect((await buy(saleId, productId)).body.price).toBe(4_000);
    expect((await buy(saleId, productId, 3)).body.code).toBe("LIMIT_EXCEEDED");
    const back = await asAdmin("PATCH", `/api/v1/sales/${saleId}`, {
      items: [{ productId, price: null, perCustomerLimit: null }],
    });
    expect(back.body.items[0]).toMatchObject({ price: 5_000, perCustomerLimit: null });
    expect((await buy(saleId, productId, 3)).status).toBe(202);
    const [, edit] = await trail(`sale:${saleId}`);
    expect(edit).toMatchObject({
      action: "sale.edit",
      reason: "가격 인하",
      before: { name: "Sale", reservationTtlMs: 300_000, items: [{ productId, price: 5_000 }] },
      after: { name: "가을 세일", reservationTtlMs: 60_000, items: [{ productId, price: 4_000, perCustomerLimit: 2 }] },
    });
    expect(edit?.before).not.toHaveProperty("opensAt");
  });

  test("adds items with their stock, and moves no stock of the others", async () => {
    const { saleId, productId } = await shop.sale({ stock: 3 });
    const added = await product();
    await buy(saleId, productId);
    const answer = await asAdmin("PATCH", `/api/v1/sales/${saleId}`, { items: [{ productId: added, stock: 4 }] });
    expect(answer.body.items).toMatchObject([{ remaining: 2 }, { productId: added, price: 3_000, remaining: 4 }]);
    expect((await buy(saleId, added)).status).toBe(202);
  });

  test("is refused when the sale was changed since", async () => {
    const { saleId } = await shop.sale({ stock: 1 });
    const path = `/api/v1/sales/${saleId}`;
    expect((await asAdmin("PATCH", path, { name: "A", version: 1 })).body).toMatchObject({ name: "A", version: 2 });
    const stale = await asAdmin("PATCH", path, { name: "B", version: 1 });
    expect([stale.status, stale.body]).toMatchObject([409, { code: "INVALID_STATE", version: 2, sent: 1 }]);
    expect((await asAdmin("PATCH", path, { name: "B" }, { "if-match": '"1"' })).status).toBe(409);
    expect((await asAdmin("PATCH", path, { name: "B" }, { "if-match": "x" })).status).toBe(400);
    expect((await asAdmin("PATCH", path, { name: "B", version: 1 }, { "if-match": '"2"' })).status).toBe(400);
    expect((await asAdmin("PATCH", path, { name: "C" }, { "if-match": '"2"' })).body).toMatchObject({ name: "C" });
    expect(await trail(`sale:${saleId}`)).toHaveLength(3);
  });

  test("of two at once with one version, one wins", async () => {
    const { saleId } = await shop.sale({ stock: 1 });
    const edit = (name: string) => asAdmin("PATCH", `/api/v1/sales/${saleId}`, { name, version: 1 });
    const statuses = (await Promise.all(["A", "B", "C", "D"].map(edit))).map(({ status }) => status);
    expect(statuses.sort()).toEqual([200, 409, 409, 409]);
  });

  test("that makes no sense changes nothing", async () => {
    const { saleId, productId } = await shop.sale({ stock: 1 });
    const usd = await product({ currency: "USD" });
    for (const body of [
      { name: "" },
      { version: 0 },
      { reason: "" },
      { onDecline: "keep" },
      { items: [{ productId, price: -1 }] },
      { items: [{ productId, perCustomerLimit: 0 }] },
      { items: [{ productId, stock: 5 }] },
      { items: [{ productId: randomUUID() }] },
      { items: [{ productId: usd, stock: 1 }] },
      { items: [{ productId }, { productId }] },
      { name: "half done", items: [{ productId: usd }] },
    ]) {
      const answer = await asAdmin("PATCH", `/api/v1/sales/${saleId}`, body);
      expect([body, answer.status, answer.body.code]).toEqual([body, 400, "VALIDATION"]);
    }
    expect((await shop.call("GET", `/api/v1/sales/${saleId}`)).body).toMatchObject({ name: "Sale", version: 1 });
    expect(await trail(`sale:${saleId}`)).toHaveLength(1);
  });

  test.each(["no-such", "%00", "%ZZ", "A", "x".repeat(40)])("of %s is 404", async (id) => {
    for (const [method, path, body] of [
      ["PATCH", "", {}],
      ["POST", "/open", undefined],
      ["POST", "/restock", { productId: randomUUID(), quantity: 1 }],
      ["POST", "/write-off", { productId: randomUUID(), quantity: 1, reason: "x" }],
    ] as const) {
      expect((await asAdmin(method, `/api/v1/sales/${id}${path}`, body)).status).toBe(404);
    }
  });
});

describe("a write-off", () => {
  test("takes unsold units away, from all partitions, and says why in the trail", async () => {
    const { saleId, productId } = await shop.sale({ stock: 10, sale: { partitions: 3 } });
    const path = `/api/v1/sales/${saleId}/write-off`;
    const done = await asAdmin("POST", path, { productId, quantity: 7, reason: "파손" });
    expect(done.body.items[0]).toMatchObject({ remaining: 3 });
    const more = await asAdmin("POST", path, { productId, quantity: 4, reason: "파손" });
    expect([more.status, more.body]).toMatchObject([409, { code: "INVALID_STATE", available: 3 }]);
    const records = await trail(`sale:${saleId}`);
    expect(records[0]).toMatchObject({ action: "stock.write_off", reason: "파손", after: { productId, quantity: 7 } });
    expect(records).toHaveLength(2);
    const rows = await shop.pool.query("SELECT quantity, reason, actor FROM allocations WHERE quantity < 0");
    const units = rows.rows.map((row: { quantity: number }) => row.quantity);
    expect([units.length, units.reduce((sum, quantity) => sum + quantity, 0)]).toEqual([2, -7]);
    expect(rows.rows[0]).toMatchObject({ reason: "write_off", actor: expect.stringMatching(/^cus_/) });
  });

  test("wants a reason, whole units and a product of the sale", async () => {
    const { saleId, productId } = await shop.sale({ stock: 1 });
    const write = (body: object) => asAdmin("POST", `/api/v1/sales/${saleId}/write-off`, body);
    for (const body of [
      { productId, quantity: 1 },
      { productId, quantity: 0, reason: "x" },
      { quantity: 1, reason: "x" },
    ]) {
      expect((await write(body)).body.code).toBe("VALIDATION");
    }
    expect((await write({ productId: randomUUID(), quantity: 1, reason: "x" })).status).toBe(404);
    const { saleId: other } = await shop.sale({ stock: 1 });
    const path = `/api/v1/sales/${other}/write-off`;
    const call = await shop.call("POST", path, { body: { productId, quantity: 1, reason: "x" } });
    expect(call.status).toBe(401);
  });
});

test("everything that an operator does is in the trail", async () => {
  const id = await product();
  await asAdmin("PUT", `/api/v1/products/${id}`, { name: "홍차", price: 1 });
  await asAdmin("DELETE", `/api/v1/products/${id}`);
  expect((await trail(`product:${id}`)).map(({ action }) => action)).toEqual([
    "product.delete",
    "product.update",
    "product.create",
  ]);
  const { saleId, productId } = await shop.sale({ stock: 1 });
  for (const action of ["pause", "open", "close"]) await asAdmin("POST", `/api/v1/sales/${saleId}/${action}`);
  expect((await asAdmin("POST", `/api/v1/sales/${saleId}/pause`)).status).toBe(409);
  await asAdmin("POST", `/api/v1/sales/${saleId}/restock`, { productId, quantity: 5, reason: "재입고" });
  const records = await trail(`sale:${saleId}`);
  expect(records.map(({ action }) => action)).toEqual([
    "stock.restock",
    "sale.close",
    "sale.open",
    "sale.pause",
    "sale.create",
  ]);
  expect(records[0]).toMatchObject({ reason: "재입고", after: { productId, quantity: 5 } });
  expect(records[1]).toMatchObject({ before: { admission: "open" }, after: { admission: "closed" } });
});
