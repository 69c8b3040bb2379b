// POST /orders: the hot path. One function from the socket to the engine and back, with nothing in between that the order
// does not need: no middleware, one read of the body, one parse, one schema.
import { CATALOG_SALE_ID } from "../../engine/catalogue/sales.ts";
import type { PlacedOrder } from "../../engine/engine.ts";
import { OnrushError } from "../../engine/errors.ts";
import { signReceipt } from "../../engine/receipt.ts";
import { identify } from "../auth/access.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { jsonAnswer } from "../http/answer.ts";
import { readJson } from "../http/body.ts";
import { documentEndpoint, type Edge, type EndpointDocs, route } from "../http/endpoint.ts";
import { invalidBy } from "../http/fields.ts";
import { resolveBuyer } from "./buyer.ts";
import { lookUpOrder } from "./lookup.ts";
import {
  checkMeans,
  checkPayment,
  membersOf,
  orderHeaders,
  orderRequest,
  placedOrderSchema,
  readIdempotencyKey,
} from "./order-request.ts";
import { readWaitSeconds } from "./prefer.ts";
import { representLines } from "./representation.ts";

const PATH = "/api/v1/orders";
const REPLAYED = { "idempotent-replayed": "true" } as const;

const DOCS: EndpointDocs = {
  method: "post",
  path: PATH,
  summary: "Place an order",
  description:
    "Reserves the units of all lines, or none. 202: they are held until reservedUntil, and payment is under way (`later`: " +
    "waits for POST /orders/{id}/payments). 201: the same, and committed in Postgres, which `Prefer: wait=N` waits for. " +
    "`acknowledged` is the durability that was reached. OUTCOME_UNKNOWN names the order that stands if it was accepted.",
  tag: "Orders",
  access: "public",
  headers: orderHeaders,
  answers: {
    200: { description: "The order that this Idempotency-Key led to before", schema: placedOrderSchema },
    201: { description: "Accepted, and committed in Postgres", schema: placedOrderSchema },
    202: { description: "Accepted", schema: placedOrderSchema },
  },
  refusals: [
    "FORBIDDEN",
    "NOT_FOUND",
    "SOLD_OUT",
    "LIMIT_EXCEEDED",
    "SALE_NOT_OPEN",
    "PRICE_MISMATCH",
    "IDEMPOTENCY_CONFLICT",
    "STOCK_UNAVAILABLE",
    "OUTCOME_UNKNOWN",
  ],
};

export function placeOrderRoute(edge: Edge, deps: ApiDependencies): void {
  const { engine, config } = deps;
  documentEndpoint(edge, DOCS, undefined, orderRequest);

  route(edge, "post", PATH, async (c) => {
    try {
      const address = edge.addressOf(c);
      edge.limits.order(address);
      let caller = identify(c, edge.tokens);
      if (caller instanceof Promise) caller = await caller;
      if (!caller && !config.guestOrders) throw new OnrushError("UNAUTHENTICATED", "Ordering needs an access token.");

      const json = await readJson(c);
      const members = membersOf(json);
      checkMeans(members, caller !== undefined);
      const saleId = members["saleId"];
      const sale = engine.catalogue.sale(typeof saleId === "string" ? saleId : CATALOG_SALE_ID);
      if (sale?.membersOnly && !caller) throw new OnrushError("UNAUTHENTICATED", "This sale is for members.");
      const idempotencyKey = readIdempotencyKey(c.req.raw.headers);
      const customerId = resolveBuyer({
        caller,
        customerId: members["customerId"],
        idempotencyKey,
        address,
        guestSecret: config.receiptSecret,
      });
      edge.limits.orderOf(customerId);

      const body = orderRequest.safeParse(json);
      if (!body.success) throw invalidBy(body.error);
      const { items, price, address: shipTo, payment } = body.data;
      const order = {
        saleId: body.data.saleId,
        customerId,
        items,
        price,
        payment: checkPayment(payment, config.paymentGateway),
        address: shipTo,
        idempotencyKey,
      };
      const waitSeconds = readWaitSeconds(c.req.raw.headers);
      // A wish that cannot be granted is not said to have been.
      const isWaiting = waitSeconds !== undefined && engine.commits.mayWait;
      const placed = await engine.place(order, isWaiting ? { waitForPostgresMs: waitSeconds * 1_000 } : undefined);
      const applied = isWaiting ? { "preference-applied": `wait=${waitSeconds}` } : undefined;
      if (placed.type === "replayed") {
        edge.metrics.order("replayed");
        return await answerReplay(deps, placed.orderId, applied);
      }
      edge.metrics.order("accepted");
      const status = placed.acknowledged === "postgres" ? 201 : 202;
      const headers = { location: `${PATH}/${placed.orderId}`, ...applied };
      return jsonAnswer(acceptance(placed, customerId), status, headers);
    } catch (error) {
      edge.metrics.order(error instanceof OnrushError ? error.code : "INTERNAL");
      throw error;
    }
  });
}

/** The 202 body. */
export function acceptance(placed: PlacedOrder, customerId: string) {
  return {
    orderTrackingId: placed.orderId,
    status: placed.status,
    saleId: placed.saleId,
    customerId,
    items: representLines(placed.items),
    price: placed.price,
    payable: placed.payable,
    currency: placed.currency,
    reservedUntil: placed.reservedUntil,
    acknowledged: placed.acknowledged,
    receipt: placed.receipt,
  };
}

/** The order as it is now. The receipt says the same as the first one: what it signs does not change. */
export async function answerReplay(
  deps: ApiDependencies,
  orderId: string,
  applied: Record<string, string> | undefined,
): Promise<Response> {
  const found = await lookUpOrder(deps, orderId);
  if (!found) {
    throw new OnrushError("OUTCOME_UNKNOWN", "This key led to an order that cannot be shown at the moment.", {
      orderTrackingId: orderId,
    });
  }
  const { view, order } = found;
  const held =
    found.in === "ledger"
      ? { ...found.order, reservation: found.order.holdReservation }
      : {
          ...found.order.position,
          partition: found.partition,
          reservation: found.order.reservation,
          lines: found.order.payload.lines,
        };
  const { partition, epoch, seq, reservation, lines } = held;
  const { status, saleId, customerId, items, price, payable, currency, reservedUntil } = view;
  const receipt = signReceipt(
    {
      orderId,
      saleId,
      partition,
      epoch,
      seq,
      reservation,
      reservedUntilMs: order.reservedUntil.getTime(),
    },
    { customerId, items: lines, price, payable, currency },
    deps.config.receiptSecret,
  );
  const acknowledged = found.in === "ledger" ? "postgres" : deps.engine.durability.level;
  return jsonAnswer(
    {
      orderTrackingId: orderId,
      status,
      saleId,
      customerId,
      items,
      price,
      payable,
      currency,
      reservedUntil,
      acknowledged,
      receipt,
    },
    200,
    { ...REPLAYED, ...applied, location: `${PATH}/${orderId}` },
  );
}
