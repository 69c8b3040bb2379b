// An order as the world sees it: what GET shows, and what webhooks tell.
import type { Fulfilment, FulfilmentStep } from "../fulfilment.ts";
import { type Address, type DiscountsView, type OrderLine, type PaymentMethod, representDiscounts } from "../order.ts";
import type { CancelReason, OrderStatus } from "../order-state.ts";
import type { OrderWithLines } from "./orders.ts";

/** Amounts in minor units of `currency`; a line's `price` is that of one unit. Instants become ISO 8601 in JSON. */
export interface OrderView extends DiscountsView {
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
    ...representDiscounts(row.discounts),
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

/**
 * The order as it stood at an earlier version, by its timeline; `undefined` when it has no such version. What has no history
 * of its own (its address, its way of payment) is as it is now.
 */
export function representOrderAt(row: OrderWithLines, version: number): OrderView | undefined {
  const timeline = row.timeline.filter((step) => step.version <= version);
  const step = timeline.at(-1);
  if (step?.version !== version) return undefined;
  const shipped = timeline.findLast(({ fulfilment }) => fulfilment !== null);
  // Why an order is cancelled is written where that began, and no longer holds once a payment has revived it.
  const since = timeline.slice(timeline.findLastIndex(({ status }) => status === "PAID") + 1);
  const reason = since.findLast(({ status }) => status === "CANCELLING")?.reason ?? null;
  return representOrder({
    ...row,
    status: step.status,
    reason,
    version,
    timeline,
    refundedAmount: timeline.findLast(({ refundedAmount }) => refundedAmount !== null)?.refundedAmount ?? 0,
    fulfilment: shipped?.fulfilment ? { ...shipped.fulfilment, at: shipped.at } : null,
  });
}

/** Lines under the names that clients know. */
export function representLines(lines: readonly OrderLine[]): OrderItemView[] {
  return lines.map(({ productId, name, quantity, unitPrice }) => ({ productId, name, quantity, price: unitPrice }));
}
