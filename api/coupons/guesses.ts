// Keeps codes of coupons from being searched for by ordering: a member who has named too many that are none may name no more for a
// while, not even a good one, so that the refusal says nothing. Who names good ones is never kept waiting.
import { OnrushError } from "../../engine/errors.ts";
import type { RateLimits } from "../http/rate-limits.ts";

interface Order {
  readonly customerId: string;
  readonly couponCode?: string | undefined;
}

/** @throws OnrushError with `RATE_LIMITED`, and what `place` throws */
export function guarded<T>(limits: RateLimits, order: Order, place: () => Promise<T>): Promise<T> {
  return order.couponCode === undefined ? place() : placeGuarded(limits, order.customerId, place);
}

async function placeGuarded<T>(limits: RateLimits, customerId: string, place: () => Promise<T>): Promise<T> {
  limits.guess(customerId);
  try {
    return await place();
  } catch (error) {
    const isWrong =
      error instanceof OnrushError && error.code === "COUPON_INVALID" && error.facts["reason"] === "unknown";
    if (isWrong) limits.guessedWrong(customerId);
    throw error;
  }
}
