// Support threads in Postgres. Every change of a thread is one statement on its row, which gives it the next version.
import type pg from "pg";
import { OnrushError } from "../errors.ts";
import { type Queryable, transaction } from "../ledger/database.ts";
import { OPEN_THREADS_MAX, type Participant, type Thread, type ThreadState } from "./thread.ts";

export const THREAD_COLUMNS = `t.id, t.customer_id AS "customerId", t.subject, t.state, t.version,
  t.customer_read AS "customerRead", t.agent_read AS "agentRead", t.created_at AS "createdAt", t.updated_at AS "updatedAt"`;

/** A thread in a list, with the messages of the other side that the caller has not read. */
export interface ListedThread extends Thread {
  readonly unread: number;
}

export interface ThreadSearch {
  readonly limit: number;
  /** The last one of the page before. */
  readonly before?: { readonly updatedAt: Date; readonly id: string } | undefined;
  readonly state?: ThreadState | undefined;
  readonly customerId?: string | undefined;
}

/**
 * Opens a thread with its first message.
 *
 * @throws OnrushError with `LIMIT_EXCEEDED` when the member has too many open ones
 */
export async function openThread(
  pool: pg.Pool,
  thread: { readonly customerId: string; readonly subject: string; readonly text: string },
): Promise<Thread> {
  return await transaction(pool, async (client) => {
    await lockThreadsOf(client, thread.customerId);
    const opened = await insertThread(client, thread);
    if (!opened) {
      throw new OnrushError("LIMIT_EXCEEDED", `At most ${OPEN_THREADS_MAX} threads of a member are open at a time.`, {
        openMax: OPEN_THREADS_MAX,
      });
    }
    return opened;
  });
}

/** Lets those pass one by one that open threads for the same member, so that they count right. */
async function lockThreadsOf(client: pg.ClientBase, customerId: string): Promise<void> {
  await client.query("SELECT pg_advisory_xact_lock(hashtextextended('support:' || $1, 0))", [customerId]);
}

async function insertThread(
  client: pg.ClientBase,
  { customerId, subject, text }: { customerId: string; subject: string; text: string },
): Promise<Thread | undefined> {
  const result = await client.query<Thread>(
    `WITH t AS (
       INSERT INTO support_threads (customer_id, subject)
       SELECT $1, $2 WHERE (SELECT count(*) FROM support_threads WHERE customer_id = $1 AND state = 'open') < $4
       RETURNING *
     ), first AS (
       INSERT INTO support_messages (thread_id, version, side, author_id, text) SELECT id, version, 'customer', $1, $3 FROM t
     )
     SELECT ${THREAD_COLUMNS} FROM t`,
    [customerId, subject, text, OPEN_THREADS_MAX],
  );
  return result.rows[0];
}

/** Threads that the participant may see, the one that moved last first. */
export async function listThreads(
  db: Queryable,
  { id, isAgent }: Participant,
  { limit, before, state, customerId }: ThreadSearch,
): Promise<ListedThread[]> {
  const owner = isAgent ? customerId : id;
  if (!isAgent && customerId !== undefined && customerId !== id) return [];
  const result = await db.query<ListedThread>(
    `SELECT ${THREAD_COLUMNS}, (SELECT count(*)::int FROM support_messages m WHERE m.thread_id = t.id
         AND m.side = CASE WHEN t.customer_id = $1 THEN 'agent' ELSE 'customer' END
         AND m.version > CASE WHEN t.customer_id = $1 THEN t.customer_read ELSE t.agent_read END) AS unread
     FROM support_threads t
     WHERE ($2::text IS NULL OR t.customer_id = $2) AND ($3::text IS NULL OR t.state = $3)
       AND ($4::timestamptz IS NULL OR (t.updated_at, t.id) < ($4, $5::uuid))
     ORDER BY t.updated_at DESC, t.id DESC LIMIT $6`,
    [id, owner ?? null, state ?? null, before?.updatedAt ?? null, before?.id ?? null, limit],
  );
  return result.rows;
}

/** The thread if the participant may see it. `id` is a UUID. */
export async function findThread(db: Queryable, id: string, participant: Participant): Promise<Thread | undefined> {
  const result = await db.query<Thread>(
    `SELECT ${THREAD_COLUMNS} FROM support_threads t WHERE t.id = $1 AND (t.customer_id = $2 OR $3)`,
    [id, participant.id, participant.isAgent],
  );
  return result.rows[0];
}

/** Closes or opens the thread; one that is so already stays as it is. @throws OnrushError with `NOT_FOUND` */
export async function setThreadState(
  db: Queryable,
  id: string,
  participant: Participant,
  state: ThreadState,
): Promise<Thread> {
  const result = await db.query<Thread>(
    `UPDATE support_threads t SET state = $4, version = version + 1,
       updated_at = date_trunc('milliseconds', clock_timestamp())
     WHERE id = $1 AND (customer_id = $2 OR $3) AND state <> $4 RETURNING ${THREAD_COLUMNS}`,
    [id, participant.id, participant.isAgent, state],
  );
  const thread = result.rows[0] ?? (await findThread(db, id, participant));
  if (!thread) throw noThread();
  return thread;
}

/**
 * Notes how far the participant's side has read. Marks only move forward, and not beyond what there is; one that does not
 * move changes nothing.
 *
 * @throws OnrushError with `NOT_FOUND`
 */
export async function markThreadRead(
  db: Queryable,
  id: string,
  participant: Participant,
  version: number,
): Promise<Thread> {
  const result = await db.query<Thread>(
    `UPDATE support_threads t SET version = version + 1,
       customer_read = CASE WHEN customer_id = $2 THEN least($4, version) ELSE customer_read END,
       agent_read = CASE WHEN customer_id = $2 THEN agent_read ELSE least($4, version) END
     WHERE id = $1 AND (customer_id = $2 OR $3)
       AND EXISTS (SELECT FROM support_messages m WHERE m.thread_id = $1 AND m.version <= $4::bigint
         AND m.version > CASE WHEN customer_id = $2 THEN customer_read ELSE agent_read END)
     RETURNING ${THREAD_COLUMNS}`,
    [id, participant.id, participant.isAgent, version],
  );
  const thread = result.rows[0] ?? (await findThread(db, id, participant));
  if (!thread) throw noThread();
  return thread;
}

/** Those of the threads that have moved on from the version given. */
export async function findThreadsMovedOn(
  db: Queryable,
  watched: readonly { readonly id: string; readonly version: number }[],
): Promise<string[]> {
  const result = await db.query<{ id: string }>(
    `SELECT t.id FROM unnest($1::uuid[], $2::bigint[]) AS w (id, version)
     JOIN support_threads t ON t.id = w.id AND t.version > w.version`,
    [watched.map(({ id }) => id), watched.map(({ version }) => version)],
  );
  return result.rows.map(({ id }) => id);
}

/** Erases what a member wrote and was answered. Within the caller's transaction. */
export async function eraseThreadsOf(db: Queryable, customerId: string): Promise<void> {
  await db.query("DELETE FROM support_threads WHERE customer_id = $1", [customerId]);
}

export function noThread(): OnrushError {
  return new OnrushError("NOT_FOUND", "There is no such thread.");
}
