// The one place where an order's status changes after its row exists. Each change is a conditional UPDATE whose condition
// comes from the transition table, with its timeline row in the same statement: of two that race for an order, Postgres
// lets one win, and the other sees that it did nothing.

import type { Position } from "../movement.ts";
import { type CancelReason, type OrderStatus, TRANSITIONS, type Transition } from "../order-state.ts";
import { arrayLiteral, column } from "./array-literal.ts";
import type { Queryable } from "./database.ts";

/** An order that just changed, with what its next step needs. */
export interface MovedOrder {
  readonly id: string;
  readonly saleId: string;
  readonly partition: number;
  readonly customerId: string;
  readonly holdReservation: number;
  /** What the ledger holds for it. */
  readonly stockState: "reserved" | "sold" | "released" | "refused";
  readonly status: OrderStatus;
  readonly reason: CancelReason | null;
  readonly version: number;
  readonly payable: number;
  readonly refundedAmount: number;
  readonly currency: string;
}

/** What {@link MovedOrder} is read from; `o` is the orders row. */
export const MOVED_ORDER_COLUMNS = `o.id, o.sale_id AS "saleId", o.partition, o.customer_id AS "customerId",
  o.hold_reservation AS "holdReservation", o.stock_state AS "stockState", o.status, o.reason, o.version, o.payable,
  o.refunded_amount AS "refundedAmount", o.currency`;

/**
 * SQL: an orders row `o` that has gone another way and holds units all the same, because it was revived in Redis too late or
 * did not fit the ledger. Its hold is to be released.
 */
export const HELD_BEYOND = `o.stock_state IN ('reserved', 'refused')
  AND o.status IN ('CANCELLED', 'REFUND_PENDING', 'REFUNDED')`;

/** The same of an order that was read. */
export function isHeldBeyond({ status, stockState }: Pick<MovedOrder, "status" | "stockState">): boolean {
  const isBeyond = status === "CANCELLED" || status === "REFUND_PENDING" || status === "REFUNDED";
  return isBeyond && (stockState === "reserved" || stockState === "refused");
}

/**
 * SQL: the status of an orders row `o`, for a statement that names its orders. The planner does not know it for the indexed
 * column: by figures that are a moment old it takes a status for rare, reads every order in it by `orders_unfinished`, and
 * compares each with every name. What a batch costs would grow with what is under way.
 */
export const STATUS_OF_NAMED = "(o.status || '')";

/**
 * Moves those of the orders that are in a state from which the transition may happen.
 *
 * @param stockState what the ledger holds for them from now on, when the transition is the stock's own movement
 * @param entries the log's entries that the transition comes from, where it comes from the log
 * @returns the orders that moved; the others were elsewhere, and stay as they are
 */
export async function transition(
  db: Queryable,
  step: Transition,
  orderIds: readonly string[],
  reason: CancelReason | null = null,
  stockState: "sold" | "released" | null = null,
  entries?: ReadonlyMap<string, Position>,
): Promise<MovedOrder[]> {
  if (orderIds.length === 0) return [];
  const { from, to } = TRANSITIONS[step];
  const result = await db.query<MovedOrder>({
    name: "transition",
    text: `WITH chosen AS (
       SELECT o.id FROM orders o WHERE o.id = ANY($1::uuid[]) AND ${STATUS_OF_NAMED} = ANY($2::text[])
       ORDER BY o.id FOR UPDATE
     ), moved AS (
       UPDATE orders o SET status = $3, reason = COALESCE($4, o.reason), version = o.version + 1, updated_at = now(),
         stock_state = COALESCE($5, o.stock_state)
       FROM chosen WHERE o.id = chosen.id
       RETURNING ${MOVED_ORDER_COLUMNS}
     ), logged AS (
       INSERT INTO order_timeline (order_id, version, status, reason, epoch, seq)
       SELECT id, version, status, CASE WHEN $4::text IS NULL THEN NULL ELSE reason END, entry.epoch, entry.seq
       FROM moved LEFT JOIN unnest($1::uuid[], $6::bigint[], $7::bigint[]) AS entry (id, epoch, seq) USING (id)
     )
     SELECT * FROM moved ORDER BY id`,
    values: [
      arrayLiteral(orderIds),
      from,
      to,
      reason,
      stockState,
      column(orderIds, (id) => entries?.get(id)?.epoch ?? null),
      column(orderIds, (id) => entries?.get(id)?.seq ?? null),
    ],
  });
  return result.rows;
}
