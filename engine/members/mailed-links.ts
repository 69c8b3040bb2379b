// Links that prove that somebody reads an e-mail address: to verify it, or to set a new password. Each is good once.
import type { Queryable } from "../ledger/database.ts";
import { hashSecret, makeSecret } from "./secrets.ts";

export const LINK_PURPOSES = ["verify_email", "reset_password"] as const;
export type LinkPurpose = (typeof LINK_PURPOSES)[number];

export const LINK_SECONDS: Readonly<Record<LinkPurpose, number>> = { verify_email: 48 * 3_600, reset_password: 3_600 };

/** Makes a link's token. Earlier ones of the same purpose stay good: a mail may come late, after its repetition. */
export async function makeLink(db: Queryable, userId: string, purpose: LinkPurpose): Promise<string> {
  const token = makeSecret();
  await db.query(
    `INSERT INTO mailed_links (hash, user_id, purpose, expires_at)
     VALUES ($1, $2, $3, now() + $4 * interval '1 second')`,
    [hashSecret(token), userId, purpose, LINK_SECONDS[purpose]],
  );
  return token;
}

/** Uses a link up. @returns whose it was; `undefined` when it is none, of another purpose, used or too old */
export async function useLink(db: Queryable, token: string, purpose: LinkPurpose): Promise<string | undefined> {
  const result = await db.query<{ userId: string }>(
    `UPDATE mailed_links SET used_at = now() WHERE hash = $1 AND purpose = $2 AND used_at IS NULL AND expires_at > now()
     RETURNING user_id AS "userId"`,
    [hashSecret(token), purpose],
  );
  return result.rows[0]?.userId;
}

/** Makes every open link of a user useless, as after a new password. */
export async function dropLinks(db: Queryable, userId: string): Promise<void> {
  await db.query("UPDATE mailed_links SET used_at = now() WHERE user_id = $1 AND used_at IS NULL", [userId]);
}
