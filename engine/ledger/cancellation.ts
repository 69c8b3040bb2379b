// The cancellation of an order, by its buyer or by an operator, wherever the order is on its way. An operator's is recorded
// in the audit trail, in the transaction that makes it.
import type pg from "pg";
import type { Outbox } from "../outbox/outbox.ts";
import { recordAudit } from "./audit.ts";
import { type Queryable, transaction } from "./database.ts";
import { type MovedOrder, transition } from "./fates.ts";
import { recordIntent } from "./intents.ts";
import { leaveAttempts } from "./late-payments.ts";

export interface Cancellation {
  readonly orderId: string;
  readonly actor: string;
  readonly reason: "CUSTOMER" | "OPERATOR";
  /** An operator's own words. */
  readonly note?: string | undefined;
}

/**
 * Cancels an order that Postgres has, if its state allows it. A payment that is under way is left to itself: should it
 * succeed, it is refunded.
 *
 * @param isRecorded the trail has it already, from when it was a wish
 * @returns whether it did
 */
export async function cancelInLedger(
  client: pg.PoolClient,
  outbox: Outbox,
  wish: Cancellation,
  isRecorded = false,
): Promise<boolean> {
  const moved = await cancelOrder(client, outbox, wish.orderId, wish.reason);
  if (!moved) return false;
  if (!isRecorded) await recordIfOperator(client, wish, { status: moved.status, version: moved.version });
  return true;
}

/** The cancellation alone, for a wish that is in the trail if it belongs there. @returns the order, if it moved */
export async function cancelOrder(
  client: pg.PoolClient,
  outbox: Outbox,
  orderId: string,
  reason: Cancellation["reason"],
): Promise<MovedOrder | undefined> {
  const [moved] = await transition(client, "cancel", [orderId], reason);
  if (!moved) return undefined;
  await leaveAttempts(client, [orderId]);
  await outbox.enqueue(client, "compensation", [orderId]);
  return moved;
}

/** Writes the wish down beside an order that is still on its way to Postgres; its insert honours it. */
export async function wishCancelled(pool: pg.Pool, wish: Cancellation): Promise<void> {
  const { orderId, actor, reason } = wish;
  await transaction(pool, async (client) => {
    await recordIntent(client, { orderId, intent: "cancel", actor, reason, method: null, token: null });
    await recordIfOperator(client, wish, { intent: "cancel" });
  });
}

async function recordIfOperator(db: Queryable, wish: Cancellation, after: object): Promise<void> {
  if (wish.reason !== "OPERATOR") return;
  const { actor, orderId, note } = wish;
  await recordAudit(db, { actor, action: "order.cancel", subject: `order:${orderId}`, after, reason: note });
}
