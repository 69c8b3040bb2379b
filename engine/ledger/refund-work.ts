// The SQL by which the money of refunds goes back. A refund's row is written before the gateway is asked, and whoever asks has
// taken it first, under a lease that Postgres' clock measures. What came of it is written with the order's step in one
// statement; of two that write about a refund one has an effect.
import type pg from "pg";
import type { PaymentGatewayName } from "../config.ts";
import { TRANSITIONS } from "../order-state.ts";
import { followFates } from "../points/order-points.ts";
import type { Queryable } from "./database.ts";
import { MOVED_ORDER_COLUMNS, type MovedOrder } from "./fates.ts";
import type { AttemptMethod } from "./payments.ts";

/** A refund that the caller now works on, until its lease ends. */
export interface TakenRefund {
  readonly id: string;
  readonly orderId: string;
  readonly attempt: number;
  readonly method: AttemptMethod;
  /** In minor units of `currency`. */
  readonly amount: number;
  readonly currency: string;
  /** How often it has been taken, this time included. Above 1: the gateway may know it. */
  readonly calls: number;
  /** Of those, how many count towards the end of its tries. */
  readonly tries: number;
  /** The provider's name for the charge, where it is known. */
  readonly chargeReference: string | null;
  /** The provider that was charged, as of a taken attempt. */
  readonly provider?: PaymentGatewayName | null;
}

const TAKEN_COLUMNS = `r.id, r.order_id AS "orderId", r.attempt, r.method, r.amount, r.currency, r.calls, r.tries,
  (SELECT a.reference FROM payment_attempts a WHERE a.order_id = r.order_id AND a.attempt = r.attempt) AS "chargeReference",
  (SELECT a.provider FROM payment_attempts a WHERE a.order_id = r.order_id AND a.attempt = r.attempt)`;

/** Takes those of the orders' refunds that are due; one that somebody else is at is passed over. */
export async function takeRefunds(
  db: Queryable,
  orderIds: readonly string[],
  leaseMs: number,
  takenBy: string,
): Promise<TakenRefund[]> {
  const result = await db.query<TakenRefund>({
    name: "takeRefunds",
    text: `WITH chosen AS (
       SELECT r.id FROM refunds r
       WHERE r.order_id = ANY($1::uuid[]) AND r.state = 'pending' AND r.due_at <= now()
       ORDER BY r.id FOR UPDATE SKIP LOCKED
     )
     UPDATE refunds r SET calls = r.calls + 1, tries = r.tries + 1, due_at = now() + $2 * interval '1 millisecond',
       taken_by = $3
     FROM chosen WHERE r.id = chosen.id
     RETURNING ${TAKEN_COLUMNS}`,
    values: [orderIds, leaseMs, takenBy],
  });
  return result.rows;
}

export interface GivenRefund {
  readonly id: string;
  readonly orderId: string;
  readonly reference: string;
}

/**
 * Writes down that money is back. The orders' amounts grow with it, and an order that all of its money is owed to is REFUNDED
 * with the last of it. Money that is back is a fact: it is taken down also for a refund whose tries had ended.
 *
 * @returns the orders that have a new version
 */
export async function succeedRefunds(client: pg.PoolClient, given: readonly GivenRefund[]): Promise<MovedOrder[]> {
  if (given.length === 0) return [];
  // First, and by itself: the statement below then sees what another worker wrote about the same orders.
  await client.query("SELECT FROM orders WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE", [
    given.map(({ orderId }) => orderId),
  ]);
  const { from, to } = TRANSITIONS.refunded;
  const result = await client.query<MovedOrder>({
    name: "succeedRefunds",
    text: `WITH closed AS (
       UPDATE refunds r SET state = 'succeeded', reference = t.reference, error = NULL, taken_by = NULL,
         ended_at = clock_timestamp(),
         returned_at = CASE WHEN EXISTS (SELECT FROM refund_lines l WHERE l.refund_id = r.id) THEN NULL ELSE now() END
       FROM unnest($1::uuid[], $2::text[]) AS t (id, reference)
       WHERE r.id = t.id AND r.state <> 'succeeded' RETURNING r.id, r.order_id, r.scope, r.amount
     ), settled AS (
       UPDATE dead_letters d SET state = 'replayed', decided_at = now(), decided_by = 'system', wanted = NULL, refusal = NULL
       FROM closed WHERE d.refund_id = closed.id AND d.state = 'open'
     ), sums AS (
       SELECT order_id, sum(amount) AS amount FROM closed WHERE scope <> 'charge' GROUP BY order_id
     ), moved AS (
       UPDATE orders o SET refunded_amount = o.refunded_amount + sums.amount, version = o.version + 1, updated_at = now(),
         status = CASE WHEN o.status = ANY($3::text[]) AND NOT EXISTS (SELECT FROM refunds r
           WHERE r.order_id = o.id AND r.scope <> 'charge' AND r.state <> 'succeeded'
             AND r.id NOT IN (SELECT id FROM closed)) THEN $4 ELSE o.status END
       FROM sums WHERE o.id = sums.order_id
       RETURNING ${MOVED_ORDER_COLUMNS}, o.refunded_amount
     ), logged AS (
       INSERT INTO order_timeline (order_id, version, status, refunded_amount)
       SELECT id, version, status, refunded_amount FROM moved
     )
     SELECT id, "saleId", partition, "customerId", "holdReservation", "stockState", status, reason, version, payable,
       "refundedAmount", currency FROM moved ORDER BY id`,
    values: [given.map(({ id }) => id), given.map(({ reference }) => reference), from, to],
  });
  await followFates(client, result.rows);
  return result.rows;
}

