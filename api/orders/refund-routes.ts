// Refunds of orders: operators ask for them, and whoever may see the order sees what became of them. The answer comes before
// the money: a worker gives it back, and the refund says when it has.
import { z } from "@hono/zod-openapi";
import { reasonSchema } from "../../engine/catalogue/input.ts";
import { OnrushError } from "../../engine/errors.ts";
import { publishOrders } from "../../engine/events.ts";
import { transaction } from "../../engine/ledger/database.ts";
import { openRefund } from "../../engine/ledger/refund-requests.ts";
import { listRefunds, REFUND_STATES, type RefundRow } from "../../engine/ledger/refunds.ts";
import { AMOUNT_MAX, QUANTITY_MAX } from "../../engine/money.ts";
import { isOperator } from "../auth/access.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { jsonAnswer } from "../http/answer.ts";
import { decodeCursor, encodeCursor } from "../http/cursor.ts";
import { type Edge, endpoint } from "../http/endpoint.ts";
import { page, UUID } from "../http/fields.ts";
import { findOrderFor } from "./lookup.ts";
import { ITEMS_MAX, orderHeaders, PRODUCT_ID_LENGTH_MAX, readIdempotencyKey } from "./order-request.ts";
import { ORDERS_TAG } from "./read-routes.ts";

const PATH = "/api/v1/orders/{id}/refunds";

const refundRequest = z
  .object({
    items: z
      .array(
        z.object({
          productId: z.string().min(1).max(PRODUCT_ID_LENGTH_MAX).toLowerCase(),
          quantity: z.int().min(1).max(QUANTITY_MAX),
        }),
      )
      .min(1)
      .max(ITEMS_MAX)
      .optional()
      .openapi({ description: "Units to take back; what was paid for them goes back" }),
    amount: z
      .int()
      .min(1)
      .max(AMOUNT_MAX)
      .optional()
      .openapi({ description: "Money without units, in the currency's minor unit" }),
    restock: z
      .boolean()
      .default(false)
      .openapi({ description: "Whether the units go back on sale; else they are written off" }),
    reason: reasonSchema().optional(),
  })
  .refine(({ items, amount }) => items === undefined || amount === undefined, {
    path: ["amount"],
    message: "cannot be given together with items",
  })
  .openapi("RefundRequest");

const refundSchema = z
  .object({
    id: z.string(),
    orderTrackingId: z.string(),
    amount: z.int(),
    currency: z.string(),
    items: z
      .array(z.object({ productId: z.string(), quantity: z.int() }))
      .openapi({ description: "Units that are taken back once the money is" }),
    restock: z.boolean(),
    state: z.enum(REFUND_STATES).openapi({
      description: "`failed`: the money is still owed, and waits for an operator to replay the dead letter",
    }),
    reason: z.string().nullable().optional().openapi({ description: "An operator's words; only operators see it" }),
    createdAt: z.string(),
    endedAt: z.string().nullable(),
  })
  .openapi("Refund");
const refundPage = z.object({ items: z.array(refundSchema), nextCursor: z.string().optional() }).openapi("RefundPage");

export function refundRoutes(edge: Edge, deps: ApiDependencies): void {
  const { pool, outbox, redis, log } = deps;

  endpoint(
    edge,
    {
      method: "post",
      path: PATH,
      summary: "Refund an order",
      description:
        "Of a CONFIRMED order: some units of it, an amount, or, with neither, all that is left. Refunds of an order never " +
        "give back more than was captured, whatever comes at once; one for more is INVALID_STATE and says what is left. The " +
        "order stays CONFIRMED with its refundedAmount growing, until a refund gives back the last of it: it is then " +
        "REFUND_PENDING, and REFUNDED when all the money is back. Units follow the money.",
      tag: ORDERS_TAG,
      access: "admin",
      headers: orderHeaders.pick({ "idempotency-key": true }),
      body: refundRequest.default({ restock: false }),
      bodyOptional: true,
      answers: {
        200: { description: "The refund that this Idempotency-Key led to before", schema: refundSchema },
        201: { description: "The refund, under way", schema: refundSchema },
      },
      refusals: ["NOT_FOUND", "INVALID_STATE", "IDEMPOTENCY_CONFLICT"],
    },
    async ({ c, caller, body }) => {
      const idempotencyKey = readIdempotencyKey(c.req.raw.headers.get("idempotency-key"));
      const found = await findOrderFor(deps, c.req.param("id") ?? "", caller);
      if (found.in === "log") {
        const { status } = found.view;
        throw new OnrushError("INVALID_STATE", `The order is ${status}; only a CONFIRMED one is refunded.`, {
          orderStatus: status,
        });
      }
      const request = { ...body, orderId: found.order.id, actor: caller.customerId, idempotencyKey };
      const { refund, isReplayed, moved } = await transaction(pool, (client) => openRefund(client, outbox, request));
      // Whoever watches compares versions too.
      if (moved) await publishOrders(redis, [moved]).catch((error) => log.warn({ err: error }, "orders not published"));
      const view = representRefund(refund, true);
      return isReplayed ? jsonAnswer(view, 200, { "idempotent-replayed": "true" }) : jsonAnswer(view, 201);
    },
  );

  endpoint(
    edge,
    {
      method: "get",
      path: PATH,
      summary: "List an order's refunds",
      description: "Oldest first. Shown to whoever may see the order.",
      tag: ORDERS_TAG,
      access: "public",
      query: page,
      answers: { 200: { description: "A page", schema: refundPage } },
      refusals: ["NOT_FOUND"],
    },
    async ({ c, caller, query: { limit, cursor } }) => {
      const after = cursor === undefined ? undefined : decodeCursor(cursor, z.string().regex(UUID));
      const found = await findOrderFor(deps, c.req.param("id") ?? "", caller);
      const refunds = await listRefunds(pool, found.view.orderTrackingId, { limit: limit + 1, after });
      const last = refunds.length > limit ? refunds[limit - 1] : undefined;
      return jsonAnswer({
        items: refunds.slice(0, limit).map((refund) => representRefund(refund, isOperator(caller))),
        ...(last && { nextCursor: encodeCursor(last.id) }),
      });
    },
  );
}

function representRefund(refund: RefundRow, isForOperator: boolean): z.input<typeof refundSchema> {
  const { id, orderId, amount, currency, items, restock, state, reason, createdAt, endedAt } = refund;
  return {
    id,
    orderTrackingId: orderId,
    amount,
    currency,
    items: [...items],
    restock,
    state,
    ...(isForOperator && { reason }),
    createdAt: createdAt.toISOString(),
    endedAt: endedAt?.toISOString() ?? null,
  };
}
