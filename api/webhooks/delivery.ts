// A delivery of a payment provider's webhook: who sent it, and which charge or refund it is about. Two conventions, and one
// outcome; nothing of a body is parsed before its signature stands.
import { z } from "zod";
import type { Config } from "../../engine/config.ts";
import { OnrushError } from "../../engine/errors.ts";
import type { PaymentEvent } from "../../engine/ledger/payment-events.ts";
import { verifyWebhook } from "../../engine/webhooks/signature.ts";
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

/** The reader for the configured provider. */
export function deliveryReader({
  paymentGateway,
  paymentWebhookSecrets: secrets,
}: Pick<Config, "paymentGateway" | "paymentWebhookSecrets">): DeliveryReader {
  return paymentGateway === "stripe"
    ? (headers, body) => readStripe(secrets, headers, body)
    : (headers, body) => readStandard(secrets, headers, body);
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
