// Members' inboxes in Postgres. They are collected when somebody looks: every step of the member's orders and every answer of
// support that is not in the inbox yet is numbered and laid into it, under a lock on the inbox. So each is in it exactly once,
// under a number that is higher than all that were seen before, however late its transaction was visible.
import type pg from "pg";
import type { FulfilmentState } from "../fulfilment.ts";
import { type Queryable, transaction } from "../ledger/database.ts";
import type { CancelReason, OrderStatus } from "../order-state.ts";

export const NOTIFICATION_KINDS = ["order", "support"] as const;
/** Collected by one statement for each kind; the next one goes on. */
const COLLECTED_MAX = 5_000;

interface Notified {
  /** The inbox' version with it: its name, and its place. */
  readonly version: number;
  readonly at: Date;
  readonly isRead: boolean;
}
/** An order came to a state. */
export interface OrderNotification extends Notified {
  readonly kind: "order";
  readonly orderId: string;
  readonly orderVersion: number;
  readonly status: OrderStatus;
  readonly reason: CancelReason | null;
  readonly fulfilment: FulfilmentState | null;
}
/** The shop wrote in a support thread. */
export interface SupportNotification extends Notified {
  readonly kind: "support";
  readonly threadId: string;
  readonly messageVersion: number;
}
export type Notification = OrderNotification | SupportNotification;

/** An inbox at one instant. */
export interface Inbox {
  /** Grows with each notification and each time that some are read. */
  readonly version: number;
  readonly unread: number;
  /** In order; the newest ones when there are more than were asked for. */
  readonly notifications: readonly Notification[];
}

const COLUMNS = `n.version, n.kind, n.order_id AS "orderId", n.order_version AS "orderVersion", n.status, n.reason, n.fulfilment,
  n.thread_id AS "threadId", n.message_version AS "messageVersion", n.at, n.read_at IS NOT NULL AS "isRead"`;
/** The sum of the versions of what member `w.id` is told of. */
const TO_SEE = `((SELECT coalesce(sum(o.version), 0) FROM orders o WHERE o.customer_id = w.id)
  + (SELECT coalesce(sum(t.version), 0) FROM support_threads t WHERE t.customer_id = w.id))`;

/** Lays what is new into the members' inboxes, as far as one go may. @returns whether there may be more */
export async function collectNotifications(pool: pg.Pool, customerIds: readonly string[]): Promise<boolean> {
  const behind = await findBehind(pool, customerIds);
  if (behind.length === 0) return false;
  return await transaction(pool, async (client) => {
    await lockInboxes(client, behind);
    return (await collect(client, behind)) >= COLLECTED_MAX;
  });
}

async function findBehind(db: Queryable, customerIds: readonly string[]): Promise<string[]> {
  const result = await db.query<{ id: string }>(
    `SELECT w.id FROM unnest($1::text[]) AS w (id) LEFT JOIN notification_inboxes i ON i.customer_id = w.id
     WHERE coalesce(i.seen, 0) <> ${TO_SEE}`,
    [customerIds],
  );
  return result.rows.map(({ id }) => id);
}

/** Opens those that are not there yet, and holds all of them, in one order. */
async function lockInboxes(client: pg.ClientBase, customerIds: readonly string[]): Promise<void> {
  const sorted = [...new Set(customerIds)].sort();
  await client.query(
    "INSERT INTO notification_inboxes (customer_id) SELECT unnest($1::text[]) ON CONFLICT (customer_id) DO NOTHING",
    [sorted],
  );
  await client.query(
    "SELECT FROM notification_inboxes WHERE customer_id = ANY($1) ORDER BY customer_id FOR NO KEY UPDATE",
    [sorted],
  );
}

