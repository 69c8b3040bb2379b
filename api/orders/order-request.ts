// The body of POST /orders, and what of it is judged before its shape.
import { z } from "@hono/zod-openapi";
import { OnrushError } from "../../engine/errors.ts";
import { AMOUNT_MAX, DEFAULT_CURRENCY, QUANTITY_MAX } from "../../engine/money.ts";
import { COUPON_CODE, COUPON_CODE_RULE, PAYMENT_METHODS } from "../../engine/order.ts";
import { ORDER_STATUSES } from "../../engine/order-state.ts";
import type { EndpointDocs } from "../http/endpoint.ts";
import { amount, invalid, text } from "../http/fields.ts";
import { isMember } from "./lookup.ts";
import { discountsShape, orderItemSchema } from "./representation.ts";

export const ITEMS_MAX = 100;
/** Lengths in UTF-16 units. */
export const SALE_ID_LENGTH_MAX = 36;
export const PRODUCT_ID_LENGTH_MAX = 64;
export const ADDRESS_LENGTHS = { street: 200, postalCode: 20, city: 100 } as const;
const IDEMPOTENCY_KEY = /^[\x20-\x7e]{1,255}$/;

export const PAYMENT_TOKEN = /^[\x20-\x7e]{1,255}$/;
export const paymentToken = z.string().regex(PAYMENT_TOKEN, "must be 1 to 255 printable ASCII characters");

/** Members that are not named here are ignored. */
export const orderRequest = z
  .object({
    saleId: z
      .string()
      .min(1)
      .max(SALE_ID_LENGTH_MAX)
      .optional()
      .openapi({ description: "Without it, the sale `catalog`" }),
    customerId: z
      .string()
      .optional()
      .openapi({ description: "A guest's own UUID; with a token, the token's own. A guest without one is given one" }),
    items: z
      .array(
        z.object({
          productId: z.string().min(1).max(PRODUCT_ID_LENGTH_MAX),
          quantity: z.int().min(1).max(QUANTITY_MAX),
          price: amount.optional().openapi({ description: "Of one unit; only compared" }),
        }),
      )
      .min(1)
      .max(ITEMS_MAX)
      .openapi({ description: "Lines of one product count together" }),
    price: amount.optional().openapi({ description: "The total; only compared" }),
    address: z
      .object({
        street: text(1, ADDRESS_LENGTHS.street),
        postalCode: text(1, ADDRESS_LENGTHS.postalCode),
        city: text(1, ADDRESS_LENGTHS.city),
      })
      .optional(),
    payment: z
      .object({ method: z.enum(PAYMENT_METHODS), token: paymentToken.optional() })
      .optional()
      .openapi({ description: "`wallet`: from the member's own, which takes an access token and no payment token" }),
    couponCode: z
      .string()
      .regex(COUPON_CODE, COUPON_CODE_RULE)
      .optional()
      .openapi({ description: "Of a coupon, in upper or lower case; for members" }),
    points: z
      .int()
      .min(1)
      .max(AMOUNT_MAX)
      .optional()
      .openapi({ description: `To be spent, each one minor unit of ${DEFAULT_CURRENCY}; for members` }),
  })
  .openapi("OrderRequest");

/** An order's body, read. */
export type OrderBody = z.output<typeof orderRequest>;

export const orderHeaders = z.object({
  "idempotency-key": z
    .string()
    .regex(IDEMPOTENCY_KEY)
    .optional()
    .openapi({
      description:
        "1 to 255 printable ASCII characters. The same key and body give the same order (200), another body 422. Scoped to " +
        "the buyer; for a guest without customerId, to the client's address",
    }),
  prefer: z
    .string()
    .optional()
    .openapi({
      description:
        "`wait=N`: waits up to N seconds (1 to 30) for the order's commit in Postgres, and says so in Preference-Applied. " +
        "201 when it came, 202 otherwise. Malformed ones are ignored",
    }),
});

export const placedOrderSchema = z
  .object({
    orderTrackingId: z.string(),
    status: z.enum(ORDER_STATUSES),
    saleId: z.string(),
    customerId: z.string(),
    items: z.array(orderItemSchema),
    price: z.int().openapi({ description: "Total before discounts, in the currency's minor unit" }),
    payable: z.int().openapi({ description: "price less discount and points" }),
    ...discountsShape,
    currency: z.string(),
    reservedUntil: z.string(),
    acknowledged: z.enum(["fast", "fsync", "replicated", "postgres"]).openapi({
      description: "The durability that was reached; less than ACK_MODE when replicas or Postgres are late",
    }),
    receipt: z.string().openapi({ description: "Signed proof that the order was accepted" }),
  })
  .openapi("PlacedOrder");

/** What every way to place an order answers. */
export const placingDocs = {
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
    "COUPON_INVALID",
    "COUPON_EXHAUSTED",
    "COUPON_LIMIT_EXCEEDED",
    "SALE_NOT_OPEN",
    "PRICE_MISMATCH",
    "INSUFFICIENT_POINTS",
    "IDEMPOTENCY_CONFLICT",
    "STOCK_UNAVAILABLE",
    "OUTCOME_UNKNOWN",
  ],
} as const satisfies Pick<EndpointDocs, "answers" | "refusals">;

/** Reads the key. @throws OnrushError with `VALIDATION` when there is one that is none */
export function readIdempotencyKey(key: string | null | undefined): string | undefined {
  if (key === null || key === undefined) return undefined;
  if (!IDEMPOTENCY_KEY.test(key)) throw invalid("Idempotency-Key", "must be 1 to 255 printable ASCII characters");
  return key;
}

/** The members of a body that is an object; the schema refuses every other. */
export function membersOf(body: unknown): Readonly<Record<string, unknown>> {
  return typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
}

/** What only members have needs a member's token, before anything is said of the rest. */
export function checkMeans(members: Readonly<Record<string, unknown>>, isSignedIn: boolean): void {
  const paysByWallet = membersOf(members["payment"])["method"] === "wallet";
  const isDiscounted = members["couponCode"] !== undefined || members["points"] !== undefined;
  if ((paysByWallet || isDiscounted) && !isSignedIn) {
    throw new OnrushError("UNAUTHENTICATED", "Wallet, coupons and points need a member's token.");
  }
}

/** Checks whose discounts they are: an API key may order for guests too, who have none. */
export function checkDiscounts({ couponCode, points }: Pick<OrderBody, "couponCode" | "points">, customerId: string) {
  if (isMember(customerId)) return { couponCode, points };
  if (couponCode !== undefined) throw invalid("couponCode", "coupons are for members");
  if (points !== undefined) throw invalid("points", "only members have points");
  return {};
}

/**
 * Checks how it is to be paid: the gateway's token may be missing only where there is a default, and a wallet is the
 * buyer's own, who must be a member.
 */
export function checkPayment<P extends { method: string; token?: string | undefined }>(
  payment: P | undefined,
  gateway: "simulated" | "http" | "stripe",
  customerId: string,
): P | undefined {
  const byCard = payment === undefined || payment.method === "card";
  if (byCard && payment?.token === undefined && gateway !== "simulated") {
    throw invalid("payment.token", "a card payment needs the gateway's token");
  }
  if (payment?.method === "wallet") {
    if (!isMember(customerId)) throw invalid("payment.method", "only members have a wallet");
    if (payment.token !== undefined) throw invalid("payment.token", "a wallet is charged without a token");
  }
  return payment;
}
