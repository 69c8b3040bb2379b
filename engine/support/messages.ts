// What is written in support threads, in Postgres.
import pg from "pg";
import { OnrushError } from "../errors.ts";
import type { Queryable } from "../ledger/database.ts";
import { type Message, type Participant, sideOf, THREAD_MESSAGES_MAX, type Thread } from "./thread.ts";
import { findThread, noThread, THREAD_COLUMNS } from "./threads.ts";

const MESSAGE_COLUMNS = `m.id, m.version, m.side, m.author_id AS "authorId", m.client_id AS "clientId", m.text, m.at`;

export interface NewMessage {
  readonly threadId: string;
  readonly text: string;
  readonly clientId?: string | undefined;
}

export interface Posted {
  readonly message: Message;
  /** True when the author had sent it before under the same `clientId`. */
  readonly isReplayed: boolean;
}

const UNIQUE_VIOLATION = "23505";

/**
 * Adds a message to a thread; a closed one is open again with it.
 *
 * @throws OnrushError with `NOT_FOUND`, or `INVALID_STATE` when the thread holds as many as it may
 */
export async function postMessage(db: Queryable, author: Participant, message: NewMessage): Promise<Posted> {
  const added = await insertMessage(db, author, message).catch((error: unknown) => {
    // The same one was sent twice at the same moment: the other one is in.
    if (error instanceof pg.DatabaseError && error.code === UNIQUE_VIOLATION) return undefined;
    throw error;
  });
  if (added) return { message: added, isReplayed: false };
  const thread = await findThread(db, message.threadId, author);
  if (!thread || sideOf(thread, author) === undefined) throw noThread();
  const earlier = message.clientId && (await findByClientId(db, author.id, message.threadId, message.clientId));
  if (earlier) return { message: earlier, isReplayed: true };
  throw new OnrushError("INVALID_STATE", `The thread has ${THREAD_MESSAGES_MAX} messages; begin another one.`, {
    messagesMax: THREAD_MESSAGES_MAX,
  });
}

async function insertMessage(
  db: Queryable,
  { id, isAgent }: Participant,
  { threadId, text, clientId }: NewMessage,
): Promise<Message | undefined> {
  const result = await db.query<Message>(
    `WITH t AS (
       UPDATE support_threads SET version = version + 1, messages = messages + 1, state = 'open',
         updated_at = date_trunc('milliseconds', clock_timestamp())
       WHERE id = $1 AND (customer_id = $2 OR $3) AND messages < $6
         AND NOT EXISTS (SELECT FROM support_messages WHERE thread_id = $1 AND author_id = $2 AND client_id = $4)
       RETURNING *
     )
     INSERT INTO support_messages AS m (thread_id, version, side, author_id, client_id, text, at)
     SELECT id, version, CASE WHEN customer_id = $2 THEN 'customer' ELSE 'agent' END, $2, $4, $5, updated_at FROM t
     RETURNING ${MESSAGE_COLUMNS}`,
    [threadId, id, isAgent, clientId ?? null, text, THREAD_MESSAGES_MAX],
  );
  return result.rows[0];
}

async function findByClientId(
  db: Queryable,
  authorId: string,
  threadId: string,
  clientId: string,
): Promise<Message | undefined> {
  const result = await db.query<Message>(
    `SELECT ${MESSAGE_COLUMNS} FROM support_messages m WHERE m.thread_id = $1 AND m.author_id = $2 AND m.client_id = $3`,
    [threadId, authorId, clientId],
  );
  return result.rows[0];
}

/** A thread's messages, newest first. `before`: the version after which the page starts. */
export async function listMessages(
  db: Queryable,
  threadId: string,
  { limit, before }: { readonly limit: number; readonly before?: number | undefined },
): Promise<Message[]> {
  const result = await db.query<Message>(
    `SELECT ${MESSAGE_COLUMNS} FROM support_messages m
     WHERE m.thread_id = $1 AND ($2::bigint IS NULL OR m.version < $2) ORDER BY m.version DESC LIMIT $3`,
    [threadId, before ?? null, limit],
  );
  return result.rows;
}

/** A thread at one instant, with what was written since a version. */
export interface ThreadNews {
  readonly thread: Thread;
  /** In order; the newest ones when there are more than were asked for. */
  readonly messages: readonly Message[];
}

type NewsRow = Thread & { readonly messages: readonly (Omit<Message, "at"> & { readonly at: string })[] };

/** Reads threads with their messages after each one's version, at most `messagesMax` of each. Ids are UUIDs. */
export async function readThreads(
  db: Queryable,
  wanted: readonly { readonly id: string; readonly since: number }[],
  messagesMax: number,
): Promise<Map<string, ThreadNews>> {
  const result = await db.query<NewsRow>(
    `SELECT ${THREAD_COLUMNS}, coalesce(n.messages, '[]') AS messages
     FROM unnest($1::uuid[], $2::bigint[]) AS w (id, since)
     JOIN support_threads t ON t.id = w.id
     LEFT JOIN LATERAL (
       SELECT json_agg(json_build_object('id', m.id, 'version', m.version, 'side', m.side, 'authorId', m.author_id,
         'clientId', m.client_id, 'text', m.text, 'at', m.at) ORDER BY m.version) AS messages
       FROM (SELECT * FROM support_messages WHERE thread_id = t.id AND version > w.since
             ORDER BY version DESC LIMIT $3) m
     ) n ON true`,
    [wanted.map(({ id }) => id), wanted.map(({ since }) => since), messagesMax],
  );
  return new Map(
    result.rows.map(({ messages, ...thread }) => [
      thread.id,
      { thread, messages: messages.map((message) => ({ ...message, at: new Date(message.at) })) },
    ]),
  );
}
