// A buyer's wish to pay for an order that waits for it: stored with the order, in the transaction that enqueues the job.
import type { Queryable } from "./database.ts";

/**
 * Stores how the order is to be paid, if it waits for that: reserved, and either to be paid later or kept after a
 * decline. A wallet is the buyer's own, whatever token is given. Of two that ask at once for an order to be paid later, one succeeds.
 *
 * @param nowMs Redis `TIME`: a reservation that is over by then is not paid any more, though no sweep has ended it yet.
 *   Without it the deadline is not judged
 * @returns whether it did
 */
export async function requestPayment(
  db: Queryable,
  orderId: string,
  payment: { method: "card" | "wallet"; token: string | null },
  nowMs?: number,
): Promise<boolean> {
  const result = await db.query(
    `UPDATE orders SET payment_method = $2, payment_token = CASE $2 WHEN 'wallet' THEN customer_id ELSE $3 END,
       updated_at = now()
     WHERE id = $1 AND status = 'RESERVED'
       AND (payment_method = 'later' OR (on_decline = 'hold' AND payment_attempts > 0))
       AND ($4::float8 IS NULL OR reserved_until > to_timestamp($4 / 1000))`,
    [orderId, payment.method, payment.token, nowMs ?? null],
  );
  return (result.rowCount ?? 0) > 0;
}
