// Users in Postgres.

import type { Queryable } from "../ledger/database.ts";
import { isMemberId } from "./member-id.ts";
import type { Role } from "./roles.ts";
import { makeId } from "./secrets.ts";

export interface User {
  readonly id: string;
  /** Lower case. */
  readonly email: string;
  readonly name: string;
  readonly passwordHash: string;
  readonly roles: readonly Role[];
  readonly emailVerifiedAt: Date | null;
  readonly createdAt: Date;
}

const COLUMNS = `id, email, name, password_hash AS "passwordHash", roles, email_verified_at AS "emailVerifiedAt",
  created_at AS "createdAt"`;

/** A new member's id: `cus_` and 24 characters, 124 random bits. */
export function makeCustomerId(): string {
  return makeId("cus");
}

/** Whether there is, or was before an erasure, a member of this id. */
export async function isMemberKnown(db: Queryable, id: string): Promise<boolean> {
  if (!isMemberId(id)) return false;
  return (await db.query("SELECT FROM users WHERE id = $1", [id])).rowCount === 1;
}

/** The id of a member by the id, also of one who was erased, or by the e-mail. */
export async function findMemberId(db: Queryable, who: string): Promise<string | undefined> {
  const result = await db.query<{ id: string }>("SELECT id FROM users WHERE id = $1 OR email = lower($1)", [who]);
  return result.rows[0]?.id;
}

export async function findUserByEmail(db: Queryable, email: string): Promise<User | undefined> {
  const result = await db.query<User>(`SELECT ${COLUMNS} FROM users WHERE email = $1 AND erased_at IS NULL`, [email]);
  return result.rows[0];
}

export async function findUser(db: Queryable, id: string): Promise<User | undefined> {
  const result = await db.query<User>(`SELECT ${COLUMNS} FROM users WHERE id = $1 AND erased_at IS NULL`, [id]);
  return result.rows[0];
}

/** Creates a customer. @returns `undefined` when the e-mail belongs to somebody */
export async function createUser(
  db: Queryable,
  user: Pick<User, "id" | "email" | "name" | "passwordHash">,
): Promise<User | undefined> {
  const result = await db.query<User>(
    `INSERT INTO users (id, email, name, password_hash) VALUES ($1, $2, $3, $4)
     ON CONFLICT (email) DO NOTHING RETURNING ${COLUMNS}`,
    [user.id, user.email, user.name, user.passwordHash],
  );
  return result.rows[0];
}

export async function renameUser(db: Queryable, id: string, name: string): Promise<User | undefined> {
  const result = await db.query<User>(
    `UPDATE users SET name = $2, updated_at = now() WHERE id = $1 AND erased_at IS NULL RETURNING ${COLUMNS}`,
    [id, name],
  );
  return result.rows[0];
}

export async function setPasswordHash(db: Queryable, id: string, passwordHash: string): Promise<void> {
  await db.query("UPDATE users SET password_hash = $2, updated_at = now() WHERE id = $1 AND erased_at IS NULL", [
    id,
    passwordHash,
  ]);
}

export async function markEmailVerified(db: Queryable, id: string): Promise<User | undefined> {
  const result = await db.query<User>(
    `UPDATE users SET email_verified_at = coalesce(email_verified_at, now()), updated_at = now()
     WHERE id = $1 AND erased_at IS NULL RETURNING ${COLUMNS}`,
    [id],
  );
  return result.rows[0];
}

/** Creates a user, or gives the one with that e-mail this password and this role too. */
export async function upsertUserWithRole(
  db: Queryable,
  user: { id: string; email: string; name: string; passwordHash: string },
  role: Role,
): Promise<void> {
  await db.query(
    `INSERT INTO users (id, email, name, password_hash, roles) VALUES ($1, $2, $3, $4, ARRAY[$5::text])
     ON CONFLICT (email) DO UPDATE SET password_hash = EXCLUDED.password_hash, updated_at = now(),
       roles = CASE WHEN $5 = ANY(users.roles) THEN users.roles ELSE users.roles || $5::text END`,
    [user.id, user.email, user.name, user.passwordHash, role],
  );
}
