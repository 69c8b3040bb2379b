// The SQL of payment attempts. The attempt's row is written before the gateway is called and is the only truth about what
// was asked: its key `orderId:attempt` makes the gateway answer a second call like the first. Leases and delays are
// measured by Postgres' clock alone; deadlines of reservations are Redis' and are not looked at here.
import type { PaymentGatewayName } from "../config.ts";
import type { PaymentMethod } from "../order.ts";
import { type OrderStatus, TRANSITIONS } from "../order-state.ts";
import { arrayLiteral, column } from "./array-literal.ts";
import type { Queryable } from "./database.ts";
import { MOVED_ORDER_COLUMNS, type MovedOrder, STATUS_OF_NAMED } from "./fates.ts";

/**
 * SQL over an orders row `o`: a payment waits to be attempted. Nothing to pay needs no token; a wallet's token is its owner's
 * id, stored with the order by whoever lets the payment become due.
 */
export const PAYMENT_DUE = `(o.payment_method <> 'later' AND (o.payment_token IS NOT NULL OR o.payable = 0))`;

/**
 * SQL over an orders row `o`: 1 while it waits for the attempt of a due payment, else 0. A column of the index
 * `orders_unfinished`, which is used only where a query names it as it stands here.
 */
export const PAYMENT_WAITS = `(CASE WHEN o.status = 'RESERVED' AND ${PAYMENT_DUE} THEN 1 ELSE 0 END)`;

/** What a payment is taken from. */
export type AttemptMethod = Exclude<PaymentMethod, "later">;

/** An attempt by what its key at the gateway, `orderId:attempt`, is made of. */
export interface AttemptKey {
  readonly orderId: string;
  readonly attempt: number;
}

/** An attempt that the caller now works on, until its lease ends. */
export interface TakenAttempt extends MovedOrder {
  readonly attempt: number;
  /** How often this attempt has been taken, this time included. Above 1: the gateway may know its key. */
  readonly calls: number;
  readonly method: AttemptMethod;
  /** Where a card's attempt was begun: it is carried on, and refunded, there. `null`: from before that was noted. */
  readonly provider?: PaymentGatewayName | null;
  /** A card's token at the provider; of a wallet its owner's id. */
  readonly token: string | null;
  /** What is charged, in minor units of `currency`. */
  readonly amount: number;
  readonly reservedUntil: Date;
  /** These of one that is taken over. `ageMs`: since it was started, by Postgres' clock. */
  readonly startedAt?: Date;
  readonly ageMs?: number;
  /** Since when its order has not waited for it any more; `null` or absent while it does. */
  readonly lateMs?: number | null;
}

/** How an attempt ended. `code` is the gateway's word for a refusal. */
export type AttemptEnd =
  | { readonly state: "succeeded"; readonly reference: string }
  | { readonly state: "declined" | "failed"; readonly code: string };

export type EndedAttempt = AttemptKey & AttemptEnd;

export interface PostponedAttempt extends AttemptKey {
  readonly delayMs: number;
  readonly code: string;
  /** False: the provider was not reached; this call does not use one up. */
  readonly counted: boolean;
}

/**
 * Starts the payments that are due among the orders: RESERVED to PAYING with a new attempt each. The token moves from the
 * order to the attempt, so that a later one cannot meet an old token.
 *
 * @param provider whom cards are charged at
 */
export async function startPayments(
  db: Queryable,
  orderIds: readonly string[],
  leaseMs: number,
  takenBy: string | null = null,
  provider: PaymentGatewayName | null = null,
): Promise<TakenAttempt[]> {
  const { from, to } = TRANSITIONS.startPayment;
  const result = await db.query<TakenAttempt>({
    name: "startPayments",
    text: `WITH chosen AS (
       SELECT o.id, o.payment_token FROM orders o
       WHERE o.id = ANY($1::uuid[]) AND ${STATUS_OF_NAMED} = ANY($2::text[]) AND ${PAYMENT_DUE} ORDER BY o.id FOR UPDATE
     ), moved AS (
       UPDATE orders o SET status = $3, version = o.version + 1, payment_attempts = o.payment_attempts + 1,
         payment_token = NULL, updated_at = now()
       FROM chosen WHERE o.id = chosen.id
       RETURNING ${MOVED_ORDER_COLUMNS}, o.payment_attempts AS attempt, 1 AS calls, o.payment_method AS method,
         CASE WHEN o.payment_method = 'card' THEN $6::text END AS provider, chosen.payment_token AS token, o.payable AS amount, o.reserved_until AS "reservedUntil"
     ), logged AS (
       INSERT INTO order_timeline (order_id, version, status) SELECT id, version, status FROM moved
     ), started AS (
       INSERT INTO payment_attempts (order_id, attempt, method, provider, token, amount, currency, calls, due_at, taken_by)
       SELECT id, attempt, method, provider, token, amount, currency, calls, now() + $4 * interval '1 millisecond', $5
       FROM moved
     )
     SELECT * FROM moved ORDER BY id`,
    values: [arrayLiteral(orderIds), from, to, leaseMs, takenBy, provider],
  });
  return result.rows;
}

