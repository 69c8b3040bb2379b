// An order as clients see it: by GET, in the answers to what they ask of it, and in what the status server sends.
import { z } from "@hono/zod-openapi";
import { FULFILMENT_STATES } from "../../engine/fulfilment.ts";
import { type OrderView, representLines, representOrder } from "../../engine/ledger/order-view.ts";
import { boughtLines, PAYMENT_METHODS, representDiscounts } from "../../engine/order.ts";
import { CANCEL_REASONS, ORDER_STATUSES } from "../../engine/order-state.ts";
import type { PendingOrder } from "../../engine/pending.ts";

export type { OrderView };
export { representLines, representOrder };

export const orderItemSchema = z
  .object({
    productId: z.string(),
    name: z.string(),
    quantity: z.int(),
    price: z.int().openapi({ description: "Of one unit" }),
  })
  .openapi("OrderItem");

/** Members that are there only as far as there are any. */
export const discountsShape = {
  couponCode: z.string().optional(),
  discount: z.int().optional().openapi({ description: "What the coupon took off" }),
  points: z.int().optional().openapi({ description: "Points spent on it, each one minor unit" }),
};

export const addressSchema = z
  .object({ street: z.string(), postalCode: z.string(), city: z.string() })
  .openapi("Address");

const fulfilmentStep = z
  .object({
    state: z.enum(FULFILMENT_STATES),
    reference: z.string().nullable().openapi({ description: "Of this step: a parcel's number or the like" }),
  })
  .openapi("FulfilmentStep");
export const fulfilmentSchema = fulfilmentStep.extend({ at: z.string() }).openapi("Fulfilment");

export const orderSchema = z
  .object({
    orderTrackingId: z.string(),
    status: z.enum(ORDER_STATUSES),
    reason: z.enum(CANCEL_REASONS).optional(),
    version: z.int(),
    saleId: z.string(),
    customerId: z.string(),
    items: z.array(orderItemSchema),
    price: z.int(),
    payable: z.int().openapi({ description: "price less discount and points" }),
    ...discountsShape,
    refundedAmount: z.int(),
    currency: z.string(),
    payment: z.object({ method: z.enum(PAYMENT_METHODS) }),
    address: addressSchema.optional(),
    fulfilment: fulfilmentSchema.nullable().openapi({ description: "Null until something is said of it" }),
    reservedUntil: z.string(),
    placedAt: z.string(),
    updatedAt: z.string(),
    timeline: z.array(
      z.object({
        status: z.enum(ORDER_STATUSES),
        at: z.string(),
        version: z.int(),
        reason: z.enum(CANCEL_REASONS).optional(),
        fulfilment: fulfilmentStep.optional(),
        refundedAmount: z.int().optional().openapi({ description: "What had been given back by then" }),
      }),
    ),
  })
  .openapi("Order");

/** The version of an order that only Redis has. */
export const PENDING_VERSION = 1;

/** An order that was accepted and is on its way to Postgres. */
export function representPendingOrder(pending: PendingOrder, saleId: string): OrderView {
  const { orderId, payload, placedAt, reservedUntil } = pending;
  return {
    orderTrackingId: orderId,
    status: "PENDING",
    version: PENDING_VERSION,
    saleId,
    customerId: payload.customerId,
    items: representLines(boughtLines(payload.lines, payload.discounts)),
    price: payload.price,
    payable: payload.payable,
    ...representDiscounts(payload.discounts),
    refundedAmount: 0,
    currency: payload.currency,
    payment: { method: payload.payment.method },
    ...(payload.address && { address: payload.address }),
    fulfilment: null,
    reservedUntil,
    placedAt,
    updatedAt: placedAt,
    timeline: [{ status: "PENDING", at: placedAt, version: PENDING_VERSION }],
  };
}