/** Within the transaction that holds the inboxes. @returns how many notifications were laid in */
async function collect(client: pg.ClientBase, customerIds: readonly string[]): Promise<number> {
  const result = await client.query<{ collected: number }>(
    `WITH w AS (SELECT unnest($1::text[]) AS id), due AS (
       SELECT * FROM (
         SELECT o.customer_id, 'order' AS kind, t.order_id, t.version AS order_version, t.status,
           coalesce(t.reason, CASE WHEN t.status = 'CANCELLED' THEN o.reason END) AS reason, t.fulfilment, NULL::uuid AS thread_id, NULL::bigint AS message_version, t.at,
           -- Clocks may disagree between two steps of an order; their order does not.
           max(t.at) OVER (PARTITION BY t.order_id ORDER BY t.version) AS not_before
         FROM w JOIN orders o ON o.customer_id = w.id
         CROSS JOIN LATERAL (SELECT coalesce(max(n.order_version), 0) AS version FROM notifications n
           WHERE n.order_id = o.id) had
         JOIN order_timeline t ON t.order_id = o.id AND t.version > had.version AND t.version <= o.version
         WHERE o.version > had.version ORDER BY not_before, t.order_id, t.version LIMIT $2) orders
       UNION ALL SELECT * FROM (
         SELECT t.customer_id, 'support', NULL::uuid, NULL::integer, NULL, NULL, NULL, m.thread_id, m.version, m.at, m.at
         FROM w JOIN support_threads t ON t.customer_id = w.id
         CROSS JOIN LATERAL (SELECT coalesce(max(n.message_version), 0) AS version FROM notifications n
           WHERE n.thread_id = t.id) had
         JOIN support_messages m ON m.thread_id = t.id AND m.side = 'agent' AND m.version > had.version
         ORDER BY m.at, m.thread_id, m.version LIMIT $2) threads
     ), laid AS (
       INSERT INTO notifications (customer_id, version, kind, order_id, order_version, status, reason, fulfilment, thread_id,
         message_version, at)
       SELECT d.customer_id, i.version + row_number() OVER (PARTITION BY d.customer_id
           ORDER BY d.not_before, d.order_id, d.order_version, d.message_version), d.kind, d.order_id, d.order_version, d.status, d.reason,
         d.fulfilment, d.thread_id, d.message_version, d.at
       FROM due d JOIN notification_inboxes i ON i.customer_id = d.customer_id
       RETURNING customer_id
     ), counted AS (
       SELECT customer_id, count(*) AS laid FROM laid GROUP BY customer_id
     ), total AS (
       SELECT count(*)::int AS laid FROM laid
     ), noted AS (
       UPDATE notification_inboxes i SET version = i.version + coalesce((SELECT c.laid FROM counted c
           WHERE c.customer_id = i.customer_id), 0),
         -- Cut short: the next look goes on.
         seen = CASE WHEN (SELECT laid FROM total) >= $2 THEN -1 ELSE ${TO_SEE} END
       FROM w WHERE i.customer_id = w.id
     )
     SELECT laid AS collected FROM total`,
    [customerIds, COLLECTED_MAX],
  );
  return result.rows[0]?.collected ?? 0;
}

type InboxRow = { readonly id: string; readonly version: number; readonly unread: number };
type Json<T> = T extends Notification ? Omit<T, "at"> & { readonly at: string } : never;

/** Reads inboxes with their notifications after each one's version, at most `notificationsMax` of each. */
export async function readInboxes(
  db: Queryable,
  wanted: readonly { readonly id: string; readonly since: number }[],
  notificationsMax: number,
): Promise<Map<string, Inbox>> {
  const result = await db.query<InboxRow & { notifications: Json<Notification>[] }>(
    `SELECT w.id, coalesce(i.version, 0) AS version,
       (SELECT count(*)::int FROM notifications n WHERE n.customer_id = w.id AND n.read_at IS NULL) AS unread,
       coalesce((SELECT json_agg(r ORDER BY r.version) FROM (SELECT ${COLUMNS} FROM notifications n
         WHERE n.customer_id = w.id AND n.version > w.since ORDER BY n.version DESC LIMIT $3) r), '[]') AS notifications
     FROM unnest($1::text[], $2::bigint[]) AS w (id, since)
     LEFT JOIN notification_inboxes i ON i.customer_id = w.id`,
    [wanted.map(({ id }) => id), wanted.map(({ since }) => since), notificationsMax],
  );
  return new Map(
    result.rows.map(({ id, version, unread, notifications }) => [
      id,
      { version, unread, notifications: notifications.map((n) => ({ ...n, at: new Date(n.at) })) },
    ]),
  );
}

