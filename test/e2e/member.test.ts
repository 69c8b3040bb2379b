// A member's way through the shop, from sign-up to log-out, against everything that `npm start` runs, by the typed client.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { createClient, type OnrushClient } from "../../client/index.ts";
import {
  type InstancePlace,
  type InstanceProcess,
  instancePlace,
  REAL_ENTRY,
  startInstance,
} from "../support/instance.ts";

const COFFEE = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
const PASSWORD = "correct horse battery";
const EMAIL = "haneul@example.com";

let place: InstancePlace;
let instance: InstanceProcess;
let shop: OnrushClient;
let accessToken: string | undefined;

beforeAll(async () => {
  place = await instancePlace();
  instance = startInstance(place, { LOG_LEVEL: "warn" }, REAL_ENTRY);
  const { apiUrl } = await instance.untilReady();
  shop = createClient({ baseUrl: apiUrl ?? "", token: () => accessToken });
});
afterAll(async () => {
  instance.signalGroup("SIGTERM");
  expect(await instance.exited).toBe(0);
  place.remove();
});

const until = (assertion: () => Promise<void> | void) => vi.waitFor(assertion, { timeout: 20_000, interval: 50 });
const orderOf = async (id: string) => (await shop.GET("/api/v1/orders/{id}", { params: { path: { id } } })).data;

it("signs up, verifies, fills the cart, orders, sees the order confirmed, cancels another, and signs out", async () => {
  const signedUp = await shop.POST("/api/v1/auth/signup", {
    body: { email: EMAIL, password: PASSWORD, name: "김하늘" },
  });
  expect(signedUp.response.status).toBe(201);
  accessToken = signedUp.data?.accessToken;

  const mails = path.join(place.dataDir, "mail");
  let token = "";
  await until(() => {
    const [mail = ""] = readdirSync(mails).filter((name) => name.endsWith(".eml"));
    const text = readFileSync(path.join(mails, mail), "utf8");
    const body = /transfer-encoding: base64/i.test(text)
      ? Buffer.from(text.slice(text.indexOf("\n\n")), "base64").toString("utf8")
      : text.replaceAll("=\n", "").replaceAll("=3D", "=");
    token = /verify-email#token=([\w-]{43})/.exec(body)?.[1] ?? "";
    expect(token).not.toBe("");
  });
  const verified = await shop.POST("/api/v1/auth/verify-email", { body: { token } });
  expect(verified.data).toMatchObject({ email: EMAIL, emailVerified: true });

  const products = await shop.GET("/api/v1/products", { params: { query: { query: "커피" } } });
  expect(products.data?.items.map((item) => item.id)).toContain(COFFEE);
  const cart = await shop.PUT("/api/v1/cart/items/{productId}", {
    params: { path: { productId: COFFEE } },
    body: { quantity: 3 },
  });
  expect(cart.data?.totals).toEqual([{ saleId: "catalog", price: 15_000, currency: "KRW" }]);
  const checkout = await shop.POST("/api/v1/cart/checkout", {
    params: { header: { "idempotency-key": "my cart" } },
    body: { address: { street: "세종대로 110", postalCode: "04524", city: "서울" } },
  });
  expect(checkout.response.status).toBe(202);
  const orderId = checkout.data?.orderTrackingId ?? "";
  await until(async () => expect((await orderOf(orderId))?.status).toBe("CONFIRMED"));
  expect((await shop.GET("/api/v1/cart", { params: {} })).data?.items).toEqual([]);

  const waiting = await shop.POST("/api/v1/orders", {
    params: {},
    body: { items: [{ productId: COFFEE, quantity: 1 }], payment: { method: "later" } },
  });
  const waitingId = waiting.data?.orderTrackingId ?? "";
  const cancelled = await shop.POST("/api/v1/orders/{id}/cancel", { params: { path: { id: waitingId } } });
  expect(cancelled.response.status).toBe(202);
  await until(async () => expect((await orderOf(waitingId))?.status).toBe("CANCELLED"));

  const mine = await shop.GET("/api/v1/orders", { params: { query: {} } });
  expect(mine.data?.items.map((order) => [order.orderTrackingId, order.status])).toEqual([
    [waitingId, "CANCELLED"],
    [orderId, "CONFIRMED"],
  ]);
  const confirmed = await shop.GET("/api/v1/orders", { params: { query: { status: "CONFIRMED" } } });
  expect(confirmed.data?.items.map((order) => order.orderTrackingId)).toEqual([orderId]);

  const refreshToken = signedUp.data?.refreshToken ?? "";
  expect((await shop.POST("/api/v1/auth/logout", { body: { refreshToken } })).response.status).toBe(204);
  const after = await shop.GET("/api/v1/orders", { params: { query: {} } });
  expect([after.response.status, after.error?.code]).toEqual([401, "UNAUTHENTICATED"]);
  accessToken = undefined;
  expect(await orderOf(orderId)).toBeUndefined();
  const back = await shop.POST("/api/v1/auth/login", { body: { email: EMAIL, password: PASSWORD } });
  accessToken = back.data?.accessToken;
  expect((await orderOf(orderId))?.status).toBe("CONFIRMED");
});
