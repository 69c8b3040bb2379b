// Reading orders back from Postgres.
import type { Fulfilment, FulfilmentFilter, FulfilmentStep } from "../fulfilment.ts";
import type { Address, OrderDiscounts, OrderLine, PaymentMethod } from "../order.ts";
import type { CancelReason, OrderStatus } from "../order-state.ts";
import type { Queryable } from "./database.ts";

export interface TimelineEntry {
  readonly status: OrderStatus;
  readonly reason: CancelReason | null;
  readonly version: number;
  readonly at: Date;
  /** Of a step of the fulfilment. */
  readonly fulfilment: FulfilmentStep | null;
  /** Of a step that gave money back: what had been given back by then. */
  readonly refundedAmount: number | null;
}

export interface OrderRow {
  readonly id: string;
  readonly saleId: string;
  readonly partition: number;
  readonly epoch: number;
  readonly seq: number;
  readonly holdReservation: number;
  readonly customerId: string;
  readonly status: OrderStatus;
  readonly reason: CancelReason | null;
  readonly version: number;
  readonly price: number;
  readonly payable: number;
  readonly discounts: OrderDiscounts | null;
  readonly refundedAmount: number;
  readonly currency: string;
  readonly paymentMethod: PaymentMethod;
  readonly paymentAttempts: number;
  readonly onDecline: "release" | "hold";
  readonly address: Address | null;
  readonly fulfilment: Fulfilment | null;
  readonly reservedUntil: Date;
  readonly placedAt: Date;
  readonly updatedAt: Date;
}

export interface OrderWithLines extends OrderRow {
  /** What was bought: a coupon's use is none of it. */
  readonly lines: readonly OrderLine[];
  readonly timeline: readonly TimelineEntry[];
}

/** SQL: the fulfilment of an orders row `o` as JSON, its instant as text. */
export const FULFILMENT_OF_ORDER = `CASE WHEN o.fulfilment IS NOT NULL THEN json_build_object('state', o.fulfilment,
  'reference', o.fulfilment_reference, 'at', o.fulfilled_at) END`;
/** SQL: orders `o` with their rows of order_discounts `d`, where they have any. */
export const ORDERS_WITH_DISCOUNTS = "orders o LEFT JOIN order_discounts d ON d.order_id = o.id";
/** SQL: {@link OrderDiscounts} of a row `d`; NULL without one. */
export const DISCOUNTS_OF_ORDER = `CASE WHEN d.order_id IS NOT NULL THEN json_strip_nulls(json_build_object(
  'coupon', CASE WHEN d.coupon_id IS NOT NULL THEN json_build_object('id', d.coupon_id, 'code', d.coupon_code,
    'amount', d.coupon_amount) END, 'points', NULLIF(d.points, 0))) END`;
/** SQL: a row `l` of order_lines is what was bought, and not the coupon's use of `d`. */
export const LINE_IS_BOUGHT = "l.product_id IS DISTINCT FROM d.coupon_id";
const COLUMNS = `o.id, o.sale_id AS "saleId", o.partition, o.epoch, o.seq, o.hold_reservation AS "holdReservation",
  o.customer_id AS "customerId", o.status, o.reason, o.version, o.price, o.payable,
  o.refunded_amount AS "refundedAmount", o.currency, o.payment_method AS "paymentMethod",
  o.payment_attempts AS "paymentAttempts", o.on_decline AS "onDecline", o.address,
  o.reserved_until AS "reservedUntil", o.placed_at AS "placedAt", o.updated_at AS "updatedAt",
  ${FULFILMENT_OF_ORDER} AS fulfilment, ${DISCOUNTS_OF_ORDER} AS discounts`;

const LINES = `(SELECT json_agg(json_build_object('productId', l.product_id, 'name', l.product_name,
  'quantity', l.quantity, 'unitPrice', l.unit_price) ORDER BY l.line) FROM order_lines l WHERE l.order_id = o.id AND ${LINE_IS_BOUGHT})`;
/** SQL: the step of the fulfilment that an order_timeline row `t` is, as JSON; NULL for every other. */
export const FULFILMENT_OF_STEP = `CASE WHEN t.fulfilment IS NOT NULL THEN json_build_object('state', t.fulfilment,
  'reference', t.fulfilment_reference) END`;
