// Stripe's own signatures of webhooks (https://docs.stripe.com/webhooks#verify-manually), which are older than the Standard
// Webhooks convention: `Stripe-Signature: t=TIMESTAMP,v1=HEX,...`, the HMAC-SHA256 of `t.body` under the endpoint's secret
// as it is written, `whsec_` included. The event names itself in the body.
import { createHmac, timingSafeEqual } from "node:crypto";

/** More signatures in one header than secrets anybody keeps are not looked at. */
const PARTS_MAX = 16;
const SHA256_HEX = /^[0-9a-f]{64}$/i;
const TIMESTAMP = /^\d{1,12}$/;

/** @returns when it was sent, in Unix seconds; `undefined`: none of the secrets signed this */
export function verifyStripeSignature(
  secrets: readonly string[],
  header: string | undefined,
  body: Uint8Array,
): number | undefined {
  const parts = (header ?? "").split(",", PARTS_MAX).map((part) => part.trim().split("=", 2) as [string, string?]);
  const timestamp = parts.find(([name]) => name === "t")?.[1];
  if (timestamp === undefined || !TIMESTAMP.test(timestamp)) return undefined;
  const offered = parts
    .filter(([name, value]) => name === "v1" && value !== undefined && SHA256_HEX.test(value))
    .map(([, value]) => Buffer.from(value as string, "hex"));
  let genuine = false;
  for (const secret of secrets) {
    const expected = createHmac("sha256", secret).update(`${timestamp}.`).update(body).digest();
    for (const mac of offered) genuine = timingSafeEqual(mac, expected) || genuine;
  }
  return genuine ? Number(timestamp) : undefined;
}
