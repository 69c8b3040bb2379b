// Refunds that operators ask for. Everything is decided under the order's row lock, so that of any number that come at once
// each sees what the others have taken: together they never give back more than was captured, or more units than were bought.
import { hash, randomUUID } from "node:crypto";
import type pg from "pg";
import { OnrushError } from "../errors.ts";
import type { PaymentMethod } from "../order.ts";
import type { OrderStatus } from "../order-state.ts";
import type { Outbox } from "../outbox/outbox.ts";
import { type PlannedRefund, planRefund, type RefundableOrder, type RefundWish } from "../refund.ts";
import { recordAudit } from "./audit.ts";
import type { Queryable } from "./database.ts";
import { type MovedOrder, transition } from "./fates.ts";
import { findRefund, type RefundRow } from "./refunds.ts";

export interface RefundRequest extends RefundWish {
  readonly orderId: string;
  /** Whether the units go back on sale; else they are written off. */
  readonly restock: boolean;
  readonly actor: string;
  /** An operator's own words. */
  readonly reason?: string | undefined;
  /** The same key and wish for an order give the refund that they gave before. */
  readonly idempotencyKey?: string | undefined;
}

export interface OpenedRefund {
  readonly refund: RefundRow;
  /** The key led to it before. */
  readonly isReplayed: boolean;
  /** The order, when it moved by it. */
  readonly moved: MovedOrder | undefined;
}

/**
 * Opens a refund of a confirmed order, with its job and its record in the audit trail.
 *
 * @throws OnrushError with `NOT_FOUND`; `VALIDATION` and `INVALID_STATE` as {@link planRefund}; `INVALID_STATE` for an order
 * that is not CONFIRMED; `IDEMPOTENCY_CONFLICT` when the key stands for another refund
 */
export async function openRefund(client: pg.PoolClient, outbox: Outbox, request: RefundRequest): Promise<OpenedRefund> {
  const { orderId, idempotencyKey: key } = request;
  const order = await lockOrder(client, orderId);
  if (!order) throw new OnrushError("NOT_FOUND", "There is no such order.");
  const payloadHash = hashOf(request);
  const known = key === undefined ? undefined : await findByKey(client, orderId, key);
  if (known) {
    if (known.payloadHash === payloadHash) {
      return { refund: await opened(client, known.id), isReplayed: true, moved: undefined };
    }
    throw new OnrushError("IDEMPOTENCY_CONFLICT", "This Idempotency-Key was used with another refund.");
  }
  if (order.status !== "CONFIRMED") {
    throw new OnrushError("INVALID_STATE", `The order is ${order.status}; only a CONFIRMED one is refunded.`, {
      orderStatus: order.status,
    });
  }
  const charge = await findCharge(client, orderId);
  const plan = planRefund(
    { price: order.price, captured: charge?.amount ?? 0, ...(await readRefundable(client, orderId)) },
    request,
  );
  const id = randomUUID();
  await insertRefund(client, { id, order, charge, plan, request, payloadHash });
  const [moved] = plan.scope === "whole" ? await transition(client, "refund", [orderId]) : [];
  await outbox.enqueue(client, "refund", [orderId]);
  const refund = await opened(client, id);
  await recordAudit(client, {
    actor: request.actor,
    action: "order.refund",
    subject: `order:${orderId}`,
    before: { status: order.status },
    after: { refund: id, ...plan, restock: request.restock, ...(moved && { status: moved.status }) },
    reason: request.reason,
  });
  return { refund, isReplayed: false, moved };
}

interface LockedOrder {
  readonly id: string;
  readonly status: OrderStatus;
  readonly price: number;
  readonly currency: string;
  readonly method: PaymentMethod;
}

async function lockOrder(db: Queryable, orderId: string): Promise<LockedOrder | undefined> {
  const result = await db.query<LockedOrder>(
    "SELECT id, status, price, currency, payment_method AS method FROM orders WHERE id = $1 FOR UPDATE",
    [orderId],
  );
  return result.rows[0];
}

