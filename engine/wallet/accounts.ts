// The accounts of wallets: one a member and currency. Whoever moves money holds the rows of the members' accounts that it
// moves, taken in the order of their ids, from before the balance is read until the transfer is committed.
import pg from "pg";
import { type Queryable, transaction } from "../ledger/database.ts";
import { DEFAULT_CURRENCY } from "../money.ts";

export interface Balance {
  readonly currency: string;
  /** Minor units of the currency, never below 0. */
  readonly balance: number;
}

/** What a member has. `balance` and `currency`: the account that was asked for. */
export interface Wallet extends Balance {
  readonly customerId: string;
  /** All accounts of the member, the oldest first; empty: nothing was ever paid in. */
  readonly balances: readonly Balance[];
}

/**
 * Reads a member's wallet. One without an account has 0, also when nobody has that id.
 *
 * @param currency which account; left out: that in the currency prices have by default, or the oldest where there is none
 */
export async function readWallet(db: Queryable, customerId: string, currency?: string): Promise<Wallet> {
  const result = await db.query<Balance>("SELECT currency, balance FROM wallet_accounts WHERE owner = $1 ORDER BY id", [
    customerId,
  ]);
  const balances = result.rows;
  const wanted = balances.find((account) => account.currency === (currency ?? DEFAULT_CURRENCY));
  const shown = wanted ?? (currency === undefined ? balances[0] : undefined);
  return { customerId, ...(shown ?? { balance: 0, currency: currency ?? DEFAULT_CURRENCY }), balances };
}

export interface LockedAccount extends Balance {
  readonly id: number;
  readonly owner: string;
}

/** Locks the accounts of these members and currencies, those that exist. The two lists belong together. */
export async function lockAccounts(
  client: pg.ClientBase,
  owners: readonly string[],
  currencies: readonly string[],
): Promise<LockedAccount[]> {
  const result = await client.query<LockedAccount>({
    name: "lockWalletAccounts",
    text: `SELECT id, owner, currency, balance FROM wallet_accounts
     WHERE (owner, currency) IN (SELECT * FROM unnest($1::text[], $2::text[])) AND balance IS NOT NULL
     ORDER BY id FOR NO KEY UPDATE`,
    values: [owners, currencies],
  });
  return result.rows;
}

/** Opens the account, with the shop's side of it, where there is none yet. */
export async function openAccount(client: pg.ClientBase, owner: string, currency: string): Promise<void> {
  await client.query(
    `INSERT INTO wallet_accounts (owner, currency, balance) VALUES ($1, $2, 0), ('deposits', $2, NULL), ('sales', $2, NULL)
     ON CONFLICT (owner, currency) DO NOTHING`,
    [owner, currency],
  );
}

const UNIQUE_VIOLATION = "23505";

/**
 * Books in a transaction. When somebody else took one of its keys at the same moment it runs once more, and finds what was
 * booked under that key.
 */
export async function book<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  try {
    return await transaction(pool, work);
  } catch (error) {
    if (!(error instanceof pg.DatabaseError && error.code === UNIQUE_VIOLATION)) throw error;
    return await transaction(pool, work);
  }
}
