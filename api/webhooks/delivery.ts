// A delivery of a payment provider's webhook: who sent it, and which charge or refund it is about. Two conventions, told apart
// by the headers, as the provider may be changed while the one before still tells of what it has; and one outcome. Nothing of
// a body is parsed before its signature stands.
import { z } from "zod";
import type { Config } from "../../engine/config.ts";
import { OnrushError } from "../../engine/errors.ts";
import type { PaymentEvent } from "../../engine/ledger/payment-events.ts";
import { isWebhookSecret, verifyWebhook } from "../../engine/webhooks/signature.ts";
import { verifyStripeSignature } from "../../engine/webhooks/stripe-signature.ts";
import { decode } from "../http/body.ts";
import { invalid, parse } from "../http/fields.ts";

/** A charge's or a refund's name at the provider: printable ASCII. */
const key = z.string().regex(/^[\x20-\x7e]{1,255}$/, "must be 1 to 255 printable ASCII characters");
const type = z.string().regex(/^[\x21-\x7e]{1,100}$/, "must be 1 to 100 printable ASCII characters");

/** What is read of an event; whatever else it says is passed over. */
export const paymentEvent = z.object({ type, data: z.object({ key: key.optional() }).optional() });

/** Stripe's: the object that changed carries, as metadata, the key under which it was asked for. */
const stripeEvent = z.object({
  id: z.string().regex(/^[\x21-\x7e]{1,255}$/),
  type,
  data: z.object({ object: z.object({ metadata: z.object({ key: key.optional() }).nullish() }) }),
});

/** Reads genuine deliveries, however old. @throws OnrushError `UNAUTHENTICATED` for every other, `VALIDATION` */
export type DeliveryReader = (headers: Headers, body: Uint8Array) => PaymentEvent;

/** The reader of what any of these secrets has signed. */
export function deliveryReader({
  paymentWebhookSecrets: secrets,
}: Pick<Config, "paymentWebhookSecrets">): DeliveryReader {
  // A secret of Stripe's own kind need not be the base64 of anything: as a key it could be short, or none.
  const standard = secrets.filter(isWebhookSecret);
  return (headers, body) =>
    headers.has("stripe-signature") ? readStripe(secrets, headers, body) : readStandard(standard, headers, body);
}

function readStandard(secrets: readonly string[], headers: Headers, body: Uint8Array): PaymentEvent {
  const given = (name: string) => headers.get(`webhook-${name}`) ?? undefined;
  const verdict = verifyWebhook(
    secrets,
    { id: given("id"), timestamp: given("timestamp"), signature: given("signature") },
    body,
  );
  if (verdict.type !== "genuine") throw notGenuine();
  const event = parse(paymentEvent, readJson(body));
  return { id: verdict.id, type: event.type, key: event.data?.key ?? null, timestampSeconds: verdict.timestampSeconds };
}

function readStripe(secrets: readonly string[], headers: Headers, body: Uint8Array): PaymentEvent {
  const timestampSeconds = verifyStripeSignature(secrets, headers.get("stripe-signature") ?? undefined, body);
  if (timestampSeconds === undefined) throw notGenuine();
  const event = parse(stripeEvent, readJson(body));
  return { id: event.id, type: event.type, key: event.data.object.metadata?.key ?? null, timestampSeconds };
}

function readJson(body: Uint8Array): unknown {
  const text = decode(body);
  try {
    return JSON.parse(text);
  } catch {
    throw invalid("", "the body is not JSON");
  }
}

function notGenuine(): OnrushError {
  return new OnrushError(
    "UNAUTHENTICATED",
    "The signature is missing, or none that the payment provider can have made.",
  );
}
