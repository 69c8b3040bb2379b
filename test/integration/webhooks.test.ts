// Webhooks out, by a worker, to real receivers: every event at least once, whatever happens to either end.
import { randomUUID } from "node:crypto";
import { pino } from "pino";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { cancelInLedger } from "../../engine/ledger/cancellation.ts";
import { transaction } from "../../engine/ledger/database.ts";
import { findOrder } from "../../engine/ledger/orders.ts";
import { openRefund } from "../../engine/ledger/refund-requests.ts";
import { openOutbox } from "../../engine/outbox/outbox.ts";
import { listDeliveries } from "../../engine/webhooks/deliveries.ts";
import { findEndpoint } from "../../engine/webhooks/endpoints.ts";
import type { WebhookEvent } from "../../engine/webhooks/event-types.ts";
import {
  changeWebhookEndpoint,
  createWebhookEndpoint,
  deleteWebhookEndpoint,
  pingWebhookEndpoint,
  replayWebhooks,
  rotateWebhookSecret,
  type WithSecret,
} from "../../engine/webhooks/operations.ts";
import type { DeliveryTiming } from "../../persister/jobs/webhooks/deliveries.ts";
import { openTestSale, startEngine, startPersister, startTestWorker } from "../support/assembly.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startTestRedis } from "../support/redis.ts";
import { startWebhookReceiver, verified, type WebhookEventBody } from "./webhook-receiver.ts";

vi.setConfig({ testTimeout: 120_000 });
const WAIT = { timeout: 60_000, interval: 200 };
/** Tries follow each other in milliseconds: ten minutes of a receiver that is down are over in a second. */
const FAST: Partial<DeliveryTiming> = { retryDelayMs: 20, retryDelayMsMax: 200, holdMs: 10, holdMsMax: 100 };

const database = await createTestDatabase();
const redis = await startTestRedis();
const servers = { databaseUrl: database.url, redisUrl: redis.url };
const shop = await startEngine(servers);
const { pool, engine } = shop;
const outbox = await openOutbox(database.url, () => undefined);
const persister = await startPersister(servers);
const receiver = await startWebhookReceiver();
const other = await startWebhookReceiver();
const sale = await openTestSale(shop, { stock: 10_000, price: 3_000 });
const BY = { actor: "cli:test", allowPrivate: true };

const alarms: Record<string, unknown>[] = [];
const log = pino({ level: "warn" }, { write: (line: string) => void alarms.push(JSON.parse(line)) });
let worker: Awaited<ReturnType<typeof startTestWorker>>;
async function startWorker(webhook: Partial<DeliveryTiming> = {}): Promise<void> {
  const timing = { sweepIntervalMs: 50, webhook: { ...FAST, ...webhook } };
  worker = await startTestWorker(servers, timing, { webhooks: { allowPrivate: true }, log });
}
beforeAll(() => startWorker());
afterAll(async () => {
  await Promise.all([worker.stop(), persister.stop()]);
  await shop.stop();
  await Promise.all([outbox.close(), redis.stop()]);
});

async function place(count: number, method: "card" | "later" = "card"): Promise<string[]> {
  const request = { saleId: sale.saleId, items: [{ productId: sale.productId, quantity: 1 }], payment: { method } };
  const placed = await Promise.all(
    Array.from({ length: count }, () => engine.place({ ...request, customerId: randomUUID() })),
  );
  return placed.map(({ orderId }) => orderId);
}

let endpoints = 0;
/** An endpoint with a path of its own. */
const endpointAt = (of: typeof receiver, events?: readonly WebhookEvent[]) => {
  endpoints += 1;
  return createWebhookEndpoint(pool, { url: `${of.url}/${endpoints}`, events }, BY);
};

const until = (id: string, status: string) =>
  vi.waitFor(async () => expect(await findOrder(pool, id)).toMatchObject({ status }), WAIT);

/** What the receiver took of what the endpoint was sent, verified by its secret: types by order. */
function takenBy(of: typeof receiver, { url, secret }: WithSecret): Map<string, string[]> {
  const types = new Map<string, string[]>();
  for (const one of of.taken(url).values()) {
    if (one.headers["webhook-id"]?.startsWith("evt_ping")) continue;
    const event = verified(secret, one);
    const { orderTrackingId: id } = event.data;
    types.set(id, [...(types.get(id) ?? []), event.type].toSorted());
  }
  return types;
}

