// What the sweeps look for: orders whose deadline has passed, and orders that should have moved on and have not.
import { TRANSITIONS } from "../order-state.ts";
import type { Queryable } from "./database.ts";
import { MOVED_ORDER_COLUMNS, type MovedOrder } from "./fates.ts";
import { PAYMENT_DUE } from "./payments.ts";

/**
 * Cancels reservations whose deadline has passed, earliest first. One that carries a payment nobody has attempted yet is
 * not among them, however late it is: the buyer has done their part.
 *
 * @param nowMs Redis `TIME`
 */
export async function expireOrders(db: Queryable, nowMs: number, limit: number): Promise<MovedOrder[]> {
  const { from, to } = TRANSITIONS.cancel;
  const result = await db.query<MovedOrder>(
    `WITH chosen AS (
       SELECT o.id FROM orders o
       WHERE o.status = ANY($1::text[]) AND o.reserved_until <= to_timestamp($2::float8 / 1000) AND NOT ${PAYMENT_DUE}
       ORDER BY o.reserved_until LIMIT $3 FOR UPDATE SKIP LOCKED
     ), moved AS (
       UPDATE orders o SET status = $4, reason = 'EXPIRED', version = o.version + 1, updated_at = now()
       FROM chosen WHERE o.id = chosen.id
       RETURNING ${MOVED_ORDER_COLUMNS}
     ), logged AS (
       INSERT INTO order_timeline (order_id, version, status, reason) SELECT id, version, status, reason FROM moved
     )
     SELECT * FROM moved ORDER BY id`,
    [from, nowMs, limit, to],
  );
  return result.rows;
}

/** Where a page of {@link listUnsettled} ended. */
export interface UnsettledCursor {
  readonly reservedUntil: Date;
  readonly id: string;
}

/** Orders that have waited at least `olderThanMs` for their stock to move, by deadline; pages by the last row's cursor. */
export async function listUnsettled(
  db: Queryable,
  status: "PAID" | "CANCELLING",
  olderThanMs: number,
  after: UnsettledCursor | undefined,
  limit: number,
): Promise<(MovedOrder & UnsettledCursor)[]> {
  const result = await db.query<MovedOrder & UnsettledCursor>(
    `SELECT ${MOVED_ORDER_COLUMNS}, o.reserved_until AS "reservedUntil" FROM orders o
     WHERE o.status = $1 AND o.updated_at < now() - $2 * interval '1 millisecond'
       AND ($3::timestamptz IS NULL OR (o.reserved_until, o.id) > ($3, $4::uuid))
     ORDER BY o.reserved_until, o.id LIMIT $5`,
    [status, olderThanMs, after?.reservedUntil ?? null, after?.id ?? null, limit],
  );
  return result.rows;
}

/** Those of the orders whose stock is to move now. */
export async function findUnsettled(db: Queryable, orderIds: readonly string[]): Promise<MovedOrder[]> {
  const result = await db.query<MovedOrder>(
    `SELECT ${MOVED_ORDER_COLUMNS} FROM orders o
     WHERE o.id = ANY($1::uuid[]) AND o.status IN ('PAID', 'CANCELLING') ORDER BY o.id`,
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
