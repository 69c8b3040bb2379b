// Deliveries as rows: an event that is owed to an endpoint, and what became of it. A row is the only truth about what is due;
// jobs only wake whoever sends.
import type { Queryable } from "../ledger/database.ts";

export const DELIVERY_STATES = ["pending", "delivered", "dead"] as const;
/** `dead`: its tries have ended without success; a replay makes it go again. */
export type DeliveryState = (typeof DELIVERY_STATES)[number];

export interface WebhookDelivery {
  readonly id: number;
  /** `webhook-id`: the same for every endpoint. */
  readonly eventId: string;
  readonly type: string;
  readonly orderId: string | null;
  readonly version: number | null;
  /** When it happened. */
  readonly at: Date;
  readonly state: DeliveryState;
  readonly tries: number;
  /** Of the last answer; null when none came. */
  readonly lastStatus: number | null;
  /** A word for why the last try failed. */
  readonly lastError: string | null;
  /** When it is tried next; of one that is pending. */
  readonly dueAt: Date | null;
  readonly endedAt: Date | null;
}

const COLUMNS = `id, event_id AS "eventId", type, order_id AS "orderId", version, at, state, tries,
  last_status AS "lastStatus", last_error AS "lastError", CASE WHEN state = 'pending' THEN due_at END AS "dueAt",
  ended_at AS "endedAt"`;

/** Newest first. `before`: the id after which the page starts. */
export async function listDeliveries(
  db: Queryable,
  endpointId: string,
  page: { readonly state?: DeliveryState | undefined; readonly before?: number | undefined; readonly limit: number },
): Promise<WebhookDelivery[]> {
  const result = await db.query<WebhookDelivery>(
    `SELECT ${COLUMNS} FROM webhook_deliveries
     WHERE endpoint_id = $1 AND ($2::text IS NULL OR state = $2) AND ($3::bigint IS NULL OR id < $3)
     ORDER BY id DESC LIMIT $4`,
    [endpointId, page.state ?? null, page.before ?? null, page.limit],
  );
  return result.rows;
}

export async function findDelivery(db: Queryable, id: number): Promise<WebhookDelivery | undefined> {
  const result = await db.query<WebhookDelivery>(`SELECT ${COLUMNS} FROM webhook_deliveries WHERE id = $1`, [id]);
  return result.rows[0];
}

/** Adds a ping, due at once. */
export async function insertPing(db: Queryable, endpointId: string, type: string): Promise<WebhookDelivery> {
  const result = await db.query<WebhookDelivery>(
    `INSERT INTO webhook_deliveries (endpoint_id, event_id, type, at)
     VALUES ($1, 'evt_ping_' || replace(gen_random_uuid()::text, '-', ''), $2, now()) RETURNING ${COLUMNS}`,
    [endpointId, type],
  );
  return result.rows[0] as WebhookDelivery;
}

/** Dead ones are owed again, from the first try on: these, or the oldest of all. @returns their ids */
export async function reviveDead(
  db: Queryable,
  endpointId: string,
  ids: readonly number[] | undefined,
  limit: number,
): Promise<number[]> {
  const result = await db.query<{ id: number }>(
    `WITH chosen AS (
       SELECT id FROM webhook_deliveries
       WHERE endpoint_id = $1 AND state = 'dead' AND ($2::bigint[] IS NULL OR id = ANY ($2)) ORDER BY id LIMIT $3 FOR UPDATE
     )
     UPDATE webhook_deliveries d SET state = 'pending', due_at = now(), opened_at = now(), tries = 0, ended_at = NULL
     FROM chosen WHERE d.id = chosen.id RETURNING d.id`,
    [endpointId, ids ?? null, limit],
  );
  return result.rows.map(({ id }) => id).sort((a, b) => a - b);
}

export interface DueDelivery {
  readonly id: number;
  readonly eventId: string;
  readonly type: string;
  readonly orderId: string | null;
  readonly version: number | null;
  readonly at: Date;
}

/**
 * Takes what is due, oldest first: nobody else takes it for `leaseMs`, longer than a try takes. Each time counts as a try.
 *
 * @param takenBy a name by which a successor sees whether this process is gone (engine/process-identity.ts)
 */
export async function takeDue(
  db: Queryable,
  endpointId: string,
  { leaseMs, limit, takenBy }: { readonly leaseMs: number; readonly limit: number; readonly takenBy: string },
): Promise<DueDelivery[]> {
  const result = await db.query<DueDelivery>({
    name: "take_due_deliveries",
    text: `WITH due AS (
        SELECT id FROM webhook_deliveries WHERE endpoint_id = $1 AND state = 'pending' AND due_at <= now()
        ORDER BY due_at, id LIMIT $3 FOR UPDATE SKIP LOCKED
      )
      UPDATE webhook_deliveries d SET taken = true, taken_by = $4, tries = tries + 1,
        due_at = now() + $2 * interval '1 millisecond'
      FROM due WHERE d.id = due.id
      RETURNING d.id, d.event_id AS "eventId", d.type, d.order_id AS "orderId", d.version, d.at`,
    values: [endpointId, leaseMs, limit, takenBy],
  });
  return result.rows;
}

/** Who has deliveries under way. */
export async function listDeliveryHolders(db: Queryable): Promise<string[]> {
  const result = await db.query<{ holder: string }>(
    "SELECT DISTINCT taken_by AS holder FROM webhook_deliveries WHERE taken AND taken_by IS NOT NULL",
  );
  return result.rows.map(({ holder }) => holder);
}

