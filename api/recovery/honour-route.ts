// An order that was lost with Redis, honoured by the answer that its client kept.

import { OnrushError } from "../../engine/errors.ts";
import { honourOrder } from "../../engine/recovery/honour.ts";
import { keptAnswer } from "../../engine/recovery/kept-answer.ts";
import { redisNowMs } from "../../engine/redis/clock.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { jsonAnswer } from "../http/answer.ts";
import { type Edge, endpoint } from "../http/endpoint.ts";
import { lookUpOrder } from "../orders/lookup.ts";
import { orderSchema } from "../orders/representation.ts";

export const RECOVERY_TAG = "Recovery";

export function honourRoute(edge: Edge, deps: ApiDependencies): void {
  const { pool, redis, engine, config } = deps;
  const receiptSecrets = [config.receiptSecret, config.receiptSecretPrevious].filter((secret) => secret !== undefined);

  endpoint(
    edge,
    {
      method: "post",
      path: "/api/v1/admin/orders/honour",
      summary: "Honour an order that was lost",
      description:
        "Takes the answer to POST /orders as its client kept it. Its receipt proves buyer, products, quantities and prices; an " +
        "order that was changed, or of another shop, is refused (VALIDATION). When the order was lost with Redis, it comes to " +
        "life under its own id with a fresh reservation, from the units that a rebuild held back for it; what is missing " +
        "there, or all of it when their time is over, comes from what is available, else INVALID_STATE. How it is paid and " +
        "where it goes were lost: `payment` and `address` say them anew, else it waits for POST /orders/{id}/payments. " +
        "Asked again, it answers with the same order.",
      tag: RECOVERY_TAG,
      access: "admin",
      body: keptAnswer,
      answers: {
        200: { description: "The order; it was honoured before", schema: orderSchema },
        202: { description: "The order, honoured now", schema: orderSchema },
      },
      refusals: ["NOT_FOUND", "INVALID_STATE", "LIMIT_EXCEEDED", "STOCK_UNAVAILABLE", "OUTCOME_UNKNOWN"],
    },
    async ({ body, caller }) => {
      const honouring = { pool, stock: engine.stock, nowMs: () => redisNowMs(redis), receiptSecrets };
      const { orderId, honoured } = await honourOrder(honouring, body, caller.customerId);
      const found = await lookUpOrder(deps, orderId);
      if (!found) {
        throw new OnrushError("OUTCOME_UNKNOWN", "The order is on its way, and cannot be shown at the moment.", {
          orderTrackingId: orderId,
        });
      }
      const location = `/api/v1/orders/${orderId}`;
      return jsonAnswer(found.view, honoured === "now" ? 202 : 200, { location });
    },
  );
}
