// What a program hands to the library, checked before it joins a batch: one malformed order would refuse the whole call of
// place.lua, and with it the orders of others. The HTTP API checks its bodies itself.
import type { OrderRequest } from "./engine.ts";
import { OnrushError } from "./errors.ts";
import { AMOUNT_MAX, QUANTITY_MAX } from "./money.ts";
import { COUPON_CODE, COUPON_CODE_RULE } from "./order.ts";

export const LINES_MAX = 100;
/** Ids stand in records of Redis between `|`, `,` and `=`. */
const CUSTOMER_ID = /^[\w-]{1,64}$/;

/** Gives the request back. @throws OnrushError with `VALIDATION` and everything that is wrong with it */
export function checkRequest(request: OrderRequest): OrderRequest {
  const { customerId, items, address, couponCode, points } = request;
  const errors: { path: string; message: string }[] = [];
  const check = (holds: boolean, path: string, message: string) => {
    if (!holds) errors.push({ path, message });
  };
  check(CUSTOMER_ID.test(customerId), "customerId", "must be 1 to 64 letters, digits, - or _");
  check(items.length >= 1 && items.length <= LINES_MAX, "items", `must be 1 to ${LINES_MAX} lines`);
  for (const [i, { quantity }] of items.slice(0, LINES_MAX).entries()) {
    const fits = Number.isSafeInteger(quantity) && quantity >= 1 && quantity <= QUANTITY_MAX;
    check(fits, `items.${i}.quantity`, `must be a whole number from 1 to ${QUANTITY_MAX}`);
  }
  for (const [part, text] of Object.entries(address ?? {})) {
    const storable = typeof text === "string" && text.isWellFormed() && !text.includes("\0");
    check(storable, `address.${part}`, "must be well-formed text without NUL");
  }
  check(couponCode === undefined || COUPON_CODE.test(couponCode), "couponCode", COUPON_CODE_RULE);
  const isAmount = points === undefined || (Number.isSafeInteger(points) && points >= 1 && points <= AMOUNT_MAX);
  check(isAmount, "points", `must be a whole number from 1 to ${AMOUNT_MAX}`);
  const [first] = errors;
  if (first) throw new OnrushError("VALIDATION", `Not valid: ${first.path}: ${first.message}.`, { errors });
  return request;
}
