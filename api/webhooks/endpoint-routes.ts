// Webhook endpoints: where administrators have events of orders sent, and what became of each.
import { z } from "@hono/zod-openapi";
import { DELIVERY_STATES, listDeliveries, type WebhookDelivery } from "../../engine/webhooks/deliveries.ts";
import { listEndpoints, type WebhookEndpoint } from "../../engine/webhooks/endpoints.ts";
import { WEBHOOK_EVENTS } from "../../engine/webhooks/event-types.ts";
import {
  changeWebhookEndpoint,
  createWebhookEndpoint,
  deleteWebhookEndpoint,
  pingWebhookEndpoint,
  readWebhookEndpoint,
  replayWebhooks,
  rotateWebhookSecret,
  type WithSecret,
} from "../../engine/webhooks/operations.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { emptyAnswer, jsonAnswer } from "../http/answer.ts";
import { decodeCursor, encodeCursor } from "../http/cursor.ts";
import { type Edge, endpoint } from "../http/endpoint.ts";
import { page, text } from "../http/fields.ts";

const TAG = "Webhooks out";
const PATH = "/api/v1/webhook-endpoints";
const URL_MAX = 2_000;
const REPLAYED_BY_NAME_MAX = 1_000;

const events = z.array(z.enum(WEBHOOK_EVENTS)).min(1).max(WEBHOOK_EVENTS.length);
const newEndpoint = z
  .object({ url: text(1, URL_MAX), events: events.optional().openapi({ description: "All of them unless it says" }) })
  .openapi("NewWebhookEndpoint");
const endpointChange = z
  .object({ url: text(1, URL_MAX).optional(), events: events.optional(), enabled: z.boolean().optional() })
  .openapi("WebhookEndpointChange");
const endpointSchema = z
  .object({
    id: z.string(),
    url: z.string(),
    events: z.array(z.enum(WEBHOOK_EVENTS)),
    enabled: z.boolean(),
    disabledBy: z.enum(["operator", "failures"]).nullable(),
    failingSince: z.string().nullable().openapi({ description: "It has taken nothing since" }),
    previousSecretUntil: z.string().nullable().openapi({ description: "Until then the secret before signs too" }),
    createdBy: z.string(),
    createdAt: z.string(),
    updatedAt: z.string(),
  })
  .openapi("WebhookEndpoint");
const withSecret = endpointSchema
  .extend({ secret: z.string().openapi({ description: "Signs what is sent; never shown again" }) })
  .openapi("WebhookEndpointWithSecret");
const deliverySchema = z
  .object({
    id: z.int(),
    eventId: z.string().openapi({ description: "`webhook-id`: stable by order and version" }),
    type: z.string(),
    orderTrackingId: z.string().nullable(),
    version: z.int().nullable(),
    at: z.string(),
    state: z.enum(DELIVERY_STATES),
    tries: z.int(),
    lastStatus: z.int().nullable().openapi({ description: "Null: no answer came" }),
    lastError: z.string().nullable(),
    dueAt: z.string().nullable().openapi({ description: "When it is tried next, at the earliest" }),
    endedAt: z.string().nullable(),
  })
  .openapi("WebhookDelivery");
const deliveryPage = z
  .object({ items: z.array(deliverySchema), nextCursor: z.string().optional() })
  .openapi("WebhookDeliveryPage");
const replay = z
  .object({ deliveries: z.array(z.int().min(1)).min(1).max(REPLAYED_BY_NAME_MAX).optional() })
  .default({})
  .openapi("WebhookReplay");
const position = z.int().min(1);

