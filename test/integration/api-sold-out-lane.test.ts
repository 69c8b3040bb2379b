// The lane for sold-out orders says what the app would say, to whatever comes; it is only faster.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createApp, createEdge } from "../../api/app.ts";
import { soldOutLane } from "../../api/orders/sold-out-lane.ts";
import { type ApiServer, startServer } from "../../api/server.ts";
import { openApiShop } from "./api-shop.ts";

const shop = await openApiShop();
let server: ApiServer;
let sale: { saleId: string; productId: string };
/** Requests that the app got to see. */
let seenByApp = 0;

beforeAll(async () => {
  const edge = createEdge(shop.deps);
  const app = createApp(shop.deps, edge);
  const counting = {
    fetch(request: Request, env: Parameters<typeof app.fetch>[1]) {
      seenByApp += 1;
      return app.fetch(request, env);
    },
  };
  server = await startServer(counting as never, { host: "127.0.0.1", port: 0 }, soldOutLane(edge, shop.deps));
  sale = await shop.sale({ stock: 1 });
  await post(order());
});
afterAll(() => server.stop());

beforeEach(async () => {
  // One refusal makes this process remember it.
  await shop.call("POST", "/api/v1/orders", { body: order() });
  expect(shop.deps.engine.soldOut.isKept).toBe(true);
  seenByApp = 0;
});

const order = (changes: object = {}) => ({
  saleId: sale.saleId,
  customerId: randomUUID(),
  items: [{ productId: sale.productId, quantity: 1 }],
  payment: { method: "later" },
  ...changes,
});

async function post(body: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(`${server.url}/api/v1/orders`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Record<string, unknown>,
  };
}

describe("the lane for sold-out orders", () => {
  test("answers a plain order without the app, in the app's words", async () => {
    const body = order({ address: { street: "123 Main St", postalCode: "12345", city: "서울" }, price: 5_000 });
    const [byLane, byApp] = [await post(body), await shop.call("POST", "/api/v1/orders", { body })];
    expect(seenByApp).toBe(0);
    expect(byLane.status).toBe(409);
    expect({ ...byLane.body, requestId: "" }).toEqual({ ...byApp.body, requestId: "" });
    expect(byLane.body["requestId"]).toMatch(/^\w+-\w+$/);
    for (const [name, value] of byApp.headers) expect(byLane.headers.get(name)).toBe(value);
  });

  test.each([
    ["not JSON", "{", 400],
    ["no object", "[]", 400],
    ["no items", { items: undefined }, 400],
    ["quantity 0", { items: [{ productId: "x", quantity: 0 }] }, 400],
    ["quantity 1.5", { items: [{ productId: "x", quantity: 1.5 }] }, 400],
    ["a quantity in words", { items: [{ productId: "x", quantity: "1" }] }, 400],
    ["an unknown product", { items: [{ productId: randomUUID(), quantity: 1 }] }, 404],
    ["an unknown sale", { saleId: "nowhere" }, 404],
    ["another price", { price: 1 }, 409],
    ["a member's id", { customerId: "cus_000000000000000000000000" }, 403],
    ["no UUID", { customerId: "me" }, 400],
    ["an address without a city", { address: { street: "a", postalCode: "b" } }, 400],
    ["an address with NUL", { address: { street: "a\0", postalCode: "b", city: "c" } }, 400],
    ["a coupon", { couponCode: "X" }, 401],
    ["a wallet", { payment: { method: "wallet" } }, 401],
    ["a broken token", { payment: { method: "card", token: "" } }, 400],
    ["a price that is none", { price: "free" }, 400],
  ])("leaves %s to the app", async (_what, changes, status) => {
    const body = typeof changes === "string" ? changes : order(changes);
    const answer = await post(body);
    expect(seenByApp).toBe(1);
    expect(answer.status).toBe(status);
  });

  test("leaves orders with a key or a token to the app", async () => {
    expect((await post(order(), { "idempotency-key": "k" })).body["code"]).toBe("SOLD_OUT");
    expect((await post(order(), { authorization: "Bearer x" })).status).toBe(401);
    expect(seenByApp).toBe(2);
  });

  test("leaves the way free when units come back", async () => {
    const restock = { body: { productId: sale.productId, quantity: 1 }, token: shop.admin };
    expect((await shop.call("POST", `/api/v1/sales/${sale.saleId}/restock`, restock)).status).toBe(200);
    expect((await post(order())).status).toBe(202);
    expect((await post(order())).body["code"]).toBe("SOLD_OUT");
  });
});
