// Keys by which servers call the API in place of a person's token.
import type { Queryable } from "../ledger/database.ts";
import type { Role } from "./roles.ts";
import { hashSecret, makeId, makeSecret } from "./secrets.ts";

export const API_KEY_PREFIX = "ork_";
/** A shop has a handful; this only bounds what a listing costs. */
export const API_KEYS_MAX = 1_000;

export interface ApiKey {
  readonly id: string;
  readonly name: string;
  readonly roles: readonly Role[];
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  readonly revokedAt: Date | null;
}

const COLUMNS = `id, name, roles, created_by AS "createdBy", created_at AS "createdAt", expires_at AS "expiresAt",
  revoked_at AS "revokedAt"`;

/** Makes a key. The secret is shown here and never again. */
export async function createApiKey(
  db: Queryable,
  key: Pick<ApiKey, "name" | "roles" | "createdBy"> & { readonly expiresAt: Date | null },
): Promise<{ readonly key: ApiKey; readonly secret: string }> {
  const secret = `${API_KEY_PREFIX}${makeSecret()}`;
  const result = await db.query<ApiKey>(
    `INSERT INTO api_keys (id, hash, name, roles, created_by, expires_at) VALUES ($1, $2, $3, $4, $5, $6)
     RETURNING ${COLUMNS}`,
    [makeId("key"), hashSecret(secret), key.name, key.roles, key.createdBy, key.expiresAt],
  );
  return { key: result.rows[0] as ApiKey, secret };
}

/** Newest first. */
export async function listApiKeys(db: Queryable): Promise<ApiKey[]> {
  const result = await db.query<ApiKey>(
    `SELECT ${COLUMNS} FROM api_keys ORDER BY created_at DESC, id LIMIT ${API_KEYS_MAX}`,
  );
  return result.rows;
}

/** The key of this secret, if it is good now. */
export async function findApiKey(db: Queryable, secret: string): Promise<ApiKey | undefined> {
  const result = await db.query<ApiKey>(
    `SELECT ${COLUMNS} FROM api_keys
     WHERE hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())`,
    [hashSecret(secret)],
  );
  return result.rows[0];
}

/** @returns whether there was such a key that was not revoked yet */
export async function revokeApiKey(db: Queryable, id: string): Promise<boolean> {
  const result = await db.query("UPDATE api_keys SET revoked_at = now() WHERE id = $1 AND revoked_at IS NULL", [id]);
  return result.rowCount === 1;
}