/** A page of notifications, newest first. `before`: the version after which the page starts. */
export async function listNotifications(
  db: Queryable,
  customerId: string,
  page: { readonly limit: number; readonly before?: number | undefined; readonly unreadOnly: boolean },
): Promise<Notification[]> {
  const result = await db.query<Notification>(
    `SELECT ${COLUMNS} FROM notifications n
     WHERE n.customer_id = $1 AND ($2::bigint IS NULL OR n.version < $2) AND (NOT $3 OR n.read_at IS NULL)
     ORDER BY n.version DESC LIMIT $4`,
    [customerId, page.before ?? null, page.unreadOnly, page.limit],
  );
  return result.rows;
}

export async function countUnread(db: Queryable, customerId: string): Promise<number> {
  const result = await db.query<{ unread: number }>(
    "SELECT count(*)::int AS unread FROM notifications WHERE customer_id = $1 AND read_at IS NULL",
    [customerId],
  );
  return result.rows[0]?.unread ?? 0;
}

/** Marks one as read. @returns it; `undefined` when the member has none of that version */
export async function markRead(pool: pg.Pool, customerId: string, version: number): Promise<Notification | undefined> {
  await readUpTo(pool, customerId, version, version);
  const result = await pool.query<Notification>(
    `SELECT ${COLUMNS} FROM notifications n WHERE n.customer_id = $1 AND n.version = $2`,
    [customerId, version],
  );
  return result.rows[0];
}

/** Marks all up to this version as read, so that what came after the member looked stays new. */
export async function markAllRead(pool: pg.Pool, customerId: string, version: number): Promise<void> {
  await readUpTo(pool, customerId, 1, version);
}

async function readUpTo(pool: pg.Pool, customerId: string, from: number, to: number): Promise<void> {
  await transaction(pool, async (client) => {
    // In the order in which collecting takes them.
    await client.query("SELECT FROM notification_inboxes WHERE customer_id = $1 FOR NO KEY UPDATE", [customerId]);
    await client.query(
      `WITH marked AS (
         UPDATE notifications SET read_at = clock_timestamp()
         WHERE customer_id = $1 AND version BETWEEN $2 AND $3 AND read_at IS NULL RETURNING version
       )
       UPDATE notification_inboxes SET version = version + 1 WHERE customer_id = $1 AND EXISTS (SELECT FROM marked)`,
      [customerId, from, to],
    );
  });
}

/** Those of the inboxes that have moved on from the version given, or have something to collect. */
export async function findInboxesMovedOn(
  db: Queryable,
  watched: readonly { readonly id: string; readonly version: number }[],
): Promise<string[]> {
  const result = await db.query<{ id: string }>(
    `SELECT w.id FROM unnest($1::text[], $2::bigint[]) AS w (id, version)
     LEFT JOIN notification_inboxes i ON i.customer_id = w.id
     WHERE coalesce(i.version, 0) > w.version OR coalesce(i.seen, 0) <> ${TO_SEE}`,
    [watched.map(({ id }) => id), watched.map(({ version }) => version)],
  );
  return result.rows.map(({ id }) => id);
}

/** A member's newest orders: those of which news is likely. */
export async function listNewestOrderIds(db: Queryable, customerId: string, limit: number): Promise<string[]> {
  const result = await db.query<{ id: string }>(
    "SELECT id FROM orders WHERE customer_id = $1 ORDER BY placed_at DESC, id DESC LIMIT $2",
    [customerId, limit],
  );
  return result.rows.map(({ id }) => id);
}

/** Erases a member's inbox. Within the caller's transaction. */
export async function eraseInbox(db: Queryable, customerId: string): Promise<void> {
  await db.query("DELETE FROM notification_inboxes WHERE customer_id = $1", [customerId]);
}
