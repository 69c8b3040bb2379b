// The SQL of payments that come too late: attempts whose order does not wait for them any more, and charges that succeeded
// all the same. No success is ever dropped: it is the order's late capture, which is revived or refunded once the order is
// CANCELLED, or a surplus charge, which goes back by itself.
import type { PaymentGatewayName } from "../config.ts";
import { type OrderStatus, TRANSITIONS } from "../order-state.ts";
import { LACKS_POINTS } from "../points/order-points.ts";
import type { Queryable } from "./database.ts";
import { MOVED_ORDER_COLUMNS, type MovedOrder, STATUS_OF_NAMED } from "./fates.ts";
import type { AttemptKey, AttemptMethod, EndedAttempt } from "./payments.ts";

/**
 * Leaves the open attempts of orders that are not PAYING any more: from now on they are only looked up. Belongs into the
 * transaction that took the orders away from them.
 */
export async function leaveAttempts(db: Queryable, orderIds: readonly string[]): Promise<void> {
  if (orderIds.length === 0) return;
  // A job that was sent for one may have passed it over while this holds its row: it is to be woken again.
  await db.query(
    `UPDATE payment_attempts SET late_since = now(), token = NULL, woken_at = NULL
     WHERE order_id = ANY($1::uuid[]) AND state = 'started'`,
    [orderIds],
  );
}

/**
 * Ends the waiting of orders whose provider has not decided their charge in time: PAYING to CANCELLING as EXPIRED. Their
 * attempts stay open. Whether it is time, by Redis' clock, is the caller's to know.
 *
 * @returns the orders that moved; one that waits for another attempt is not among them
 */
export async function expirePending(db: Queryable, attempts: readonly AttemptKey[]): Promise<MovedOrder[]> {
  if (attempts.length === 0) return [];
  const { from, to } = TRANSITIONS.expirePending;
  const result = await db.query<MovedOrder>(
    `WITH chosen AS (
       SELECT o.id FROM orders o JOIN unnest($1::uuid[], $2::int[]) AS t (order_id, attempt) ON t.order_id = o.id
       WHERE ${STATUS_OF_NAMED} = ANY($3::text[]) AND o.payment_attempts = t.attempt
         AND EXISTS (SELECT FROM payment_attempts a
           WHERE a.order_id = t.order_id AND a.attempt = t.attempt AND a.state = 'started')
       ORDER BY o.id FOR UPDATE OF o
     ), moved AS (
       UPDATE orders o SET status = $4, reason = 'EXPIRED', version = o.version + 1, updated_at = now()
       FROM chosen WHERE o.id = chosen.id
       RETURNING ${MOVED_ORDER_COLUMNS}
     ), logged AS (
       INSERT INTO order_timeline (order_id, version, status, reason) SELECT id, version, status, reason FROM moved
     ), late AS (
       UPDATE payment_attempts a SET late_since = now(), token = NULL, woken_at = NULL FROM moved
       WHERE a.order_id = moved.id AND a.state = 'started'
     )
     SELECT * FROM moved ORDER BY id`,
    [attempts.map(({ orderId }) => orderId), attempts.map(({ attempt }) => attempt), from, to],
  );
  return result.rows;
}

/** What became of an attempt that ended too late. `claim`: what its success asks for, where it moved money. */
export interface LateEnd extends AttemptKey {
  readonly state: EndedAttempt["state"];
  /** `order`: it is the order's late capture. `surplus`: it goes back beside whatever the order stands for. */
  readonly claim: "order" | "surplus" | null;
}

/**
 * Ends attempts for which their orders do not wait: open ones in whatever way, closed ones by a success only. Orders keep
 * their status; attempts that an order does wait for, and those that have succeeded, stay as they are.
 *
 * @returns what was written
 */
export async function endLateAttempts(db: Queryable, ended: readonly EndedAttempt[]): Promise<LateEnd[]> {
  if (ended.length === 0) return [];
  const { from: waiting } = TRANSITIONS.capture;
  const { from: released } = TRANSITIONS.revive;
  const { from: releasing } = TRANSITIONS.release;
  const result = await db.query<LateEnd>(
    `WITH chosen AS (
       SELECT o.id, o.status, o.late_capture, t.attempt, t.state, t.reference, t.error, a.amount
       FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[])
         AS t (order_id, attempt, state, reference, error)
       JOIN orders o ON o.id = t.order_id
       JOIN payment_attempts a ON a.order_id = t.order_id AND a.attempt = t.attempt
       WHERE (a.state = 'started' OR (a.state <> 'succeeded' AND t.state = 'succeeded'))
         AND NOT (${STATUS_OF_NAMED} = ANY($6::text[]) AND o.payment_attempts = t.attempt)
       ORDER BY o.id, t.attempt FOR UPDATE OF o, a
     ), judged AS (
       SELECT DISTINCT ON (id, attempt) *,
         CASE WHEN state <> 'succeeded' OR amount = 0 THEN NULL
           WHEN status = ANY($7::text[]) AND late_capture IS NULL
             AND attempt = min(attempt) FILTER (WHERE state = 'succeeded' AND amount > 0) OVER (PARTITION BY id) THEN 'order'
           ELSE 'surplus' END AS claim
       FROM chosen ORDER BY id, attempt, state = 'succeeded' DESC
     ), claimed AS (
       UPDATE orders o SET late_capture = judged.attempt FROM judged WHERE o.id = judged.id AND judged.claim = 'order'
     ), closed AS (
       UPDATE payment_attempts a SET state = judged.state, reference = judged.reference, error = judged.error, token = NULL,
         ended_at = clock_timestamp(), late_since = COALESCE(a.late_since, now()),
         surplus = CASE WHEN judged.claim = 'surplus' THEN 'owed' END
       FROM judged WHERE a.order_id = judged.id AND a.attempt = judged.attempt
     )
     SELECT id AS "orderId", attempt, state, claim FROM judged ORDER BY id, attempt`,
    [
      ended.map((end) => end.orderId),
      ended.map((end) => end.attempt),
      ended.map((end) => end.state),
      ended.map((end) => (end.state === "succeeded" ? end.reference : null)),
      ended.map((end) => (end.state === "succeeded" ? null : end.code)),
      waiting satisfies readonly OrderStatus[],
      [...releasing, ...released] satisfies readonly OrderStatus[],
    ],
  );
  return result.rows;
}