/**
 * Takes over the open attempts of these orders whose lease or delay has run out: the one that an order waits for, and those
 * for which it does not wait any more.
 */
export async function takeOverAttempts(
  db: Queryable,
  orderIds: readonly string[],
  leaseMs: number,
  takenBy: string | null = null,
): Promise<TakenAttempt[]> {
  const result = await db.query<TakenAttempt>(
    `WITH chosen AS (
       SELECT a.order_id, a.attempt FROM payment_attempts a JOIN orders o ON o.id = a.order_id
       WHERE a.order_id = ANY($1::uuid[]) AND a.state = 'started' AND a.due_at <= now()
       ORDER BY a.order_id, a.attempt FOR UPDATE OF a SKIP LOCKED
     )
     UPDATE payment_attempts a SET calls = a.calls + 1, due_at = now() + $2 * interval '1 millisecond', taken_by = $3,
       late_since = COALESCE(a.late_since, CASE WHEN o.status <> 'PAYING' OR o.payment_attempts <> a.attempt THEN now() END)
     FROM chosen JOIN orders o ON o.id = chosen.order_id
     WHERE a.order_id = chosen.order_id AND a.attempt = chosen.attempt
     RETURNING ${MOVED_ORDER_COLUMNS}, a.attempt, a.calls, a.method, a.provider, a.token, a.amount,
       o.reserved_until AS "reservedUntil", a.started_at AS "startedAt",
       extract(epoch FROM now() - a.started_at)::float8 * 1000 AS "ageMs",
       extract(epoch FROM now() - a.late_since)::float8 * 1000 AS "lateMs"`,
    [orderIds, leaseMs, takenBy],
  );
  return result.rows;
}

/** Who holds attempts whose lease has not run out. */
export async function listAttemptHolders(db: Queryable): Promise<string[]> {
  const result = await db.query<{ holder: string }>(
    `SELECT DISTINCT taken_by AS holder FROM payment_attempts
     WHERE state = 'started' AND due_at > now() AND taken_by IS NOT NULL`,
  );
  return result.rows.map((row) => row.holder);
}

/**
 * Lets the leases of these holders run out, where another call is left: after the last one a look-up that finds nothing is
 * final, and what may be on its way must have arrived by then. @returns how many
 */
export async function freeAttempts(db: Queryable, holders: readonly string[], callsMax: number): Promise<number> {
  const result = await db.query(
    `UPDATE payment_attempts SET due_at = now()
     WHERE state = 'started' AND due_at > now() AND taken_by = ANY($1::text[]) AND calls < $2`,
    [holders, callsMax],
  );
  return result.rowCount ?? 0;
}

/**
 * Ends attempts and picks their orders' fates with it: PAID; back to RESERVED where the sale holds declined orders; else
 * CANCELLING. An order that does not wait for its attempt stays as it is, and so does the attempt: see `endLateAttempts`.
 *
 * @returns the orders that moved
 */
