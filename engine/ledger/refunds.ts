// Refunds as rows: what they are, how they are read, and how those come about that nobody asked for, because a payment
// succeeded when its order no longer waited for it. What operators ask for is in refund-requests.ts, how the money goes back
// in refund-work.ts.
import { randomUUID } from "node:crypto";
import type pg from "pg";
import { TRANSITIONS } from "../order-state.ts";
import type { Outbox } from "../outbox/outbox.ts";
import { followFates } from "../points/order-points.ts";
import type { Queryable } from "./database.ts";
import { MOVED_ORDER_COLUMNS, type MovedOrder, STATUS_OF_NAMED } from "./fates.ts";

/** `failed`: its tries have ended; the money is owed, the amount stays reserved, and a replay makes it go again. */
export const REFUND_STATES = ["pending", "succeeded", "failed"] as const;
export type RefundState = (typeof REFUND_STATES)[number];

/**
 * `part`: some of what the order was paid with. `whole`: the one with which all of it has gone back. `charge`: a capture that
 * the order was not waiting for, which goes back by itself.
 */
export type RefundScope = "part" | "whole" | "charge";

/** Units of a product that a refund takes back; a coupon's use that comes back with them is not shown. */
export interface RefundLine {
  readonly productId: string;
  readonly quantity: number;
}

export interface RefundRow {
  /** Its key at the gateway too. */
  readonly id: string;
  readonly orderId: string;
  readonly scope: RefundScope;
  readonly amount: number;
  readonly currency: string;
  /** Whether its units go back on sale; else they are written off. */
  readonly restock: boolean;
  readonly state: RefundState;
  readonly reason: string | null;
  readonly createdAt: Date;
  readonly endedAt: Date | null;
  readonly items: readonly RefundLine[];
}

const COLUMNS = `r.id, r.order_id AS "orderId", r.scope, r.amount, r.currency, r.restock, r.state, r.reason,
  r.created_at AS "createdAt", r.ended_at AS "endedAt",
  COALESCE((SELECT json_agg(json_build_object('productId', l.product_id, 'quantity', l.quantity) ORDER BY l.product_id)
    FROM refund_lines l WHERE l.refund_id = r.id AND NOT EXISTS (SELECT FROM order_discounts d
      WHERE d.order_id = r.order_id AND d.coupon_id = l.product_id)), '[]') AS items`;

/** Refunds of an order that are read at once, where nothing else is said. */
const REFUNDS_MAX = 1_000;

/** An order's refunds, oldest first. `after`: the refund after which the page starts. */
export async function listRefunds(
  db: Queryable,
  orderId: string,
  page: { readonly limit: number; readonly after?: string | undefined } = { limit: REFUNDS_MAX },
): Promise<RefundRow[]> {
  const result = await db.query<RefundRow>(
    `SELECT ${COLUMNS} FROM refunds r
     WHERE r.order_id = $1
       AND ($3::uuid IS NULL OR (r.created_at, r.id) > (SELECT a.created_at, a.id FROM refunds a WHERE a.id = $3))
     ORDER BY r.created_at, r.id LIMIT $2`,
    [orderId, page.limit, page.after ?? null],
  );
  return result.rows;
}

export async function findRefund(db: Queryable, id: string): Promise<RefundRow | undefined> {
  const result = await db.query<RefundRow>(`SELECT ${COLUMNS} FROM refunds r WHERE r.id = $1`, [id]);
  return result.rows[0];
}

export interface OpenRefunds {
  readonly pending: number;
  readonly failed: number;
  readonly oldestPendingSeconds: number | null;
}

/** Refunds that are not at their end. */
export async function countOpenRefunds(db: Queryable): Promise<OpenRefunds> {
  const result = await db.query<OpenRefunds>(
    `SELECT p.count AS pending, f.count AS failed, p.seconds AS "oldestPendingSeconds"
     FROM (SELECT count(*)::int AS count, extract(epoch FROM now() - min(created_at))::float8 AS seconds
         FROM refunds WHERE state = 'pending') p,
       (SELECT count(*)::int AS count FROM refunds WHERE state = 'failed') f`,
  );
  return result.rows[0] ?? { pending: 0, failed: 0, oldestPendingSeconds: null };
}

