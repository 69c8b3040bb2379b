// What a buyer may ask of an order that was accepted: to cancel it, to pay for it. Both are wishes that are answered with
// 202: Postgres picks the order's fate by a conditional update, and the jobs that follow commit with it.
//
// An order that is still on its way to Postgres gets its wish written down beside it, for the persister's insert to find.
// The row may arrive between the look-up and the writing; so after writing the row is looked for once more, and when it is
// there the wish is taken back and tried on the row. Either the persister or this takes it, never both.
import { z } from "@hono/zod-openapi";
import type { PoolClient } from "pg";
import { OnrushError } from "../../engine/errors.ts";
import { cancelInLedger, wishCancelled } from "../../engine/ledger/cancellation.ts";
import { transaction } from "../../engine/ledger/database.ts";
import { recordIntent, takeIntents } from "../../engine/ledger/intents.ts";
import { findOrder } from "../../engine/ledger/orders.ts";
import { requestPayment } from "../../engine/ledger/payment-requests.ts";
import { redisNowMs } from "../../engine/redis/clock.ts";
import { isOperator } from "../auth/access.ts";
import type { Identity } from "../auth/tokens.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { jsonAnswer } from "../http/answer.ts";
import { type Edge, endpoint } from "../http/endpoint.ts";
import { invalid } from "../http/fields.ts";
import { type FoundOrder, findOrderFor, isMember } from "./lookup.ts";
import { paymentToken } from "./order-request.ts";
import { ORDERS_TAG } from "./read-routes.ts";
import { orderSchema, representOrder } from "./representation.ts";

/** Without a token the simulated gateway's default is meant. */
const SIMULATED_DEFAULT_TOKEN = "tok_ok";
const paymentRequest = z
  .object({ method: z.enum(["card", "wallet"]), token: paymentToken.optional() })
  .openapi("PaymentRequest");

export function orderChangeRoutes(edge: Edge, deps: ApiDependencies): void {
  const { pool, outbox, config } = deps;

  endpoint(
    edge,
    {
      method: "post",
      path: "/api/v1/orders/{id}/cancel",
      summary: "Cancel an order",
      description:
        "Possible until the order is paid; INVALID_STATE after that, and for an order that is cancelled already. A payment " +
        "that is under way is not waited for: should it succeed all the same, the whole of it is refunded.",
      tag: ORDERS_TAG,
      access: "public",
      answers: { 202: { description: "The order; its units come back when it is CANCELLED", schema: orderSchema } },
      refusals: ["NOT_FOUND", "INVALID_STATE"],
    },
    async ({ c, caller }) => {
      const found = await findOrderFor(deps, c.req.param("id") ?? "", caller);
      const orderId = found.view.orderTrackingId;
      const wish = { orderId, actor: actorOf(found, caller), reason: cancelReason(found, caller) };
      let isRecorded = false;
      return carryOut(deps, found, {
        orderId,
        async write() {
          await wishCancelled(pool, wish);
          isRecorded = true;
        },
        apply: (client) => cancelInLedger(client, outbox, wish, isRecorded),
        isDone: (status) => status === "CANCELLING" || status === "CANCELLED",
      });
    },
  );

  endpoint(
    edge,
    {
      method: "post",
      path: "/api/v1/orders/{id}/payments",
      summary: "Pay for an order",
      description:
        "For an order that was placed with the method `later`, or whose payment was declined in a sale that holds " +
        "declined orders, until the reservation ends. INVALID_STATE for every other. By wallet only its owner pays, with a " +
        "token.",
      tag: ORDERS_TAG,
      access: "public",
      body: paymentRequest,
      answers: { 202: { description: "The order; the payment is under way", schema: orderSchema } },
      refusals: ["NOT_FOUND", "INVALID_STATE", "FORBIDDEN"],
    },
    async ({ c, caller, body: { method, token } }) => {
      if (method === "wallet" && !caller) {
        throw new OnrushError("UNAUTHENTICATED", "Paying by wallet needs a member's token.");
      }
      const found = await findOrderFor(deps, c.req.param("id") ?? "", caller);
      const orderId = found.view.orderTrackingId;
      if (method === "wallet") checkWallet(found, caller, token);
      else if (token === undefined && config.paymentGateway !== "simulated") {
        throw invalid("token", "a card payment needs the gateway's token");
      }
      if (found.in === "log" && found.view.payment.method !== "later") throw wrongState(found.view);
      // Without Redis' clock no deadline is judged, here as in the sweeps.
      const nowMs = await redisNowMs(deps.redis).catch(() => undefined);
      const payment = { method, token: method === "wallet" ? null : (token ?? SIMULATED_DEFAULT_TOKEN) };
      return carryOut(deps, found, {
        orderId,
        write: () =>
          recordIntent(pool, { orderId, intent: "pay", actor: actorOf(found, caller), reason: null, ...payment }),
        async apply(client) {
          if (!(await requestPayment(client, orderId, payment, nowMs))) return false;
          await outbox.enqueue(client, "payment", [orderId]);
          return true;
        },
        isDone: (status) => status === "PAYING" || status === "PAID" || status === "CONFIRMED",
      });
    },
  );
}

