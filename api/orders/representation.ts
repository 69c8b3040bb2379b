// An order as clients see it: by GET, in the answers to what they ask of it, and in what the status server sends.
import { z } from "@hono/zod-openapi";
import { FULFILMENT_STATES, type Fulfilment, type FulfilmentStep } from "../../engine/fulfilment.ts";
import type { OrderWithLines } from "../../engine/ledger/orders.ts";
import { type Address, type OrderLine, PAYMENT_METHODS, type PaymentMethod } from "../../engine/order.ts";
import { CANCEL_REASONS, type CancelReason, ORDER_STATUSES, type OrderStatus } from "../../engine/order-state.ts";
import type { PendingOrder } from "../../engine/pending.ts";

/** Amounts in minor units of `currency`; a line's `price` is that of one unit. Instants become ISO 8601 in JSON. */
export interface OrderView {
  readonly orderTrackingId: string;
  readonly status: OrderStatus;
  readonly reason?: CancelReason;
  readonly version: number;
  readonly saleId: string;
  readonly customerId: string;
  readonly items: readonly OrderItemView[];
  readonly price: number;
  readonly payable: number;
  readonly refundedAmount: number;
  readonly currency: string;
  readonly payment: { readonly method: PaymentMethod };
  readonly address?: Address;
  readonly fulfilment: Fulfilment | null;
  readonly reservedUntil: Date;
  readonly placedAt: Date;
  readonly updatedAt: Date;
  readonly timeline: readonly {
    readonly status: OrderStatus;
    readonly at: Date;
    readonly version: number;
    readonly reason?: CancelReason;
    readonly fulfilment?: FulfilmentStep;
    readonly refundedAmount?: number;
  }[];
}

export interface OrderItemView {
  readonly productId: string;
  readonly name: string;
  readonly quantity: number;
  readonly price: number;
}

export const orderItemSchema = z
  .object({
    productId: z.string(),
    name: z.string(),
    quantity: z.int(),
    price: z.int().openapi({ description: "Of one unit" }),
  })
  .openapi("OrderItem");

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
    payable: z.int(),
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

/** An order that Postgres has. */
export function representOrder(row: OrderWithLines): OrderView {
  return {
    orderTrackingId: row.id,
    status: row.status,
    ...(row.reason !== null && { reason: row.reason }),
    version: row.version,
    saleId: row.saleId,
    customerId: row.customerId,
    items: representLines(row.lines),
    price: row.price,
    payable: row.payable,
    refundedAmount: row.refundedAmount,
    currency: row.currency,
    payment: { method: row.paymentMethod },
    ...(row.address !== null && { address: row.address }),
    fulfilment: row.fulfilment,
    reservedUntil: row.reservedUntil,
    placedAt: row.placedAt,
    // Of its version: the row's own also moves when the stock behind the order does.
    updatedAt: row.timeline.at(-1)?.at ?? row.updatedAt,
    timeline: row.timeline.map(({ status, at, version, reason, fulfilment, refundedAmount }) => ({
      status,
      at,
      version,
      ...(reason !== null && { reason }),
      ...(fulfilment !== null && { fulfilment }),
      ...(refundedAmount !== null && { refundedAmount }),
    })),
  };
}

/** An order that was accepted and is on its way to Postgres. */
export function representPendingOrder(pending: PendingOrder, saleId: string): OrderView {
  const { orderId, payload, placedAt, reservedUntil } = pending;
  return {
    orderTrackingId: orderId,
    status: "PENDING",
    version: PENDING_VERSION,
    saleId,
    customerId: payload.customerId,
    items: representLines(payload.lines),
    price: payload.price,
    payable: payload.payable,
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

/** Lines under the names that clients know. */
export function representLines(lines: readonly OrderLine[]): OrderItemView[] {
  return lines.map(({ productId, name, quantity, unitPrice }) => ({ productId, name, quantity, price: unitPrice }));
}
