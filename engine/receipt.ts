// A receipt proves to the shop's operator that an order was accepted, even when the systems that accepted it are gone:
// the facts that place it in the log, under an HMAC of the shop's own secret.
import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from "node:crypto";

export interface ReceiptFacts {
  readonly orderId: string;
  readonly saleId: string;
  readonly partition: number;
  readonly epoch: number;
  readonly seq: number;
  readonly reservation: number;
  readonly reservedUntilMs: number;
}

const VERSION = "r1";

/** Signs the facts: `r1.<order>.<sale>.<partition>.<epoch>.<seq>.<reservation>.<deadline ms>.<HMAC-SHA256, base64url>`. */
export function signReceipt(facts: ReceiptFacts, secret: string): string {
  const text = receiptText(facts);
  return `${text}.${mac(text, secret)}`;
}

/** Reads a receipt back, or `undefined` when it is malformed or was not signed with this secret. */
export function verifyReceipt(receipt: string, secret: string): ReceiptFacts | undefined {
  const parts = receipt.split(".");
  const [version, orderId, saleId, partition, epoch, seq, reservation, deadline, signature] = parts;
  if (parts.length !== 9 || version !== VERSION || !orderId || !saleId || !signature) return undefined;
  const numbers = [partition, epoch, seq, reservation, deadline].map(Number);
  if (!numbers.every(Number.isSafeInteger)) return undefined;
  const expected = Buffer.from(mac(parts.slice(0, 8).join("."), secret));
  const given = Buffer.from(signature);
  if (expected.length !== given.length || !timingSafeEqual(expected, given)) return undefined;
  const [p, e, s, r, d] = numbers as [number, number, number, number, number];
  return { orderId, saleId, partition: p, epoch: e, seq: s, reservation: r, reservedUntilMs: d };
}

function receiptText(f: ReceiptFacts): string {
  return `${VERSION}.${f.orderId}.${f.saleId}.${f.partition}.${f.epoch}.${f.seq}.${f.reservation}.${f.reservedUntilMs}`;
}

// A key object is made once a secret: making one from its text is a good part of what a receipt costs.
let lastKey: { readonly secret: string; readonly key: KeyObject } | undefined;

function keyOf(secret: string): KeyObject {
  if (lastKey?.secret !== secret) lastKey = { secret, key: createSecretKey(secret, "utf8") };
  return lastKey.key;
}

function mac(text: string, secret: string): string {
  return createHmac("sha256", keyOf(secret)).update(text).digest("base64url");
}
