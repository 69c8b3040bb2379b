// What the shop says of a confirmed order's goods: packed, shipped, delivered.
import { publishOrders } from "../../engine/events.ts";
import { fulfilmentSchema } from "../../engine/fulfilment.ts";
import { fulfilOrder, notConfirmed } from "../../engine/ledger/fulfilment.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { jsonAnswer } from "../http/answer.ts";
import { type Edge, endpoint } from "../http/endpoint.ts";
import { findOrderFor } from "./lookup.ts";
import { ORDERS_TAG } from "./read-routes.ts";
import { orderSchema, representOrder } from "./representation.ts";

export function fulfilmentRoute(edge: Edge, deps: ApiDependencies): void {
  const { pool, redis, log } = deps;
  const body = fulfilmentSchema().openapi("FulfilmentRequest", {
    example: { state: "shipped", reference: "6012-3456-7890" },
  });
  endpoint(
    edge,
    {
      method: "post",
      path: "/api/v1/orders/{id}/fulfilment",
      summary: "Say that an order was packed, shipped or delivered",
      description:
        "Of a CONFIRMED order, and only forward: packed, shipped, delivered; a step may be left out. The same said again " +
        "has no effect, and a step without a reference can be given one later; what goes back, or names another reference, " +
        "is INVALID_STATE. Each step is a version of the order, with its row in the timeline.",
      tag: ORDERS_TAG,
      access: "admin",
      body,
      answers: { 200: { description: "The order", schema: orderSchema } },
      refusals: ["NOT_FOUND", "INVALID_STATE"],
    },
    async ({ c, caller, body: step }) => {
      const found = await findOrderFor(deps, c.req.param("id") ?? "", caller);
      if (found.in === "log") throw notConfirmed(found.view.status);
      const { order, change } = await fulfilOrder(pool, found.order.id, step, { actor: caller.customerId });
      if (change) {
        // Whoever watches compares versions too.
        await publishOrders(redis, [change]).catch((error) => log.warn({ err: error }, "orders not published"));
      }
      return jsonAnswer(representOrder(order));
    },
  );
}
