// What an order costs: names and prices of its sale, and what its buyer has off them.
import type { SaleView } from "./catalogue/view.ts";
import type { OrderRequest } from "./engine.ts";
import { OnrushError } from "./errors.ts";
import { AMOUNT_MAX, DEFAULT_CURRENCY, totalOf } from "./money.ts";
import type { OrderDiscounts, OrderPayload } from "./order.ts";

const SIMULATED_DEFAULT_TOKEN = "tok_ok";

/** Takes names and prices from the sale; a price that the buyer sent must agree with them. */
export function priceOrder(sale: SaleView, request: OrderRequest): OrderPayload {
  const lines = request.items.map(({ productId, quantity, price }) => {
    const item = sale.itemOf.get(productId);
    if (!item) throw new OnrushError("NOT_FOUND", "This sale does not offer that product.", { productId });
    if (price !== undefined && price !== item.price) {
      throw new OnrushError("PRICE_MISMATCH", "The price of a product is another than the one sent.", {
        productId,
        price: item.price,
        sent: price,
      });
    }
    return { productId, name: item.name, quantity, unitPrice: item.price };
  });
  const price = totalOf(lines);
  if (price === undefined) {
    throw new OnrushError("VALIDATION", `The total of an order may be at most ${AMOUNT_MAX}.`, {
      errors: [{ path: "items", message: `total above ${AMOUNT_MAX}` }],
    });
  }
  if (request.price !== undefined && request.price !== price) {
    throw new OnrushError("PRICE_MISMATCH", "The total is another than the one sent.", { price, sent: request.price });
  }
  const discounts = discountsOf(sale, request, price);
  const method = request.payment?.method ?? "card";
  const token = request.payment?.token ?? (method === "card" ? SIMULATED_DEFAULT_TOKEN : undefined);
  return {
    customerId: request.customerId,
    lines,
    price,
    payable: price - (discounts?.points ?? 0),
    ...(discounts && { discounts }),
    currency: sale.currency,
    payment: { method, ...(token !== undefined && { token }) },
    onDecline: sale.onDecline,
    ...(request.address && { address: request.address }),
  };
}

function discountsOf(sale: SaleView, { points }: OrderRequest, price: number): OrderDiscounts | undefined {
  if (points === undefined) return undefined;
  if (sale.currency !== DEFAULT_CURRENCY) throw invalidPoints(`are worth ${DEFAULT_CURRENCY} alone`);
  if (points > price) throw invalidPoints(`may be at most ${price}, which is what there is to pay`);
  return { points };
}

function invalidPoints(message: string): OnrushError {
  return new OnrushError("VALIDATION", `Not valid: points: ${message}.`, { errors: [{ path: "points", message }] });
}
