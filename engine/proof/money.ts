// What a proof reads of the money, within its transaction: what was captured by the orders' states, what beside them, and what
// the refunds have given back. Amounts in minor units.
import type pg from "pg";
import type { OrderStatus } from "../order-state.ts";

export interface MoneyFigures {
  readonly status: OrderStatus;
  readonly orders: number;
  readonly price: number;
  readonly payable: number;
  readonly captured: number;
  /** Of that, of orders that were cancelled before it succeeded, while nothing is decided about them. */
  readonly late: number;
  readonly refunded: number;
  readonly mismatched: number;
  readonly capturedTwice: number;
}

/** Whether the order was cancelled before its payment succeeded, and waits for what is made of it. */
const IS_LATE = "o.late_capture IS NOT NULL AND o.status IN ('CANCELLING', 'CANCELLED')";

/** What must be true of an order's money in its state; `c` is what was captured of `o`. */
const MONEY_FITS = `CASE
  WHEN o.status IN ('CONFIRMED', 'REFUND_PENDING') THEN c.captured = o.payable AND o.refunded_amount <= c.captured
  WHEN o.status = 'PAID' THEN c.captured = o.payable
  WHEN ${IS_LATE} THEN c.captured = o.payable AND o.refunded_amount = 0
  ELSE c.captured = o.refunded_amount END`;

/** Money by the orders' states. A charge beside the one that its order stands for is no money of the order. */
export async function sumMoney(db: pg.ClientBase, saleId: string): Promise<MoneyFigures[]> {
  const result = await db.query<MoneyFigures>(
    `WITH captures AS (
       SELECT a.order_id, sum(a.amount)::bigint AS captured, count(*) AS times
       FROM payment_attempts a JOIN orders o ON o.id = a.order_id
       WHERE o.sale_id = $1 AND a.state = 'succeeded' AND a.surplus IS NULL GROUP BY 1
     )
     SELECT o.status, count(*)::int AS orders, sum(o.price)::bigint AS price, sum(o.payable)::bigint AS payable,
       sum(c.captured)::bigint AS captured, COALESCE(sum(c.captured) FILTER (WHERE ${IS_LATE}), 0)::bigint AS late,
       sum(o.refunded_amount)::bigint AS refunded, count(*) FILTER (WHERE NOT (${MONEY_FITS}))::int AS mismatched,
       count(*) FILTER (WHERE c.times > 1)::int AS "capturedTwice"
     FROM orders o
     LEFT JOIN captures ON captures.order_id = o.id
     CROSS JOIN LATERAL (SELECT COALESCE(captures.captured, 0) AS captured, COALESCE(captures.times, 0) AS times) c
     WHERE o.sale_id = $1 GROUP BY 1 ORDER BY 1`,
    [saleId],
  );
  return result.rows;
}

/** What the refunds have given back: of the orders' own money, and of charges beside it. */
export interface RefundFigures {
  readonly given: number;
  readonly surplusGiven: number;
  /** Charges beside the orders' own. */
  readonly surplus: number;
}

export async function sumRefunds(db: pg.ClientBase, saleId: string): Promise<RefundFigures> {
  const result = await db.query<RefundFigures>(
    `SELECT COALESCE(sum(r.amount) FILTER (WHERE r.scope <> 'charge'), 0)::bigint AS given,
       COALESCE(sum(r.amount) FILTER (WHERE r.scope = 'charge'), 0)::bigint AS "surplusGiven",
       (SELECT COALESCE(sum(a.amount), 0)::bigint FROM payment_attempts a JOIN orders s ON s.id = a.order_id
         WHERE s.sale_id = $1 AND a.state = 'succeeded' AND a.surplus IS NOT NULL) AS surplus
     FROM refunds r JOIN orders o ON o.id = r.order_id WHERE o.sale_id = $1 AND r.state = 'succeeded'`,
    [saleId],
  );
  return result.rows[0] ?? { given: 0, surplusGiven: 0, surplus: 0 };
}
