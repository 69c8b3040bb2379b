// What an Idempotency-Key stands for: the buyer, the sale (by the partition that keeps the record), the route and the key
// together; and the hash that tells a retry from another order under the same key.
import { hash } from "node:crypto";
import type { OrderRequest } from "./engine.ts";

/** Digests are cut to 128 bits: 22 characters of base64url. */
const DIGEST_CHARACTERS = 22;

export interface Idempotency {
  /** Identifies (buyer, route, key) within a partition. */
  readonly scope: string;
  /** Identifies what was asked for: {@link orderHash}. */
  readonly payloadHash: string;
}

const ORDERS_ROUTE = "POST /orders";

/** Of a request with a key. */
export function idempotencyOf(request: OrderRequest): Idempotency | undefined {
  const { customerId, route = ORDERS_ROUTE, idempotencyKey: key } = request;
  if (key === undefined) return undefined;
  return { scope: idempotencyScope(customerId, route, key), payloadHash: orderHash(request) };
}

/** The scope of a key. The parts are length-prefixed, so that no two different triples share one text. */
export function idempotencyScope(buyer: string, route: string, key: string): string {
  return digest(`${buyer.length}:${buyer}${route.length}:${route}${key}`);
}

/**
 * Hashes what a buyer asked for. Its members stand in a fixed order, so that their order in the body does not matter; what
 * was left out differs from what was given, be it the default.
 */
export function orderHash(request: OrderRequest): string {
  const { saleId, customerId, items, price, payment, address, couponCode, points } = request;
  const lines = items.map((item) => [item.productId, item.quantity, item.price]);
  const to = address && [address.street, address.postalCode, address.city];
  const paying = payment && [payment.method, payment.token];
  // Nothing where there are none, so that keys outlive the release that brought them.
  const discounts = couponCode === undefined && points === undefined ? [] : [[couponCode?.toUpperCase(), points]];
  return digest(JSON.stringify([saleId, customerId, lines, price, paying, to, ...discounts]));
}

function digest(text: string): string {
  return hash("sha256", text, "base64url").slice(0, DIGEST_CHARACTERS);
}
