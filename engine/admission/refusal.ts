// What a refused order is told: from admission's outcome to a code of the contract, with the facts to act on. What is said of the
// product that stands for a coupon's uses is said of the coupon.
import type { SaleView } from "../catalogue/view.ts";
import type { Coupon } from "../coupons/coupon.ts";
import { OnrushError, unreachable } from "../errors.ts";
import type { Accepted, PlaceOutcome } from "./place.ts";

/** When another try makes sense while operators have paused orders: nobody knows, and a rush need not ask every second. */
const PAUSED_RETRY_SECONDS = 5;

/** Every outcome that is no order. */
export type Refused =
  | Exclude<PlaceOutcome, Accepted | { type: "REPLAYED" }>
  | { readonly type: "STOCK_UNAVAILABLE"; readonly cause: "new" | "suspended" };

export function refusalOf(outcome: Refused, sale: SaleView, coupon?: Coupon): OnrushError {
  if (coupon && "productId" in outcome && outcome.productId === coupon.id) return refusalByCoupon(outcome, coupon);
  switch (outcome.type) {
    case "IDEMPOTENCY_CONFLICT":
      return new OnrushError("IDEMPOTENCY_CONFLICT", "This Idempotency-Key was used with another order.");
    case "SALE_NOT_OPEN":
      return new OnrushError("SALE_NOT_OPEN", notOpenDetail(outcome.admission), {
        saleId: sale.id,
        opensAt: new Date(outcome.opensAtMs).toISOString(),
        ...(outcome.closesAtMs > 0 && { closesAt: new Date(outcome.closesAtMs).toISOString() }),
      });
    case "LIMIT_EXCEEDED":
      return new OnrushError("LIMIT_EXCEEDED", `A buyer may have at most ${outcome.limit} of this product.`, {
        productId: outcome.productId,
        limit: outcome.limit,
        used: outcome.used,
      });
    case "SOLD_OUT":
      return new OnrushError("SOLD_OUT", "There are not that many units left.", {
        productId: outcome.productId,
        remaining: outcome.available,
      });
    case "UNKNOWN_PRODUCT":
      return new OnrushError("NOT_FOUND", "This sale does not offer that product.", { productId: outcome.productId });
    case "OVERLOADED":
      return outcome.cause === "paused"
        ? new OnrushError("OVERLOADED", "The shop takes no orders at the moment; try again later.", {
            cause: outcome.cause,
            retryAfter: PAUSED_RETRY_SECONDS,
          })
        : new OnrushError("OVERLOADED", "Too many orders are waiting; try again shortly.", { cause: outcome.cause });
    case "STOCK_UNAVAILABLE":
      return new OnrushError("STOCK_UNAVAILABLE", "The stock of this sale cannot be reached at the moment.", {
        cause: outcome.cause,
      });
    case "OUTCOME_UNKNOWN":
      return new OnrushError("OUTCOME_UNKNOWN", "No answer came in time; the order stands if it was accepted.", {
        orderTrackingId: outcome.orderId,
      });
    default:
      return unreachable(outcome);
  }
}

function refusalByCoupon(
  outcome: Refused & { readonly type: "LIMIT_EXCEEDED" | "SOLD_OUT" | "UNKNOWN_PRODUCT" },
  { code: couponCode }: Coupon,
): OnrushError {
  switch (outcome.type) {
    case "LIMIT_EXCEEDED": {
      const { limit, used } = outcome;
      const detail = `A member may use this coupon at most ${limit} time(s) in this sale.`;
      return new OnrushError("COUPON_LIMIT_EXCEEDED", detail, { couponCode, limit, used });
    }
    case "SOLD_OUT":
      return new OnrushError("COUPON_EXHAUSTED", "All uses of this coupon are taken.", { couponCode });
    case "UNKNOWN_PRODUCT":
      return new OnrushError("STOCK_UNAVAILABLE", "The uses of this coupon cannot be reached at the moment.", {
        cause: "COUPON",
        couponCode,
      });
    default:
      return unreachable(outcome);
  }
}

function notOpenDetail(admission: string): string {
  if (admission === "paused") return "This sale is paused.";
  if (admission === "closed") return "This sale is closed.";
  return "This sale is not open at this time.";
}