export interface FailedRefund {
  readonly id: string;
  /** As it was taken: what another one has taken since is not failed by this. */
  readonly calls: number;
  /** The gateway's word for it. */
  readonly code: string;
}

export interface BuriedRefund {
  readonly letterId: number;
  readonly refundId: string;
  readonly orderId: string;
}

/** Ends the tries of refunds: each becomes a dead letter. Their orders stay where they are, and their amounts reserved. */
export async function failRefunds(db: Queryable, failed: readonly FailedRefund[]): Promise<BuriedRefund[]> {
  if (failed.length === 0) return [];
  const result = await db.query<BuriedRefund>(
    `WITH ended AS (
       UPDATE refunds r SET state = 'failed', error = t.error, taken_by = NULL, ended_at = clock_timestamp()
       FROM unnest($1::uuid[], $2::int[], $3::text[]) AS t (id, calls, error)
       WHERE r.id = t.id AND r.state = 'pending' AND r.calls = t.calls RETURNING r.*
     )
     INSERT INTO dead_letters (sale_id, partition, order_id, kind, payload, error, refund_id)
     SELECT o.sale_id, o.partition, e.order_id, 'refund', json_build_object('refundId', e.id, 'orderId', e.order_id,
       'chargeKey', e.order_id || ':' || e.attempt, 'method', e.method, 'scope', e.scope, 'amount', e.amount,
       'currency', e.currency, 'calls', e.calls)::text, e.error, e.id
     FROM ended e JOIN orders o ON o.id = e.order_id
     RETURNING id AS "letterId", refund_id AS "refundId", order_id AS "orderId"`,
    [failed.map(({ id }) => id), failed.map(({ calls }) => calls), failed.map(({ code }) => code)],
  );
  return result.rows;
}

export interface PostponedRefund extends FailedRefund {
  readonly delayMs: number;
  /** False: the provider did not answer; this call does not use up a try. */
  readonly counted: boolean;
}

/** Leaves refunds open, to be taken again after their delay. */
export async function postponeRefunds(db: Queryable, postponed: readonly PostponedRefund[]): Promise<void> {
  if (postponed.length === 0) return;
  await db.query(
    `UPDATE refunds r SET due_at = now() + t.delay_ms * interval '1 millisecond', error = t.error, taken_by = NULL,
       tries = r.tries - CASE WHEN t.counted THEN 0 ELSE 1 END
     FROM unnest($1::uuid[], $2::int[], $3::int[], $4::text[], $5::boolean[]) AS t (id, calls, delay_ms, error, counted)
     WHERE r.id = t.id AND r.state = 'pending' AND r.calls = t.calls`,
    [
      postponed.map(({ id }) => id),
      postponed.map(({ calls }) => calls),
      postponed.map(({ delayMs }) => Math.round(delayMs)),
      postponed.map(({ code }) => code),
      postponed.map(({ counted }) => counted),
    ],
  );
}

/**
 * Makes a refund whose tries have ended go again, under the same key.
 *
 * @returns its order; `undefined` when it is not one whose tries have ended
 */
export async function reviveRefund(db: Queryable, id: string): Promise<string | undefined> {
  const result = await db.query<{ orderId: string }>(
    `UPDATE refunds SET state = 'pending', tries = 0, due_at = now(), woken_at = now(), ended_at = NULL
     WHERE id = $1 AND state = 'failed' RETURNING order_id AS "orderId"`,
    [id],
  );
  return result.rows[0]?.orderId;
}

/** Those of the refunds whose money is not back, as far as anybody here knows. */
export async function findOpenRefunds(db: Queryable, ids: readonly string[]): Promise<TakenRefund[]> {
  const result = await db.query<TakenRefund>(
    `SELECT ${TAKEN_COLUMNS} FROM refunds r WHERE r.id = ANY($1::uuid[]) AND r.state <> 'succeeded' AND r.amount > 0`,
    [ids],
  );
  return result.rows;
}

/** Marks open refunds that are due as woken, within the transaction that sends their jobs. @returns their orders */
export async function wakeDueRefunds(db: Queryable, againAfterMs: number, limit: number): Promise<string[]> {
  const result = await db.query<{ orderId: string }>(
    `WITH chosen AS (
       SELECT id FROM refunds
       WHERE state = 'pending' AND due_at <= now()
         AND (woken_at IS NULL OR woken_at < due_at OR woken_at < now() - $1 * interval '1 millisecond')
       ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED
     )
     UPDATE refunds r SET woken_at = now() FROM chosen WHERE r.id = chosen.id RETURNING r.order_id AS "orderId"`,
    [againAfterMs, limit],
  );
  return [...new Set(result.rows.map(({ orderId }) => orderId))];
}

/** Who holds refunds whose lease has not run out. */
export async function listRefundHolders(db: Queryable): Promise<string[]> {
  const result = await db.query<{ holder: string }>(
    `SELECT DISTINCT taken_by AS holder FROM refunds WHERE state = 'pending' AND due_at > now() AND taken_by IS NOT NULL`,
  );
  return result.rows.map((row) => row.holder);
}

/** Lets the leases of these holders run out. @returns how many */
export async function freeRefunds(db: Queryable, holders: readonly string[]): Promise<number> {
  const result = await db.query(
    `UPDATE refunds SET due_at = now(), taken_by = NULL
     WHERE state = 'pending' AND due_at > now() AND taken_by = ANY($1::text[])`,
    [holders],
  );
  return result.rowCount ?? 0;
}
