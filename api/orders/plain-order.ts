// Reads the body of an order that the schema (order-request.ts) would accept beyond doubt, at a fraction of its cost. It may
// refuse what the schema accepts, and never the other way round: what it does not read goes to the schema, which says why.

import { isAscii } from "node:buffer";
import { AMOUNT_MAX, QUANTITY_MAX } from "../../engine/money.ts";
import {
  ADDRESS_LENGTHS,
  ITEMS_MAX,
  type OrderBody,
  PAYMENT_TOKEN,
  PRODUCT_ID_LENGTH_MAX,
  SALE_ID_LENGTH_MAX,
} from "./order-request.ts";

/** A body as JSON, and as the schema would give it. */
export interface PlainOrder {
  readonly json: unknown;
  readonly body: OrderBody;
}

type Members = Readonly<Record<string, unknown>>;

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** `undefined`: it is for the schema to say. */
export function readPlainOrder(bytes: Buffer): PlainOrder | undefined {
  let json: Members | null;
  try {
    json = JSON.parse(isAscii(bytes) ? bytes.toString("latin1") : utf8.decode(bytes));
  } catch {
    return undefined;
  }
  if (typeof json !== "object" || json === null) return undefined;
  const { saleId, customerId, items, price, address, payment, couponCode, points } = json;
  // What members have beside their money: the schema's way.
  if (couponCode !== undefined || points !== undefined) return undefined;
  if (saleId !== undefined && !isText(saleId, SALE_ID_LENGTH_MAX)) return undefined;
  if (customerId !== undefined && typeof customerId !== "string") return undefined;
  if (!isItems(items) || !isPrice(price) || !isPayment(payment)) return undefined;
  if (address !== undefined && !isAddress(address)) return undefined;
  return { json, body: { saleId, customerId, items, price, address: address && addressOf(address), payment } };
}

function isItems(items: unknown): items is OrderBody["items"] {
  return Array.isArray(items) && items.length >= 1 && items.length <= ITEMS_MAX && items.every(isItem);
}

function isItem(item: unknown): boolean {
  if (typeof item !== "object" || item === null) return false;
  const { productId, quantity, price } = item as Members;
  return isText(productId, PRODUCT_ID_LENGTH_MAX) && isWhole(quantity, 1, QUANTITY_MAX) && isPrice(price);
}

function isPrice(price: unknown): price is number | undefined {
  return price === undefined || isWhole(price, 0, AMOUNT_MAX);
}

function isWhole(value: unknown, min: number, max: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max;
}

function isText(value: unknown, lengthMax: number): value is string {
  return typeof value === "string" && value.length >= 1 && value.length <= lengthMax;
}

/** Text for Postgres: no NUL, no half of a surrogate pair. */
function isStorable(value: unknown, lengthMax: number): value is string {
  return isText(value, lengthMax) && value.isWellFormed() && !value.includes("\0");
}

function isAddress(address: unknown): address is NonNullable<OrderBody["address"]> {
  if (typeof address !== "object" || address === null) return false;
  const { street, postalCode, city } = address as Members;
  return (
    isStorable(street, ADDRESS_LENGTHS.street) &&
    isStorable(postalCode, ADDRESS_LENGTHS.postalCode) &&
    isStorable(city, ADDRESS_LENGTHS.city)
  );
}

/** Without members that the schema does not know: an address is kept as it is. */
function addressOf({ street, postalCode, city }: NonNullable<OrderBody["address"]>): OrderBody["address"] {
  return { street, postalCode, city };
}

/** `wallet` needs a member and more: the schema's way. */
function isPayment(payment: unknown): payment is OrderBody["payment"] {
  if (payment === undefined) return true;
  if (typeof payment !== "object" || payment === null) return false;
  const { method, token } = payment as Members;
  if (method !== "card" && method !== "later") return false;
  return token === undefined || (typeof token === "string" && PAYMENT_TOKEN.test(token));
}