async function findByKey(
  db: Queryable,
  orderId: string,
  key: string,
): Promise<{ readonly id: string; readonly payloadHash: string } | undefined> {
  const result = await db.query<{ id: string; payloadHash: string }>(
    `SELECT id, payload_hash AS "payloadHash" FROM refunds WHERE order_id = $1 AND idempotency_key = $2`,
    [orderId, key],
  );
  return result.rows[0];
}

interface Charge {
  readonly attempt: number;
  readonly method: PaymentMethod;
  readonly amount: number;
}

/** The capture that the order was paid by: one that goes back by itself is none of it. */
async function findCharge(db: Queryable, orderId: string): Promise<Charge | undefined> {
  const result = await db.query<Charge>(
    `SELECT a.attempt, a.method, a.amount FROM payment_attempts a
     WHERE a.order_id = $1 AND a.state = 'succeeded' AND a.surplus IS NULL
     ORDER BY a.attempt DESC LIMIT 1`,
    [orderId],
  );
  return result.rows[0];
}

async function readRefundable(
  db: Queryable,
  orderId: string,
): Promise<Pick<RefundableOrder, "lines" | "couponId" | "refunded">> {
  const result = await db.query<{
    lines: RefundableOrder["lines"];
    couponId: string | null;
    amount: number;
    units: { productId: string; quantity: number }[];
  }>(
    `SELECT
       COALESCE((SELECT json_agg(json_build_object('productId', l.product_id, 'quantity', l.quantity,
         'unitPrice', l.unit_price) ORDER BY l.line) FROM order_lines l WHERE l.order_id = $1), '[]') AS lines,
       (SELECT d.coupon_id FROM order_discounts d WHERE d.order_id = $1) AS "couponId",
       COALESCE((SELECT sum(r.amount) FROM refunds r WHERE r.order_id = $1 AND r.scope <> 'charge'), 0)::bigint AS amount,
       COALESCE((SELECT json_agg(taken) FROM (SELECT l.product_id AS "productId", sum(l.quantity) AS quantity
         FROM refund_lines l JOIN refunds r ON r.id = l.refund_id WHERE r.order_id = $1 GROUP BY 1) taken), '[]') AS units`,
    [orderId],
  );
  const { lines = [], couponId = null, amount = 0, units = [] } = result.rows[0] ?? {};
  return { lines, couponId, refunded: { amount, units: new Map(units.map((of) => [of.productId, of.quantity])) } };
}

interface NewRefund {
  readonly id: string;
  readonly order: LockedOrder;
  readonly charge: Charge | undefined;
  readonly plan: PlannedRefund;
  readonly request: RefundRequest;
  readonly payloadHash: string;
}

async function insertRefund(
  db: Queryable,
  { id, order, charge, plan, request, payloadHash }: NewRefund,
): Promise<void> {
  await db.query(
    `WITH refund AS (
       INSERT INTO refunds (id, order_id, attempt, method, scope, amount, currency, restock, reason, actor,
         idempotency_key, payload_hash)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
     )
     INSERT INTO refund_lines (refund_id, product_id, quantity)
     SELECT $1, product_id, quantity FROM unnest($13::uuid[], $14::bigint[]) AS t (product_id, quantity)`,
    [
      id,
      order.id,
      charge?.attempt ?? 0,
      charge?.method ?? order.method,
      plan.scope,
      plan.amount,
      order.currency,
      request.restock,
      request.reason ?? null,
      request.actor,
      request.idempotencyKey ?? null,
      payloadHash,
      plan.items.map(({ productId }) => productId),
      plan.items.map(({ quantity }) => quantity),
    ],
  );
}

async function opened(db: Queryable, id: string): Promise<RefundRow> {
  const refund = await findRefund(db, id);
  if (!refund) throw new Error(`refund ${id} was written and is not there`);
  return refund;
}

/** Tells a repeated request from another one under the same key. */
function hashOf({ items, amount, restock, reason }: RefundRequest): string {
  const lines = items?.map(({ productId, quantity }) => [productId, quantity]);
  return hash("sha256", JSON.stringify([lines, amount, restock, reason]), "base64url");
}
