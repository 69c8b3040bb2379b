// Orders of everybody, for operators.
import { z } from "@hono/zod-openapi";
import { searchOrders } from "../../engine/ledger/order-search.ts";
import { CANCEL_REASONS, ORDER_STATUSES } from "../../engine/order-state.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { jsonAnswer } from "../http/answer.ts";
import { decodeCursor, encodeCursor } from "../http/cursor.ts";
import { type Edge, endpoint } from "../http/endpoint.ts";
import { page, text, UUID } from "../http/fields.ts";
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
    refundedAmount: z.int(),
    currency: z.string(),
    paymentMethod: z.string(),
    placedAt: z.string(),
    updatedAt: z.string(),
    items: z.array(z.object({ productId: z.string(), name: z.string(), quantity: z.int(), price: z.int() })),
  })
  .openapi("OrderSummary");
const orderPage = z.object({ items: z.array(summary), nextCursor: z.string().optional() }).openapi("OrderSummaryPage");
const query = page.extend({
  query: text(1, 64)
    .optional()
    .openapi({ description: "A customer's id, or an order's id or its beginning (from 4 digits)" }),
  saleId: text(1, 36).optional(),
  status: z.enum(ORDER_STATUSES).optional(),
});
const position = z.string().regex(UUID);

export function adminOrderRoutes(edge: Edge, { pool }: ApiDependencies): void {
  endpoint(
    edge,
    {
      method: "get",
      path: "/api/v1/admin/orders",
      summary: "Find orders",
      description: "Newest first, as far as they are in Postgres.",
      tag: ADMIN_TAG,
      access: "operator",
      query,
      answers: { 200: { description: "A page", schema: orderPage } },
    },
    async ({ query: { limit, cursor, ...filter } }) => {
      const before = cursor === undefined ? undefined : decodeCursor(cursor, position);
      const found = await searchOrders(pool, { ...filter, limit: limit + 1, before });
      const last = found.length > limit ? found[limit - 1] : undefined;
      const items = found.slice(0, limit).map(({ id, items: lines, ...order }) => ({
        orderTrackingId: id,
        ...order,
        items: lines.map(({ unitPrice, ...line }) => ({ ...line, price: unitPrice })),
      }));
      return jsonAnswer({ items, ...(last && { nextCursor: encodeCursor(last.id) }) });
    },
  );
}
