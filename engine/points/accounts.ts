// The accounts of points, one a member, and the only way in which they change: entries, booked with the accounts' figures in
// one statement. Whoever books holds the rows of the accounts, taken in the order of their ids, from before the balances
// are read until the entries are committed. An order's own row is locked before them.
import type pg from "pg";
import type { Queryable } from "../ledger/database.ts";

export interface PointsAccount {
  readonly customerId: string;
  /** Points; below 0 when more was taken back than was there. */
  readonly balance: number;
  /** What tiers go by: minor units of the shop's default currency. */
  readonly spend: number;
}

export const ENTRY_KINDS = ["earn", "revoke", "spend", "give_back", "adjust", "forfeit"] as const;
export type EntryKind = (typeof ENTRY_KINDS)[number];

/**
 * Reads an account. A member without one has 0, also when nobody has that id.
 *
 * @param timeoutMs how long an answer is waited for at most; left out: as long as the statement may run
 */
export async function readPoints(db: Queryable, customerId: string, timeoutMs?: number): Promise<PointsAccount> {
  const query = {
    name: "read_points",
    text: `SELECT customer_id AS "customerId", balance, spend FROM points_accounts WHERE customer_id = $1`,
    values: [customerId],
    ...(timeoutMs !== undefined && { query_timeout: timeoutMs }),
  };
  const result = await db.query<PointsAccount>(query);
  return result.rows[0] ?? { customerId, balance: 0, spend: 0 };
}

/**
 * Locks the accounts of these members, and opens those that are missing. One statement, so that of two who want several of
 * them neither ever waits for the other: an insert that finds a row locks it, in the order in which it came to it.
 */
export async function lockPoints(client: pg.ClientBase, customerIds: Iterable<string>): Promise<PointsAccount[]> {
  const ids = [...new Set(customerIds)].sort();
  if (ids.length === 0) return [];
  const result = await client.query<PointsAccount>({
    name: "lock_points",
    text: `INSERT INTO points_accounts (customer_id) SELECT id FROM unnest($1::text[]) WITH ORDINALITY AS n(id, no) ORDER BY no
      ON CONFLICT (customer_id) DO UPDATE SET balance = points_accounts.balance
      RETURNING customer_id AS "customerId", balance, spend`,
    values: [ids],
  });
  return result.rows;
}

/** What is to be booked on an account. */
export interface NewEntry {
  readonly customerId: string;
  /** Null of what no order asked for. */
  readonly orderId: string | null;
  readonly kind: EntryKind;
  readonly occurrence: number;
  /** Points; below 0 what leaves the account. */
  readonly amount: number;
  /** How it changes the account's spend. */
  readonly spend: number;
  readonly reference?: string;
  readonly reason?: string | null;
}

/** An entry as it stands in the books, with what the account held after it. */
export interface PointsEntry extends Omit<NewEntry, "reference" | "occurrence"> {
  readonly id: number;
  readonly balance: number;
  readonly reason: string | null;
  readonly at: Date;
}

const COLUMNS = `id, customer_id AS "customerId", order_id AS "orderId", kind, amount, balance, spend, reason, at`;

/** Books entries, in their order, on accounts that are locked. */
export async function bookEntries(client: pg.ClientBase, entries: readonly NewEntry[]): Promise<PointsEntry[]> {
  if (entries.length === 0) return [];
  const result = await client.query<PointsEntry>({
    name: "book_points",
    text: `WITH n AS (
        SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[], $4::int[], $5::bigint[], $6::bigint[], $7::text[], $8::text[])
          WITH ORDINALITY AS n(customer, order_id, kind, occurrence, amount, spend, reference, reason, no)
      ), changed AS (
        UPDATE points_accounts a SET balance = a.balance + s.amount, spend = a.spend + s.spend
        FROM (SELECT customer, sum(amount)::bigint AS amount, sum(spend)::bigint AS spend FROM n GROUP BY customer) s
        WHERE a.customer_id = s.customer
      )
      INSERT INTO points_entries (customer_id, order_id, kind, occurrence, amount, spend, balance, reference, reason)
      SELECT n.customer, n.order_id, n.kind, n.occurrence, n.amount, n.spend,
        a.balance + sum(n.amount) OVER (PARTITION BY n.customer ORDER BY n.no), n.reference, n.reason
      FROM n JOIN points_accounts a ON a.customer_id = n.customer ORDER BY n.no
      RETURNING ${COLUMNS}`,
    values: [
      entries.map((entry) => entry.customerId),
      entries.map((entry) => entry.orderId),
      entries.map((entry) => entry.kind),
      entries.map((entry) => entry.occurrence),
      entries.map((entry) => entry.amount),
      entries.map((entry) => entry.spend),
      entries.map((entry) => entry.reference ?? null),
      entries.map((entry) => entry.reason ?? null),
    ],
  });
  return result.rows;
}

/** A member's entries, newest first. `before`: the id after which the page starts. */
export async function listEntries(
  db: Queryable,
  customerId: string,
  page: { readonly limit: number; readonly before?: number | undefined },
): Promise<PointsEntry[]> {
  const result = await db.query<PointsEntry>(
    `SELECT ${COLUMNS} FROM points_entries WHERE customer_id = $1 AND ($2::bigint IS NULL OR id < $2)
     ORDER BY id DESC LIMIT $3`,
    [customerId, page.before ?? null, page.limit],
  );
  return result.rows;
}

/** The adjustment that was booked under the reference. */
export async function findAdjustment(db: Queryable, reference: string): Promise<PointsEntry | undefined> {
  const result = await db.query<PointsEntry>(`SELECT ${COLUMNS} FROM points_entries WHERE reference = $1`, [reference]);
  return result.rows[0];
}