const TIMELINE = `(SELECT json_agg(json_build_object('status', t.status, 'reason', t.reason, 'version', t.version,
  'at', t.at, 'refundedAmount', t.refunded_amount, 'fulfilment', ${FULFILMENT_OF_STEP}) ORDER BY t.version)
  FROM order_timeline t WHERE t.order_id = o.id)`;

/** As JSON says it. */
export type FulfilmentJson = Omit<Fulfilment, "at"> & { readonly at: string };
type OrderJsonRow = Omit<OrderRow, "fulfilment"> & {
  fulfilment: FulfilmentJson | null;
  lines: OrderLine[] | null;
  timeline: (Omit<TimelineEntry, "at"> & { at: string })[];
};

/** One order with lines and timeline; `undefined` when Postgres has no such id. */
export async function findOrder(db: Queryable, id: string): Promise<OrderWithLines | undefined> {
  const [order] = await findOrders(db, [id]);
  return order;
}

/** Those of the orders that Postgres has, in no order; one statement, so that status, lines and timeline agree. */
export async function findOrders(db: Queryable, ids: readonly string[]): Promise<OrderWithLines[]> {
  const result = await db.query<OrderJsonRow>({
    name: "find_orders",
    text: `SELECT ${COLUMNS}, ${LINES} AS lines, ${TIMELINE} AS timeline FROM ${ORDERS_WITH_DISCOUNTS}
      WHERE o.id = ANY($1::uuid[])`,
    values: [ids],
  });
  return result.rows.map(withDates);
}

/** Of orders known at a version, the ids of those that Postgres has at a higher one. */
export async function findMovedOn(
  db: Queryable,
  known: readonly { readonly id: string; readonly version: number }[],
): Promise<string[]> {
  const result = await db.query<{ id: string }>({
    name: "find_moved_on",
    text: `SELECT o.id FROM unnest($1::uuid[], $2::int[]) AS known(id, version)
      JOIN orders o ON o.id = known.id WHERE o.version > known.version`,
    values: [known.map(({ id }) => id), known.map(({ version }) => version)],
  });
  return result.rows.map(({ id }) => id);
}

export interface OrderFilter {
  readonly statuses?: readonly OrderStatus[] | undefined;
  readonly saleId?: string | undefined;
  /** Placed at or after. */
  readonly from?: Date | undefined;
  /** Placed before. */
  readonly to?: Date | undefined;
  readonly fulfilment?: FulfilmentFilter | undefined;
}

/** A customer's orders, newest first. `before`: the order after which the page starts. */
export async function listOrdersOf(
  db: Queryable,
  customerId: string,
  page: OrderFilter & {
    readonly limit: number;
    readonly before?: { readonly placedAt: Date; readonly id: string } | undefined;
  },
): Promise<OrderWithLines[]> {
  const result = await db.query<OrderJsonRow>(
    `SELECT ${COLUMNS}, ${LINES} AS lines, ${TIMELINE} AS timeline FROM ${ORDERS_WITH_DISCOUNTS}
     WHERE o.customer_id = $1 AND ($2::timestamptz IS NULL OR (o.placed_at, o.id) < ($2, $8::uuid)) AND ($4::text[] IS NULL OR o.status = ANY ($4))
       AND ($5::text IS NULL OR o.sale_id = $5) AND ($6::timestamptz IS NULL OR o.placed_at >= $6)
       AND ($7::timestamptz IS NULL OR o.placed_at < $7)
       AND ($9::text IS NULL OR o.fulfilment = $9 OR ($9 = 'none' AND o.fulfilment IS NULL))
     ORDER BY o.placed_at DESC, o.id DESC LIMIT $3`,
    [
      customerId,
      page.before?.placedAt ?? null,
      page.limit,
      page.statuses ?? null,
      page.saleId ?? null,
      page.from ?? null,
      page.to ?? null,
      page.before?.id ?? null,
      page.fulfilment ?? null,
    ],
  );
  return result.rows.map(withDates);
}

function withDates(row: OrderJsonRow): OrderWithLines {
  const timeline = (row.timeline ?? []).map((entry) => ({ ...entry, at: new Date(entry.at) }));
  return { ...row, fulfilment: withDate(row.fulfilment), lines: row.lines ?? [], timeline };
}

export function withDate(fulfilment: FulfilmentJson | null): Fulfilment | null {
  return fulfilment && { ...fulfilment, at: new Date(fulfilment.at) };
}
