// The runtime configuration over HTTP: read with the origin of each value, changed by merge patch, refused whole, taken back.
import { expect, test } from "vitest";
import { createApp } from "../../api/app.ts";
import { listAudit } from "../../engine/ledger/audit.ts";
import { openPool } from "../../engine/ledger/database.ts";
import { offerGateways } from "../../engine/ledger/payment-gateways.ts";
import { openApiShop } from "./api-shop.ts";

const PATH = "/api/v1/admin/config";
const BUYER = "7d1c8a53-3c1b-4b5e-9a6f-2f1f5f0f9b11";
const POOL = { connectionsMax: 2, applicationName: "nowhere", statementTimeoutMs: 1_000 };
const shop = await openApiShop();
const { admin: token } = shop;

interface Shown {
  readonly version: number;
  readonly changedBy: string | null;
  readonly reason: string | null;
  readonly settings: Record<string, Record<string, unknown>>;
  readonly stored: unknown;
  readonly origins: Record<string, Record<string, string>>;
  readonly items: readonly { readonly version: number; readonly settings: unknown; readonly reason: string | null }[];
  readonly nextCursor?: string;
  readonly code?: string;
  readonly errors: readonly { readonly path: string; readonly message: string }[];
}

async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const answer = await shop.call(method, path, { token, headers, ...(body !== undefined && { body }) });
  return { status: answer.status, etag: answer.headers.get("etag"), body: answer.body as unknown as Shown };
}
const get = async () => (await call("GET", PATH)).body;
const patch = (body: unknown, headers?: Record<string, string>) => call("PATCH", PATH, body, headers);

test("is the environment's at first, under version 0", async () => {
  const { status, etag, body } = await call("GET", PATH);
  expect([status, etag]).toEqual([200, '"0"']);
  expect(body).toMatchObject({ version: 0, changedBy: null, stored: {}, origins: { pauses: { orders: "default" } } });
  expect(body.settings).toMatchObject({ rateLimit: { ordersPerSecond: 200 }, log: { level: "info" } });
});

test("a patch stores what it names, with who, why and what was before", async () => {
  const { version: before } = await get();
  const changed = await patch({ rateLimit: { ordersPerSecond: 7 }, pauses: { mails: true } }, {});
  expect([changed.status, changed.etag]).toEqual([200, `"${before + 1}"`]);
  expect(changed.body).toMatchObject({
    version: before + 1,
    changedBy: expect.stringMatching(/^cus_/),
    settings: { rateLimit: { ordersPerSecond: 7, requestsPerSecond: 500 }, pauses: { mails: true, orders: false } },
    stored: { rateLimit: { ordersPerSecond: 7 }, pauses: { mails: true } },
    origins: { rateLimit: { ordersPerSecond: "stored", requestsPerSecond: "default" } },
  });
  const back = await call("PATCH", `${PATH}?reason=mails%20work%20again`, { pauses: null });
  expect(back.body).toMatchObject({ stored: { rateLimit: { ordersPerSecond: 7 } }, reason: "mails work again" });
  const [record] = await listAudit(shop.pool, { subject: "config:runtime", limit: 1 });
  expect(record).toMatchObject({
    action: "config.change",
    reason: "mails work again",
    before: { version: before + 1, settings: { rateLimit: { ordersPerSecond: 7 }, pauses: { mails: true } } },
    after: { version: before + 2, settings: { rateLimit: { ordersPerSecond: 7 } } },
  });
});

test("a patch that makes no difference makes no version", async () => {
  const { version, stored } = await get();
  for (const same of [{}, { pauses: {} }, stored, { pauses: { webhooks: null } }]) {
    expect((await patch(same)).body.version).toBe(version);
  }
});

test.for([
  [{ rateLimit: { ordersPerSecond: 9 }, log: { level: "loud" } }, "log.level"],
  [{ rateLimit: { ordersPerSecond: 9, ordersPerMinute: 1 } }, "rateLimit.ordersPerMinute"],
  [{ rateLimit: { ordersPerSecond: 9 }, coupons: { paused: true } }, "coupons"],
  [{ rateLimit: { ordersPerSecond: 9 }, payments: { circuitTrialDelayMs: 30_000 } }, "payments.circuitTrialDelayMsMax"],
  [{ rateLimit: { ordersPerSecond: 9 }, payments: { gateway: "stripe" } }, "payments.gateway"],
  [[], ""],
  ["", ""],
] as const)("a bad one is refused whole: %j at %s", async ([body, path]) => {
  const before = await get();
  const refused = await patch(body);
  expect([refused.status, refused.body.code]).toEqual([400, "VALIDATION"]);
  expect(refused.body.errors.map((error) => error.path)).toEqual([path]);
  expect(await get()).toEqual(before);
});

test("a provider is chosen only when every worker that runs is set up for it", async () => {
  const choose = async (gateway: string | null) => patch({ payments: { gateway } });
  await offerGateways(shop.pool, "one", ["http", "stripe"]);
  await offerGateways(shop.pool, "two", ["http"]);
  const refused = await choose("stripe");
  expect([refused.status, refused.body.errors]).toMatchObject([400, [{ path: "payments.gateway" }]]);
  await offerGateways(shop.pool, "two", ["simulated", "http", "stripe"]);
  expect((await choose("stripe")).body.settings["payments"]).toMatchObject({ gateway: "stripe" });
  // One that was not heard of for a while does not count, and what is chosen already may stay whoever runs.
  await shop.pool.query("UPDATE payment_gateways SET seen_at = now() - interval '10 minutes'");
  expect((await choose("http")).status).toBe(400);
  expect((await patch({ payments: { gateway: "stripe" }, log: { level: "warn" } })).status).toBe(200);
  expect((await choose(null)).body.settings["payments"]).toMatchObject({ gateway: "simulated" });
});