/** A payment that succeeded when its order no longer waited for it. `amount` is what was charged, in minor units. */
export interface LatePayment {
  readonly orderId: string;
  readonly attempt: number;
  readonly amount: number;
  readonly currency: string;
}

/** Who opens refunds that nobody asked for. */
const SYSTEM = "system";

/**
 * Opens the refund of the whole charge of orders that were CANCELLED before it succeeded: they become REFUND_PENDING. An order
 * is named once; one that is elsewhere stays as it is.
 *
 * @returns the orders that moved
 */
export async function refundLatePayments(
  client: pg.PoolClient,
  outbox: Outbox,
  late: readonly LatePayment[],
  reason: string,
): Promise<MovedOrder[]> {
  if (late.length === 0) return [];
  const result = await client.query<MovedOrder>(
    `WITH late AS (
       SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::bigint[], $5::text[])
         AS t (refund_id, order_id, attempt, amount, currency)
     ), chosen AS (
       SELECT o.id FROM orders o JOIN late ON late.order_id = o.id
       WHERE ${STATUS_OF_NAMED} = $6 ORDER BY o.id FOR UPDATE OF o
     ), moved AS (
       UPDATE orders o SET status = $7, version = o.version + 1, updated_at = now()
       FROM chosen WHERE o.id = chosen.id
       RETURNING ${MOVED_ORDER_COLUMNS}, o.payment_method AS method
     ), logged AS (
       INSERT INTO order_timeline (order_id, version, status) SELECT id, version, status FROM moved
     ), opened AS (
       INSERT INTO refunds (id, order_id, attempt, method, scope, amount, currency, reason, actor)
       SELECT late.refund_id, moved.id, late.attempt, COALESCE(a.method, moved.method), 'whole', late.amount, late.currency,
         $8, $9
       FROM moved JOIN late ON late.order_id = moved.id
       LEFT JOIN payment_attempts a ON a.order_id = late.order_id AND a.attempt = late.attempt
     )
     SELECT id, "saleId", partition, "customerId", "holdReservation", "stockState", status, reason, version, payable,
       "refundedAmount", currency FROM moved ORDER BY id`,
    [
      late.map(() => randomUUID()),
      late.map((payment) => payment.orderId),
      late.map((payment) => payment.attempt),
      late.map((payment) => payment.amount),
      late.map((payment) => payment.currency),
      "CANCELLED" satisfies (typeof TRANSITIONS.refund.from)[number],
      TRANSITIONS.refund.to,
      reason,
      SYSTEM,
    ],
  );
  // Points that were taken again for a revival that is none.
  await followFates(client, result.rows);
  await outbox.enqueue(
    client,
    "refund",
    result.rows.map(({ id }) => id),
  );
  return result.rows;
}

/**
 * Opens the refund of charges that their orders know nothing of: captures beside the one that an order was paid by. Whatever
 * becomes of the order, its state and amounts stay out of it. A charge is refunded so once, however often it is named.
 */
export async function refundCharges(
  client: pg.PoolClient,
  outbox: Outbox,
  charges: readonly LatePayment[],
  reason: string,
): Promise<void> {
  if (charges.length === 0) return;
  const result = await client.query<{ orderId: string }>(
    `INSERT INTO refunds (id, order_id, attempt, method, scope, amount, currency, reason, actor, returned_at)
     SELECT t.refund_id, t.order_id, t.attempt, a.method, 'charge', t.amount, t.currency, $6, $7, now()
     FROM unnest($1::uuid[], $2::uuid[], $3::int[], $4::bigint[], $5::text[])
       AS t (refund_id, order_id, attempt, amount, currency)
     JOIN payment_attempts a ON a.order_id = t.order_id AND a.attempt = t.attempt
     ON CONFLICT (order_id, attempt) WHERE scope = 'charge' DO NOTHING
     RETURNING order_id AS "orderId"`,
    [
      charges.map(() => randomUUID()),
      charges.map((charge) => charge.orderId),
      charges.map((charge) => charge.attempt),
      charges.map((charge) => charge.amount),
      charges.map((charge) => charge.currency),
      reason,
      SYSTEM,
    ],
  );
  await outbox.enqueue(client, "refund", [...new Set(result.rows.map(({ orderId }) => orderId))]);
}
