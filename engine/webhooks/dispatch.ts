// From the timeline of orders to deliveries: a cursor that follows the commits and skips nothing.
//
// Each step carries the number of its transaction. Transactions do not commit in the order of their numbers, so a cursor that
// took whatever it saw would pass over steps that become visible behind it. It reads only up to the horizon of its own
// snapshot (`pg_snapshot_xmin`): every transaction below that has ended, and no other will ever get such a number, so what the
// snapshot shows below the horizon is all that there will ever be. A transaction that stays open holds the horizon back, of
// whichever database of the server: events then come later, and none is lost.
//
// Steps, endpoints and horizon are read in one snapshot, and deliveries are written with the cursor's move: an endpoint is told
// of every step that commits once it is there. An endpoint notes the horizon of when it was made (`from_xact`); nobody is owed
// what is before the lowest of those, so the cursor needs no moving, and the timeline no reading, while there is no endpoint.
import type pg from "pg";
import { type Queryable, transaction } from "../ledger/database.ts";
import { EVENT_ID_OF_STEP, EVENT_OF_STEP } from "./event-types.ts";

/** SQL: the horizon of the statement's snapshot. */
export const HORIZON = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint";
const NO_ORDER = "00000000-0000-0000-0000-000000000000";
/** Well below the second after which a vacuum gives way to whoever waits for it: the summaries wait for the vacuum. */
const SUMMARY_LOCK_MS = 50;

interface Cursor {
  readonly xact: number;
  readonly orderId: string;
  readonly version: number;
}

export interface Dispatched {
  /** Steps that are events. */
  readonly steps: number;
  /** False: there is more below the horizon. */
  readonly caughtUp: boolean;
  /** The numbers went back: this database was copied to another server from a dump. The cursor was set back with them. */
  readonly restarted: boolean;
}

/** Whether there is anybody to tell. */
export async function hasWebhookEndpoints(db: Queryable): Promise<boolean> {
  const result = await db.query<{ any: boolean }>(
    "SELECT EXISTS (SELECT FROM webhook_endpoints WHERE enabled AND deleted_at IS NULL) AS any",
  );
  return result.rows[0]?.any === true;
}

/**
 * Writes the deliveries of the next steps, at most `stepsMax` from at most `xactsMax` transactions, and moves the cursor, all in
 * one transaction. Of two at once, the second waits.
 */
export async function dispatchEvents(pool: pg.Pool, xactsMax: number, stepsMax: number): Promise<Dispatched> {
  return await transaction(pool, async (client) => {
    // Statistics lag behind what was just written: the planner would read the whole table for its last few pages.
    await client.query("SET LOCAL enable_seqscan = off");
    const cursor = await lockCursor(client);
    const { high, horizon, steps, last } = await tell(client, cursor, xactsMax, stepsMax);
    if (cursor.xact > horizon) {
      await restart(client, horizon);
      return { steps: 0, caughtUp: false, restarted: true };
    }
    const isFull = steps === stepsMax && last !== undefined;
    const to = isFull ? last : { xact: Math.max(high, cursor.xact), orderId: NO_ORDER, version: 0 };
    if (to.xact > cursor.xact || isFull) await moveCursor(client, to);
    return { steps, caughtUp: !isFull && high >= horizon, restarted: false };
  });
}

/** Keeps the index by transactions sharp for pages that were just written; without it they are all read each time. */
export async function summarizeTimeline(pool: pg.Pool): Promise<void> {
  await transaction(pool, async (client) => {
    await client.query(`SET LOCAL lock_timeout = ${SUMMARY_LOCK_MS}`);
    await client.query("SELECT brin_summarize_new_values('order_timeline_xact')");
  });
}

async function lockCursor(client: pg.ClientBase): Promise<Cursor> {
  const result = await client.query<Cursor>(
    'SELECT xact, order_id AS "orderId", version FROM webhook_cursor FOR UPDATE',
  );
  return result.rows[0] as Cursor;
}

async function tell(
  client: pg.ClientBase,
  { xact, orderId, version }: Cursor,
  xactsMax: number,
  stepsMax: number,
): Promise<{ high: number; horizon: number; steps: number; last: Cursor | undefined }> {
  const result = await client.query<{
    high: number;
    horizon: number;
    steps: number;
    xact: number | null;
    orderId: string;
    version: number;
  }>(
    `WITH bounds AS MATERIALIZED (
       SELECT GREATEST($1::bigint, (SELECT min(from_xact) FROM webhook_endpoints WHERE enabled AND deleted_at IS NULL)) AS low,
         ${HORIZON} AS horizon
     ), steps AS MATERIALIZED (
       SELECT t.xact, t.order_id, t.version, t.at, ${EVENT_OF_STEP} AS type, ${EVENT_ID_OF_STEP} AS event_id
       FROM order_timeline t
       WHERE t.xact >= (SELECT low FROM bounds) AND t.xact < (SELECT LEAST(horizon, low + $4) FROM bounds)
         AND (t.xact, t.order_id, t.version) > ($1, $2::uuid, $3) AND ${EVENT_OF_STEP} IS NOT NULL
       ORDER BY t.xact, t.order_id, t.version LIMIT $5
     ), told AS (
       INSERT INTO webhook_deliveries (endpoint_id, event_id, type, order_id, version, at)
       SELECT e.id, s.event_id, s.type, s.order_id, s.version, s.at
       FROM steps s JOIN webhook_endpoints e
         ON e.enabled AND e.deleted_at IS NULL AND s.xact >= e.from_xact AND s.type = ANY (e.events)
       ON CONFLICT (endpoint_id, event_id) DO NOTHING
     )
     SELECT LEAST(b.horizon, b.low + $4) AS high, b.horizon, (SELECT count(*)::int FROM steps) AS steps,
       l.xact, l.order_id AS "orderId", l.version
     FROM bounds b LEFT JOIN LATERAL
       (SELECT xact, order_id, version FROM steps ORDER BY xact DESC, order_id DESC, version DESC LIMIT 1) l ON true`,
    [xact, orderId, version, xactsMax, stepsMax],
  );
  const row = result.rows[0];
  if (!row) throw new Error("bounds are one row");
  const { high, horizon, steps } = row;
  const last = row.xact === null ? undefined : { xact: row.xact, orderId: row.orderId, version: row.version };
  return { high, horizon, steps, last };
}

async function moveCursor(client: pg.ClientBase, { xact, orderId, version }: Cursor): Promise<void> {
  await client.query("UPDATE webhook_cursor SET xact = $1, order_id = $2, version = $3", [xact, orderId, version]);
}

async function restart(client: pg.ClientBase, horizon: number): Promise<void> {
  await moveCursor(client, { xact: horizon, orderId: NO_ORDER, version: 0 });
  await client.query("UPDATE webhook_endpoints SET from_xact = $1 WHERE from_xact > $1", [horizon]);
}
