// Reading orders.
import { z } from "@hono/zod-openapi";
import { FULFILMENT_FILTERS } from "../../engine/fulfilment.ts";
import { listOrdersOf } from "../../engine/ledger/orders.ts";
import { parseOrderId } from "../../engine/order-id.ts";
import { ORDER_STATUSES } from "../../engine/order-state.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { jsonAnswer } from "../http/answer.ts";
import { decodeCursor, encodeCursor } from "../http/cursor.ts";
import { type Edge, endpoint } from "../http/endpoint.ts";
import { instant, page } from "../http/fields.ts";
import { findOrderFor } from "./lookup.ts";
import { orderSchema, representOrder } from "./representation.ts";

export const ORDERS_TAG = "Orders";
const orderPage = z.object({ items: z.array(orderSchema), nextCursor: z.string().optional() }).openapi("OrderPage");
const ordersQuery = page.extend({
  status: z
    .string()
    .transform((value) => value.split(","))
    .pipe(z.array(z.enum(ORDER_STATUSES)))
    .optional()
    .openapi({ type: "string", example: "CONFIRMED,CANCELLED" }),
  saleId: z.string().min(1).max(36).optional(),
  from: instant.optional(),
  to: instant.optional(),
  fulfilment: z.enum(FULFILMENT_FILTERS).optional(),
});
const position = z.tuple([z.int().min(0).max(8.64e15), z.string().refine((id) => parseOrderId(id) !== undefined)]);

export function orderReadRoutes(edge: Edge, deps: ApiDependencies): void {
  endpoint(
    edge,
    {
      method: "get",
      path: "/api/v1/orders/{id}",
      summary: "Read an order",
      description: "A guest's order is shown to whoever knows its id, a member's to the member and to operators.",
      tag: ORDERS_TAG,
      access: "public",
      answers: { 200: { description: "The order", schema: orderSchema } },
      refusals: ["NOT_FOUND"],
    },
    async ({ c, caller }) => jsonAnswer((await findOrderFor(deps, c.req.param("id") ?? "", caller)).view),
  );

  endpoint(
    edge,
    {
      method: "get",
      path: "/api/v1/orders",
      summary: "List one's own orders",
      description:
        "Newest first. An order appears here once it is in Postgres, moments after it was accepted. `status` may name " +
        "several, parted by commas; `from` and `to` bound when orders were placed.",
      tag: ORDERS_TAG,
      access: "member",
      query: ordersQuery,
      answers: { 200: { description: "A page", schema: orderPage } },
    },
    async ({ caller, query: { limit, cursor, status: statuses, saleId, from, to, fulfilment } }) => {
      const at = cursor === undefined ? undefined : decodeCursor(cursor, position);
      const before = at && { placedAt: new Date(at[0]), id: at[1] };
      const orders = await listOrdersOf(deps.pool, caller.customerId, {
        limit: limit + 1,
        before,
        statuses,
        saleId,
        from,
        to,
        fulfilment,
      });
      const last = orders.length > limit ? orders[limit - 1] : undefined;
      return jsonAnswer({
        items: orders.slice(0, limit).map(representOrder),
        ...(last && { nextCursor: encodeCursor([last.placedAt.getTime(), last.id]) }),
      });
    },
  );
}
