// Endpoints as rows: where webhooks go, and how they have fared.
import type { Queryable } from "../ledger/database.ts";
import { makeId } from "../members/secrets.ts";
import { HORIZON } from "./dispatch.ts";
import type { WebhookEvent } from "./event-types.ts";

/** The most there may be at a time: each is told every event. */
export const WEBHOOK_ENDPOINTS_MAX = 100;
/** How long the secret before a new one signs beside it. */
export const PREVIOUS_SECRET_HOURS = 24;

export interface WebhookEndpoint {
  readonly id: string;
  readonly url: string;
  readonly events: readonly WebhookEvent[];
  readonly enabled: boolean;
  /** `failures`: it had taken nothing for a day. */
  readonly disabledBy: "operator" | "failures" | null;
  /** Nothing has been taken since. */
  readonly failingSince: Date | null;
  /** Until then the secret before the present one signs too. */
  readonly previousSecretUntil: Date | null;
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

const COLUMNS = `id, url, events, enabled, disabled_by AS "disabledBy", failing_since AS "failingSince",
  CASE WHEN previous_until > now() THEN previous_until END AS "previousSecretUntil", created_by AS "createdBy",
  created_at AS "createdAt", updated_at AS "updatedAt"`;

/** Of the endpoints that are there. */
export async function countEndpoints(db: Queryable): Promise<number> {
  const result = await db.query<{ count: number }>(
    "SELECT count(*)::int AS count FROM webhook_endpoints WHERE deleted_at IS NULL",
  );
  return result.rows[0]?.count ?? 0;
}

/** Oldest first. */
export async function listEndpoints(db: Queryable): Promise<WebhookEndpoint[]> {
  const result = await db.query<WebhookEndpoint>(
    `SELECT ${COLUMNS} FROM webhook_endpoints WHERE deleted_at IS NULL ORDER BY created_at, id
     LIMIT ${WEBHOOK_ENDPOINTS_MAX}`,
  );
  return result.rows;
}

export async function findEndpoint(db: Queryable, id: string): Promise<WebhookEndpoint | undefined> {
  const result = await db.query<WebhookEndpoint>(
    `SELECT ${COLUMNS} FROM webhook_endpoints WHERE id = $1 AND deleted_at IS NULL`,
    [id],
  );
  return result.rows[0];
}

/** The same, kept as it is until the transaction ends. */
export async function lockEndpoint(db: Queryable, id: string): Promise<WebhookEndpoint | undefined> {
  const result = await db.query<WebhookEndpoint>(
    `SELECT ${COLUMNS} FROM webhook_endpoints WHERE id = $1 AND deleted_at IS NULL FOR UPDATE`,
    [id],
  );
  return result.rows[0];
}

/** Adds an endpoint that is told what commits from now on. */
export async function insertEndpoint(
  db: Queryable,
  endpoint: Pick<WebhookEndpoint, "url" | "events" | "createdBy"> & { readonly secret: string },
): Promise<WebhookEndpoint> {
  const result = await db.query<WebhookEndpoint>(
    `INSERT INTO webhook_endpoints (id, url, events, secret, created_by, from_xact) VALUES ($1, $2, $3, $4, $5, ${HORIZON})
     RETURNING ${COLUMNS}`,
    [makeId("whe"), endpoint.url, endpoint.events, endpoint.secret, endpoint.createdBy],
  );
  return result.rows[0] as WebhookEndpoint;
}

/** Writes URL, events and whether it is enabled. One that is enabled again starts afresh, with what commits from then on. */
export async function updateEndpoint(
  db: Queryable,
  { id, url, events, enabled }: Pick<WebhookEndpoint, "id" | "url" | "events" | "enabled">,
): Promise<WebhookEndpoint> {
  const result = await db.query<WebhookEndpoint>(
    `UPDATE webhook_endpoints SET url = $2, events = $3, enabled = $4, updated_at = now(),
       disabled_by = CASE WHEN $4 THEN NULL ELSE COALESCE(disabled_by, 'operator') END,
       from_xact = CASE WHEN $4 AND NOT enabled THEN ${HORIZON} ELSE from_xact END,
       failing_since = CASE WHEN $4 AND NOT enabled THEN NULL ELSE failing_since END,
       failures = CASE WHEN enabled AND url = $2 THEN failures ELSE 0 END,
       held_until = CASE WHEN enabled AND url = $2 THEN held_until END
     WHERE id = $1 RETURNING ${COLUMNS}`,
    [id, url, events, enabled],
  );
  return result.rows[0] as WebhookEndpoint;
}

/** Puts a new secret in place; the present one signs beside it for a day. */
export async function replaceSecret(db: Queryable, id: string, secret: string): Promise<WebhookEndpoint> {
  const result = await db.query<WebhookEndpoint>(
    `UPDATE webhook_endpoints SET previous_secret = secret, previous_until = now() + $3 * interval '1 hour', secret = $2,
       updated_at = now()
     WHERE id = $1 RETURNING ${COLUMNS}`,
    [id, secret, PREVIOUS_SECRET_HOURS],
  );
  return result.rows[0] as WebhookEndpoint;
}

/** Takes it away, with its secrets; its deliveries go with the next sweeps. */
export async function removeEndpoint(db: Queryable, id: string): Promise<void> {
  await db.query(
    `UPDATE webhook_endpoints SET deleted_at = now(), enabled = false, secret = '', previous_secret = NULL WHERE id = $1`,
    [id],
  );
}

/** Lets the next try come at once. */
export async function releaseEndpoint(db: Queryable, id: string): Promise<void> {
  await db.query("UPDATE webhook_endpoints SET held_until = NULL, woken_at = NULL WHERE id = $1", [id]);
}

/** What it takes to send to an endpoint. */
export interface SendTarget {
  readonly url: string;
  /** All of them sign: the present one first. */
  readonly secrets: readonly string[];
  /** Postgres' clock. */
  readonly nowSeconds: number;
}

/** `undefined`: nothing is sent there now. */
export async function findTarget(db: Queryable, id: string): Promise<SendTarget | undefined> {
  const result = await db.query<SendTarget>({
    name: "find_webhook_target",
    text: `SELECT url, array_remove(ARRAY[secret, CASE WHEN previous_until > now() THEN previous_secret END], NULL) AS secrets,
        extract(epoch FROM now())::bigint AS "nowSeconds"
      FROM webhook_endpoints
      WHERE id = $1 AND enabled AND deleted_at IS NULL AND (held_until IS NULL OR held_until <= now())`,
    values: [id],
  });
  return result.rows[0];
}

/** Endpoints that something is due for and that nobody was woken for in the last moments; they count as woken now. */
export async function wakeDueEndpoints(db: Queryable, wakeAgainAfterMs: number): Promise<string[]> {
  const result = await db.query<{ id: string }>(
    `UPDATE webhook_endpoints e SET woken_at = now()
     WHERE e.enabled AND e.deleted_at IS NULL AND (e.held_until IS NULL OR e.held_until <= now())
       AND (e.woken_at IS NULL OR e.woken_at < now() - $1 * interval '1 millisecond')
       AND EXISTS (SELECT FROM webhook_deliveries d
         WHERE d.endpoint_id = e.id AND d.state = 'pending' AND d.due_at <= now())
     RETURNING e.id`,
    [wakeAgainAfterMs],
  );
  return result.rows.map(({ id }) => id);
}

/** Something was taken. @returns whether the endpoint had been failing */
export async function noteTaken(db: Queryable, id: string): Promise<boolean> {
  const result = await db.query(
    `UPDATE webhook_endpoints SET failing_since = NULL, failures = 0, held_until = NULL
     WHERE id = $1 AND failing_since IS NOT NULL`,
    [id],
  );
  return result.rowCount === 1;
}

export interface HoldTiming {
  /** Doubles with each round in a row of which nothing was taken, up to the most; give or take a quarter. */
  readonly holdMs: number;
  readonly holdMsMax: number;
}

/** Nothing of a round was taken: none is tried for a while. @returns since when, by Postgres' clock */
export async function noteFailed(
  db: Queryable,
  id: string,
  { holdMs, holdMsMax }: HoldTiming,
): Promise<{ readonly failingMs: number } | undefined> {
  const result = await db.query<{ failingMs: number }>(
    `UPDATE webhook_endpoints SET failing_since = COALESCE(failing_since, now()), failures = failures + 1,
       held_until = now() + least($2 * 2 ^ least(failures, 30), $3) * (0.75 + random() / 2) * interval '1 millisecond'
     WHERE id = $1 AND enabled
     RETURNING (extract(epoch FROM now() - failing_since) * 1000)::float8 AS "failingMs"`,
    [id, holdMs, holdMsMax],
  );
  return result.rows[0];
}

/** Ends the sending to an endpoint that fails. @returns whether it was enabled */
export async function disableFailing(db: Queryable, id: string): Promise<boolean> {
  const result = await db.query(
    `UPDATE webhook_endpoints SET enabled = false, disabled_by = 'failures', updated_at = now() WHERE id = $1 AND enabled`,
    [id],
  );
  return result.rowCount === 1;
}
