// What a payment provider told by webhook, from the inbox to the order: a question that the worker asks, and no answer.
// Retries are so far apart here that nothing but an event moves an order that the provider had not decided.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { cancelInLedger } from "../../engine/ledger/cancellation.ts";
import { openPool, transaction } from "../../engine/ledger/database.ts";
import { forgetOldEvents, recordPaymentEvents } from "../../engine/ledger/payment-events.ts";
import { type Outbox, openOutbox } from "../../engine/outbox/outbox.ts";
import { openSimulatedGateway } from "../../persister/jobs/gateway/simulated.ts";
import { followUp, paymentEventSweep } from "../../persister/jobs/payment-events/follow-up.ts";
import { startWorker, type Worker } from "../../persister/jobs/worker.ts";
import { openShop, silent } from "./jobs-shop.ts";

const PENDING_MS = 400;
const FAR_OFF_MS = 600_000;
const shop = await openShop();
let outbox: Outbox;
let worker: Worker;

beforeAll(async () => {
  outbox = await openOutbox(shop.databaseUrl, () => undefined);
  const options = { connectionsMax: 2, applicationName: "provider", statementTimeoutMs: 5_000 };
  const books = openPool(shop.databaseUrl, options, () => undefined);
  worker = await startWorker({
    databaseUrl: shop.databaseUrl,
    redisUrl: shop.redisUrl,
    gateway: openSimulatedGateway(books, { pendingMs: PENDING_MS }),
    log: silent,
    timing: { sweepIntervalMs: 50, payment: { retryDelayMs: FAR_OFF_MS, lastDelayMs: FAR_OFF_MS } },
  });
});
afterAll(async () => {
  await worker.stop();
  await outbox.close();
});

const eventually = (check: () => Promise<void>) => vi.waitFor(check, { timeout: 20_000, interval: 20 });

/** Orders whose payment the provider has, and has not decided when it was asked. */
async function pendingOrders(count: number): Promise<string[]> {
  const orders = await shop.reserve(count, { token: "tok_pending" });
  await transaction(shop.pool, (client) => outbox.enqueue(client, "payment", orders));
  await eventually(async () => expect((await shop.books(orders)).map(({ outcome }) => outcome)).toHaveLength(count));
  await eventually(async () => {
    const open = await shop.pool.query(
      "SELECT FROM payment_attempts WHERE order_id = ANY($1) AND state = 'started' AND error IS NOT NULL",
      [orders],
    );
    expect(open.rowCount).toBe(count);
  });
  return orders;
}

/** Until the provider has decided; it says so to whoever asks, and nobody does. */
async function untilDecided(orders: readonly string[]): Promise<void> {
  await eventually(async () => {
    const books = await shop.books(orders);
    expect(books.map(({ outcome }) => outcome)).toEqual(orders.map(() => "succeeded"));
  });
}

async function tell(keys: readonly string[], type = "charge.succeeded"): Promise<string[]> {
  const events = keys.map((key) => ({ id: `evt_${randomUUID()}`, type, key, timestampSeconds: 1_790_000_000 }));
  await transaction(shop.pool, async (client) => {
    const recorded = await recordPaymentEvents(client, events);
    await outbox.send(client, "payment-event", { eventIds: recorded.map(({ id }) => id) });
  });
  return events.map(({ id }) => id);
}

const handled = async (ids: readonly string[]) => {
  const result = await shop.pool.query("SELECT FROM payment_events WHERE id = ANY($1) AND handled_at IS NOT NULL", [
    ids,
  ]);
  return result.rowCount;
};

test("an event moves an order on that the provider had not decided", async () => {
  const orders = await pendingOrders(20);
  await untilDecided(orders);
  expect(await shop.statuses(orders)).toEqual({ PAYING: 20 });
  const events = await tell(orders.map((id) => `${id}:1`));
  await eventually(async () => expect(await shop.statuses(orders)).toEqual({ PAID: 20 }));
  await eventually(async () => expect(await handled(events)).toBe(20));
});

