// Orders as operators look for them, and as they are carried out of the system.
import type pg from "pg";
import type { Fulfilment, FulfilmentFilter } from "../fulfilment.ts";
import { type DiscountsView, type OrderDiscounts, representDiscounts } from "../order.ts";
import type { OrderStatus } from "../order-state.ts";
import type { Queryable } from "./database.ts";
import {
  DISCOUNTS_OF_ORDER,
  FULFILMENT_OF_ORDER,
  type FulfilmentJson,
  LINE_IS_BOUGHT,
  ORDERS_WITH_DISCOUNTS,
  withDate,
} from "./orders.ts";

export interface OrderSummary extends DiscountsView {
  readonly id: string;
  readonly saleId: string;
  readonly customerId: string;
  readonly status: OrderStatus;
  readonly reason: string | null;
  readonly price: number;
  readonly payable: number;
  readonly refundedAmount: number;
  readonly currency: string;
  readonly paymentMethod: string;
  readonly placedAt: Date;
  readonly updatedAt: Date;
  readonly fulfilment: Fulfilment | null;
  readonly items: readonly { productId: string; name: string; quantity: number; unitPrice: number }[];
}

export interface OrderFilter {
  readonly saleId?: string | undefined;
  readonly status?: OrderStatus | undefined;
  /** With a line of this product. */
  readonly productId?: string | undefined;
  /** A customer's id, or the beginning of an order's. */
  readonly query?: string | undefined;
  /** Placed at or after. */
  readonly since?: Date | undefined;
  /** Placed before. */
  readonly until?: Date | undefined;
  readonly fulfilment?: FulfilmentFilter | undefined;
}

const COLUMNS = `o.id, o.sale_id AS "saleId", o.customer_id AS "customerId", o.status, o.reason, o.price, o.payable,
  o.refunded_amount AS "refundedAmount", o.currency, o.payment_method AS "paymentMethod", o.placed_at AS "placedAt",
  o.updated_at AS "updatedAt", ${FULFILMENT_OF_ORDER} AS fulfilment, ${DISCOUNTS_OF_ORDER} AS discounts,
  COALESCE((SELECT json_agg(json_build_object('productId', l.product_id, 'name', l.product_name, 'quantity', l.quantity,
    'unitPrice', l.unit_price) ORDER BY l.line) FROM order_lines l
    WHERE l.order_id = o.id AND ${LINE_IS_BOUGHT}), '[]') AS items`;
// Lines have no index by product, as every order would pay for it. The ledger has stock of whatever it let a sale sell: that
// names the few sales whose orders are looked into. An array, because the planner turns EXISTS into a scan of all lines.
const CONDITIONS = `($1::text IS NULL OR o.sale_id = $1) AND ($2::text IS NULL OR o.status = $2)
  AND (($3::text IS NULL AND $4::uuid IS NULL) OR o.customer_id = $3 OR o.id BETWEEN $4 AND $5::uuid)
  AND ($6::timestamptz IS NULL OR o.placed_at >= $6) AND ($7::timestamptz IS NULL OR o.placed_at < $7)
  AND ($8::text IS NULL OR o.fulfilment = $8 OR ($8 = 'none' AND o.fulfilment IS NULL))
  AND ($9::uuid IS NULL OR (o.sale_id IN (SELECT s.sale_id FROM stock s WHERE s.product_id = $9)
    AND $9 = ANY (ARRAY(SELECT l.product_id FROM order_lines l WHERE l.order_id = o.id))))`;

type SummaryRow = Omit<OrderSummary, "fulfilment" | keyof DiscountsView> & {
  readonly fulfilment: FulfilmentJson | null;
  readonly discounts: OrderDiscounts | null;
};

const ID_HEX = 32;