export async function endAttempts(db: Queryable, ended: readonly EndedAttempt[]): Promise<MovedOrder[]> {
  if (ended.length === 0) return [];
  const { capture, keepAfterDecline, cancelAfterPayment } = TRANSITIONS;
  const result = await db.query<MovedOrder>({
    name: "endAttempts",
    text: `WITH outcome AS (
       SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[])
         AS t (order_id, attempt, state, reference, error)
     ), chosen AS (
       SELECT o.id, t.attempt, t.state, t.reference, t.error,
         CASE WHEN t.state = 'succeeded' THEN $7 WHEN t.state = 'declined' AND o.on_decline = 'hold' THEN $8
           ELSE $9 END AS next,
         CASE t.state WHEN 'declined' THEN 'PAYMENT_DECLINED' WHEN 'failed' THEN 'PAYMENT_FAILED' END AS why
       FROM orders o JOIN outcome t ON t.order_id = o.id
       WHERE ${STATUS_OF_NAMED} = ANY($6::text[]) AND o.payment_attempts = t.attempt ORDER BY o.id FOR UPDATE OF o
     ), moved AS (
       UPDATE orders o SET status = chosen.next, version = o.version + 1, updated_at = now(),
         reason = CASE WHEN chosen.next = $9 THEN chosen.why ELSE o.reason END
       FROM chosen WHERE o.id = chosen.id
       RETURNING ${MOVED_ORDER_COLUMNS}, chosen.why
     ), logged AS (
       INSERT INTO order_timeline (order_id, version, status, reason) SELECT id, version, status, why FROM moved
     ), closed AS (
       UPDATE payment_attempts a SET state = chosen.state, reference = chosen.reference, error = chosen.error,
         token = NULL, ended_at = clock_timestamp()
       FROM chosen WHERE a.order_id = chosen.id AND a.attempt = chosen.attempt
     )
     SELECT * FROM moved ORDER BY id`,
    values: [
      column(ended, (end) => end.orderId),
      column(ended, (end) => end.attempt),
      column(ended, (end) => end.state),
      column(ended, (end) => (end.state === "succeeded" ? end.reference : null)),
      column(ended, (end) => (end.state === "succeeded" ? null : end.code)),
      capture.from satisfies readonly OrderStatus[],
      capture.to,
      keepAfterDecline.to,
      cancelAfterPayment.to,
    ],
  });
  return result.rows;
}

/** Leaves attempts open, to be taken over after their delay. */
export async function postponeAttempts(db: Queryable, postponed: readonly PostponedAttempt[]): Promise<void> {
  if (postponed.length === 0) return;
  await db.query(
    `UPDATE payment_attempts a SET due_at = now() + t.delay_ms * interval '1 millisecond', error = t.error, taken_by = NULL,
       calls = a.calls - CASE WHEN t.counted THEN 0 ELSE 1 END
     FROM unnest($1::uuid[], $2::int[], $3::int[], $4::text[], $5::boolean[])
       AS t (order_id, attempt, delay_ms, error, counted)
     WHERE a.order_id = t.order_id AND a.attempt = t.attempt AND a.state = 'started'`,
    [
      postponed.map((attempt) => attempt.orderId),
      postponed.map((attempt) => attempt.attempt),
      postponed.map((attempt) => attempt.delayMs),
      postponed.map((attempt) => attempt.code),
      postponed.map((attempt) => attempt.counted),
    ],
  );
}

/**
 * Marks open attempts that are due as woken, within the transaction that sends their jobs. One that was woken since it
 * fell due is left alone for `againAfterMs`: its job may still be waiting its turn.
 *
 * @returns their orders
 */
export async function wakeDueAttempts(db: Queryable, againAfterMs: number, limit: number): Promise<string[]> {
  const result = await db.query<{ id: string }>(
    `WITH chosen AS (
       SELECT order_id, attempt FROM payment_attempts
       WHERE state = 'started' AND due_at <= now()
         AND (woken_at IS NULL OR woken_at < due_at OR woken_at < now() - $1 * interval '1 millisecond')
       ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED
     )
     UPDATE payment_attempts a SET woken_at = now() FROM chosen
     WHERE a.order_id = chosen.order_id AND a.attempt = chosen.attempt RETURNING a.order_id AS id`,
    [againAfterMs, limit],
  );
  return result.rows.map((row) => row.id);
}

/** Orders whose payment has been due for at least `olderThanMs` without an attempt: their job was lost, or waits. */
export async function listUnattempted(db: Queryable, olderThanMs: number, limit: number): Promise<string[]> {
  const result = await db.query<{ id: string }>(
    `SELECT o.id FROM orders o
     WHERE o.status = 'RESERVED' AND ${PAYMENT_WAITS} = 1 AND o.updated_at < now() - $1 * interval '1 millisecond'
     ORDER BY o.reserved_until LIMIT $2`,
    [olderThanMs, limit],
  );
  return result.rows.map((row) => row.id);
}
