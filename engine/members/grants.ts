// Who may do what: operators look up accounts, and give and take roles. A role that was taken ends the account's sessions,
// so that no access token goes on saying otherwise.
import type pg from "pg";
import type { Operator } from "../catalogue/operator.ts";
import { OnrushError } from "../errors.ts";
import { recordAudit } from "../ledger/audit.ts";
import { type Queryable, transaction } from "../ledger/database.ts";
import type { Role } from "./roles.ts";
import { endSessionsOf } from "./sessions.ts";

export interface Account {
  readonly id: string;
  readonly email: string;
  readonly name: string;
  readonly roles: readonly Role[];
  readonly createdAt: Date;
}

const COLUMNS = `id, email, name, roles, created_at AS "createdAt"`;

/** Accounts by e-mail. `query`: part of the e-mail or the name. `after`: the e-mail after which the page starts. */
export async function listAccounts(
  db: Queryable,
  page: { role?: Role | undefined; query?: string | undefined; limit: number; after?: string | undefined },
): Promise<Account[]> {
  const result = await db.query<Account>(
    `SELECT ${COLUMNS} FROM users
     WHERE erased_at IS NULL AND ($1::text IS NULL OR $1 = ANY(roles)) AND ($3::text IS NULL OR email > $3)
       AND ($2::text IS NULL OR strpos(lower(email), lower($2)) > 0 OR strpos(lower(name), lower($2)) > 0)
     ORDER BY email LIMIT $4`,
    [page.role ?? null, page.query ?? null, page.after ?? null, page.limit],
  );
  return result.rows;
}

/** Gives a role; one that the account has already changes nothing. @throws OnrushError with `NOT_FOUND` */
export async function grantRole(pool: pg.Pool, who: string, role: Role, operator: Operator): Promise<Account> {
  return await changeRoles(pool, who, "user.grant", operator, (roles) =>
    roles.includes(role) ? roles : [...roles, role],
  );
}

/**
 * Takes a role, and ends the account's sessions.
 *
 * @throws OnrushError with `NOT_FOUND`; `INVALID_STATE` for the last administrator
 */
export async function revokeRole(pool: pg.Pool, who: string, role: Role, operator: Operator): Promise<Account> {
  return await changeRoles(pool, who, "user.revoke", operator, async (roles, client, account) => {
    if (!roles.includes(role)) return roles;
    if (role === "admin") await refuseLastAdministrator(client, account);
    await endSessionsOf(client, account.id, "roles");
    return roles.filter((held) => held !== role);
  });
}

async function changeRoles(
  pool: pg.Pool,
  who: string,
  action: "user.grant" | "user.revoke",
  operator: Operator,
  change: (
    roles: readonly Role[],
    client: pg.ClientBase,
    account: Account,
  ) => readonly Role[] | Promise<readonly Role[]>,
): Promise<Account> {
  return await transaction(pool, async (client) => {
    const account = await lockAccount(client, who);
    const roles = await change(account.roles, client, account);
    if (roles.length === account.roles.length) return account;
    await client.query("UPDATE users SET roles = $2, updated_at = now() WHERE id = $1", [account.id, roles]);
    const subject = `user:${account.id}`;
    await recordAudit(client, { ...operator, action, subject, before: { roles: account.roles }, after: { roles } });
    return { ...account, roles };
  });
}

/**
 * Locks an account, and the roles of all, until the transaction ends. `who`: its id or e-mail.
 *
 * @throws OnrushError with `NOT_FOUND`
 */
export async function lockAccount(client: pg.ClientBase, who: string): Promise<Account> {
  // Of two who take the last two administrators away at once, the second has to see what the first did.
  await client.query("SELECT pg_advisory_xact_lock(hashtext('onrush roles'))");
  const found = await client.query<Account>(
    `SELECT ${COLUMNS} FROM users WHERE (id = $1 OR email = lower($1)) AND erased_at IS NULL FOR UPDATE`,
    [who],
  );
  const [account] = found.rows;
  if (!account) throw new OnrushError("NOT_FOUND", `There is no account ${who}.`, { who });
  return account;
}

/** @throws OnrushError with `INVALID_STATE` when this one, locked, is the only administrator */
export async function refuseLastAdministrator(client: pg.ClientBase, { id, roles }: Account): Promise<void> {
  if (!roles.includes("admin") || (await hasOtherAdministrator(client, id))) return;
  throw new OnrushError("INVALID_STATE", "This is the last administrator.", { id });
}

async function hasOtherAdministrator(db: Queryable, id: string): Promise<boolean> {
  const result = await db.query<{ other: boolean }>(
    "SELECT EXISTS (SELECT FROM users WHERE 'admin' = ANY(roles) AND id <> $1 AND erased_at IS NULL) AS other",
    [id],
  );
  return result.rows[0]?.other === true;
}