test("of two changes of one version one is made", async () => {
  const { version } = await get();
  const ifMatch = { "if-match": `"${version}"` };
  const both = await Promise.all([
    patch({ orders: { backlogMax: 1_001 } }, ifMatch),
    patch({ orders: { backlogMax: 1_002 } }, ifMatch),
  ]);
  const [made, refused] = both.toSorted((a, b) => a.status - b.status);
  expect([made?.status, refused?.status, refused?.body.code]).toEqual([200, 409, "INVALID_STATE"]);
  expect(await get()).toMatchObject({ version: version + 1, stored: made?.body.stored });
  expect((await patch({}, { "if-match": "seven" })).status).toBe(400);
});

test("twenty changes at once are twenty versions, each of what was before it", async () => {
  const { version } = await get();
  const rates = Array.from({ length: 20 }, (_, n) => 100 + n);
  const made = await Promise.all(rates.map((loginsPerMinute) => patch({ rateLimit: { loginsPerMinute } })));
  expect(made.map(({ body }) => body.version).toSorted((a, b) => a - b)).toEqual(rates.map((_, n) => version + 1 + n));
  const { items } = (await call("GET", `${PATH}/versions?limit=20`)).body;
  expect(items.map((item) => item.version)).toEqual(rates.map((_, n) => version + 20 - n));
});

test("what a version held can be stored once more", async () => {
  const { version, stored } = await get();
  await patch({ rateLimit: null, orders: null, payments: null, log: null, pauses: { orders: true } });
  const back = await call("POST", `${PATH}/rollback`, { version, reason: "too early" });
  expect([back.status, back.body]).toMatchObject([200, { version: version + 2, stored, reason: "too early" }]);
  const [record] = await listAudit(shop.pool, { subject: "config:runtime", limit: 1 });
  expect(record).toMatchObject({ action: "config.rollback", after: { version: version + 2 } });
  expect((await call("POST", `${PATH}/rollback`, { version: 0 })).body).toMatchObject({ stored: {} });
  for (const [body, status] of [
    [{ version: 9_999 }, 404],
    [{ version: -1 }, 400],
    [{ version: 1.5 }, 400],
    [{ version: 99_999_999_999 }, 400],
    [{}, 400],
  ] as const) {
    expect([body, (await call("POST", `${PATH}/rollback`, body)).status]).toEqual([body, status]);
  }
});

test("versions come in pages", async () => {
  const seen: number[] = [];
  for (let cursor = ""; ; ) {
    const { body } = await call("GET", `${PATH}/versions?limit=7${cursor}`);
    seen.push(...body.items.map(({ version }) => version));
    if (!body.nextCursor) break;
    cursor = `&cursor=${body.nextCursor}`;
  }
  const { version } = await get();
  expect(seen).toEqual(Array.from({ length: version }, (_, n) => version - n));
  expect((await call("GET", `${PATH}/versions?cursor=x`)).status).toBe(400);
});

test("no version is ever changed or removed", async () => {
  for (const sql of ["UPDATE configuration_versions SET actor = 'x'", "DELETE FROM configuration_versions"]) {
    await expect(shop.pool.query(sql)).rejects.toThrow("append-only");
  }
});

test("while orders are paused nothing is taken, and a retry finds its order afterwards", async () => {
  const sale = await shop.sale({ stock: 5 });
  const order = (key: string) =>
    shop.call("POST", "/api/v1/orders", {
      headers: { "idempotency-key": key },
      body: { saleId: sale.saleId, customerId: BUYER, items: [{ productId: sale.productId, quantity: 1 }] },
    });
  const first = await order("before");
  expect(first.status).toBe(202);
  shop.deps.engine.admission.configure({ backlogMax: 200_000, isPaused: true });
  for (const key of ["before", "meanwhile"]) {
    const refused = await order(key);
    expect([refused.status, refused.body]).toMatchObject([503, { code: "OVERLOADED", cause: "paused" }]);
    expect(refused.headers.get("retry-after")).toBe("5");
  }
  shop.deps.engine.admission.configure({ backlogMax: 200_000, isPaused: false });
  const [again, next] = [await order("before"), await order("meanwhile")];
  expect([again.status, again.body.orderTrackingId]).toEqual([200, first.body.orderTrackingId]);
  expect(next.status).toBe(202);
});

test("the backlog's cap can be changed: beyond it orders wait outside", async () => {
  const sale = await shop.sale({ stock: 5 });
  const order = () =>
    shop.call("POST", "/api/v1/orders", {
      body: { saleId: sale.saleId, customerId: BUYER, items: [{ productId: sale.productId, quantity: 1 }] },
    });
  shop.deps.engine.admission.configure({ backlogMax: 1, isPaused: false });
  expect((await order()).status).toBe(202);
  expect((await order()).body).toMatchObject({ code: "OVERLOADED", cause: "backlog" });
  shop.deps.engine.admission.configure({ backlogMax: 2, isPaused: false });
  expect((await order()).status).toBe(202);
});

test("without Postgres it can be neither read nor changed, and says so", async () => {
  const pool = openPool("postgres://127.0.0.1:1/none", POOL, () => undefined);
  const app = createApp({ ...shop.deps, pool });
  for (const [method, path, body] of [
    ["GET", PATH],
    ["PATCH", PATH, { log: { level: "warn" } }],
    ["GET", `${PATH}/versions`],
    ["POST", `${PATH}/rollback`, { version: 0 }],
  ] as const) {
    const answer = await shop.call(method, path, { app, token, ...(body && { body }) });
    expect([method, answer.status, answer.body.code]).toEqual([method, 503, "OVERLOADED"]);
  }
  await pool.end();
});