function valuesOf({ saleId, status, query, since, until, fulfilment, productId }: OrderFilter): unknown[] {
  // Ids start with the time they were made at, so that the beginning of one is a range of the primary key.
  const hex = query?.toLowerCase().replaceAll("-", "") ?? "";
  const isIdPrefix = query !== undefined && /^[0-9a-f-]+$/i.test(query) && hex.length >= 4 && hex.length <= ID_HEX;
  const range = isIdPrefix ? [hex.padEnd(ID_HEX, "0"), hex.padEnd(ID_HEX, "f")] : [null, null];
  // A whole UUID may be an order's or a guest's.
  const customer = query !== undefined && (!isIdPrefix || hex.length === ID_HEX) ? query : null;
  return [
    ...[saleId ?? null, status ?? null, customer, ...range, since ?? null, until ?? null, fulfilment ?? null],
    productId ?? null,
  ];
}

/** Orders, newest first. `before`: the id after which the page starts. */
export async function searchOrders(
  db: Queryable,
  filter: OrderFilter & { readonly limit: number; readonly before?: string | undefined },
): Promise<OrderSummary[]> {
  const result = await db.query<SummaryRow>(
    `SELECT ${COLUMNS} FROM ${ORDERS_WITH_DISCOUNTS} WHERE ${CONDITIONS} AND ($10::uuid IS NULL OR o.id < $10)
     ORDER BY o.id DESC LIMIT $11`,
    [...valuesOf(filter), filter.before ?? null, filter.limit],
  );
  return result.rows.map(summaryOf);
}

function summaryOf({ discounts, ...row }: SummaryRow): OrderSummary {
  return { ...row, ...representDiscounts(discounts), fulfilment: withDate(row.fulfilment) };
}

const ROWS_PER_FETCH = 1_000;

/** All orders of the filter in the order they were made, a thousand at a time, as of one instant. */
export async function* exportOrders(pool: pg.Pool, filter: OrderFilter): AsyncGenerator<OrderSummary[]> {
  const client = await pool.connect();
  const onBroken = () => undefined; // the query under way rejects with the same
  client.on("error", onBroken);
  let ended = false;
  try {
    await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    // Whoever reads the export may be slow.
    await client.query("SET LOCAL idle_in_transaction_session_timeout = 0");
    await client.query(
      `DECLARE exported NO SCROLL CURSOR FOR SELECT ${COLUMNS} FROM ${ORDERS_WITH_DISCOUNTS}
       WHERE ${CONDITIONS} ORDER BY o.id`,
      valuesOf(filter),
    );
    for (;;) {
      const { rows } = await client.query<SummaryRow>(`FETCH ${ROWS_PER_FETCH} FROM exported`);
      if (rows.length > 0) yield rows.map(summaryOf);
      if (rows.length < ROWS_PER_FETCH) break;
    }
    await client.query("COMMIT");
    ended = true;
  } finally {
    client.off("error", onBroken);
    client.release(!ended);
  }
}

const ROWS_PER_PAGE = 500;

/**
 * All orders of the filter that are there when it begins, in the order they were made, in pages. Each page is as of the
 * moment it is read, and no connection is held between two: for readers that may be slow, or go away.
 */
export async function* readOrderPages(db: Queryable, filter: OrderFilter): AsyncGenerator<OrderSummary[], void> {
  const end = await findNewestId(db);
  let after: string | null = null;
  while (end !== undefined) {
    const result: pg.QueryResult<SummaryRow> = await db.query<SummaryRow>(
      `SELECT ${COLUMNS} FROM ${ORDERS_WITH_DISCOUNTS}
       WHERE ${CONDITIONS} AND ($10::uuid IS NULL OR o.id > $10) AND o.id <= $11
       ORDER BY o.id LIMIT $12`,
      [...valuesOf(filter), after, end, ROWS_PER_PAGE],
    );
    if (result.rows.length > 0) yield result.rows.map(summaryOf);
    if (result.rows.length < ROWS_PER_PAGE) return;
    after = result.rows.at(-1)?.id ?? null;
  }
}

async function findNewestId(db: Queryable): Promise<string | undefined> {
  const result = await db.query<{ id: string }>("SELECT id FROM orders ORDER BY id DESC LIMIT 1");
  return result.rows[0]?.id;
}

/** How many orders the filter finds. */
export async function countOrders(db: Queryable, filter: OrderFilter): Promise<number> {
  const result = await db.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM orders o WHERE ${CONDITIONS}`,
    valuesOf(filter),
  );
  return result.rows[0]?.count ?? 0;
}