test("each of the four events comes, signed, with the order as it stood then", async () => {
  const endpoint = await endpointAt(receiver);
  const { id, secret } = endpoint;
  const [paid = ""] = await place(1);
  const [left = ""] = await place(1, "later");
  await until(paid, "CONFIRMED");
  await until(left, "RESERVED");
  const cancel = { orderId: left, actor: "test", reason: "OPERATOR" as const };
  expect(await transaction(pool, (client) => cancelInLedger(client, outbox, cancel))).toBe(true);
  await transaction(pool, (client) => openRefund(client, outbox, { orderId: paid, restock: false, actor: "test" }));
  await until(paid, "REFUNDED");
  await vi.waitFor(() => {
    const taken = takenBy(receiver, endpoint);
    expect(taken.get(paid)).toEqual(["order.accepted", "order.confirmed", "order.refunded"]);
    expect(taken.get(left)).toEqual(["order.accepted", "order.cancelled"]);
  }, WAIT);

  const events = [...receiver.taken(endpoint.url).values()].map((one) => ({ one, event: verified(secret, one) }));
  const eventOf = (orderId: string, type: string): WebhookEventBody =>
    events.find(({ event }) => event.type === type && event.data.orderTrackingId === orderId)
      ?.event as WebhookEventBody;
  const order = await findOrder(pool, paid);
  expect(eventOf(paid, "order.accepted").data).toMatchObject({ status: "PENDING", version: 1, refundedAmount: 0 });
  const confirmed = eventOf(paid, "order.confirmed");
  const step = order?.timeline.find(({ status }) => status === "CONFIRMED");
  expect(confirmed).toMatchObject({
    timestamp: step?.at.toISOString(),
    data: { status: "CONFIRMED", version: step?.version, refundedAmount: 0, payable: 3_000 },
  });
  expect(confirmed.data["timeline"]).toHaveLength(step?.version ?? 0);
  expect(eventOf(paid, "order.refunded").data).toMatchObject({ status: "REFUNDED", refundedAmount: 3_000 });
  expect(eventOf(left, "order.cancelled").data).toMatchObject({ status: "CANCELLED", reason: "OPERATOR" });
  for (const { one, event } of events) {
    expect(one.headers["webhook-id"]).toBe(`evt_${event.data.orderTrackingId}_${event.data.version}`);
    expect(one.headers["content-type"]).toBe("application/json");
    expect(one.body).not.toMatch(/tok_|token|receipt/);
    expect(() => verified("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", one)).toThrow();
  }
  await deleteWebhookEndpoint(pool, id, BY);
});

test("a receiver that is down gets every event once it is back, in any order; the other one waits for nothing", async () => {
  const down = await endpointAt(receiver);
  const well = await endpointAt(other, ["order.confirmed"]);
  await receiver.kill();
  const orders = await place(150);
  await vi.waitFor(() => expect(takenBy(other, well).size).toBe(150), WAIT);
  // It has been tried, in vain, and more than once.
  await vi.waitFor(async () => {
    const tried = await listDeliveries(pool, down.id, { state: "pending", limit: 1_000 });
    expect(tried.length).toBe(300);
    expect(tried.reduce((sum, { tries }) => sum + tries, 0)).toBeGreaterThan(48);
    expect(tried.some(({ lastError }) => lastError === "ECONNREFUSED")).toBe(true);
  }, WAIT);
  await receiver.restart();
  await vi.waitFor(() => {
    const taken = takenBy(receiver, down);
    for (const id of orders) expect(taken.get(id)).toEqual(["order.accepted", "order.confirmed"]);
  }, WAIT);
  await vi.waitFor(async () => {
    expect(await findEndpoint(pool, down.id)).toMatchObject({ enabled: true, failingSince: null });
    expect(await listDeliveries(pool, down.id, { state: "pending", limit: 1 })).toEqual([]);
  }, WAIT);
  for (const { id } of [down, well]) await deleteWebhookEndpoint(pool, id, BY);
});

test("an endpoint that never answers holds up neither the other one nor payments", async () => {
  const hangs = await endpointAt(receiver);
  const well = await endpointAt(other);
  await receiver.answer(0);
  const orders = await place(100);
  await vi.waitFor(() => {
    const taken = takenBy(other, well);
    for (const id of orders) expect(taken.get(id)).toEqual(["order.accepted", "order.confirmed"]);
  }, WAIT);
  expect((await listDeliveries(pool, hangs.id, { state: "delivered", limit: 1 })).length).toBe(0);
  await deleteWebhookEndpoint(pool, hangs.id, BY);
  await deleteWebhookEndpoint(pool, well.id, BY);
  await receiver.kill(); // what hangs there ends
  await receiver.restart();
});

