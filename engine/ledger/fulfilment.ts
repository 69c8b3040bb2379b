// The fulfilment of confirmed orders. A step is a conditional UPDATE with its timeline row in the same statement, as a change
// of status is (fates.ts): of two operators who say the same, or one who is late, Postgres lets one have an effect.
import type pg from "pg";
import type { Operator } from "../catalogue/operator.ts";
import { OnrushError } from "../errors.ts";
import type { OrderChange } from "../events.ts";
import { FULFILMENT_STATES, type FulfilmentState, type FulfilmentStep } from "../fulfilment.ts";
import type { OrderStatus } from "../order-state.ts";
import { recordAudit } from "./audit.ts";
import { type Queryable, transaction } from "./database.ts";
import { findOrder, type OrderWithLines } from "./orders.ts";

export interface Fulfilled {
  readonly order: OrderWithLines;
  /** What is to be announced; `undefined`: the same was said before, and nothing changed. */
  readonly change: OrderChange | undefined;
}

/**
 * Takes a confirmed order a step forward, or adds the reference that its step did not have. The same said again, or less
 * of it, has no effect.
 *
 * @throws OnrushError with `NOT_FOUND`; `INVALID_STATE` when the order is not confirmed, is further already, or its step has
 * another reference
 */
export async function fulfilOrder(
  pool: pg.Pool,
  orderId: string,
  step: { readonly state: FulfilmentState; readonly reference?: string | undefined },
  operator: Operator,
): Promise<Fulfilled> {
  const { state, reference = null } = step;
  const moved = await transaction(pool, async (client) => {
    const advanced = await advance(client, orderId, { state, reference });
    if (advanced) {
      const { version, before } = advanced;
      const after = { fulfilment: { state, reference }, version };
      await recordAudit(client, {
        ...operator,
        action: "order.fulfil",
        subject: `order:${orderId}`,
        before: { fulfilment: before },
        after,
      });
    }
    return advanced;
  });
  const order = await findOrder(pool, orderId);
  if (!order) throw new OnrushError("NOT_FOUND", "There is no such order.");
  if (moved) return { order, change: { id: orderId, version: moved.version, status: moved.status } };
  const { status, fulfilment } = order;
  if (status !== "CONFIRMED") throw notConfirmed(status);
  // Confirmed between the two statements.
  if (!fulfilment) throw new OnrushError("INVALID_STATE", "The order has only just been confirmed; say it again.");
  const isSame = fulfilment.state === state;
  if (isSame && (reference === null || fulfilment.reference === reference)) return { order, change: undefined };
  const detail = `The order is ${fulfilment.state} already${isSame ? ", with another reference" : ""}.`;
  throw new OnrushError("INVALID_STATE", detail, { orderStatus: status, fulfilment });
}

export function notConfirmed(status: OrderStatus): OnrushError {
  return new OnrushError("INVALID_STATE", `The order is ${status}; only a CONFIRMED one is fulfilled.`, {
    orderStatus: status,
  });
}

interface Advanced {
  readonly version: number;
  readonly status: OrderStatus;
  readonly before: FulfilmentStep | null;
}

/** @returns `undefined` when the order is not there, not confirmed, or not before this step */
async function advance(
  db: Queryable,
  orderId: string,
  { state, reference }: FulfilmentStep,
): Promise<Advanced | undefined> {
  const result = await db.query<Advanced>(
    `WITH chosen AS (
       SELECT o.id, o.fulfilment, o.fulfilment_reference FROM orders o
       WHERE o.id = $1 AND o.status = 'CONFIRMED'
         AND (COALESCE(array_position($4::text[], o.fulfilment), 0) < array_position($4::text[], $2)
           OR (o.fulfilment = $2 AND o.fulfilment_reference IS NULL AND $3::text IS NOT NULL))
       FOR UPDATE
     ), moved AS (
       UPDATE orders o SET fulfilment = $2, fulfilment_reference = $3, fulfilled_at = clock_timestamp(),
         version = o.version + 1, updated_at = now()
       FROM chosen WHERE o.id = chosen.id
       RETURNING o.id, o.version, o.status, o.fulfilled_at,
         CASE WHEN chosen.fulfilment IS NOT NULL
           THEN json_build_object('state', chosen.fulfilment, 'reference', chosen.fulfilment_reference) END AS before
     ), logged AS (
       INSERT INTO order_timeline (order_id, version, status, fulfilment, fulfilment_reference, at)
       SELECT id, version, status, $2, $3, fulfilled_at FROM moved
     )
     SELECT version, status, before FROM moved`,
    [orderId, state, reference, FULFILMENT_STATES],
  );
  return result.rows[0];
}
