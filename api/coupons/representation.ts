// A coupon as clients see it, and what operators give for one.
import { z } from "@hono/zod-openapi";
import type { CouponUses } from "../../engine/coupons/books.ts";
import type { Coupon } from "../../engine/coupons/coupon.ts";
import { couponSchema } from "../../engine/coupons/input.ts";

/** What it takes to make one. */
export const newCoupon = couponSchema().openapi("NewCoupon");

const uses = z
  .object({
    limit: z.int(),
    left: z.int().openapi({ description: "Nobody has them" }),
    reserved: z.int().openapi({ description: "Of orders that are under way" }),
    used: z.int(),
    inTransit: z.int().openapi({ description: "On their way from one partition to another" }),
    retired: z.int().openapi({ description: "Taken out when it was closed, or written off with a refunded order" }),
  })
  .openapi("CouponUses");

export const coupon = z
  .object({
    code: z.string(),
    amount: z.int().nullable().openapi({ description: "Off the price, in minor units; or else `percent`" }),
    percent: z.int().nullable(),
    maximum: z.int().nullable().openapi({ description: "The most that the percentage takes off" }),
    minimumPrice: z.int().nullable(),
    currency: z.string().nullable().openapi({ description: "Of its amounts; null when its sales are in several" }),
    perMemberLimit: z.int().nullable().openapi({ description: "Uses by one member in one sale" }),
    validFrom: z.string(),
    validUntil: z.string().nullable(),
    saleIds: z.array(z.string()),
    createdAt: z.string(),
    closedAt: z.string().nullable(),
    uses: uses.optional().openapi({ description: "For support and administrators" }),
  })
  .openapi("Coupon");

export const couponPage = z.object({ items: z.array(coupon), nextCursor: z.string().optional() }).openapi("CouponPage");

export const closedCoupon = coupon
  .extend({
    withdrawn: z.int().openapi({ description: "Uses that nobody had, taken out of its sales by this request" }),
  })
  .openapi("ClosedCoupon");

/** @param books for those who may see them */
export function representCoupon({ id: _, limit: _limit, ...facts }: Coupon, books?: CouponUses) {
  if (!books) return facts;
  const { code: _code, ...figures } = books;
  return { ...facts, uses: figures };
}
