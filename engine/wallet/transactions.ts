// What moved in a member's wallet, as the member sees it.
import type { Queryable } from "../ledger/database.ts";

export const TRANSACTION_TYPES = ["deposit", "charge", "refund"] as const;
export type TransactionType = (typeof TRANSACTION_TYPES)[number];

export interface WalletTransaction {
  readonly id: number;
  readonly type: TransactionType;
  /** Minor units of `currency`; below 0 what was spent. */
  readonly amount: number;
  readonly currency: string;
  /** What the account in this currency held after it. */
  readonly balance: number;
  /** The order that was paid or refunded. */
  readonly orderId: string | null;
  readonly at: Date;
}

/** Transactions, newest first. `before`: the id after which the page starts. */
export async function listTransactions(
  db: Queryable,
  customerId: string,
  page: { readonly limit: number; readonly before?: number | undefined; readonly currency?: string | undefined },
): Promise<WalletTransaction[]> {
  // A charge's key is `orderId:attempt`.
  const result = await db.query<WalletTransaction>(
    `SELECT t.id, t.kind AS type, CASE t.kind WHEN 'charge' THEN -t.amount ELSE t.amount END AS amount, a.currency, t.balance,
       CASE t.kind WHEN 'charge' THEN split_part(t.reference, ':', 1) WHEN 'refund' THEN split_part(t.charge_key, ':', 1) END
         AS "orderId", t.at
     FROM wallet_transfers t JOIN wallet_accounts a ON a.id = t.account
     WHERE t.account IN (SELECT id FROM wallet_accounts WHERE owner = $1 AND ($2::text IS NULL OR currency = $2))
       AND ($3::bigint IS NULL OR t.id < $3)
     ORDER BY t.id DESC LIMIT $4`,
    [customerId, page.currency ?? null, page.before ?? null, page.limit],
  );
  return result.rows;
}
