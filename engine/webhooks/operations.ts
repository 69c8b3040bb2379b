// What operators do with webhook endpoints, by the API and the CLI alike; each on record. A secret is returned when it is made
// and never again.
import type pg from "pg";
import { invalidInput, type Operator } from "../catalogue/operator.ts";
import { OnrushError } from "../errors.ts";
import { recordAudit } from "../ledger/audit.ts";
import { transaction } from "../ledger/database.ts";
import { checkWebhookUrl } from "./address.ts";
import { hastenRetries, insertPing, reviveDead, type WebhookDelivery } from "./deliveries.ts";
import {
  countEndpoints,
  findEndpoint,
  insertEndpoint,
  lockEndpoint,
  releaseEndpoint,
  removeEndpoint,
  replaceSecret,
  updateEndpoint,
  WEBHOOK_ENDPOINTS_MAX,
  type WebhookEndpoint,
} from "./endpoints.ts";
import { PING, WEBHOOK_EVENTS, type WebhookEvent } from "./event-types.ts";
import { newWebhookSecret } from "./signature.ts";

const ENDPOINT_ID = /^whe_[0-9a-z]{24}$/;
/** Dead deliveries that one replay takes. */
export const REPLAYED_MAX = 10_000;

/** An endpoint with a secret that was just made. */
export type WithSecret = WebhookEndpoint & { readonly secret: string };

export interface EndpointChange {
  readonly url?: string | undefined;
  readonly events?: readonly WebhookEvent[] | undefined;
  readonly enabled?: boolean | undefined;
}

/** Makes an endpoint; without events it gets all. @throws OnrushError with `VALIDATION`; `INVALID_STATE`: there are too many */
export async function createWebhookEndpoint(
  pool: pg.Pool,
  { url, events = WEBHOOK_EVENTS }: { readonly url: string; readonly events?: readonly WebhookEvent[] | undefined },
  { actor, reason, allowPrivate }: Operator & { readonly allowPrivate: boolean },
): Promise<WithSecret> {
  const target = checkWebhookUrl(url, allowPrivate).href;
  const wanted = checkEvents(events);
  const secret = newWebhookSecret();
  return await transaction(pool, async (client) => {
    // Two at once are counted one after the other.
    await client.query("SELECT pg_advisory_xact_lock(hashtextextended('onrush webhook endpoints', 0))");
    if ((await countEndpoints(client)) >= WEBHOOK_ENDPOINTS_MAX) {
      throw new OnrushError("INVALID_STATE", `There are ${WEBHOOK_ENDPOINTS_MAX} endpoints; delete one first.`);
    }
    const endpoint = await insertEndpoint(client, { url: target, events: wanted, createdBy: actor, secret });
    const after = { url: target, events: wanted };
    await recordAudit(client, {
      actor,
      reason,
      action: "webhook_endpoint.create",
      subject: subjectOf(endpoint),
      after,
    });
    return { ...endpoint, secret };
  });
}

/** @throws OnrushError with `NOT_FOUND` */
export async function readWebhookEndpoint(pool: pg.Pool, id: string): Promise<WebhookEndpoint> {
  const endpoint = ENDPOINT_ID.test(id) ? await findEndpoint(pool, id) : undefined;
  if (!endpoint) throw unknownEndpoint();
  return endpoint;
}

/** Changes what is given. @throws OnrushError with `NOT_FOUND`, `VALIDATION` */
export async function changeWebhookEndpoint(
  pool: pg.Pool,
  id: string,
  change: EndpointChange,
  { actor, reason, allowPrivate }: Operator & { readonly allowPrivate: boolean },
): Promise<WebhookEndpoint> {
  const url = change.url === undefined ? undefined : checkWebhookUrl(change.url, allowPrivate).href;
  const events = change.events === undefined ? undefined : checkEvents(change.events);
  return await onEndpoint(pool, id, async (client, before) => {
    const enabled = change.enabled ?? before.enabled;
    const wanted = { url: url ?? before.url, events: events ?? before.events, enabled };
    const endpoint = await updateEndpoint(client, { id, ...wanted });
    if (enabled && (!before.enabled || wanted.url !== before.url)) await hastenRetries(client, id);
    await recordAudit(client, {
      ...{ actor, reason, action: "webhook_endpoint.update", subject: subjectOf(endpoint) },
      before: { url: before.url, events: before.events, enabled: before.enabled },
      after: wanted,
    });
    return endpoint;
  });
}

