// Points over HTTP: where a member stands, what came and went, what operators give, and orders that ask for more than there is.
import { describe, expect, test } from "vitest";
import { makeCustomerId } from "../../engine/members/users.ts";
import { AMOUNT_MAX } from "../../engine/money.ts";
import { accessToken, openApiShop } from "./api-shop.ts";
import { memberWith } from "./points-shop.ts";

const shop = await openApiShop();
const { call, pool, admin } = shop;

async function member(points = 0) {
  const id = await memberWith(pool, points);
  return { id, token: await accessToken(id) };
}
const adjust = (id: string, body: unknown, key?: string) =>
  call("POST", `/api/v1/points/${id}/adjustments`, {
    token: admin,
    body,
    ...(key !== undefined && { headers: { "idempotency-key": key } }),
  });

describe("a member", () => {
  test("who never had points stands at the beginning", async () => {
    const kim = await member();
    const { status, body } = await call("GET", "/api/v1/points", { token: kim.token });
    expect([status, body]).toEqual([
      200,
      {
        customerId: kim.id,
        balance: 0,
        spend: 0,
        currency: "KRW",
        tier: "bronze",
        rate: 100,
        nextTier: { name: "silver", from: 300_000, rate: 200, missing: 300_000 },
      },
    ]);
    const entries = await call("GET", "/api/v1/points/entries", { token: kim.token });
    expect([entries.status, entries.body]).toEqual([200, { items: [] }]);
  });

  test("reads the own entries, newest first, page by page, and nobody else's", async () => {
    const kim = await member();
    for (const amount of [1, 2, 3, 4, 5]) await adjust(kim.id, { amount, reason: `no ${amount}` });
    const seen: number[] = [];
    let cursor = "";
    do {
      const query = `limit=2${cursor && `&cursor=${cursor}`}`;
      const { body } = await call("GET", `/api/v1/points/entries?${query}`, { token: kim.token });
      for (const item of body.items as unknown as { amount: number; kind: string; reason: string }[]) {
        expect(item).toMatchObject({ kind: "adjust", reason: `no ${item.amount}` });
        seen.push(item.amount);
      }
      cursor = body.nextCursor ?? "";
    } while (cursor !== "");
    expect(seen).toEqual([5, 4, 3, 2, 1]);
    const lee = await member();
    expect((await call("GET", `/api/v1/points/${kim.id}`, { token: lee.token })).status).toBe(403);
    expect((await call("GET", "/api/v1/points/entries?cursor=x", { token: kim.token })).body.code).toBe("VALIDATION");
    const byOperator = await call("GET", `/api/v1/points/${kim.id}/entries?limit=1`, { token: admin });
    expect(byOperator.body.items).toMatchObject([{ amount: 5, balance: 15 }]);
    expect((await call("GET", `/api/v1/points/${kim.id}`, { token: admin })).body).toMatchObject({ balance: 15 });
  });
});

describe("an adjustment", () => {
  test("is booked once a key, with its record in the trail", async () => {
    const kim = await member();
    const first = await adjust(kim.id, { amount: 500, reason: "미안합니다" }, "a");
    expect([first.status, first.body]).toMatchObject([201, { customerId: kim.id, amount: 500, balance: 500 }]);
    const again = await adjust(kim.id, { amount: 500, reason: "미안합니다" }, "a");
    expect([again.status, again.body.id]).toEqual([200, first.body.id]);
    expect(again.headers.get("idempotent-replayed")).toBe("true");
    expect((await adjust(kim.id, { amount: 501, reason: "미안합니다" }, "a")).body.code).toBe("IDEMPOTENCY_CONFLICT");
    expect((await adjust(kim.id, { amount: -501, reason: "x" })).body).toMatchObject({
      code: "INVALID_STATE",
      balance: 500,
    });
    const trail = await call("GET", `/api/v1/admin/audit?subject=points:${kim.id}`, { token: admin });
    expect(trail.body.items).toMatchObject([{ action: "points.adjust", reason: "미안합니다" }]);
  });

  test.each([
    [{ amount: 0, reason: "x" }, "amount"],
    [{ amount: 1.5, reason: "x" }, "amount"],
    [{ amount: "5", reason: "x" }, "amount"],
    [{ amount: AMOUNT_MAX + 1, reason: "x" }, "amount"],
    [{ amount: 5 }, "reason"],
    [{ amount: 5, reason: "" }, "reason"],
    [{ amount: 5, reason: "a\u0000b" }, "reason"],
  ])("%j is refused, and changes nothing", async (body, path) => {
    const kim = await member();
    const answer = await adjust(kim.id, body);
    expect([answer.status, answer.body.errors?.[0]?.path]).toEqual([400, path]);
    expect((await call("GET", "/api/v1/points", { token: kim.token })).body).toMatchObject({ balance: 0 });
  });

  test("is for members that there are", async () => {
    for (const id of [makeCustomerId(), "nobody", "%00"]) {
      expect((await adjust(id, { amount: 5, reason: "x" })).status).toBe(404);
      expect((await call("GET", `/api/v1/points/${id}`, { token: admin })).status).toBe(404);
    }
  });
});