test("while a secret is replaced, both sign; then the new one alone", async () => {
  const { id, url, secret: old } = await endpointAt(receiver);
  const { secret: fresh, previousSecretUntil } = await rotateWebhookSecret(pool, id, BY);
  expect(previousSecretUntil?.getTime()).toBeGreaterThan(Date.now() + 23 * 3_600_000);
  const pinged = async () => {
    const { eventId } = await pingWebhookEndpoint(pool, id, BY);
    await vi.waitFor(() => expect(receiver.taken(url).has(eventId)).toBe(true), WAIT);
    const one = receiver.taken(url).get(eventId);
    if (!one) throw new Error(eventId);
    return one;
  };
  const both = await pinged();
  expect(both.headers["webhook-signature"]?.split(" ")).toHaveLength(2);
  expect(verified(old, both)).toMatchObject({ type: "ping" });
  expect(verified(fresh, both)).toMatchObject({ type: "ping" });
  await pool.query("UPDATE webhook_endpoints SET previous_until = now() WHERE id = $1", [id]); // a day later
  const one = await pinged();
  expect(verified(fresh, one)).toMatchObject({ type: "ping" });
  expect(() => verified(old, one)).toThrow();
  await deleteWebhookEndpoint(pool, id, BY);
});

test("what is never taken is dead after its time, said aloud, and goes again by a replay", async () => {
  await worker.stop();
  await startWorker({ giveUpAfterMs: 300 });
  const endpoint = await endpointAt(receiver, ["order.accepted"]);
  const { id } = endpoint;
  await receiver.answer(503);
  const orders = await place(3);
  await vi.waitFor(async () => {
    const dead = await listDeliveries(pool, id, { state: "dead", limit: 10 });
    expect(dead).toHaveLength(3);
    for (const one of dead) expect(one).toMatchObject({ lastStatus: 503, lastError: "http_503", dueAt: null });
  }, WAIT);
  expect(alarms.some((alarm) => alarm["webhookEndpoint"] === id && /never taken/.test(String(alarm["msg"])))).toBe(
    true,
  );
  await receiver.answer(200);
  const [first] = await listDeliveries(pool, id, { state: "dead", limit: 1 });
  expect(await replayWebhooks(pool, id, [first?.id ?? 0, 999_999_999], BY)).toEqual([first?.id]);
  expect(await replayWebhooks(pool, id, undefined, BY)).toHaveLength(2);
  expect(await replayWebhooks(pool, id, undefined, BY)).toEqual([]);
  await vi.waitFor(() => {
    const taken = takenBy(receiver, endpoint);
    for (const order of orders) expect(taken.get(order)).toEqual(["order.accepted"]);
  }, WAIT);
  await deleteWebhookEndpoint(pool, id, BY);
});

test("an endpoint that fails for a day is disabled, on record and with an alarm; enabled, it gets what was due", async () => {
  await worker.stop();
  await startWorker({ disableAfterMs: 300 });
  const endpoint = await endpointAt(receiver, ["order.accepted"]);
  const { id } = endpoint;
  await receiver.answer(500);
  const [before = ""] = await place(1);
  await vi.waitFor(async () => {
    expect(await findEndpoint(pool, id)).toMatchObject({ enabled: false, disabledBy: "failures" });
  }, WAIT);
  const audit = await pool.query(
    "SELECT actor, reason FROM audit_log WHERE action = 'webhook_endpoint.disable' AND subject = $1",
    [`webhook-endpoint:${id}`],
  );
  expect(audit.rows).toEqual([{ actor: "system", reason: "nothing was taken for too long" }]);
  await vi.waitFor(() => {
    expect(alarms.some((alarm) => alarm["webhookEndpoint"] === id && /disabled/.test(String(alarm["msg"])))).toBe(true);
  }, WAIT);
  await expect(pingWebhookEndpoint(pool, id, BY)).rejects.toMatchObject({ code: "INVALID_STATE" });
  const [meanwhile = ""] = await place(1);
  await until(meanwhile, "CONFIRMED");
  await receiver.answer(204);
  await changeWebhookEndpoint(pool, id, { enabled: true }, BY);
  const [after = ""] = await place(1);
  await vi.waitFor(() => {
    const taken = takenBy(receiver, endpoint);
    expect([before, after].map((order) => taken.get(order))).toEqual([["order.accepted"], ["order.accepted"]]);
  }, WAIT);
  await deleteWebhookEndpoint(pool, id, BY);
});

test("a deleted endpoint is sent nothing more, and its deliveries go", async () => {
  await receiver.answer(503);
  const { id } = await endpointAt(receiver);
  await place(1);
  await vi.waitFor(async () => expect((await listDeliveries(pool, id, { limit: 1 })).length).toBe(1), WAIT);
  await deleteWebhookEndpoint(pool, id, BY);
  await worker.stop();
  await startWorker(); // a worker's first pass forgets what is old
  await vi.waitFor(async () => {
    expect((await pool.query("SELECT FROM webhook_endpoints WHERE id = $1", [id])).rowCount).toBe(0);
    expect((await pool.query("SELECT FROM webhook_deliveries WHERE endpoint_id = $1", [id])).rowCount).toBe(0);
  }, WAIT);
  await receiver.answer(204);
});