/** Takes an endpoint away: nothing is sent there any more. @throws OnrushError with `NOT_FOUND` */
export async function deleteWebhookEndpoint(pool: pg.Pool, id: string, { actor, reason }: Operator): Promise<void> {
  await onEndpoint(pool, id, async (client, endpoint) => {
    await removeEndpoint(client, id);
    const before = { url: endpoint.url, events: endpoint.events };
    await recordAudit(client, {
      actor,
      reason,
      action: "webhook_endpoint.delete",
      subject: subjectOf(endpoint),
      before,
    });
  });
}

/** A new secret; the present one signs beside it for a day. @throws OnrushError with `NOT_FOUND` */
export async function rotateWebhookSecret(pool: pg.Pool, id: string, { actor, reason }: Operator): Promise<WithSecret> {
  const secret = newWebhookSecret();
  return await onEndpoint(pool, id, async (client) => {
    const endpoint = await replaceSecret(client, id, secret);
    await recordAudit(client, { actor, reason, action: "webhook_endpoint.rotate", subject: subjectOf(endpoint) });
    return { ...endpoint, secret };
  });
}

/** Sends a ping by the next worker that is free. @throws OnrushError with `NOT_FOUND`; `INVALID_STATE`: it is disabled */
export async function pingWebhookEndpoint(
  pool: pg.Pool,
  id: string,
  { actor, reason }: Operator,
): Promise<WebhookDelivery> {
  return await onEndpoint(pool, id, async (client, endpoint) => {
    if (!endpoint.enabled) throw new OnrushError("INVALID_STATE", "The endpoint is disabled.");
    const delivery = await insertPing(client, id, PING);
    await releaseEndpoint(client, id);
    const after = { delivery: delivery.id };
    await recordAudit(client, { actor, reason, action: "webhook_endpoint.test", subject: subjectOf(endpoint), after });
    return delivery;
  });
}

/**
 * Makes dead deliveries go again: these, or the oldest 10,000 of the endpoint's.
 *
 * @returns the ids of those that do: none that is not dead
 * @throws OnrushError with `NOT_FOUND`; `INVALID_STATE`: the endpoint is disabled
 */
export async function replayWebhooks(
  pool: pg.Pool,
  id: string,
  deliveries: readonly number[] | undefined,
  { actor, reason }: Operator,
): Promise<number[]> {
  return await onEndpoint(pool, id, async (client, endpoint) => {
    if (!endpoint.enabled) throw new OnrushError("INVALID_STATE", "The endpoint is disabled; enable it first.");
    const replayed = await reviveDead(client, id, deliveries, REPLAYED_MAX);
    if (replayed.length === 0) return replayed;
    await releaseEndpoint(client, id);
    const after = { count: replayed.length, first: replayed[0], last: replayed.at(-1) };
    await recordAudit(client, {
      actor,
      reason,
      action: "webhook_endpoint.replay",
      subject: subjectOf(endpoint),
      after,
    });
    return replayed;
  });
}

async function onEndpoint<T>(
  pool: pg.Pool,
  id: string,
  work: (client: pg.PoolClient, endpoint: WebhookEndpoint) => Promise<T>,
): Promise<T> {
  if (!ENDPOINT_ID.test(id)) throw unknownEndpoint();
  return await transaction(pool, async (client) => {
    const endpoint = await lockEndpoint(client, id);
    if (!endpoint) throw unknownEndpoint();
    return await work(client, endpoint);
  });
}

function checkEvents(events: readonly WebhookEvent[]): WebhookEvent[] {
  const wanted = WEBHOOK_EVENTS.filter((event) => events.includes(event));
  if (wanted.length === 0) throw invalidInput("events", `must name one of ${WEBHOOK_EVENTS.join(", ")}`);
  return wanted;
}

/** For the audit trail. */
export function subjectOf({ id }: Pick<WebhookEndpoint, "id">): string {
  return `webhook-endpoint:${id}`;
}

function unknownEndpoint(): OnrushError {
  return new OnrushError("NOT_FOUND", "There is no such webhook endpoint.");
}