test("the same events three times over, shuffled, capture nothing twice", async () => {
  const orders = await pendingOrders(20);
  await untilDecided(orders);
  const keys = orders.flatMap((id) => [`${id}:1`, `${id}:1`, `${id}:1`]).sort(() => Math.random() - 0.5);
  const chunks = [keys.slice(0, 20), keys.slice(20, 40), keys.slice(40)];
  const events = (await Promise.all(chunks.map((chunk) => tell(chunk)))).flat();
  await eventually(async () => expect(await handled(events)).toBe(60));
  expect(await shop.statuses(orders)).toEqual({ PAID: 20 });
  const books = await shop.books(orders);
  expect(books.map(({ outcome }) => outcome)).toEqual(orders.map(() => "succeeded"));
  const { rows } = await shop.pool.query<{ states: string[] }>(
    `SELECT array_agg(status ORDER BY version) AS states FROM order_timeline WHERE order_id = ANY($1) GROUP BY order_id`,
    [orders],
  );
  expect(rows.map(({ states }) => states)).toEqual(orders.map(() => ["PENDING", "RESERVED", "PAYING", "PAID"]));
});

test("an event that claims what the provider does not know is worth nothing", async () => {
  const [declined] = await shop.reserve(1, { token: "tok_declined" });
  const [never] = await shop.reserve(1, { method: "later" });
  if (!declined || !never) throw new Error("no orders");
  await transaction(shop.pool, (client) => outbox.enqueue(client, "payment", [declined]));
  await eventually(async () => expect(await shop.statuses([declined])).toEqual({ CANCELLING: 1 }));
  const events = await tell([`${declined}:1`, `${never}:1`, `${never}:7`, randomUUID(), "somebody else's"]);
  await eventually(async () => expect(await handled(events)).toBe(5));
  expect([await shop.stateOf(declined), await shop.stateOf(never)]).toMatchObject([
    { status: "CANCELLING", reason: "PAYMENT_DECLINED" },
    { status: "RESERVED", attempts: 0 },
  ]);
});

test("a success that comes after the cancel is kept, to be refunded when the order is CANCELLED", async () => {
  const [order] = await pendingOrders(1);
  if (!order) throw new Error("no order");
  const wish = { orderId: order, actor: "test", reason: "CUSTOMER" as const };
  expect(await transaction(shop.pool, (client) => cancelInLedger(client, outbox, wish))).toBe(true);
  await untilDecided([order]);
  const events = await tell([`${order}:1`]);
  await eventually(async () => expect(await handled(events)).toBe(1));
  const { rows } = await shop.pool.query("SELECT status, late_capture FROM orders WHERE id = $1", [order]);
  expect(rows).toEqual([{ status: "CANCELLING", late_capture: 1 }]);
});

test("an event whose job was lost is found by the sweep; one that cannot be followed up waits", async () => {
  const id = `evt_${randomUUID()}`;
  await recordPaymentEvents(shop.pool, [
    { id, type: "charge.succeeded", key: `${randomUUID()}:1`, timestampSeconds: 1 },
  ]);
  const away = {
    pool: shop.pool,
    recheckCharges: () => Promise.reject(new Error("away")),
    recheckRefunds: () => Promise.resolve(),
  };
  await expect(followUp(away, [id])).rejects.toThrow("away");
  expect(await handled([id])).toBe(0);
  await shop.pool.query("UPDATE payment_events SET received_at = now() - interval '1 minute' WHERE id = $1", [id]);
  await paymentEventSweep(shop.pool, outbox).run(0, new AbortController().signal);
  await eventually(async () => expect(await handled([id])).toBe(1));
});

test("what was handled is forgotten after its time, what was not never", async () => {
  const ids = [`evt_${randomUUID()}`, `evt_${randomUUID()}`];
  const [old, waiting] = ids as [string, string];
  const client = await shop.pool.connect();
  // Never committed: the worker would handle it.
  await client.query("BEGIN");
  await recordPaymentEvents(client, [
    { id: old, type: "payout.paid", key: null, timestampSeconds: 1 },
    { id: waiting, type: "charge.succeeded", key: `${randomUUID()}:1`, timestampSeconds: 1 },
  ]);
  await client.query("UPDATE payment_events SET received_at = now() - interval '31 days' WHERE id = ANY($1)", [ids]);
  expect(await forgetOldEvents(client, 100)).toBe(1);
  const left = await client.query<{ id: string }>("SELECT id FROM payment_events WHERE id = ANY($1)", [ids]);
  await client.query("ROLLBACK");
  client.release();
  expect(left.rows).toEqual([{ id: waiting }]);
});
