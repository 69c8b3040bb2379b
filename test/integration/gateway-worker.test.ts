// Payments over HTTP, by a worker and the provider's real process: every token's end, and a provider that is killed or away.
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { transaction } from "../../engine/ledger/database.ts";
import { type Outbox, openOutbox } from "../../engine/outbox/outbox.ts";
import { httpGateway } from "../../persister/jobs/gateway/http.ts";
import { CALLS_MAX } from "../../persister/jobs/payment/attempt.ts";
import { startWorker, type Worker } from "../../persister/jobs/worker.ts";
import { API_KEY, startGatewayProcess } from "./gateway-process.ts";
import { openShop, silent } from "./jobs-shop.ts";

const shop = await openShop();
const provider = await startGatewayProcess(shop.databaseUrl);
let outbox: Outbox;
let worker: Worker;

beforeAll(async () => {
  outbox = await openOutbox(shop.databaseUrl, () => undefined);
  worker = await startWorker({
    databaseUrl: shop.databaseUrl,
    redisUrl: shop.redisUrl,
    gateway: httpGateway({ url: provider.url, apiKey: API_KEY }),
    log: silent,
    // The real patience with an absent provider; less with one that is slow.
    timing: { sweepIntervalMs: 50, payment: { chargeTimeoutMs: 3_000, lookupTimeoutMs: 1_000 } },
  });
});
afterAll(async () => {
  await worker.stop();
  await Promise.all([outbox.close(), provider.stop()]);
});

async function pay(count: number, token: string): Promise<string[]> {
  const orders = await shop.reserve(count, { token });
  await transaction(shop.pool, (client) => outbox.enqueue(client, "payment", orders));
  return orders;
}
const eventually = (check: () => Promise<void>) => vi.waitFor(check, { timeout: 25_000, interval: 20 });
const eachChargedOnce = (orders: readonly string[]) =>
  orders.toSorted().map((order) => expect.objectContaining({ key: `${order}:1`, outcome: "succeeded" }));

test.concurrent.for([
  ["tok_ok", "PAID", null, 1],
  ["tok_slow", "PAID", null, 1],
  ["tok_timeout", "PAID", null, 1],
  ["tok_flaky", "PAID", null, 3],
  ["tok_declined", "CANCELLING", "PAYMENT_DECLINED", 1],
  ["tok_insufficient", "CANCELLING", "PAYMENT_DECLINED", 1],
  ["tok_nobody_knows", "CANCELLING", "PAYMENT_DECLINED", 1],
  ["tok_error", "CANCELLING", "PAYMENT_FAILED", CALLS_MAX],
] as const)("%s: %s %s", async ([token, status, reason, calls]) => {
  const [order = ""] = await pay(1, token);
  await eventually(async () => expect(await shop.stateOf(order)).toMatchObject({ status, reason, token: null }));
  expect(await shop.books([order])).toMatchObject([{ key: `${order}:1`, calls }]);
});

test("a provider killed between charge and answer: the order is paid, with one charge", async () => {
  const before = await shop.units();
  // Charged, and the answer never comes: what lies between the two lasts until the kill.
  const [order = ""] = await pay(1, "tok_timeout");
  await eventually(async () => expect(await shop.books([order])).toMatchObject([{ outcome: "succeeded" }]));
  await provider.kill();
  expect(await shop.stateOf(order)).toMatchObject({ status: "PAYING" });
  expect(await shop.units()).toEqual({ ...before, available: before.available - 1, reserved: before.reserved + 1 });
  await provider.restart();
  await eventually(async () => expect(await shop.stateOf(order)).toMatchObject({ status: "PAID", attempts: 1 }));
  expect(await shop.books([order])).toEqual([{ key: `${order}:1`, outcome: "succeeded", calls: 1 }]);
  await eventually(async () =>
    expect(await shop.units()).toEqual({ ...before, available: before.available - 1, sold: before.sold + 1 }),
  );
});

test("a provider killed in the middle of many charges, thrice: every order is paid, each charged once", async () => {
  const orders: string[] = [];
  for (let kills = 0; kills < 3; kills += 1) {
    const batch = await pay(200, "tok_ok");
    // The first of them has its answer: others are on their way.
    await vi.waitFor(async () => expect(await shop.statuses(batch)).toHaveProperty("PAID"), { interval: 1 });
    await provider.kill();
    await provider.restart();
    orders.push(...batch);
  }
  await eventually(async () => expect(await shop.statuses(orders)).toEqual({ PAID: 600 }));
  expect(await shop.books(orders)).toEqual(eachChargedOnce(orders));
});

test("while the provider is away orders wait with their units held; when it is back they are paid, once each", async () => {
  const before = await shop.units();
  await provider.kill();
  const orders = await pay(100, "tok_ok");
  await eventually(async () => {
    const tried = await shop.pool.query(
      "SELECT FROM payment_attempts WHERE order_id = ANY($1::uuid[]) AND error = 'ECONNREFUSED'",
      [orders],
    );
    expect(tried.rowCount).toBe(100);
  });
  expect(await shop.statuses(orders)).toEqual({ PAYING: 100 });
  expect(await shop.units()).toEqual({ ...before, available: before.available - 100, reserved: before.reserved + 100 });
  await provider.restart();
  await eventually(async () => expect(await shop.statuses(orders)).toEqual({ PAID: 100 }));
  expect(await shop.books(orders)).toEqual(eachChargedOnce(orders));
});

test("an outage that is longer than all retries together uses up no call", async () => {
  await provider.kill();
  const [order = ""] = await pay(1, "tok_ok");
  const tries = async () => {
    const sql = "SELECT calls, due_at FROM payment_attempts WHERE order_id = $1 AND error = 'ECONNREFUSED'";
    return (await shop.pool.query<{ calls: number; due_at: Date }>(sql, [order])).rows[0];
  };
  const seen = new Set<number>();
  // More tries than there are calls.
  await eventually(async () => {
    const tried = await tries();
    if (tried) seen.add(tried.due_at.getTime());
    await shop.passTime([order]);
    expect(seen.size).toBeGreaterThan(2 * CALLS_MAX);
  });
  expect(await shop.stateOf(order)).toMatchObject({ status: "PAYING" });
  await provider.restart();
  await eventually(async () => expect(await shop.stateOf(order)).toMatchObject({ status: "PAID", attempts: 1 }));
  expect(await shop.books([order])).toEqual([{ key: `${order}:1`, outcome: "succeeded", calls: 1 }]);
});

test("an order waits for an absent provider until its deadline and a grace, then gives its units back", async () => {
  const before = await shop.units();
  await provider.kill();
  const overdue = await shop.reserve(1, { token: "tok_ok", reservedForMs: -3_600_000 });
  const [waiting = ""] = await pay(1, "tok_ok");
  await transaction(shop.pool, (client) => outbox.enqueue(client, "payment", overdue));
  await eventually(async () =>
    expect(await shop.stateOf(overdue[0] ?? "")).toMatchObject({ status: "CANCELLING", reason: "PAYMENT_FAILED" }),
  );
  expect(await shop.stateOf(waiting)).toMatchObject({ status: "PAYING" });
  await eventually(async () =>
    expect(await shop.units()).toEqual({ ...before, available: before.available - 1, reserved: before.reserved + 1 }),
  );
  await provider.restart();
  await eventually(async () => expect(await shop.stateOf(waiting)).toMatchObject({ status: "PAID" }));
  expect(await shop.books(overdue)).toEqual([]);
});
