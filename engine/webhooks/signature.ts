// Signatures of webhooks, by the Standard Webhooks convention (https://www.standardwebhooks.com): what comes in from the
// payment provider is checked by it, and what goes out is signed by it.
//
//   webhook-id         names the event; the same at each delivery of it
//   webhook-timestamp  Unix time in seconds of this delivery
//   webhook-signature  `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`; several, with blanks between, while
//                      a secret is being replaced
//
// A secret is `whsec_` and the base64 of 24 to 64 bytes. The body is signed as the bytes that are sent: nothing is parsed
// before its signature stands.
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/** How old or how far ahead a delivery's timestamp may be, as the convention proposes. */
export const TOLERANCE_SECONDS = 300;

const PREFIX = "whsec_";
const SECRET_BYTES_MIN = 24;
const SECRET_BYTES_MAX = 64;
const ID = /^[\x21-\x2d\x2f-\x7e]{1,255}$/; // printable, and without the full stop that stands between the signed parts
const TIMESTAMP = /^\d{1,12}$/;
/** More signatures in one header than secrets anybody keeps are not looked at. */
const SIGNATURES_MAX = 8;
const SHA256_BYTES = 32;

export interface WebhookHeaders {
  readonly id: string | undefined;
  readonly timestamp: string | undefined;
  readonly signature: string | undefined;
}

export type Verification =
  | { readonly type: "genuine"; readonly id: string; readonly timestampSeconds: number }
  | { readonly type: "malformed" | "forged" };

/** Whether the text is a secret: `whsec_` and the base64 of 24 to 64 bytes. */
export function isWebhookSecret(text: string): boolean {
  if (!text.startsWith(PREFIX)) return false;
  const bytes = Buffer.from(text.slice(PREFIX.length), "base64");
  const isCanonical = bytes.toString("base64").replace(/=+$/, "") === text.slice(PREFIX.length).replace(/=+$/, "");
  return isCanonical && bytes.length >= SECRET_BYTES_MIN && bytes.length <= SECRET_BYTES_MAX;
}

/** Makes a secret of 256 bits. */
export function newWebhookSecret(): string {
  return PREFIX + randomBytes(SHA256_BYTES).toString("base64");
}

/** The value of `webhook-signature` for one delivery. */
export function signWebhook(secret: string, id: string, timestampSeconds: number, body: Uint8Array | string): string {
  return `v1,${macOf(secret, id, String(timestampSeconds), body).toString("base64")}`;
}

/**
 * Judges who sent a delivery, and not when: see {@link isStale}.
 *
 * @param secrets each of which may have signed it: the present one, and the one before while it is being replaced
 * @param body the bytes as they came
 */
export function verifyWebhook(
  secrets: readonly string[],
  { id, timestamp, signature }: WebhookHeaders,
  body: Uint8Array,
): Verification {
  if (!id || !ID.test(id) || !timestamp || !TIMESTAMP.test(timestamp) || !signature) return { type: "malformed" };
  const offered = signature
    .split(" ", SIGNATURES_MAX)
    .filter((part) => part.startsWith("v1,"))
    .map((part) => Buffer.from(part.slice(3), "base64"))
    .filter(({ length }) => length === SHA256_BYTES);
  let genuine = false;
  for (const secret of secrets) {
    const expected = macOf(secret, id, timestamp, body);
    // All of them are compared, whichever fits: the time tells nothing of which secret it was.
    for (const mac of offered) genuine = timingSafeEqual(mac, expected) || genuine;
  }
  return genuine ? { type: "genuine", id, timestampSeconds: Number(timestamp) } : { type: "forged" };
}

/** Whether a genuine delivery is too old, or too far ahead, to be taken. @param nowSeconds Redis `TIME` */
export function isStale(timestampSeconds: number, nowSeconds: number): boolean {
  return Math.abs(nowSeconds - timestampSeconds) > TOLERANCE_SECONDS;
}

function macOf(secret: string, id: string, timestamp: string, body: Uint8Array | string): Buffer {
  const key = Buffer.from(secret.slice(PREFIX.length), "base64");
  return createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest();
}
