// A coupon, whether an order may use it, and what it takes off. Its uses are not counted here: they are stock of its product.
import { OnrushError } from "../errors.ts";
import { AMOUNT_MAX } from "../money.ts";

/** Amounts in minor units of `currency`. */
export interface Coupon {
  /** Of its product, whose units are its uses. */
  readonly id: string;
  /** In upper case. */
  readonly code: string;
  /** Either an amount or a percentage. */
  readonly amount: number | null;
  readonly percent: number | null;
  /** The most that the percentage takes off. */
  readonly maximum: number | null;
  readonly minimumPrice: number | null;
  /** `null`: its sales are in several. */
  readonly currency: string | null;
  /** Uses in all, and by a member in one sale. */
  readonly limit: number;
  readonly perMemberLimit: number | null;
  readonly validFrom: Date;
  readonly validUntil: Date | null;
  readonly saleIds: readonly string[];
  readonly createdAt: Date;
  readonly closedAt: Date | null;
}

/** Why an order cannot have a coupon. */
export const COUPON_PROBLEMS = [
  "unknown",
  "closed",
  "other_sale",
  "not_yet_valid",
  "expired",
  "below_minimum_price",
] as const;
export type CouponProblem = (typeof COUPON_PROBLEMS)[number];

const DETAILS: Readonly<Record<CouponProblem, string>> = {
  unknown: "There is no such coupon.",
  closed: "This coupon is closed.",
  other_sale: "This coupon is not for this sale.",
  not_yet_valid: "This coupon is not valid yet.",
  expired: "This coupon is not valid any more.",
  below_minimum_price: "The order's price is below what this coupon asks for.",
};

/** The form in which codes are compared. */
export function couponCodeOf(text: string): string {
  return text.toUpperCase();
}

/**
 * What the coupon takes off.
 *
 * @param nowMs Redis `TIME`
 * @throws OnrushError with `COUPON_INVALID`, whose `reason` is a {@link CouponProblem}
 */
export function discountBy(coupon: Coupon, saleId: string, price: number, nowMs: number): number {
  const { code, closedAt, saleIds, validFrom, validUntil, minimumPrice } = coupon;
  if (closedAt !== null) throw invalidCoupon(code, "closed");
  if (!saleIds.includes(saleId)) throw invalidCoupon(code, "other_sale");
  if (nowMs < validFrom.getTime()) throw invalidCoupon(code, "not_yet_valid", { validFrom });
  if (validUntil !== null && nowMs >= validUntil.getTime()) throw invalidCoupon(code, "expired", { validUntil });
  if (minimumPrice !== null && price < minimumPrice)
    throw invalidCoupon(code, "below_minimum_price", { minimumPrice, price });
  return discountOf(coupon, price);
}

/** What it takes off a price: never more than the price. */
export function discountOf({ amount, percent, maximum }: Coupon, price: number): number {
  if (amount !== null) return Math.min(price, amount);
  // Up to 10^12 times 100: exact.
  return Math.min(Math.floor((price * (percent ?? 0)) / 100), maximum ?? AMOUNT_MAX);
}

export function invalidCoupon(code: string, reason: CouponProblem, facts: Record<string, unknown> = {}): OnrushError {
  return new OnrushError("COUPON_INVALID", DETAILS[reason], { couponCode: code, reason, ...facts });
}
