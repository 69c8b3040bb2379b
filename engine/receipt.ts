// A receipt proves to the shop's operator that an order was accepted, and which one, even when the systems that accepted it
// are gone. It names the order's place in the log; its HMAC, by a secret of the shop, covers that and the order itself:
// buyer, lines, amounts and what they were lowered by. The client keeps them beside it, in the answer that brought the receipt.
import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from "node:crypto";
import type { DiscountsView } from "./order.ts";

/** Where the order stands in its partition's log, and until when it was promised its units. */
export interface ReceiptFacts {
  readonly orderId: string;
  readonly saleId: string;
  readonly partition: number;
  readonly epoch: number;
  readonly seq: number;
  readonly reservation: number;
  readonly reservedUntilMs: number;
}

/** What was ordered, as the answer to the order shows it. Amounts in minor units of `currency`. */
export interface ReceiptContents extends DiscountsView {
  readonly customerId: string;
  /** In the order's own order. */
  readonly items: readonly { readonly productId: string; readonly quantity: number; readonly unitPrice: number }[];
  readonly price: number;
  readonly payable: number;
  readonly currency: string;
}

const VERSION = "r2";

/** Signs an order: `r2.<order>.<sale>.<partition>.<epoch>.<seq>.<reservation>.<deadline ms>.<HMAC-SHA256, base64url>`. */
export function signReceipt(facts: ReceiptFacts, contents: ReceiptContents, secret: string): string {
  const text = receiptText(facts);
  return `${text}.${mac(text, contents, secret)}`;
}

/**
 * Reads a receipt back, or `undefined` when it is malformed, belongs to other contents, or was signed with none of the
 * secrets: the present one, and those before it whose receipts are still to count.
 */
export function verifyReceipt(
  receipt: string,
  contents: ReceiptContents,
  secrets: string | readonly string[],
): ReceiptFacts | undefined {
  const parts = receipt.split(".");
  const [version, orderId, saleId, partition, epoch, seq, reservation, deadline, signature] = parts;
  if (parts.length !== 9 || version !== VERSION || !orderId || !saleId || !signature) return undefined;
  const numbers = [partition, epoch, seq, reservation, deadline].map(Number);
  if (!numbers.every(Number.isSafeInteger)) return undefined;
  const text = parts.slice(0, 8).join(".");
  const given = Buffer.from(signature);
  const isSignedBy = (secret: string) => {
    const expected = Buffer.from(mac(text, contents, secret));
    return expected.length === given.length && timingSafeEqual(expected, given);
  };
  if (![secrets].flat().some(isSignedBy)) return undefined;
  const [p, e, s, r, d] = numbers as [number, number, number, number, number];
  return { orderId, saleId, partition: p, epoch: e, seq: s, reservation: r, reservedUntilMs: d };
}

function receiptText(f: ReceiptFacts): string {
  return `${VERSION}.${f.orderId}.${f.saleId}.${f.partition}.${f.epoch}.${f.seq}.${f.reservation}.${f.reservedUntilMs}`;
}

// JSON of a list in a fixed order: no two orders have the same text, whatever characters a buyer's name has.
function contentsText(contents: ReceiptContents): string {
  const { customerId, items, price, payable, currency, couponCode, discount, points } = contents;
  let lines = "";
  for (const { productId, quantity, unitPrice } of items) {
    lines += `,[${JSON.stringify(productId)},${quantity},${unitPrice}]`;
  }
  // Nothing where there are none: so it was before there were any, and those receipts still count.
  if (couponCode !== undefined || points !== undefined) lines += `,${JSON.stringify({ couponCode, discount, points })}`;
  return `[${JSON.stringify(customerId)},${price},${payable},${JSON.stringify(currency)}${lines}]`;
}

// A key object is made once a secret: making one from its text is a good part of what a receipt costs.
const keys = new Map<string, KeyObject>();
/** The present secret, the previous one, and as many of a second shop in one process. */
const KEYS_MAX = 4;

function keyOf(secret: string): KeyObject {
  let key = keys.get(secret);
  if (!key) {
    if (keys.size >= KEYS_MAX) keys.clear();
    key = createSecretKey(secret, "utf8");
    keys.set(secret, key);
  }
  return key;
}

function mac(text: string, contents: ReceiptContents, secret: string): string {
  return createHmac("sha256", keyOf(secret))
    .update(`${text}\n${contentsText(contents)}`)
    .digest("base64url");
}
