// The inbox of payment providers' webhooks. A row's primary key is the event's id: a delivery that comes again changes
// nothing. An event says only which charge or refund to ask the provider about; what it claims has happened is not kept.
import type { Queryable } from "./database.ts";

export interface PaymentEvent {
  /** The provider's name for it; the same at each delivery. */
  readonly id: string;
  readonly type: string;
  /** The charge's or the refund's key; `null` for events about something else, which are only noted. */
  readonly key: string | null;
  /** Unix time of the delivery, in seconds. */
  readonly timestampSeconds: number;
}

/** How long an event is remembered: far longer than a delivery can be old (engine/webhooks/signature.ts). */
export const PAYMENT_EVENTS_KEPT_DAYS = 30;

/** Notes events. @returns those that were not known */
export async function recordPaymentEvents(
  db: Queryable,
  events: readonly PaymentEvent[],
): Promise<Pick<PaymentEvent, "id" | "key">[]> {
  const result = await db.query<Pick<PaymentEvent, "id" | "key">>(
    `INSERT INTO payment_events (id, type, key, sent_at, handled_at)
     SELECT id, type, key, to_timestamp(sent), CASE WHEN key IS NULL THEN now() END
     FROM unnest($1::text[], $2::text[], $3::text[], $4::float8[]) AS t (id, type, key, sent)
     ORDER BY id ON CONFLICT (id) DO NOTHING RETURNING id, key`,
    [
      events.map(({ id }) => id),
      events.map(({ type }) => type),
      events.map(({ key }) => key),
      events.map(({ timestampSeconds }) => timestampSeconds),
    ],
  );
  return result.rows;
}

/** The keys of those of the events that nobody has handled. */
export async function findUnhandledEvents(
  db: Queryable,
  ids: readonly string[],
): Promise<{ readonly id: string; readonly key: string }[]> {
  const result = await db.query<{ id: string; key: string }>(
    "SELECT id, key FROM payment_events WHERE id = ANY($1::text[]) AND handled_at IS NULL AND key IS NOT NULL",
    [ids],
  );
  return result.rows;
}

/** Notes that the provider has been asked. */
export async function markEventsHandled(db: Queryable, ids: readonly string[]): Promise<void> {
  await db.query("UPDATE payment_events SET handled_at = now() WHERE id = ANY($1::text[]) AND handled_at IS NULL", [
    ids,
  ]);
}

/** Events that have waited for `olderThanMs`: their job was lost, or waits its turn. */
export async function listWaitingEvents(db: Queryable, olderThanMs: number, limit: number): Promise<string[]> {
  const result = await db.query<{ id: string }>(
    `SELECT id FROM payment_events WHERE handled_at IS NULL AND received_at < now() - $1 * interval '1 millisecond'
     ORDER BY received_at LIMIT $2`,
    [olderThanMs, limit],
  );
  return result.rows.map(({ id }) => id);
}

/** Forgets what has been handled and is older than {@link PAYMENT_EVENTS_KEPT_DAYS}. @returns how many */
export async function forgetOldEvents(db: Queryable, limit: number): Promise<number> {
  const result = await db.query(
    `DELETE FROM payment_events WHERE id IN (
       SELECT id FROM payment_events WHERE handled_at IS NOT NULL AND received_at < now() - make_interval(days => $1)
       ORDER BY received_at LIMIT $2)`,
    [PAYMENT_EVENTS_KEPT_DAYS, limit],
  );
  return result.rowCount ?? 0;
}
