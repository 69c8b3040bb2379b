// What operators may give for a coupon: one schema for the API's body and the CLI's options.
import { z } from "zod";
import { instantSchema, LIMIT_MAX, saleIdSchema, UNITS_MAX } from "../catalogue/input.ts";
import { AMOUNT_MAX } from "../money.ts";
import { COUPON_CODE, COUPON_CODE_RULE } from "../order.ts";

export const COUPON_SALES_MAX = 100;

/** Amounts in minor units of the sales' currency. */
export function couponSchema() {
  const amount = () => z.int().min(1).max(AMOUNT_MAX);
  return z
    .object({
      code: z.string().regex(COUPON_CODE, COUPON_CODE_RULE).toUpperCase(),
      amount: amount().optional(),
      percent: z.int().min(1).max(100).optional(),
      maximum: amount().optional(),
      minimumPrice: amount().optional(),
      limit: z.int().min(1).max(UNITS_MAX),
      perMemberLimit: z.int().min(1).max(LIMIT_MAX).optional(),
      validFrom: instantSchema().optional(),
      validUntil: instantSchema().optional(),
      saleIds: z
        .array(saleIdSchema())
        .min(1)
        .max(COUPON_SALES_MAX)
        .refine((ids) => new Set(ids).size === ids.length, "names a sale twice"),
    })
    .refine(({ amount: fixed, percent }) => (fixed === undefined) !== (percent === undefined), {
      path: ["amount"],
      message: "is needed, or percent, and not both",
    })
    .refine(({ percent, maximum }) => percent !== undefined || maximum === undefined, {
      path: ["maximum"],
      message: "is for a percentage",
    });
}

export type NewCoupon = z.output<ReturnType<typeof couponSchema>>;
