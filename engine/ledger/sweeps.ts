// What the sweeps look for: orders whose deadline has passed, and orders that should have moved on and have not.
import { TRANSITIONS } from "../order-state.ts";
import type { Queryable } from "./database.ts";
import { HELD_BEYOND, MOVED_ORDER_COLUMNS, type MovedOrder, STATUS_OF_NAMED } from "./fates.ts";
import { PAYMENT_WAITS } from "./payments.ts";

export type ExpiredOrder = MovedOrder & { readonly reservedUntil: Date };

/**
 * Cancels reservations whose deadline has passed, earliest first. One that carries a payment nobody has attempted yet is
 * not among them, however late it is: the buyer has done their part.
 *
 * @param nowMs Redis `TIME`
 * @param from the latest deadline of the statement before in this pass: what ended there has left the index' entries
 *   behind, and every statement would walk over all of them again
 */
export async function expireOrders(db: Queryable, nowMs: number, limit: number, from?: Date): Promise<ExpiredOrder[]> {
  // One status, by equality: of several the index would give no order, and all that is overdue be sorted for each statement.
  const [reserved] = TRANSITIONS.expire.from;
  const result = await db.query<ExpiredOrder>(
    `WITH chosen AS (
       SELECT o.id FROM orders o
       WHERE o.status = $5 AND ${PAYMENT_WAITS} = 0
         AND o.reserved_until BETWEEN COALESCE($2, '-infinity'::timestamptz) AND to_timestamp($1::float8 / 1000)
       ORDER BY o.reserved_until LIMIT $3 FOR UPDATE SKIP LOCKED
     ), moved AS (
       UPDATE orders o SET status = $4, reason = 'EXPIRED', version = o.version + 1, updated_at = now()
       FROM chosen WHERE o.id = chosen.id
       RETURNING ${MOVED_ORDER_COLUMNS}, o.reserved_until AS "reservedUntil"
     ), logged AS (
       INSERT INTO order_timeline (order_id, version, status, reason) SELECT id, version, status, reason FROM moved
     )
     SELECT * FROM moved ORDER BY id`,
    [nowMs, from ?? null, limit, TRANSITIONS.expire.to, reserved],
  );
  return result.rows;
}

/** Where a page of {@link listUnsettled} ended. */
export interface UnsettledCursor {
  readonly reservedUntil: Date;
  readonly id: string;
}

/** An order whose stock has not moved since its fate was decided, `waitedMs` ago by Postgres' clock. */
export type UnsettledOrder = MovedOrder & UnsettledCursor & { readonly waitedMs: number };

/** What orders whose stock is to move are found by. `held beyond`: {@link HELD_BEYOND}. */
export const UNSETTLED = ["PAID", "CANCELLING", "held beyond"] as const;
export type Unsettled = (typeof UNSETTLED)[number];

const UNSETTLED_ORDERS: Readonly<Record<Unsettled, string>> = {
  PAID: `o.status = 'PAID' AND ${PAYMENT_WAITS} = 0`,
  CANCELLING: `o.status = 'CANCELLING' AND ${PAYMENT_WAITS} = 0`,
  "held beyond": HELD_BEYOND,
};

/** Orders that have waited at least `olderThanMs` for their stock to move, by deadline; pages by the last row's cursor. */
export async function listUnsettled(
  db: Queryable,
  which: Unsettled,
  olderThanMs: number,
  after: UnsettledCursor | undefined,
  limit: number,
): Promise<UnsettledOrder[]> {
  const result = await db.query<UnsettledOrder>(
    `SELECT ${MOVED_ORDER_COLUMNS}, o.reserved_until AS "reservedUntil", 
       extract(epoch FROM now() - o.updated_at)::float8 * 1000 AS "waitedMs" FROM orders o
     WHERE ${UNSETTLED_ORDERS[which]} AND o.updated_at < now() - $1 * interval '1 millisecond'
       AND ($2::timestamptz IS NULL OR (o.reserved_until, o.id) > ($2, $3::uuid))
     ORDER BY o.reserved_until, o.id LIMIT $4`,
    [olderThanMs, after?.reservedUntil ?? null, after?.id ?? null, limit],
  );
  return result.rows;
}

/** Those of the orders whose stock is to move now. */
export async function findUnsettled(db: Queryable, orderIds: readonly string[]): Promise<MovedOrder[]> {
  const result = await db.query<MovedOrder>(
    `SELECT ${MOVED_ORDER_COLUMNS} FROM orders o
     WHERE o.id = ANY($1::uuid[]) AND (${STATUS_OF_NAMED} IN ('PAID', 'CANCELLING') OR ${HELD_BEYOND}) ORDER BY o.id`,
    [orderIds],
  );
  return result.rows;
}

/** Sales with partitions that Redis has never had. */
export async function listUnopenedSales(db: Queryable): Promise<string[]> {
  const result = await db.query<{ saleId: string }>(
    `SELECT DISTINCT sale_id AS "saleId" FROM sale_partitions WHERE state = 'new' ORDER BY sale_id`,
  );
  return result.rows.map((row) => row.saleId);
}
