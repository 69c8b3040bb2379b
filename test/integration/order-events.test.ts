// Every event in every state of an order, by the functions that production calls: what may happen happens once, however often
// and however many at a time it is told; whatever else is refused and leaves no trace.
import { randomUUID } from "node:crypto";
import { afterAll, describe, expect, test } from "vitest";
import { cancelInLedger } from "../../engine/ledger/cancellation.ts";
import { transaction } from "../../engine/ledger/database.ts";
import { transition } from "../../engine/ledger/fates.ts";
import { endLateAttempts, expirePending } from "../../engine/ledger/late-payments.ts";
import { applyRevivals } from "../../engine/ledger/late-units.ts";
import { type AttemptEnd, endAttempts, startPayments } from "../../engine/ledger/payments.ts";
import { openRefund } from "../../engine/ledger/refund-requests.ts";
import { succeedRefunds } from "../../engine/ledger/refund-work.ts";
import { refundLatePayments } from "../../engine/ledger/refunds.ts";
import { expireOrders } from "../../engine/ledger/sweeps.ts";
import { type CancelReason, ORDER_STATUSES, type OrderStatus } from "../../engine/order-state.ts";
import { openOutbox } from "../../engine/outbox/outbox.ts";
import { redisNowMs } from "../../engine/redis/clock.ts";
import { openShop, PRICE } from "./jobs-shop.ts";

const shop = await openShop();
const { pool } = shop;
const outbox = await openOutbox(shop.databaseUrl, () => undefined);
afterAll(() => outbox.close());

/** What an event changes; what is not named stays. `charge`: what a success that no order waits for is kept as. */
interface Change {
  readonly to?: OrderStatus;
  readonly reason?: CancelReason | null;
  readonly stock?: "sold" | "released" | "reserved";
  readonly charge?: "late capture" | "surplus";
}

/** The whole of it: an event in a state that is not here changes nothing. */
const TABLE = {
  reserve: { PENDING: { to: "RESERVED" } },
  refuse: { PENDING: { to: "CANCELLING", reason: "LEDGER_GUARD" } },
  "start payment": { RESERVED: { to: "PAYING" } },
  capture: { PAYING: { to: "PAID" } },
  decline: { PAYING: { to: "CANCELLING", reason: "PAYMENT_DECLINED" } },
  "decline with hold": { PAYING: { to: "RESERVED" } },
  fail: { PAYING: { to: "CANCELLING", reason: "PAYMENT_FAILED" } },
  "customer cancel": {
    RESERVED: { to: "CANCELLING", reason: "CUSTOMER" },
    PAYING: { to: "CANCELLING", reason: "CUSTOMER" },
  },
  "operator cancel": {
    RESERVED: { to: "CANCELLING", reason: "OPERATOR" },
    PAYING: { to: "CANCELLING", reason: "OPERATOR" },
  },
  expire: { RESERVED: { to: "CANCELLING", reason: "EXPIRED" } },
  "expire while pending": { PAYING: { to: "CANCELLING", reason: "EXPIRED" } },
  settle: { PAID: { to: "CONFIRMED", stock: "sold" } },
  release: { CANCELLING: { to: "CANCELLED", stock: "released" } },
  revive: { CANCELLED: { to: "PAID", reason: null, stock: "reserved" } },
  refund: { CONFIRMED: { to: "REFUND_PENDING" } },
  "refund of a late payment": { CANCELLED: { to: "REFUND_PENDING" } },
  "refund done": { REFUND_PENDING: { to: "REFUNDED" } },
  "late success": {
    RESERVED: { charge: "surplus" }, // of an attempt that had been declined
    CANCELLING: { charge: "late capture" },
    CANCELLED: { charge: "late capture" },
  },
} as const satisfies Record<string, Partial<Record<OrderStatus, Change>>>;
type OrderEvent = keyof typeof TABLE;

