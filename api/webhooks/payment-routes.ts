// What payment providers tell without being asked. An event is never believed for what it claims: it says that a charge or a
// refund is worth asking about, and the worker asks the provider. So the order of deliveries does not matter, nor that one
// comes twice; and whoever could forge one would gain a question.
import { z } from "@hono/zod-openapi";
import { Batcher, BatcherFullError } from "../../engine/admission/batcher.ts";
import { OnrushError } from "../../engine/errors.ts";
import { transaction } from "../../engine/ledger/database.ts";
import { type PaymentEvent, recordPaymentEvents } from "../../engine/ledger/payment-events.ts";
import { redisNowMs } from "../../engine/redis/clock.ts";
import { isStale, TOLERANCE_SECONDS } from "../../engine/webhooks/signature.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { jsonAnswer } from "../http/answer.ts";
import { readBytes } from "../http/body.ts";
import { documentEndpoint, type Edge, route } from "../http/endpoint.ts";
import { deliveryReader, paymentEvent } from "./delivery.ts";

const EVENTS_PER_TRANSACTION_MAX = 256;
const TRANSACTIONS_IN_FLIGHT_MAX = 2;
const WAITING_MAX = 4_096;

const headers = z.object({
  "webhook-id": z.string().optional().openapi({ description: "Names the event; the same at each delivery of it" }),
  "webhook-timestamp": z.string().optional().openapi({ description: "Unix time in seconds of this delivery" }),
  "webhook-signature": z.string().optional().openapi({
    description: "`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`; several, with blanks between",
  }),
});
const receivedSchema = z.object({ id: z.string(), replayed: z.boolean() }).openapi("ReceivedPaymentEvent");

const DOCS = {
  method: "post",
  path: "/api/v1/webhooks/payments",
  summary: "Take in a payment provider's event",
  description:
    "Signed by the [Standard Webhooks](https://www.standardwebhooks.com) convention with `PAYMENT_WEBHOOK_SECRET` (or the " +
    "one before it); with Stripe by `Stripe-Signature`. Refused with UNAUTHENTICATED: what is not signed, signed by " +
    `another, or more than ${TOLERANCE_SECONDS} seconds away from the present. An event that was taken before changes ` +
    "nothing (`replayed`). `data.key` names the charge, `orderId:attempt`, or the refund by its id: the provider is then " +
    "asked about it, whatever the event says of it.",
  tag: "Payments",
  access: "public",
  headers,
  answers: { 200: { description: "Taken, now or before", schema: receivedSchema } },
  refusals: ["STOCK_UNAVAILABLE"],
} as const;

/** Adds `POST /api/v1/webhooks/payments`. */
export function paymentWebhookRoute(edge: Edge, deps: ApiDependencies): void {
  const { pool, outbox, redis, config } = deps;
  const read = deliveryReader(config);
  // A provider tells of each charge: those that come together are one transaction and one job.
  const inbox = new Batcher<PaymentEvent, boolean>({
    async execute(events) {
      const fresh = await transaction(pool, async (client) => {
        const recorded = await recordPaymentEvents(client, distinct(events));
        const eventIds = recorded.filter(({ key }) => key !== null).map(({ id }) => id);
        if (eventIds.length > 0) await outbox.send(client, "payment-event", { eventIds });
        return recorded;
      });
      const left = new Set(fresh.map(({ id }) => id));
      return events.map(({ id }) => left.delete(id));
    },
    weightOf: () => 1,
    itemsMax: EVENTS_PER_TRANSACTION_MAX,
    weightMax: EVENTS_PER_TRANSACTION_MAX,
    inFlightMax: TRANSACTIONS_IN_FLIGHT_MAX,
    waitingMax: WAITING_MAX,
  });

  documentEndpoint(edge, DOCS, undefined, paymentEvent);
  route(edge, DOCS.method, DOCS.path, async (c) => {
    let event: PaymentEvent;
    try {
      const body = await readBytes(c);
      event = read(c.req.raw.headers, body);
      if (isStale(event.timestampSeconds, (await redisNowMs(redis)) / 1_000)) {
        throw new OnrushError("UNAUTHENTICATED", "The delivery's timestamp is too far from the present.");
      }
    } catch (error) {
      // The provider itself is not limited: it speaks for every customer.
      edge.limits.request(edge.addressOf(c));
      throw error;
    }
    const fresh = await inbox.submit(event).catch((error: unknown) => {
      if (error instanceof BatcherFullError) throw new OnrushError("OVERLOADED", "Too many events are waiting.");
      throw error;
    });
    return jsonAnswer({ id: event.id, replayed: !fresh }, 200);
  });
}

function distinct(events: readonly PaymentEvent[]): PaymentEvent[] {
  return [...new Map(events.map((event) => [event.id, event])).values()];
}
