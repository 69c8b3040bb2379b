// Sessions: a sign-in, and the refresh tokens that follow one another in it. Each refresh token is good once. One that
// comes a second time means that two parties have it, so the whole session ends, whichever of them was the thief.
import { randomUUID } from "node:crypto";
import type { Queryable } from "../ledger/database.ts";
import { hashSecret, makeSecret } from "./secrets.ts";

/** A session lasts this long after its last refresh. */
export const SESSION_SECONDS = 14 * 24 * 3_600;
export type SessionEnd = "logout" | "reuse" | "password" | "roles" | "erased";

export interface StartedSession {
  readonly sessionId: string;
  readonly refreshToken: string;
}

export type Refreshed =
  | ({ readonly type: "refreshed"; readonly userId: string } & StartedSession)
  /** The token was used before: its session has been ended. */
  | { readonly type: "reused"; readonly sessionId: string }
  | { readonly type: "unknown" };

export async function startSession(db: Queryable, userId: string): Promise<StartedSession> {
  const [sessionId, refreshToken] = [randomUUID(), makeSecret()];
  await db.query(
    `WITH session AS (INSERT INTO sessions (id, user_id, expires_at) VALUES ($1, $2, now() + $3 * interval '1 second'))
     INSERT INTO refresh_tokens (hash, session_id) VALUES ($4, $1)`,
    [sessionId, userId, SESSION_SECONDS, hashSecret(refreshToken)],
  );
  return { sessionId, refreshToken };
}

/** Exchanges a refresh token for the next one of its session. Of two at once with the same token, one ends the session. */
export async function refreshSession(db: Queryable, refreshToken: string): Promise<Refreshed> {
  const next = makeSecret();
  const exchanged = await db.query<{ sessionId: string; userId: string }>(
    `WITH used AS (
       UPDATE refresh_tokens t SET used_at = now() FROM sessions s
       WHERE t.hash = $1 AND t.used_at IS NULL AND s.id = t.session_id AND s.ended_at IS NULL AND s.expires_at > now()
       RETURNING s.id, s.user_id),
     extended AS (
       UPDATE sessions SET expires_at = now() + $3 * interval '1 second' WHERE id IN (SELECT id FROM used)),
     next AS (INSERT INTO refresh_tokens (hash, session_id) SELECT $2, id FROM used)
     SELECT id AS "sessionId", user_id AS "userId" FROM used`,
    [hashSecret(refreshToken), hashSecret(next), SESSION_SECONDS],
  );
  const row = exchanged.rows[0];
  if (row) return { type: "refreshed", ...row, refreshToken: next };
  const ended = await db.query<{ id: string }>(
    `UPDATE sessions SET ended_at = now(), end_reason = 'reuse' WHERE ended_at IS NULL AND id =
       (SELECT session_id FROM refresh_tokens WHERE hash = $1 AND used_at IS NOT NULL) RETURNING id`,
    [hashSecret(refreshToken)],
  );
  const sessionId = ended.rows[0]?.id;
  return sessionId === undefined ? { type: "unknown" } : { type: "reused", sessionId };
}

/** @returns whether it was under way */
export async function endSession(db: Queryable, sessionId: string, reason: SessionEnd): Promise<boolean> {
  const result = await db.query(
    "UPDATE sessions SET ended_at = now(), end_reason = $2 WHERE id = $1 AND ended_at IS NULL",
    [sessionId, reason],
  );
  return result.rowCount === 1;
}

/** Ends all sessions of a user, but for one if that is named. @returns their ids */
export async function endSessionsOf(
  db: Queryable,
  userId: string,
  reason: SessionEnd,
  except?: string,
): Promise<string[]> {
  const result = await db.query<{ id: string }>(
    `UPDATE sessions SET ended_at = now(), end_reason = $2
     WHERE user_id = $1 AND ended_at IS NULL AND id IS DISTINCT FROM $3::uuid RETURNING id`,
    [userId, reason, except ?? null],
  );
  return result.rows.map((row) => row.id);
}

/** Sessions and keys that ended within the last `seconds`: their access tokens may still be about. */
export async function listEnded(db: Queryable, seconds: number): Promise<string[]> {
  const result = await db.query<{ id: string }>(
    `SELECT id::text FROM sessions WHERE ended_at > now() - $1 * interval '1 second'
     UNION ALL SELECT id FROM api_keys WHERE revoked_at > now() - $1 * interval '1 second'`,
    [seconds],
  );
  return result.rows.map((row) => row.id);
}

const DELETED_PER_CALL = 1_000;
const KEPT_AFTER_THEIR_END_DAYS = 7;

/** Deletes what has been over for days: sessions with their tokens, and links. @returns how many sessions */
export async function deleteExpired(db: Queryable): Promise<number> {
  await db.query(
    `DELETE FROM mailed_links WHERE hash IN
       (SELECT hash FROM mailed_links WHERE expires_at < now() - $1 * interval '1 day' LIMIT $2)`,
    [KEPT_AFTER_THEIR_END_DAYS, DELETED_PER_CALL],
  );
  const result = await db.query(
    `DELETE FROM sessions WHERE id IN (
       SELECT id FROM sessions WHERE expires_at < now() - $1 * interval '1 day'
       UNION SELECT id FROM sessions WHERE ended_at < now() - $1 * interval '1 day' LIMIT $2)`,
    [KEPT_AFTER_THEIR_END_DAYS, DELETED_PER_CALL],
  );
  return result.rowCount ?? 0;
}
