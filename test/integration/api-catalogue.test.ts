import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { openApiShop } from "./api-shop.ts";

const shop = await openApiShop();
const asAdmin = (method: string, path: string, body?: unknown) => shop.call(method, path, { token: shop.admin, body });
const product = async (body: object = {}) =>
  (await asAdmin("POST", "/api/v1/products", { name: "Tea", price: 3_000, ...body })).body;

describe("products", () => {
  test("are created, read, replaced and deleted", async () => {
    const made = await asAdmin("POST", "/api/v1/products", { name: "녹차", price: 3_000 });
    expect(made.status).toBe(201);
    expect(made.body).toEqual({
      id: expect.any(String),
      name: "녹차",
      description: "",
      price: 3_000,
      currency: "KRW",
      imageUrl: null,
      version: 1,
      createdAt: expect.any(String),
      updatedAt: expect.any(String),
    });
    const path = `/api/v1/products/${made.body.id}`;
    expect(made.headers.get("location")).toBe(path);
    expect((await shop.call("GET", path)).body).toEqual(made.body);
    const imageUrl = "https://shop.example/tea.jpg";
    const replaced = await asAdmin("PUT", path, { name: "홍차", price: 4_000, description: "x", imageUrl });
    expect(replaced.body).toMatchObject({ name: "홍차", price: 4_000, description: "x", imageUrl, version: 2 });
    expect((await asAdmin("DELETE", path)).status).toBe(204);
    expect((await shop.call("GET", path)).status).toBe(404);
    expect((await asAdmin("DELETE", path)).status).toBe(404);
    expect((await asAdmin("PUT", path, { name: "x", price: 1 })).status).toBe(404);
    expect((await asAdmin("POST", "/api/v1/products", { id: made.body.id, name: "x", price: 1 })).body.code).toBe(
      "INVALID_STATE",
    );
  });

  test.each([
    {},
    { name: "", price: 1 },
    { name: "x" },
    { name: "x", price: -1 },
    { name: "x", price: 1, imageUrl: "javascript:alert(1)" },
    { name: "x", price: 1.5 },
    { name: "x", price: "1" },
    { name: "x", price: 1e13 },
    { name: "x\0", price: 1 },
    { name: "x".repeat(201), price: 1 },
    { name: "x", price: 1, currency: "won" },
    { name: "x", price: 1, id: "me" },
    { name: "x", price: 1, description: "x".repeat(10_001) },
  ])("%j is none", async (body) => {
    const answer = await asAdmin("POST", "/api/v1/products", body);
    expect([answer.status, answer.body.code]).toEqual([400, "VALIDATION"]);
  });

  test("a page follows the other, each product once, in a search too", async () => {
    const names = Array.from({ length: 5 }, (_, i) => `Page ${i}`);
    for (const name of names) await product({ name });
    const seen: string[] = [];
    let next = "";
    do {
      const { body } = await shop.call("GET", `/api/v1/products?query=PAGE&limit=2${next}`);
      seen.push(...body.items.map((item: { name: string }) => item.name));
      next = body.nextCursor ? `&cursor=${body.nextCursor}` : "";
    } while (next !== "");
    expect(seen).toEqual(names);
  });

  const other = Buffer.from(JSON.stringify([1, "x"])).toString("base64url");
  test.each([
    "limit=0",
    "limit=101",
    "limit=x",
    "limit=",
    "limit=1.5",
    "limit=-1",
    "cursor=x",
    "cursor=",
    `cursor=${other}`,
    "query=%00",
  ])("?%s: 400", async (query) => {
    const answer = await shop.call("GET", `/api/v1/products?${query}`);
    expect([answer.status, answer.body.code]).toEqual([400, "VALIDATION"]);
  });

  test.each(["x", "%00", "%ZZ", randomUUID()])("%s is not there", async (id) => {
    expect((await shop.call("GET", `/api/v1/products/${id}`)).status).toBe(404);
  });

  test("are changed only from the version that is named, where one is", async () => {
    const { id } = await product();
    const path = `/api/v1/products/${id}`;
    const change = (method: string, version: string) =>
      shop.call(method, path, {
        token: shop.admin,
        headers: { "if-match": version },
        ...(method === "PUT" && { body: { name: "x", price: 1 } }),
      });
    expect((await shop.call("GET", path)).headers.get("etag")).toBe('"1"');
    const changed = await Promise.all(Array.from({ length: 5 }, () => change("PUT", '"1"')));
    expect(changed.map(({ status }) => status).toSorted()).toEqual([200, 409, 409, 409, 409]);
    expect((await shop.call("GET", path)).headers.get("etag")).toBe('"2"');
    expect((await change("DELETE", '"1"')).body.code).toBe("INVALID_STATE");
    expect((await change("PUT", "x")).body.code).toBe("VALIDATION");
    expect((await change("DELETE", 'W/"2"')).status).toBe(204);
  });

  test("keep the currency of the sales that offer them", async () => {
    const { productId } = await shop.sale({ stock: 1 });
    const answer = await asAdmin("PUT", `/api/v1/products/${productId}`, { name: "x", price: 1, currency: "USD" });
    expect([answer.status, answer.body.code]).toEqual([409, "INVALID_STATE"]);
  });
});

