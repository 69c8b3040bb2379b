// The cart: what somebody means to buy. Ordering it is checkout.ts.
import { z } from "@hono/zod-openapi";
import { type Cart, type CartLine, mergeLines, putLine, removeLine } from "../../engine/cart/cart.ts";
import type { CartCache } from "../../engine/cart/cart-cache.ts";
import { changeCart } from "../../engine/cart/carts.ts";
import { CATALOG_SALE_ID } from "../../engine/catalogue/sales.ts";
import { OnrushError } from "../../engine/errors.ts";
import { QUANTITY_MAX } from "../../engine/money.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { jsonAnswer } from "../http/answer.ts";
import { type Edge, endpoint } from "../http/endpoint.ts";
import { UUID } from "../http/fields.ts";
import { findOrderFor } from "../orders/lookup.ts";
import type { StockView } from "../sales/stock-view.ts";
import { cartOwner, ownerQuery } from "./owner.ts";
import { cartSchema, representCart } from "./representation.ts";

export const CART_TAG = "Cart";
const saleId = z.string().regex(/^[a-z0-9-]{1,36}$/, "must be a sale's id");
const quantityBody = z
  .object({ quantity: z.int().min(1).max(QUANTITY_MAX), saleId: saleId.default(CATALOG_SALE_ID) })
  .openapi("CartQuantity");

export interface CartDependencies extends ApiDependencies {
  readonly carts: CartCache;
  readonly stock: StockView;
}

export function cartRoutes(edge: Edge, { engine, pool, config, carts, stock }: CartDependencies): void {
  const answer = async (cart: Cart) => jsonAnswer(await representCart(cart, engine.catalogue, stock));
  const change = async (customerId: string, by: (lines: readonly CartLine[]) => CartLine[]) => {
    const cart = await changeCart(pool, customerId, by);
    await carts.keep(cart);
    return answer(cart);
  };
  const shared = {
    tag: CART_TAG,
    access: "public",
    query: ownerQuery,
    answers: { 200: { description: "The cart, with the prices and the stock of now", schema: cartSchema } },
  } as const;

  endpoint(
    edge,
    {
      ...shared,
      method: "get",
      path: "/api/v1/cart",
      summary: "See the cart",
      description: "Members by token; a guest names itself by `?customerId=`. Kept for 30 days after its last change.",
    },
    async ({ caller, query }) => answer(await carts.read(cartOwner(caller, query.customerId, config))),
  );

  endpoint(
    edge,
    {
      ...shared,
      method: "put",
      path: "/api/v1/cart/items/{productId}",
      summary: "Set how many of a product are in the cart",
      description: "Of the sale `saleId`, `catalog` when it is not said. At most 100 products.",
      body: quantityBody,
      refusals: ["NOT_FOUND", "FORBIDDEN"],
    },
    async ({ c, caller, query, body }) => {
      const owner = cartOwner(caller, query.customerId, config);
      const productId = productOf(c.req.param("productId"));
      if (!engine.catalogue.sale(body.saleId)?.itemOf.has(productId)) {
        throw new OnrushError("NOT_FOUND", "This sale does not offer that product.", {
          productId,
          saleId: body.saleId,
        });
      }
      return change(owner, (lines) => putLine(lines, { saleId: body.saleId, productId, quantity: body.quantity }));
    },
  );

  endpoint(
    edge,
    {
      ...shared,
      method: "delete",
      path: "/api/v1/cart/items/{productId}",
      summary: "Take a product out of the cart",
      description: "Of the sale `saleId`; of every sale when it is not said. Repeatable.",
      query: ownerQuery.extend({ saleId: saleId.optional() }),
      refusals: ["NOT_FOUND", "FORBIDDEN"],
    },
    async ({ c, caller, query }) => {
      const owner = cartOwner(caller, query.customerId, config);
      const productId = productOf(c.req.param("productId"));
      return change(owner, (lines) => removeLine(lines, productId, query.saleId));
    },
  );

  endpoint(
    edge,
    { ...shared, method: "delete", path: "/api/v1/cart", summary: "Empty the cart", refusals: ["FORBIDDEN"] },
    async ({ caller, query }) => change(cartOwner(caller, query.customerId, config), () => []),
  );
}

/** `POST /orders/{id}/reorder`: the way from an order back to a cart. */
export function reorderRoute(edge: Edge, deps: CartDependencies): void {
  const { engine, pool, config, carts, stock } = deps;
  endpoint(
    edge,
    {
      method: "post",
      path: "/api/v1/orders/{id}/reorder",
      summary: "Put an order's products into the cart again",
      description: "Added to what is there. What is no longer offered is left out.",
      tag: CART_TAG,
      access: "public",
      query: ownerQuery,
      answers: { 200: { description: "The cart", schema: cartSchema } },
      refusals: ["NOT_FOUND", "FORBIDDEN", "INVALID_STATE"],
    },
    async ({ c, caller, query }) => {
      const owner = cartOwner(caller, query.customerId, config);
      const { view } = await findOrderFor(deps, c.req.param("id") ?? "", caller);
      const sale = engine.catalogue.sale(view.saleId);
      const lines = view.items
        .filter(({ productId }) => sale?.itemOf.has(productId))
        .map(({ productId, quantity }) => ({ saleId: view.saleId, productId, quantity }));
      if (lines.length === 0) throw new OnrushError("INVALID_STATE", "Nothing of this order is offered any more.");
      const cart = await changeCart(pool, owner, (known) => mergeLines(known, lines));
      await carts.keep(cart);
      return jsonAnswer(await representCart(cart, engine.catalogue, stock));
    },
  );
}

function productOf(segment: string | undefined): string {
  if (segment === undefined || !UUID.test(segment)) throw new OnrushError("NOT_FOUND", "There is no such product.");
  return segment.toLowerCase();
}
