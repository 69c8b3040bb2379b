// Orders of everybody, for operators.
import { z } from "@hono/zod-openapi";
import { BYTE_ORDER_MARK } from "../../engine/csv.ts";
import { FULFILMENT_FILTERS } from "../../engine/fulfilment.ts";
import { orderCsv, orderCsvHeading } from "../../engine/ledger/order-csv.ts";
import { type OrderFilter, type OrderSummary, readOrderPages, searchOrders } from "../../engine/ledger/order-search.ts";
import type { Logger } from "../../engine/log.ts";
import { CANCEL_REASONS, ORDER_STATUSES } from "../../engine/order-state.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { jsonAnswer, SECURITY_HEADERS } from "../http/answer.ts";
import { decodeCursor, encodeCursor } from "../http/cursor.ts";
import { type Edge, endpoint } from "../http/endpoint.ts";
import { instant, page, text, UUID, uuid } from "../http/fields.ts";
import { discountsShape, fulfilmentSchema } from "../orders/representation.ts";
import { ADMIN_TAG } from "./audit-routes.ts";

const summary = z
  .object({
    orderTrackingId: z.string(),
    saleId: z.string(),
    customerId: z.string(),
    status: z.enum(ORDER_STATUSES),
    reason: z.enum(CANCEL_REASONS).nullable(),
    price: z.int(),
    payable: z.int(),
    ...discountsShape,
    refundedAmount: z.int(),
    currency: z.string(),
    paymentMethod: z.string(),
    placedAt: z.string(),
    updatedAt: z.string(),
    fulfilment: fulfilmentSchema.nullable(),
    items: z.array(z.object({ productId: z.string(), name: z.string(), quantity: z.int(), price: z.int() })),
  })
  .openapi("OrderSummary");
const orderPage = z.object({ items: z.array(summary), nextCursor: z.string().optional() }).openapi("OrderSummaryPage");
const filters = {
  query: text(1, 64)
    .optional()
    .openapi({ description: "A customer's id, or an order's id or its beginning (from 4 digits)" }),
  saleId: text(1, 36).optional(),
  status: z.enum(ORDER_STATUSES).optional(),
  productId: uuid.optional(),
  from: instant.optional().openapi({ description: "Placed at or after it" }),
  to: instant.optional().openapi({ description: "Placed before it" }),
  fulfilment: z.enum(FULFILMENT_FILTERS).optional(),
};
const search = page.extend(filters);
const exported = z.object({
  ...filters,
  bom: z
    .enum(["true", "false"])
    .default("false")
    .openapi({ description: "Whether to start with the mark by which Excel knows UTF-8" }),
});
const position = z.string().regex(UUID);

export function adminOrderRoutes(edge: Edge, { pool, log }: ApiDependencies): void {
  endpoint(
    edge,
    {
      method: "get",
      path: "/api/v1/admin/orders",
      summary: "Find orders",
      description: "Newest first, as far as they are in Postgres.",
      tag: ADMIN_TAG,
      access: "operator",
      query: search,
      answers: { 200: { description: "A page", schema: orderPage } },
    },
    async ({ query: { limit, cursor, ...given } }) => {
      const before = cursor === undefined ? undefined : decodeCursor(cursor, position);
      const found = await searchOrders(pool, { ...filterOf(given), limit: limit + 1, before });
      const last = found.length > limit ? found[limit - 1] : undefined;
      const items = found.slice(0, limit).map(({ id, items: lines, ...order }) => ({
        orderTrackingId: id,
        ...order,
        items: lines.map(({ unitPrice, ...line }) => ({ ...line, price: unitPrice })),
      }));
      return jsonAnswer({ items, ...(last && { nextCursor: encodeCursor(last.id) }) });
    },
  );

  endpoint(
    edge,
    {
      method: "get",
      path: "/api/v1/admin/orders/export",
      summary: "Download orders as CSV",
      description:
        "Every order that the filters find and that was there when the download began, in the order they were made, " +
        "streamed however many they are. Quoted by RFC 4180; a text that a spreadsheet would calculate gets an apostrophe. " +
        "Amounts are in minor units, instants are UTC; new columns come at the end. A download that breaks off is not " +
        "whole: its last chunk is missing.",
      tag: ADMIN_TAG,
      access: "operator",
      query: exported,
      answers: { 200: { description: "The orders", schema: z.string(), mediaType: "text/csv" } },
    },
    async ({ query: { bom, ...given } }) => {
      const pages = readOrderPages(pool, filterOf(given));
      // What is wrong from the start is a refusal, and no file that breaks off.
      const first = await pages.next();
      const opening = `${bom === "true" ? BYTE_ORDER_MARK : ""}${orderCsvHeading()}`;
      const chunks = encode(opening, first.done ? [] : first.value, pages, log);
      return new Response(ReadableStream.from(chunks), { headers: CSV_HEADERS });
    },
  );
}

const CSV_HEADERS = {
  ...SECURITY_HEADERS,
  "content-type": "text/csv; charset=utf-8",
  "content-disposition": 'attachment; filename="orders.csv"',
} as const;

function filterOf({ from, to, ...filter }: z.output<z.ZodObject<typeof filters>>): OrderFilter {
  return { ...filter, since: from, until: to };
}

/** The file, a page a chunk. Nothing is read before somebody takes the chunk before it; whoever goes away ends the reading. */
async function* encode(
  opening: string,
  first: readonly OrderSummary[],
  pages: AsyncGenerator<OrderSummary[], void>,
  log: Logger,
): AsyncGenerator<Uint8Array> {
  const encoder = new TextEncoder();
  try {
    yield encoder.encode(opening + orderCsv(first));
    for await (const page of pages) yield encoder.encode(orderCsv(page));
  } catch (error) {
    log.warn({ err: error }, "an export of orders broke off");
    throw new Error("The export broke off.");
  }
}