/** What these holders had taken is due now. @returns how many */
export async function freeDeliveries(db: Queryable, holders: readonly string[]): Promise<number> {
  const result = await db.query(
    `UPDATE webhook_deliveries SET taken = false, taken_by = NULL, due_at = now()
     WHERE taken AND taken_by = ANY ($1::text[]) AND state = 'pending'`,
    [holders],
  );
  return result.rowCount ?? 0;
}

/** What came of a try. */
export interface TryOutcome {
  readonly id: number;
  readonly status: number | null;
  /** Null: it was taken. */
  readonly error: string | null;
}

export interface RetryTiming {
  /** Doubles with each try, up to the most; give or take a quarter. */
  readonly retryDelayMs: number;
  readonly retryDelayMsMax: number;
  /** A try that fails this long after the first one was due is the last. */
  readonly giveUpAfterMs: number;
}

/** Writes down what came of tries. @returns the ids of those that are dead now */
export async function recordTries(
  db: Queryable,
  outcomes: readonly TryOutcome[],
  { retryDelayMs, retryDelayMsMax, giveUpAfterMs }: RetryTiming,
): Promise<number[]> {
  const result = await db.query<{ id: number; state: DeliveryState }>({
    name: "record_delivery_tries",
    text: `WITH n AS (SELECT * FROM unnest($1::bigint[], $2::int[], $3::text[]) AS n(id, status, error)), judged AS (
        SELECT n.*, CASE WHEN n.error IS NULL THEN 'delivered'
          WHEN d.opened_at < now() - $6 * interval '1 millisecond' THEN 'dead' ELSE 'pending' END AS next
        FROM n JOIN webhook_deliveries d ON d.id = n.id WHERE d.state = 'pending' ORDER BY n.id FOR UPDATE OF d
      )
      UPDATE webhook_deliveries d SET state = j.next, taken = false, taken_by = NULL, last_status = j.status, last_error = j.error,
        ended_at = CASE WHEN j.next <> 'pending' THEN now() END,
        due_at = now() + least($4 * 2 ^ least(d.tries - 1, 30), $5) * (0.75 + random() / 2) * interval '1 millisecond'
      FROM judged j WHERE d.id = j.id RETURNING d.id, d.state`,
    values: [
      outcomes.map(({ id }) => id),
      outcomes.map(({ status }) => status),
      outcomes.map(({ error }) => error),
      retryDelayMs,
      retryDelayMsMax,
      giveUpAfterMs,
    ],
  });
  return result.rows.filter(({ state }) => state === "dead").map(({ id }) => id);
}

/** The endpoint answers again: what waits for another try has it now. */
export async function hastenRetries(db: Queryable, endpointId: string): Promise<void> {
  await db.query(
    `UPDATE webhook_deliveries SET due_at = now()
     WHERE endpoint_id = $1 AND state = 'pending' AND tries > 0 AND NOT taken AND due_at > now()`,
    [endpointId],
  );
}

export const DELIVERED_KEPT_DAYS = 7;
export const DEAD_KEPT_DAYS = 30;

/** Deletes some of what has been kept for long enough, or belongs to endpoints that are gone. @returns how many */
export async function forgetDeliveries(db: Queryable, limit: number): Promise<number> {
  const result = await db.query(
    `DELETE FROM webhook_deliveries WHERE id = ANY (ARRAY(
       (SELECT id FROM webhook_deliveries
        WHERE state <> 'pending' AND ended_at < now() - CASE state WHEN 'dead' THEN $2::int ELSE $1::int END * interval '1 day' LIMIT $3)
       UNION ALL
       (SELECT d.id FROM webhook_endpoints e JOIN webhook_deliveries d ON d.endpoint_id = e.id
        WHERE e.deleted_at IS NOT NULL LIMIT $3)))`,
    [DELIVERED_KEPT_DAYS, DEAD_KEPT_DAYS, limit],
  );
  return result.rowCount ?? 0;
}

/** Endpoints that are gone, once nothing of them is left. */
export async function forgetEndpoints(db: Queryable): Promise<void> {
  await db.query(
    `DELETE FROM webhook_endpoints e WHERE e.deleted_at IS NOT NULL
       AND NOT EXISTS (SELECT FROM webhook_deliveries d WHERE d.endpoint_id = e.id)`,
  );
}

export interface WebhookCounts {
  readonly enabled: number;
  readonly failing: number;
  readonly disabled: number;
  readonly pending: number;
  readonly dead: number;
  readonly oldestPendingSeconds: number | null;
}

/** What alarms are made of. */
export async function countWebhooks(db: Queryable): Promise<WebhookCounts> {
  const result = await db.query<WebhookCounts>(
    `SELECT e.*, p.*, d.* FROM
       (SELECT count(*) FILTER (WHERE enabled)::int AS enabled,
          count(*) FILTER (WHERE enabled AND failing_since IS NOT NULL)::int AS failing,
          count(*) FILTER (WHERE disabled_by = 'failures')::int AS disabled
        FROM webhook_endpoints WHERE deleted_at IS NULL) e,
       (SELECT count(*)::int AS pending, extract(epoch FROM now() - min(opened_at))::float8 AS "oldestPendingSeconds"
        FROM webhook_deliveries WHERE state = 'pending') p,
       (SELECT count(*)::int AS dead FROM webhook_deliveries WHERE state = 'dead') d`,
  );
  return result.rows[0] as WebhookCounts;
}
