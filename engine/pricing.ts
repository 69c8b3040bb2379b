// What an order costs: names and prices of its sale, and what its buyer has off them.
import type { SaleView } from "./catalogue/view.ts";
import { type Coupon, couponCodeOf, discountBy, invalidCoupon } from "./coupons/coupon.ts";
import type { OrderRequest } from "./engine.ts";
import { OnrushError } from "./errors.ts";
import { AMOUNT_MAX, DEFAULT_CURRENCY, totalOf } from "./money.ts";
import { lineOfUse, type OrderDiscounts, type OrderPayload } from "./order.ts";

/** The coupon of the order's code, as far as there is one, and now, by Redis' clock. */
export interface CouponUse {
  readonly coupon: Coupon | undefined;
  readonly nowMs: number;
}
type CouponDiscount = NonNullable<OrderDiscounts["coupon"]>;

const SIMULATED_DEFAULT_TOKEN = "tok_ok";

/** Takes names and prices from the sale; a price that the buyer sent must agree with them. */
export function priceOrder(sale: SaleView, request: OrderRequest, use?: CouponUse): OrderPayload {
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
  const discounts = discountsOf(sale, request, price, use);
  const method = request.payment?.method ?? "card";
  const token = request.payment?.token ?? (method === "card" ? SIMULATED_DEFAULT_TOKEN : undefined);
  return {
    customerId: request.customerId,
    lines: discounts?.coupon ? [...lines, lineOfUse(discounts.coupon)] : lines,
    price,
    payable: price - (discounts?.coupon?.amount ?? 0) - (discounts?.points ?? 0),
    ...(discounts && { discounts }),
    currency: sale.currency,
    payment: { method, ...(token !== undefined && { token }) },
    onDecline: sale.onDecline,
    ...(request.address && { address: request.address }),
  };
}

function discountsOf(
  sale: SaleView,
  { couponCode, points }: OrderRequest,
  price: number,
  use: CouponUse | undefined,
): OrderDiscounts | undefined {
  if (couponCode === undefined && points === undefined) return undefined;
  const coupon = couponCode === undefined ? undefined : takeOff(sale, couponCode, price, use);
  if (points !== undefined) {
    const left = price - (coupon?.amount ?? 0);
    if (sale.currency !== DEFAULT_CURRENCY) throw invalidPoints(`are worth ${DEFAULT_CURRENCY} alone`);
    if (points > left) throw invalidPoints(`may be at most ${left}, which is what there is to pay`);
  }
  return { ...(coupon && { coupon }), ...(points !== undefined && { points }) };
}

function takeOff(sale: SaleView, couponCode: string, price: number, use: CouponUse | undefined): CouponDiscount {
  if (!use?.coupon) throw invalidCoupon(couponCodeOf(couponCode), "unknown");
  const { id, code } = use.coupon;
  return { id, code, amount: discountBy(use.coupon, sale.id, price, use.nowMs) };
}

function invalidPoints(message: string): OnrushError {
  return new OnrushError("VALIDATION", `Not valid: points: ${message}.`, { errors: [{ path: "points", message }] });
}