/** How an order looks in each state before the event: its hold, its one attempt, and whether it was refunded. */
const LOOKS: Record<OrderStatus, { stock: string; reason?: CancelReason; attempt?: string; refund?: string }> = {
  PENDING: { stock: "reserved" },
  RESERVED: { stock: "reserved", attempt: "declined" },
  PAYING: { stock: "reserved", attempt: "started" },
  PAID: { stock: "reserved", attempt: "succeeded" },
  CONFIRMED: { stock: "sold", attempt: "succeeded" },
  CANCELLING: { stock: "reserved", reason: "EXPIRED", attempt: "started" },
  CANCELLED: { stock: "released", reason: "EXPIRED", attempt: "started" },
  REFUND_PENDING: { stock: "sold", attempt: "succeeded", refund: "pending" },
  REFUNDED: { stock: "sold", attempt: "succeeded", refund: "succeeded" },
};

async function orderIn(status: OrderStatus): Promise<string> {
  const { stock, reason, attempt, refund } = LOOKS[status];
  const [id = ""] = await shop.reserve(1);
  await pool.query(
    `UPDATE orders SET status = $2, stock_state = $3, reason = $4, payment_attempts = $5,
       payment_token = CASE WHEN $2 = 'RESERVED' THEN payment_token END WHERE id = $1`,
    [id, status, stock, reason ?? null, attempt ? 1 : 0],
  );
  await pool.query("UPDATE order_timeline SET status = $2 WHERE order_id = $1 AND version = 2", [id, status]);
  await pool.query("INSERT INTO order_lines VALUES ($1, 0, $2, 'Thing', 1, $3)", [id, shop.productId, PRICE]);
  if (attempt) {
    await pool.query(
      `INSERT INTO payment_attempts (order_id, attempt, method, amount, currency, state) VALUES ($1, 1, 'card', $2, 'KRW', $3)`,
      [id, PRICE, attempt],
    );
  }
  if (refund) {
    await pool.query(
      `INSERT INTO refunds (id, order_id, attempt, method, scope, amount, currency, state, actor)
       VALUES ($1, $1, 1, 'card', 'whole', $2, 'KRW', $3, 'test')`,
      [id, PRICE, refund],
    );
  }
  return id;
}

const end = (id: string, how: AttemptEnd) => endAttempts(pool, [{ orderId: id, attempt: 1, ...how }]);
const cancel = (orderId: string, reason: "CUSTOMER" | "OPERATOR") =>
  transaction(pool, (client) => cancelInLedger(client, outbox, { orderId, actor: "test", reason }));
let seq = 1_000_000;

const FIRE: Record<OrderEvent, (id: string) => Promise<unknown>> = {
  reserve: (id) => transition(pool, "reserve", [id]),
  refuse: (id) => transition(pool, "refuse", [id], "LEDGER_GUARD"),
  "start payment": (id) => startPayments(pool, [id], 60_000),
  capture: (id) => end(id, { state: "succeeded", reference: "ch_1" }),
  decline: (id) => end(id, { state: "declined", code: "card_declined" }),
  "decline with hold": (id) => end(id, { state: "declined", code: "card_declined" }),
  fail: (id) => end(id, { state: "failed", code: "provider_unavailable" }),
  "customer cancel": (id) => cancel(id, "CUSTOMER"),
  "operator cancel": (id) => cancel(id, "OPERATOR"),
  expire: async () => {
    const nowMs = await redisNowMs(shop.redis);
    await transaction(pool, (client) => expireOrders(client, nowMs, 100));
  },
  "expire while pending": (id) => expirePending(pool, [{ orderId: id, attempt: 1 }]),
  settle: (id) => transition(pool, "settle", [id], null, "sold"),
  release: (id) => transition(pool, "release", [id], null, "released"),
  async revive(id) {
    const at = { saleId: shop.saleId, partition: 0 };
    const isIn = await pool.query("SELECT FROM orders WHERE id = $1 AND stock_state = 'released'", [id]);
    if (isIn.rowCount === 0) return; // the persister buries such an entry
    seq += 1;
    const hold = { orderId: id, reservation: seq, earlierReservation: 1, epoch: 1, seq, atMs: 0 };
    await transaction(pool, (client) =>
      applyRevivals(client, at, [{ ...hold, outcome: "revived", stockState: "reserved" }]),
    );
  },
  refund: (orderId) =>
    transaction(pool, (client) => openRefund(client, outbox, { orderId, restock: false, actor: "test" })),
  "refund of a late payment": (orderId) =>
    transaction(pool, (client) =>
      refundLatePayments(client, outbox, [{ orderId, attempt: 1, amount: PRICE, currency: "KRW" }], "late"),
    ),
  "refund done": (id) =>
    transaction(pool, (client) => succeedRefunds(client, [{ id, orderId: id, reference: "re_1" }])),
  "late success": (id) =>
    transaction(pool, (client) =>
      endLateAttempts(client, [{ orderId: id, attempt: 1, state: "succeeded", reference: "ch_1" }]),
    ),
};