/** An order is paid from its buyer's own wallet: by the buyer, or by a server that acts in the buyer's name. */
function checkWallet({ view }: FoundOrder, caller: Identity | undefined, token: string | undefined): void {
  if (token !== undefined) throw invalid("token", "a wallet is charged without a token");
  const isOwner = caller?.isServer ? isMember(view.customerId) : caller?.customerId === view.customerId;
  if (!isOwner) throw new OnrushError("FORBIDDEN", "The order is not that of the wallet's owner.");
}

interface Wish {
  readonly orderId: string;
  /** Writes it down beside an order that Postgres does not have yet. */
  write(): Promise<void>;
  /** Tries it on the row, within a transaction. @returns whether the row allowed it */
  apply(client: PoolClient): Promise<boolean>;
  /** Whether an order in this status shows that the persister has honoured the wish. */
  isDone(status: string): boolean;
}

/** @throws OnrushError with `INVALID_STATE` when the order's state does not allow the wish */
async function carryOut(deps: ApiDependencies, found: FoundOrder, wish: Wish): Promise<Response> {
  const { pool } = deps;
  const { orderId } = wish;
  if (found.in === "log") {
    await wish.write();
    const arrived = await findOrder(pool, orderId);
    if (!arrived) return accepted(found.view);
    const untouched = await transaction(pool, async (client) => {
      const [taken] = await takeIntents(client, [orderId]);
      return taken ? { applied: await wish.apply(client) } : undefined;
    });
    const now = await findOrder(pool, orderId);
    if (!now) throw new Error(`order ${orderId} was in Postgres and is not any more`);
    // The persister took the wish with its insert, or it was carried out here just now.
    if (!untouched || untouched.applied || wish.isDone(now.status)) return accepted(representOrder(now));
    throw wrongState(now);
  }
  const applied = await transaction(pool, (client) => wish.apply(client));
  const now = await findOrder(pool, orderId);
  if (!now) throw new Error(`order ${orderId} was in Postgres and is not any more`);
  if (!applied) throw wrongState(now);
  return accepted(representOrder(now));
}

function accepted(view: FoundOrder["view"]): Response {
  return jsonAnswer(view, 202, { location: `/api/v1/orders/${view.orderTrackingId}` });
}

function wrongState(order: { status: string; reason?: string | null; reservedUntil: Date | string }): OnrushError {
  return new OnrushError("INVALID_STATE", `The order is ${order.status}, which does not allow this.`, {
    orderStatus: order.status,
    ...(order.reason && { reason: order.reason }),
    ...(order.status === "RESERVED" && { reservedUntil: order.reservedUntil }),
  });
}

/** An operator who cancels another's order does so for the shop; whoever else may do it is the customer. */
function cancelReason(found: FoundOrder, caller: Identity | undefined): "CUSTOMER" | "OPERATOR" {
  return isOperator(caller) && caller?.customerId !== found.view.customerId ? "OPERATOR" : "CUSTOMER";
}

function actorOf(found: FoundOrder, caller: Identity | undefined): string {
  return caller?.customerId ?? found.view.customerId;
}
