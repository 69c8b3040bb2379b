// A wish about an order that Postgres does not have yet: written by the API, honoured by the persister's insert.
import type { Queryable } from "./database.ts";

export interface OrderIntent {
  readonly orderId: string;
  readonly intent: "cancel" | "pay";
  readonly actor: string;
  readonly reason: "CUSTOMER" | "OPERATOR" | null;
  readonly method: "card" | "wallet" | null;
  readonly token: string | null;
}

/** Records the wish; a cancel replaces a pay, nothing replaces a cancel. */
export async function recordIntent(db: Queryable, intent: OrderIntent): Promise<void> {
  await db.query(
    `INSERT INTO order_intents (order_id, intent, actor, reason, method, token) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (order_id) DO UPDATE SET intent = EXCLUDED.intent, actor = EXCLUDED.actor, reason = EXCLUDED.reason,
       method = EXCLUDED.method, token = EXCLUDED.token
     WHERE order_intents.intent <> 'cancel'`,
    [intent.orderId, intent.intent, intent.actor, intent.reason, intent.method, intent.token],
  );
}

/** Takes the wishes for these orders out of the table, within the transaction that honours them. */
export async function takeIntents(db: Queryable, orderIds: readonly string[]): Promise<OrderIntent[]> {
  const result = await db.query<OrderIntent>(
    `DELETE FROM order_intents WHERE order_id = ANY($1::uuid[])
     RETURNING order_id AS "orderId", intent, actor, reason, method, token`,
    [orderIds],
  );
  return result.rows;
}

/** Takes wishes out whose order exists by now: they were recorded while the order's insert was under way. */
export async function takeLateIntents(db: Queryable, limit: number): Promise<OrderIntent[]> {
  const result = await db.query<OrderIntent>(
    `DELETE FROM order_intents WHERE order_id IN (
       SELECT i.order_id FROM order_intents i JOIN orders o ON o.id = i.order_id
       ORDER BY i.order_id LIMIT $1 FOR UPDATE OF i SKIP LOCKED)
     RETURNING order_id AS "orderId", intent, actor, reason, method, token`,
    [limit],
  );
  return result.rows;
}

/** Drops wishes about orders that never came. @returns how many */
export async function dropOrphanedIntents(db: Queryable, olderThanHours: number): Promise<number> {
  const result = await db.query(
    `DELETE FROM order_intents i WHERE i.created_at < now() - make_interval(hours => $1)
       AND NOT EXISTS (SELECT FROM orders o WHERE o.id = i.order_id)`,
    [olderThanHours],
  );
  return result.rowCount ?? 0;
}