describe("an order with points", () => {
  test("says what it lowers, and its receipt and view say it too", async () => {
    const sale = await shop.sale({ stock: 5 });
    const kim = await member(700);
    const order = { saleId: sale.saleId, items: [{ productId: sale.productId, quantity: 1 }], points: 700 };
    const placed = await call("POST", "/api/v1/orders", { token: kim.token, body: order });
    expect([placed.status, placed.body]).toMatchObject([202, { price: 5_000, payable: 4_300, points: 700 }]);
    const view = await call("GET", `/api/v1/orders/${placed.body.orderTrackingId}`, { token: kim.token });
    expect(view.body).toMatchObject({ price: 5_000, payable: 4_300, points: 700 });
  });

  test("is refused when there are not as many, with what there is; a retry under its key gets its order", async () => {
    const sale = await shop.sale({ stock: 5 });
    const kim = await member(700);
    const order = (points: number, key: string) =>
      call("POST", "/api/v1/orders", {
        token: kim.token,
        body: { saleId: sale.saleId, items: [{ productId: sale.productId, quantity: 1 }], points },
        headers: { "idempotency-key": key },
      });
    const refused = await order(701, "a");
    expect([refused.status, refused.body]).toMatchObject([
      409,
      { code: "INSUFFICIENT_POINTS", balance: 700, points: 701 },
    ]);
    const placed = await order(700, "a");
    expect(placed.status).toBe(202);
    await adjust(kim.id, { amount: -700, reason: "spent meanwhile" });
    const again = await order(700, "a");
    expect([again.status, again.body.orderTrackingId]).toEqual([200, placed.body.orderTrackingId]);
    expect((await order(700, "b")).status).toBe(409);
  });

  test.each([
    ["a guest's", 401, undefined, { points: 1 }],
    ["more than it costs", 400, "points", { points: 5_001 }],
    ["none", 400, "points", { points: 0 }],
    ["half a point", 400, "points", { points: 0.5 }],
    ["a text", 400, "points", { points: "5" }],
    ["beyond every amount", 400, "points", { points: 1e300 }],
  ])("%s: %i", async (name, status, path, extra) => {
    const sale = await shop.sale({ stock: 5 });
    const kim = await member(AMOUNT_MAX);
    const body = { saleId: sale.saleId, items: [{ productId: sale.productId, quantity: 1 }], ...extra };
    const answer = await call("POST", "/api/v1/orders", { body, ...(name !== "a guest's" && { token: kim.token }) });
    expect([answer.status, answer.body.errors?.[0]?.path]).toEqual([status, path]);
  });

  test("in another currency than points are worth is refused", async () => {
    const product = await call("POST", "/api/v1/products", {
      token: admin,
      body: { name: "x", price: 500, currency: "USD" },
    });
    const sale = await call("POST", "/api/v1/sales", {
      token: admin,
      body: { name: "Sale", currency: "USD", items: [{ productId: product.body.id, stock: 5 }] },
    });
    const kim = await member(700);
    const body = { saleId: sale.body.id, items: [{ productId: product.body.id, quantity: 1 }], points: 5 };
    const answer = await call("POST", "/api/v1/orders", { token: kim.token, body });
    expect([answer.status, answer.body.errors?.[0]?.path]).toEqual([400, "points"]);
  });

  test("is taken from the cart", async () => {
    const sale = await shop.sale({ stock: 5 });
    const kim = await member(700);
    const item = { saleId: sale.saleId, quantity: 1 };
    await call("PUT", `/api/v1/cart/items/${sale.productId}`, { token: kim.token, body: item });
    const checkout = (points: number) => call("POST", "/api/v1/cart/checkout", { token: kim.token, body: { points } });
    expect((await checkout(701)).body.code).toBe("INSUFFICIENT_POINTS");
    expect([(await checkout(700)).body]).toMatchObject([{ price: 5_000, payable: 4_300, points: 700 }]);
  });
});
