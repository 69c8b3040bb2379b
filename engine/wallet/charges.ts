// Charges of wallets. Those that come together are booked in one transaction, which holds the accounts' rows from before it
// reads their balances: two processes that charge one wallet do so one after the other, and what one spent the other sees.
// Charged is who has enough, in the order in which they came; the others are declined. The answer is booked with the money,
// and stays what it is.
import type pg from "pg";
import type { Queryable } from "../ledger/database.ts";
import { book, type LockedAccount, lockAccounts } from "./accounts.ts";

export interface WantedCharge {
  /** Names the charge. Under one key it must be the same every time. */
  readonly key: string;
  readonly customerId: string;
  /** Minor units of `currency`, above 0. */
  readonly amount: number;
  readonly currency: string;
  /** Once it is aborted the charge is not booked any more: whoever wanted it has gone. */
  readonly signal?: AbortSignal;
}

/** `reference`: the transfer that moved the money. A wallet that has too little is declined. */
export type WalletCharge = { readonly state: "succeeded"; readonly reference: string } | { readonly state: "declined" };

/** `key_reused`: the key stands for another charge. Neither it nor `given_up` did anything. */
export type ChargeAnswer = WalletCharge | { readonly state: "key_reused" | "given_up" };

interface BookedRow extends WantedCharge {
  readonly state: "succeeded" | "declined";
  readonly transferId: number | null;
}

interface Decision extends WantedCharge {
  readonly state: "succeeded" | "declined";
  readonly accountId: number | null;
  /** What the account holds after it. */
  readonly balance: number | null;
}

/** Charges wallets, once a key. @returns the answers, in order */
export async function chargeWallets(pool: pg.Pool, wanted: readonly WantedCharge[]): Promise<ChargeAnswer[]> {
  if (wanted.length === 0) return [];
  return await book(pool, async (client) => {
    const accounts = await lockAccounts(
      client,
      wanted.map((charge) => charge.customerId),
      wanted.map((charge) => charge.currency),
    );
    // Not before the accounts are held: whoever held them may have booked one of the keys.
    const known = new Map((await findCharges(client, wanted)).map((row) => [row.key, row]));
    const decided = decide(wanted, known, accounts);
    const transfers = decided.length > 0 ? await bookCharges(client, decided) : new Map<string, number>();
    const now = new Map<string, BookedRow>(known);
    for (const charge of decided) now.set(charge.key, { ...charge, transferId: transfers.get(charge.key) ?? null });
    return wanted.map((charge) => answerOf(charge, now.get(charge.key)));
  });
}

/** What was booked under the key; `undefined`: no charge of that key was ever decided. */
export async function findWalletCharge(db: Queryable, key: string): Promise<WalletCharge | undefined> {
  const [row] = await findCharges(db, [{ key }]);
  return row && chargeOf(row);
}

function decide(
  wanted: readonly WantedCharge[],
  known: ReadonlyMap<string, BookedRow>,
  accounts: readonly LockedAccount[],
): Decision[] {
  const byName = new Map(accounts.map((account) => [nameOf(account.owner, account.currency), { ...account }]));
  const decisions = new Map<string, Decision>();
  for (const charge of wanted) {
    if (known.has(charge.key) || decisions.has(charge.key) || charge.signal?.aborted) continue;
    const account = byName.get(nameOf(charge.customerId, charge.currency));
    if (account && account.balance >= charge.amount) {
      account.balance -= charge.amount;
      const { id: accountId, balance } = account;
      decisions.set(charge.key, { ...charge, state: "succeeded", accountId, balance });
    } else decisions.set(charge.key, { ...charge, state: "declined", accountId: null, balance: null });
  }
  return [...decisions.values()];
}

function nameOf(owner: string, currency: string): string {
  return `${currency} ${owner}`;
}

function answerOf(charge: WantedCharge, row: BookedRow | undefined): ChargeAnswer {
  if (!row) return { state: "given_up" };
  const isSame =
    row.customerId === charge.customerId && row.amount === charge.amount && row.currency === charge.currency;
  return isSame ? chargeOf(row) : { state: "key_reused" };
}

function chargeOf({ state, transferId }: BookedRow): WalletCharge {
  return state === "succeeded" ? { state, reference: transferName(transferId as number) } : { state };
}

/** A transfer's name for the outside. */
export function transferName(id: number): string {
  return `wt_${id}`;
}

async function findCharges(db: Queryable, charges: readonly { readonly key: string }[]): Promise<BookedRow[]> {
  const result = await db.query<BookedRow>({
    name: "findWalletCharges",
    text: `SELECT c.key, c.customer_id AS "customerId", c.amount, c.currency, c.state, t.id AS "transferId"
     FROM wallet_charges c LEFT JOIN wallet_transfers t ON t.kind = 'charge' AND t.reference = c.key
     WHERE c.key = ANY($1::text[])`,
    values: [charges.map(({ key }) => key)],
  });
  return result.rows;
}

/** Books what was decided. The balance is lowered, not set: should the sums here be wrong, the table refuses them. */
async function bookCharges(client: pg.ClientBase, decided: readonly Decision[]): Promise<Map<string, number>> {
  const result = await client.query<{ id: number; key: string }>({
    name: "bookWalletCharges",
    text: `WITH decided AS (
       SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::bigint[])
         WITH ORDINALITY AS t (key, customer_id, amount, currency, state, account, balance, no)
     ), booked AS (
       INSERT INTO wallet_charges (key, customer_id, amount, currency, state)
       SELECT key, customer_id, amount, currency, state FROM decided ORDER BY key
     ), spent AS (
       UPDATE wallet_accounts a SET balance = a.balance - s.amount
       FROM (SELECT account, sum(amount)::bigint AS amount FROM decided WHERE state = 'succeeded' GROUP BY account) s
       WHERE a.id = s.account
     )
     INSERT INTO wallet_transfers (kind, reference, debit_account, credit_account, amount, balance)
     SELECT 'charge', d.key, d.account,
       (SELECT s.id FROM wallet_accounts s WHERE s.owner = 'sales' AND s.currency = d.currency), d.amount, d.balance
     FROM decided d WHERE d.state = 'succeeded' ORDER BY d.no
     RETURNING id, reference AS key`,
    values: [
      decided.map((charge) => charge.key),
      decided.map((charge) => charge.customerId),
      decided.map((charge) => charge.amount),
      decided.map((charge) => charge.currency),
      decided.map((charge) => charge.state),
      decided.map((charge) => charge.accountId),
      decided.map((charge) => charge.balance),
    ],
  });
  return new Map(result.rows.map(({ key, id }) => [key, id]));
}
