// What the API says while Redis or Postgres is away, and that its process ends in order.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { describe, expect, test } from "vitest";
import { createApp } from "../../api/app.ts";
import { startEngine } from "../support/assembly.ts";
import { FaultProxy } from "../support/faults/proxy.ts";
import { accessToken, callApp, guest, JWT_SECRET, openApiShop, RECEIPT_SECRET } from "./api-shop.ts";
import { memberWith } from "./points-shop.ts";

const shop = await openApiShop();
const { saleId, productId } = await shop.sale({ stock: 100 });
const body = { saleId, items: [{ productId, quantity: 1 }] };
const MAIN = fileURLToPath(new URL("../../api/main.ts", import.meta.url));

describe("without Postgres", () => {
  // Nobody listens there.
  const pool = new pg.Pool({ connectionString: "postgres://nobody@127.0.0.1:1/none" });
  const app = createApp({ ...shop.deps, pool });

  test("orders are taken, shown and repeated", async () => {
    const headers = { "idempotency-key": guest() };
    const first = await callApp(app, "POST", "/api/v1/orders", { body, headers });
    const again = await callApp(app, "POST", "/api/v1/orders", { body, headers });
    expect([first.status, again.status]).toEqual([202, 200]);
    expect(again.body).toEqual(first.body);
    expect((await callApp(app, "GET", `/api/v1/orders/${first.body.orderTrackingId}`)).body.status).toBe("PENDING");
    expect((await callApp(app, "GET", `/api/v1/sales/${saleId}`)).status).toBe(200);
  });

  test("what only Postgres knows is 503, and worth another try", async () => {
    for (const path of ["/api/v1/products", "/readyz"]) {
      const answer = await callApp(app, "GET", path);
      expect([answer.status, answer.body.code]).toEqual([503, "OVERLOADED"]);
      expect(answer.headers.get("retry-after")).toBe("1");
      expect(JSON.stringify(answer.body)).not.toContain("127.0.0.1");
    }
  });
});

test.each(["refuse", "silent"] as const)(
  "orders with points are 503 while Postgres is away (%s), but for the one that their key led to; others are taken",
  async (mode) => {
    const proxy = await FaultProxy.start(Number(new URL(shop.databaseUrl).port));
    const url = new URL(shop.databaseUrl);
    url.port = String(proxy.port);
    const away = await startEngine({ databaseUrl: url.href, redisUrl: shop.redis.urlOf("onrush_api") });
    try {
      const app = createApp({ ...shop.deps, engine: away.engine });
      const kim = await memberWith(shop.pool, 100);
      const token = await accessToken(kim);
      const spend = (points: number, key: string) =>
        callApp(app, "POST", "/api/v1/orders", {
          body: { ...body, points },
          token,
          headers: { "idempotency-key": key },
        });
      const first = await spend(100, "a");
      expect(first.status).toBe(202);
      proxy.setMode(mode);
      const again = await spend(100, "a");
      expect([again.status, again.body.orderTrackingId]).toEqual([200, first.body.orderTrackingId]);
      const other = await spend(50, "b");
      expect([other.status, other.body.code, other.headers.get("retry-after")]).toEqual([503, "OVERLOADED", "1"]);
      expect((await callApp(app, "POST", "/api/v1/orders", { body, token })).status).toBe(202);
    } finally {
      proxy.heal();
      await away.stop();
      await proxy.stop();
    }
  },
  30_000,
);

test("the process serves, tells where, and ends within the grace on SIGTERM with a connection kept alive", async () => {
  const child = spawn(process.execPath, [MAIN], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    env: {
      PATH: process.env["PATH"],
      PORT: "0",
      REDIS_URL: shop.redis.urlOf("onrush_api"),
      DATABASE_URL: shop.databaseUrl,
      JWT_SECRET,
      RECEIPT_SECRET,
      ADMIN_PASSWORD: "a long password",
      GUEST_ORDERS: "on",
      LOG_LEVEL: "warn",
    },
  });
  const exited = once(child, "exit");
  const [ready] = (await once(child, "message")) as [{ type: string; url: string }];
  expect(ready.type).toBe("ready");
  const post = (path: string, json: unknown) =>
    fetch(`${ready.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(json),
    });
  expect((await post("/api/v1/orders", body)).status).toBe(202);
  expect((await post("/api/v1/auth/login", { email: "admin@onrush.local", password: "a long password" })).status).toBe(
    200,
  );
  const stoppedAt = performance.now();
  child.kill("SIGTERM");
  expect(await exited).toEqual([0, null]);
  expect(performance.now() - stoppedAt).toBeLessThan(9_000);
});

describe("without Redis", () => {
  test("nothing is sold, and what the ledger knows is still told", async () => {
    await shop.redis.kill();
    try {
      const order = await shop.call("POST", "/api/v1/orders", { body });
      expect(order.status).toBe(503);
      expect(["STOCK_UNAVAILABLE", "OUTCOME_UNKNOWN"]).toContain(order.body.code);
      expect(order.headers.get("retry-after")).toBe("1");
      const sale = await shop.call("GET", `/api/v1/sales/${saleId}`);
      expect(sale.body.items).toEqual([expect.objectContaining({ remaining: 100 })]);
      expect((await shop.call("GET", "/readyz")).body).toMatchObject({
        status: 503,
        checks: { redis: false, postgres: true },
      });
      const paused = await shop.call("POST", `/api/v1/sales/${saleId}/pause`, { token: shop.admin });
      expect([paused.status, paused.body.code]).toEqual([503, "STOCK_UNAVAILABLE"]);
    } finally {
      await shop.redis.restart();
    }
  });
});