describe("sales", () => {
  test("are created with their stock, and sell from the next request on", async () => {
    const { id: productId } = await product();
    const made = await asAdmin("POST", "/api/v1/sales", {
      name: "Friday",
      closesAt: "2099-01-01T00:00:00+09:00",
      items: [{ productId, stock: 7, price: 2_500, perCustomerLimit: 2 }],
      reservationTtlSeconds: 60,
      partitions: 2,
      onDecline: "hold",
    });
    expect(made.status).toBe(201);
    expect(made.body).toEqual({
      id: expect.any(String),
      name: "Friday",
      state: "open",
      currency: "KRW",
      opensAt: expect.any(String),
      closesAt: "2098-12-31T15:00:00.000Z",
      reservationTtlSeconds: 60,
      partitions: 2,
      onDecline: "hold",
      membersOnly: false,
      stockVisibility: "exact",
      version: 1,
      createdAt: expect.any(String),
      items: [{ productId, name: "Tea", price: 2_500, perCustomerLimit: 2, remaining: 7 }],
    });
    expect((await shop.call("GET", made.headers.get("location") ?? "")).body).toEqual(made.body);
    const placed = await shop.call("POST", "/api/v1/orders", {
      body: { saleId: made.body.id, items: [{ productId, quantity: 1 }] },
    });
    expect([placed.status, placed.body.price]).toEqual([202, 2_500]);
    await expect
      .poll(async () => (await shop.call("GET", `/api/v1/sales/${made.body.id}`)).body.items[0]?.remaining)
      .toBe(6);
  });

  test("take a restock at once, and come back from being sold out", async () => {
    const { saleId, productId } = await shop.sale({ stock: 1 });
    const buy = () => shop.call("POST", "/api/v1/orders", { body: { saleId, items: [{ productId, quantity: 1 }] } });
    await buy();
    expect((await buy()).body.code).toBe("SOLD_OUT");
    const restocked = await asAdmin("POST", `/api/v1/sales/${saleId}/restock`, { productId, quantity: 2 });
    expect(restocked.body).toMatchObject({ state: "open", items: [{ remaining: 2 }] });
    expect((await buy()).status).toBe(202);
    const { id: other } = await product();
    expect((await asAdmin("POST", `/api/v1/sales/${saleId}/restock`, { productId: other, quantity: 1 })).status).toBe(
      404,
    );
    for (const body of [
      { productId },
      { productId, quantity: 0 },
      { productId, quantity: -1 },
      { productId, quantity: 1.5 },
    ]) {
      expect((await asAdmin("POST", `/api/v1/sales/${saleId}/restock`, body)).body.code).toBe("VALIDATION");
    }
  });

  test("are changed by what a patch names", async () => {
    const { saleId } = await shop.sale({ stock: 5 });
    const patch = (body: object) => asAdmin("PATCH", `/api/v1/sales/${saleId}`, body);
    expect((await patch({ name: "Other", stockVisibility: "band" })).body).toMatchObject({
      name: "Other",
      stockVisibility: "band",
      items: [{ remainingBand: "few" }],
    });
    expect((await patch({ opensAt: "2099-01-01T00:00:00Z" })).body.state).toBe("scheduled");
    expect((await patch({ closesAt: "2098-01-01T00:00:00Z" })).body.code).toBe("VALIDATION");
    expect((await patch({ reservationTtlSeconds: 4 })).body.code).toBe("VALIDATION");
    expect((await patch({ opensAt: "2020-01-01T00:00:00Z", closesAt: "2021-01-01T00:00:00Z" })).body.state).toBe(
      "closed",
    );
    expect((await asAdmin("POST", `/api/v1/sales/${saleId}/open`)).body.code).toBe("INVALID_STATE");
    expect((await patch({ closesAt: null })).body.state).toBe("open");
    expect((await asAdmin("PATCH", "/api/v1/sales/no-such", {})).status).toBe(404);
  });

  test("that make no sense are refused", async () => {
    const [krw, usd] = [await product(), await product({ currency: "USD" })];
    const item = { productId: krw.id, stock: 1 };
    const create = (body: object) => asAdmin("POST", "/api/v1/sales", { name: "x", items: [item], ...body });
    for (const body of [
      { items: [] },
      { items: undefined },
      { name: "" },
      { items: [item, item] },
      { items: [item, { productId: usd.id, stock: 1 }] },
      { items: [{ productId: randomUUID(), stock: 1 }] },
      { items: [{ ...item, stock: -1 }] },
      { items: [{ ...item, stock: 1.5 }] },
      { items: [{ ...item, perCustomerLimit: 0 }] },
      { items: [{ ...item, price: -1 }] },
      { opensAt: "tomorrow" },
      { opensAt: "2026-13-01T00:00:00Z" },
      { opensAt: "2099-01-02T00:00:00Z", closesAt: "2099-01-01T00:00:00Z" },
      { reservationTtlSeconds: 4 },
      { partitions: 0 },
      { partitions: 257 },
      { onDecline: "keep" },
      { membersOnly: "yes" },
    ]) {
      expect([body, (await create(body)).body.code]).toEqual([body, "VALIDATION"]);
    }
    expect((await create({ id: "one" })).status).toBe(201);
    expect((await create({ id: "one" })).body.code).toBe("INVALID_STATE");
  });

  test("are listed page by page, the catalog among them", async () => {
    await shop.sale({ stock: 1 });
    const ids: string[] = [];
    let next = "";
    do {
      const { body } = await shop.call("GET", `/api/v1/sales?limit=1${next}`);
      ids.push(...body.items.map((sale: { id: string }) => sale.id));
      next = body.nextCursor ? `&cursor=${body.nextCursor}` : "";
    } while (next !== "");
    expect(ids[0]).toBe("catalog");
    expect(ids).toHaveLength([...shop.deps.engine.catalogue.sales()].length);
    expect((await shop.call("GET", "/api/v1/sales?cursor=x")).body.code).toBe("VALIDATION");
    expect((await shop.call("GET", "/api/v1/sales/no-such")).status).toBe(404);
  });

  test("are announced to the other processes", async () => {
    const listener = shop.deps.redis.duplicate({
      lazyConnect: false,
      enableOfflineQueue: true,
      maxRetriesPerRequest: null,
    });
    try {
      await listener.subscribe("onrush:catalogue");
      const heard = new Promise((resolve) => listener.once("message", (_channel, version) => resolve(Number(version))));
      await product();
      expect(await heard).toBeGreaterThan(1);
    } finally {
      listener.disconnect();
    }
  });
});
