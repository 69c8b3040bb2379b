// Money of a charge that goes back to the wallet it came from. The refunds of a charge come one after the other, by the lock
// of its account, and together never exceed it. Only what moved money is booked: a refused refund may be asked again.
import type pg from "pg";
import type { Queryable } from "../ledger/database.ts";
import { book, lockAccounts } from "./accounts.ts";
import { transferName } from "./charges.ts";

export interface WantedRefund {
  /** Names the refund. Under one key it must be the same every time. */
  readonly key: string;
  readonly chargeKey: string;
  /** Minor units of the charge's currency, above 0. */
  readonly amount: number;
}

export interface WalletRefund extends WantedRefund {
  /** The transfer that moved the money. */
  readonly reference: string;
}

/** Everything but `booked` moved no money. */
export type RefundAnswer =
  | { readonly type: "booked"; readonly refund: WalletRefund }
  | { readonly type: "key_reused" | "charge_not_found" | "exceeds_charge" };

/** Gives money of a charge back, once a key. */
export async function refundToWallet(pool: pg.Pool, wanted: WantedRefund): Promise<RefundAnswer> {
  return await book<RefundAnswer>(pool, async (client) => {
    const owner = await findOwner(client, wanted.chargeKey);
    const [account] = owner ? await lockAccounts(client, [owner.customerId], [owner.currency]) : [];
    const known = await findWalletRefund(client, wanted.key);
    if (known) {
      const isSame = known.chargeKey === wanted.chargeKey && known.amount === wanted.amount;
      return isSame ? { type: "booked", refund: known } : { type: "key_reused" };
    }
    if (!owner || !account) return { type: "charge_not_found" };
    if (!(await raiseRefunded(client, wanted))) return { type: "exceeds_charge" };
    const id = await bookRefund(client, wanted, account.id);
    return { type: "booked", refund: { ...wanted, reference: transferName(id) } };
  });
}

/** What was booked under the key. */
export async function findWalletRefund(db: Queryable, key: string): Promise<WalletRefund | undefined> {
  const result = await db.query<WantedRefund & { id: number }>(
    `SELECT id, reference AS key, charge_key AS "chargeKey", amount FROM wallet_transfers
     WHERE kind = 'refund' AND reference = $1`,
    [key],
  );
  const [row] = result.rows;
  return row && { key: row.key, chargeKey: row.chargeKey, amount: row.amount, reference: transferName(row.id) };
}

/** Whose money a charge moved. */
async function findOwner(
  db: Queryable,
  chargeKey: string,
): Promise<{ readonly customerId: string; readonly currency: string } | undefined> {
  const result = await db.query<{ customerId: string; currency: string }>(
    `SELECT customer_id AS "customerId", currency FROM wallet_charges WHERE key = $1 AND state = 'succeeded'`,
    [chargeKey],
  );
  return result.rows[0];
}

/** @returns whether the charge has as much left */
async function raiseRefunded(client: pg.ClientBase, { chargeKey, amount }: WantedRefund): Promise<boolean> {
  const result = await client.query(
    "UPDATE wallet_charges SET refunded = refunded + $2 WHERE key = $1 AND refunded + $2 <= amount",
    [chargeKey, amount],
  );
  return result.rowCount === 1;
}

async function bookRefund(client: pg.ClientBase, wanted: WantedRefund, accountId: number): Promise<number> {
  const result = await client.query<{ id: number }>(
    `WITH given AS (
       UPDATE wallet_accounts SET balance = balance + $4 WHERE id = $3 RETURNING id, currency, balance
     )
     INSERT INTO wallet_transfers (kind, reference, charge_key, debit_account, credit_account, amount, balance)
     SELECT 'refund', $1, $2, (SELECT s.id FROM wallet_accounts s WHERE s.owner = 'sales' AND s.currency = given.currency),
       given.id, $4, given.balance
     FROM given RETURNING id`,
    [wanted.key, wanted.chargeKey, accountId, wanted.amount],
  );
  return result.rows[0]?.id as number;
}
