// Users in Postgres.
import { randomInt } from "node:crypto";
import type { Queryable } from "../ledger/database.ts";
import type { Role } from "./roles.ts";

export interface User {
  readonly id: string;
  readonly email: string;
  readonly name: string;
  readonly passwordHash: string;
  readonly roles: readonly Role[];
  readonly createdAt: Date;
}

const COLUMNS = `id, email, name, password_hash AS "passwordHash", roles, created_at AS "createdAt"`;
const ID_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz";
const ID_CHARACTERS = 24;

/** A new member's id: `cus_` and 24 characters, 124 random bits. */
export function makeCustomerId(): string {
  return `cus_${Array.from({ length: ID_CHARACTERS }, () => ID_ALPHABET[randomInt(ID_ALPHABET.length)]).join("")}`;
}

export async function findUserByEmail(db: Queryable, email: string): Promise<User | undefined> {
  const result = await db.query<User>(`SELECT ${COLUMNS} FROM users WHERE email = $1`, [email]);
  return result.rows[0];
}

export async function findUser(db: Queryable, id: string): Promise<User | undefined> {
  const result = await db.query<User>(`SELECT ${COLUMNS} FROM users WHERE id = $1`, [id]);
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