/** An attempt as a look-up needs it. */
export interface KnownAttempt extends AttemptKey {
  readonly state: "started" | EndedAttempt["state"];
  readonly method: AttemptMethod;
  /** As of a taken attempt. */
  readonly provider: PaymentGatewayName | null;
  readonly amount: number;
  readonly currency: string;
  readonly startedAt: Date;
}

/** Those of the attempts that there are. */
export async function findAttempts(db: Queryable, keys: readonly AttemptKey[]): Promise<KnownAttempt[]> {
  const result = await db.query<KnownAttempt>(
    `SELECT a.order_id AS "orderId", a.attempt, a.state, a.method, a.provider, a.amount, a.currency,
       a.started_at AS "startedAt"
     FROM payment_attempts a JOIN unnest($1::uuid[], $2::int[]) AS t (order_id, attempt) USING (order_id, attempt)
     ORDER BY a.order_id, a.attempt`,
    [keys.map(({ orderId }) => orderId), keys.map(({ attempt }) => attempt)],
  );
  return result.rows;
}

/** CANCELLED orders with a charge about which nothing was decided yet, by id, from after `after`. */
export async function listLateCaptures(
  db: Queryable,
  after: string | undefined,
  limit: number,
): Promise<Pick<MovedOrder, "id" | "saleId" | "partition">[]> {
  const result = await db.query<Pick<MovedOrder, "id" | "saleId" | "partition">>(
    `SELECT o.id, o.sale_id AS "saleId", o.partition FROM orders o
     WHERE o.late_capture IS NOT NULL AND o.status = 'CANCELLED' AND ($1::uuid IS NULL OR o.id > $1)
     ORDER BY o.id LIMIT $2`,
    [after ?? null, limit],
  );
  return result.rows;
}

/** A CANCELLED order with its charge, locked for the decision about it. */
export interface LateCapture extends MovedOrder {
  readonly attempt: number;
  readonly amount: number;
  /** It spends points, and its member does not have them any more. */
  readonly lacksPoints: boolean;
  /** Since when the charge is known to have succeeded, by Postgres' clock. */
  readonly waitedMs: number;
  readonly units: readonly { readonly sku: string; readonly units: number }[];
}

/** Locks those of the orders that still wait for a decision and that nobody else is deciding about. */
export async function lockLateCaptures(db: Queryable, orderIds: readonly string[]): Promise<LateCapture[]> {
  const result = await db.query<LateCapture>(
    `SELECT ${MOVED_ORDER_COLUMNS}, a.attempt, a.amount, ${LACKS_POINTS} AS "lacksPoints",
       extract(epoch FROM now() - a.ended_at)::float8 * 1000 AS "waitedMs",
       (SELECT json_agg(json_build_object('sku', l.product_id, 'units', l.units) ORDER BY l.product_id)
        FROM (SELECT product_id, sum(quantity)::bigint AS units FROM order_lines WHERE order_id = o.id GROUP BY 1) l) AS units
     FROM orders o JOIN payment_attempts a ON a.order_id = o.id AND a.attempt = o.late_capture
     WHERE o.id = ANY($1::uuid[]) AND ${STATUS_OF_NAMED} = ANY($2::text[])
     ORDER BY o.id FOR UPDATE OF o SKIP LOCKED`,
    [orderIds, TRANSITIONS.revive.from],
  );
  return result.rows.map((row) => ({ ...row, units: row.units ?? [] }));
}

/** A charge that goes back whatever becomes of its order. */
export interface SurplusCharge extends AttemptKey {
  readonly amount: number;
  readonly currency: string;
}

/** Takes surplus charges out of what is owed, within the transaction that opens their refunds. */
export async function takeSurplusCharges(db: Queryable, limit: number): Promise<SurplusCharge[]> {
  const result = await db.query<SurplusCharge>(
    `WITH chosen AS (
       SELECT order_id, attempt FROM payment_attempts WHERE surplus = 'owed'
       ORDER BY order_id, attempt LIMIT $1 FOR UPDATE SKIP LOCKED
     )
     UPDATE payment_attempts a SET surplus = 'refunding' FROM chosen
     WHERE a.order_id = chosen.order_id AND a.attempt = chosen.attempt
     RETURNING a.order_id AS "orderId", a.attempt, a.amount, a.currency`,
    [limit],
  );
  return result.rows;
}
