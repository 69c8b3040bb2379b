// POST /cart/checkout: one order of what the cart holds of one sale. What is refused leaves the cart as it is; what is
// accepted leaves it, once.
import { type CartLine, removeOrdered } from "../../engine/cart/cart.ts";
import { completeCheckout, findCart, findCheckout } from "../../engine/cart/carts.ts";
import type { PlacedOrder, ReplayedOrder } from "../../engine/engine.ts";
import { OnrushError } from "../../engine/errors.ts";
import { guarded } from "../coupons/guesses.ts";
import { responseOf } from "../http/answer.ts";
import { type Edge, endpoint } from "../http/endpoint.ts";
import { invalid } from "../http/fields.ts";
import { answerAcceptance, answerReplay } from "../orders/acceptance.ts";
import {
  checkDiscounts,
  checkMeans,
  checkPayment,
  orderHeaders,
  orderRequest,
  placingDocs,
  readIdempotencyKey,
} from "../orders/order-request.ts";
import { cartOwner, ownerQuery } from "./owner.ts";
import { CART_TAG, type CartDependencies } from "./routes.ts";

const ROUTE = "POST /cart/checkout";

/** What an order says beside its lines; a total that is sent is compared. */
const checkoutRequest = orderRequest
  .pick({ saleId: true, price: true, address: true, payment: true, couponCode: true, points: true })
  .openapi("CheckoutRequest");

export function checkoutRoute(edge: Edge, deps: CartDependencies): void {
  const { engine, pool, config, carts, log } = deps;

  endpoint(
    edge,
    {
      method: "post",
      path: "/api/v1/cart/checkout",
      summary: "Order what is in the cart",
      description:
        "Orders the lines of the sale `saleId`, which may be left out while the cart holds products of one sale. Answers as " +
        "POST /orders does. The same Idempotency-Key gives the same order, also when the cart is empty by then; without a " +
        "key, one state of the cart is ordered once. A refusal leaves the cart as it is.",
      tag: CART_TAG,
      access: "public",
      query: ownerQuery,
      headers: orderHeaders.pick({ "idempotency-key": true }),
      body: checkoutRequest.optional(),
      bodyOptional: true,
      ...placingDocs,
      refusals: [...placingDocs.refusals, "INVALID_STATE"],
    },
    async ({ c, caller, query, body }) => {
      edge.limits.order(edge.addressOf(c));
      const customerId = cartOwner(caller, query.customerId, config);
      edge.limits.orderOf(customerId);
      checkMeans(body ?? {}, caller !== undefined);
      const sent = readIdempotencyKey(c.req.raw.headers.get("idempotency-key"));
      const earlier = sent === undefined ? undefined : await findCheckout(pool, customerId, `key ${sent}`);
      if (earlier !== undefined) return responseOf(await answerReplay(deps, earlier, undefined));

      const cart = await findCart(pool, customerId);
      const lines = linesToOrder(cart.lines, body?.saleId);
      const saleId = lines[0]?.saleId as string;
      const sale = engine.catalogue.sale(saleId);
      if (sale?.membersOnly && !caller) throw new OnrushError("UNAUTHENTICATED", "This sale is for members.");
      const key = sent === undefined ? `cart ${cart.version} ${saleId}` : `key ${sent}`;
      const order = {
        saleId,
        customerId,
        items: lines.map(({ productId, quantity }) => ({ productId, quantity })),
        price: body?.price,
        payment: checkPayment(body?.payment, config.paymentGateway, customerId),
        address: body?.address,
        ...checkDiscounts(body ?? {}, customerId),
        idempotencyKey: key,
        route: ROUTE,
      };
      const placed = await guarded(edge.limits, order, () => engine.place(order));
      edge.metrics.order(placed.type === "placed" ? "accepted" : "replayed");
      await takeOut(customerId, key, placed, lines);
      if (placed.type === "replayed") return responseOf(await answerReplay(deps, placed.orderId, undefined));
      return responseOf(answerAcceptance(placed, undefined));
    },
  );

  /** The order stands, whatever becomes of this: without it the cart keeps what was ordered, and says no more than that. */
  async function takeOut(
    customerId: string,
    key: string,
    { orderId }: PlacedOrder | ReplayedOrder,
    lines: readonly CartLine[],
  ): Promise<void> {
    try {
      const left = await completeCheckout(pool, { customerId, key, orderId }, (all) => removeOrdered(all, lines));
      if (left) await carts.keep(left);
    } catch (error) {
      log.warn({ err: error, orderId }, "an order was accepted whose lines could not be taken out of the cart");
    }
  }
}

/** The lines of one sale. @throws OnrushError with `INVALID_STATE` when there are none, `VALIDATION` for several sales */
function linesToOrder(lines: readonly CartLine[], saleId: string | undefined): CartLine[] {
  const saleIds = [...new Set(lines.map((line) => line.saleId))];
  if (saleId === undefined && saleIds.length > 1) {
    throw invalid("saleId", `must say which: the cart holds products of ${saleIds.join(", ")}`);
  }
  const chosen = lines.filter((line) => line.saleId === (saleId ?? saleIds[0]));
  if (chosen.length === 0) throw new OnrushError("INVALID_STATE", "There is nothing of this sale in the cart.");
  return chosen;
}