export function webhookEndpointRoutes(edge: Edge, { pool, config }: ApiDependencies): void {
  const { webhookAllowPrivate: allowPrivate } = config;

  endpoint(
    edge,
    {
      method: "post",
      path: PATH,
      summary: "Have events sent to a URL",
      description:
        "By the Standard Webhooks convention: `POST` of `{type, timestamp, data}` with `webhook-id`, `webhook-timestamp` and " +
        "`webhook-signature`; `data` is the order as it stood then, as `GET /orders/{id}` shows it. Every event that commits " +
        "from now on comes at least once, in any order. The secret is in this answer and never shown again. Only https to " +
        "public addresses, unless the shop allows others.",
      tag: TAG,
      access: "admin",
      body: newEndpoint,
      answers: { 201: { description: "The endpoint and its secret", schema: withSecret } },
      refusals: ["INVALID_STATE"],
    },
    async ({ caller, body }) => {
      const made = await createWebhookEndpoint(pool, body, { actor: caller.customerId, allowPrivate });
      return jsonAnswer(representWithSecret(made), 201, { location: `${PATH}/${made.id}` });
    },
  );

  endpoint(
    edge,
    {
      method: "get",
      path: PATH,
      summary: "List webhook endpoints",
      tag: TAG,
      access: "admin",
      answers: { 200: { description: "Oldest first", schema: z.object({ items: z.array(endpointSchema) }) } },
    },
    async () => jsonAnswer({ items: (await listEndpoints(pool)).map(represent) }),
  );

  endpoint(
    edge,
    {
      method: "get",
      path: `${PATH}/{id}`,
      summary: "Read a webhook endpoint",
      tag: TAG,
      access: "admin",
      answers: { 200: { description: "The endpoint", schema: endpointSchema } },
      refusals: ["NOT_FOUND"],
    },
    async ({ c }) => jsonAnswer(represent(await readWebhookEndpoint(pool, c.req.param("id") ?? ""))),
  );

  endpoint(
    edge,
    {
      method: "patch",
      path: `${PATH}/{id}`,
      summary: "Change a webhook endpoint",
      description:
        "What is disabled gets no events, and none of that time later; what was due before waits until it is enabled again.",
      tag: TAG,
      access: "admin",
      body: endpointChange,
      answers: { 200: { description: "The endpoint", schema: endpointSchema } },
      refusals: ["NOT_FOUND"],
    },
    async ({ c, caller, body }) => {
      const by = { actor: caller.customerId, allowPrivate };
      return jsonAnswer(represent(await changeWebhookEndpoint(pool, c.req.param("id") ?? "", body, by)));
    },
  );

  endpoint(
    edge,
    {
      method: "delete",
      path: `${PATH}/{id}`,
      summary: "Delete a webhook endpoint",
      description: "With all that was still due for it.",
      tag: TAG,
      access: "admin",
      answers: { 204: { description: "Deleted" } },
      refusals: ["NOT_FOUND"],
    },
    async ({ c, caller }) => {
      await deleteWebhookEndpoint(pool, c.req.param("id") ?? "", { actor: caller.customerId });
      return emptyAnswer();
    },
  );

  endpoint(
    edge,
    {
      method: "post",
      path: `${PATH}/{id}/rotate-secret`,
      summary: "Replace a webhook secret",
      description: "For a day what is sent is signed by both, so that the receiver can change over when it likes.",
      tag: TAG,
      access: "admin",
      answers: { 200: { description: "The endpoint and its new secret", schema: withSecret } },
      refusals: ["NOT_FOUND"],
    },
    async ({ c, caller }) => {
      const rotated = await rotateWebhookSecret(pool, c.req.param("id") ?? "", { actor: caller.customerId });
      return jsonAnswer(representWithSecret(rotated));
    },
  );

  endpoint(
    edge,
    {
      method: "post",
      path: `${PATH}/{id}/test`,
      summary: "Send a ping",
      description: "Of type `ping`, signed and tried as any event; the list of deliveries says what became of it.",
      tag: TAG,
      access: "admin",
      answers: { 202: { description: "The delivery", schema: deliverySchema } },
      refusals: ["NOT_FOUND", "INVALID_STATE"],
    },
    async ({ c, caller }) => {
      const id = c.req.param("id") ?? "";
      const delivery = await pingWebhookEndpoint(pool, id, { actor: caller.customerId });
      return jsonAnswer(representDelivery(delivery), 202, { location: `${PATH}/${id}/deliveries` });
    },
  );

  endpoint(
    edge,
    {
      method: "get",
      path: `${PATH}/{id}/deliveries`,
      summary: "List an endpoint's deliveries",
      description: "Newest first. What was taken is kept for 7 days, what never was for 30.",
      tag: TAG,
      access: "admin",
      query: page.extend({ state: z.enum(DELIVERY_STATES).optional() }),
      answers: { 200: { description: "A page", schema: deliveryPage } },
      refusals: ["NOT_FOUND"],
    },
    async ({ c, query: { limit, cursor, state } }) => {
      const before = cursor === undefined ? undefined : decodeCursor(cursor, position);
      const { id } = await readWebhookEndpoint(pool, c.req.param("id") ?? "");
      const found = await listDeliveries(pool, id, { state, before, limit: limit + 1 });
      const last = found.length > limit ? found[limit - 1] : undefined;
      return jsonAnswer({
        items: found.slice(0, limit).map(representDelivery),
        ...(last && { nextCursor: encodeCursor(last.id) }),
      });
    },
  );

  endpoint(
    edge,
    {
      method: "post",
      path: `${PATH}/{id}/replay`,
      summary: "Send dead deliveries again",
      description:
        "Those that are named and dead, or the oldest 10,000 of all that are dead; each for another day. Their ids are answered.",
      tag: TAG,
      access: "admin",
      body: replay,
      bodyOptional: true,
      answers: { 202: { description: "What goes again", schema: z.object({ replayed: z.array(z.int()) }) } },
      refusals: ["NOT_FOUND", "INVALID_STATE"],
    },
    async ({ c, caller, body }) => {
      const by = { actor: caller.customerId };
      return jsonAnswer({ replayed: await replayWebhooks(pool, c.req.param("id") ?? "", body.deliveries, by) }, 202);
    },
  );
}

function represent(of: WebhookEndpoint) {
  const { id, url, events, enabled, disabledBy, failingSince, previousSecretUntil, createdBy, createdAt, updatedAt } =
    of;
  return { id, url, events, enabled, disabledBy, failingSince, previousSecretUntil, createdBy, createdAt, updatedAt };
}

function representWithSecret(made: WithSecret) {
  return { ...represent(made), secret: made.secret };
}

function representDelivery({ orderId, ...delivery }: WebhookDelivery) {
  const { id, eventId, type, version, at, state, tries, lastStatus, lastError, dueAt, endedAt } = delivery;
  const fate = { state, tries, lastStatus, lastError, dueAt, endedAt };
  return { id, eventId, type, orderTrackingId: orderId, version, at, ...fate };
}