/** What an event needs of the order to be possible at all. */
const ARRANGE: Partial<Record<OrderEvent, string>> = {
  "decline with hold": "UPDATE orders SET on_decline = 'hold' WHERE id = $1",
  expire: "UPDATE orders SET payment_token = NULL, reserved_until = now() - interval '1 minute' WHERE id = $1",
};

interface Seen {
  readonly status: OrderStatus;
  readonly reason: CancelReason | null;
  readonly stock: string;
  readonly version: number;
  readonly timeline: readonly string[];
  readonly lateCapture: number | null;
  readonly attempts: readonly string[];
  readonly refunds: readonly string[];
  readonly jobs: number;
}

async function look(id: string): Promise<Seen> {
  const result = await pool.query<Seen>(
    `SELECT status, reason, stock_state AS stock, version, late_capture AS "lateCapture",
       (SELECT json_agg(concat_ws(' ', t.version, t.status, t.reason) ORDER BY t.version) FROM order_timeline t
        WHERE t.order_id = o.id) AS timeline,
       COALESCE((SELECT json_agg(concat_ws(' ', a.attempt, a.state, a.surplus) ORDER BY a.attempt) FROM payment_attempts a
        WHERE a.order_id = o.id), '[]') AS attempts,
       COALESCE((SELECT json_agg(concat_ws(' ', r.scope, r.state) ORDER BY r.id) FROM refunds r WHERE r.order_id = o.id), '[]')
         AS refunds,
       (SELECT count(*)::int FROM pgboss.job j WHERE j.data->'orderIds' ? o.id::text) AS jobs
     FROM orders o WHERE id = $1`,
    [id],
  );
  return result.rows[0] as Seen;
}

describe.each(Object.keys(TABLE) as OrderEvent[])("%s", (event) => {
  test.each(ORDER_STATUSES)("%s", async (status) => {
    const change = (TABLE[event] as Partial<Record<OrderStatus, Change>>)[status];
    const id = await orderIn(status);
    const arranged = ARRANGE[event];
    if (arranged) await pool.query(arranged, [id]);
    const before = await look(id);

    await Promise.allSettled([FIRE[event](id), FIRE[event](id), FIRE[event](id)]);
    const after = await look(id);
    if (!change) expect(after).toEqual(before);
    else expectChange(before, after, change);

    await FIRE[event](id).catch(() => undefined); // an operator's refund is refused by an error
    expect(await look(id)).toEqual(after);
  });
});

function expectChange(before: Seen, after: Seen, { to, reason, stock, charge }: Change): void {
  expect(after).toMatchObject({
    status: to ?? before.status,
    reason: reason === undefined ? before.reason : reason,
    stock: stock ?? before.stock,
    version: before.version + (to ? 1 : 0),
    lateCapture: charge === "late capture" ? 1 : null,
  });
  expect(after.timeline.slice(0, before.version)).toEqual(before.timeline);
  expect(after.timeline).toHaveLength(after.version);
  if (to) expect(after.timeline.at(-1)).toMatch(new RegExp(`^${after.version} ${to}`));
  if (charge) expect(after.attempts).toEqual([charge === "surplus" ? "1 succeeded owed" : "1 succeeded"]);
}

test("an order that is not there is nobody's", async () => {
  const nobody = randomUUID();
  for (const fire of Object.values(FIRE)) await fire(nobody).catch((error) => expect(error.code).toBe("NOT_FOUND"));
  expect(await look(nobody)).toBeUndefined();
});
