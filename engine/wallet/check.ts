// Whether the books of the wallets agree with themselves: every account's balance with its transfers, every charge with the
// transfers made for it, and what members hold with what came in and was spent. And whether they agree with the orders: each
// payment and refund of an order that has ended moved what it says, and nothing moved that no order asked for. Read at one
// instant, while money moves.
import type pg from "pg";
import { transaction } from "../ledger/database.ts";

export interface WalletBooks {
  /** By currency; all amounts in its minor unit. */
  readonly currencies: readonly CurrencyBooks[];
  /** What does not agree, a sentence each, at most 100; empty: all does. */
  readonly findings: readonly string[];
}

export interface CurrencyBooks {
  readonly currency: string;
  readonly accounts: number;
  /** What members hold. */
  readonly held: number;
  readonly deposited: number;
  /** Charges less refunds. */
  readonly spent: number;
}

const FINDINGS_MAX = 100;

/** Checks the books. Reads all transfers there are. */
export async function checkWallets(pool: pg.Pool): Promise<WalletBooks> {
  return await transaction(pool, async (client) => {
    await client.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY");
    const books = await readWalletBooks(client);
    const findings = [...books.findings, ...(await wrongPayments(client)), ...(await wrongRefunds(client))];
    return { ...books, findings: findings.slice(0, FINDINGS_MAX) };
  });
}

/** The books alone, within the caller's transaction, which has to be one that sees one instant. */
export async function readWalletBooks(client: pg.ClientBase): Promise<WalletBooks> {
  const currencies = await sumByCurrency(client);
  const findings = [
    ...currencies.filter(isUnbalanced).map(describeUnbalanced),
    ...(await wrongAccounts(client)),
    ...(await wrongTransfers(client)),
    ...(await wrongCharges(client)),
  ];
  return { currencies, findings: findings.slice(0, FINDINGS_MAX) };
}

function isUnbalanced({ held, deposited, spent }: CurrencyBooks): boolean {
  return held !== deposited - spent;
}

function describeUnbalanced({ currency, held, deposited, spent }: CurrencyBooks): string {
  return `${currency}: members hold ${held}, but ${deposited} came in and ${spent} was spent.`;
}

async function sumByCurrency(client: pg.ClientBase): Promise<CurrencyBooks[]> {
  const result = await client.query<CurrencyBooks>(
    `WITH entries AS (
       SELECT debit_account AS account, -amount AS amount FROM wallet_transfers
       UNION ALL SELECT credit_account, amount FROM wallet_transfers
     ), sums AS (
       SELECT account, sum(amount)::bigint AS amount FROM entries GROUP BY account
     )
     SELECT a.currency, count(*) FILTER (WHERE a.balance IS NOT NULL) AS accounts,
       COALESCE(sum(a.balance), 0)::bigint AS held,
       COALESCE(-sum(s.amount) FILTER (WHERE a.owner = 'deposits'), 0)::bigint AS deposited,
       COALESCE(sum(s.amount) FILTER (WHERE a.owner = 'sales'), 0)::bigint AS spent
     FROM wallet_accounts a LEFT JOIN sums s ON s.account = a.id GROUP BY a.currency ORDER BY a.currency`,
  );
  return result.rows;
}

/** Accounts that hold something else than the sum of their entries. */
async function wrongAccounts(client: pg.ClientBase): Promise<string[]> {
  const result = await client.query<{ owner: string; currency: string; balance: number; sum: number }>(
    `SELECT a.owner, a.currency, a.balance, COALESCE(t.sum, 0) AS sum
     FROM wallet_accounts a LEFT JOIN (
       SELECT account, sum(CASE kind WHEN 'charge' THEN -amount ELSE amount END)::bigint AS sum
       FROM wallet_transfers GROUP BY account
     ) t ON t.account = a.id
     WHERE a.balance IS NOT NULL AND a.balance <> COALESCE(t.sum, 0) ORDER BY a.id LIMIT $1`,
    [FINDINGS_MAX],
  );
  return result.rows.map(
    ({ owner, currency, balance, sum }) => `${owner} holds ${balance} ${currency}; the transfers sum up to ${sum}.`,
  );
}

/** Transfers between wrong accounts, or after which the account held something else than is written there. */
async function wrongTransfers(client: pg.ClientBase): Promise<string[]> {
  const result = await client.query<{ id: number; balance: number; sum: number; isBetweenWrong: boolean }>(
    `SELECT id, balance, sum, "isBetweenWrong" FROM (
       SELECT t.id, t.balance, t.account,
         sum(CASE t.kind WHEN 'charge' THEN -t.amount ELSE t.amount END) OVER (PARTITION BY t.account ORDER BY t.id)::bigint
           AS sum,
         own.balance IS NULL OR other.currency <> own.currency
           OR other.owner <> CASE t.kind WHEN 'deposit' THEN 'deposits' ELSE 'sales' END AS "isBetweenWrong"
       FROM wallet_transfers t JOIN wallet_accounts own ON own.id = t.account
       JOIN wallet_accounts other ON other.id = t.debit_account + t.credit_account - t.account
     ) told
     WHERE balance <> sum OR "isBetweenWrong" ORDER BY id LIMIT $1`,
    [FINDINGS_MAX],
  );
  return result.rows.map(({ id, balance, sum, isBetweenWrong }) =>
    isBetweenWrong
      ? `Transfer ${id} is not between a member's account and the shop's of its kind and currency.`
      : `Transfer ${id} says that ${balance} was left; the transfers up to it sum up to ${sum}.`,
  );
}

/** Charges that did not move what they say: from whom, how much, and how much came back. */
async function wrongCharges(client: pg.ClientBase): Promise<string[]> {
  const result = await client.query<{ key: string }>(
    `SELECT COALESCE(c.key, t.reference) AS key FROM wallet_charges c
     FULL JOIN (
       SELECT t.reference, t.amount, a.owner, a.currency FROM wallet_transfers t JOIN wallet_accounts a ON a.id = t.account
       WHERE t.kind = 'charge'
     ) t ON t.reference = c.key
     LEFT JOIN (
       SELECT r.charge_key, sum(r.amount) AS amount, count(*) FILTER (WHERE r.account <> p.account) AS elsewhere
       FROM wallet_transfers r LEFT JOIN wallet_transfers p ON p.kind = 'charge' AND p.reference = r.charge_key
       WHERE r.kind = 'refund' GROUP BY r.charge_key
     ) r ON r.charge_key = c.key
     WHERE c.key IS NULL OR (c.state = 'succeeded') <> (t.reference IS NOT NULL)
       OR (t.amount, t.owner, t.currency) IS DISTINCT FROM
         (CASE c.state WHEN 'succeeded' THEN c.amount END, CASE c.state WHEN 'succeeded' THEN c.customer_id END,
          CASE c.state WHEN 'succeeded' THEN c.currency END)
       OR c.refunded <> COALESCE(r.amount, 0) OR r.elsewhere > 0
     ORDER BY 1 LIMIT $1`,
    [FINDINGS_MAX],
  );
  return result.rows.map(({ key }) => `The charge ${key} and its transfers do not agree.`);
}

/** Payments of orders and charges that do not agree. A payment under way may be charged already, or not yet. */
async function wrongPayments(client: pg.ClientBase): Promise<string[]> {
  const result = await client.query<{ key: string }>(
    `SELECT COALESCE(c.key, a.key) AS key FROM wallet_charges c
     FULL JOIN (
       SELECT a.order_id || ':' || a.attempt AS key, a.state, a.amount, a.currency, o.customer_id
       FROM payment_attempts a JOIN orders o ON o.id = a.order_id WHERE a.method = 'wallet' AND a.amount > 0
     ) a ON a.key = c.key
     WHERE a.key IS NULL OR (a.amount, a.currency, a.customer_id) IS DISTINCT FROM
         (COALESCE(c.amount, a.amount), COALESCE(c.currency, a.currency), COALESCE(c.customer_id, a.customer_id))
       OR (a.state <> 'started' AND (a.state = 'succeeded') <> COALESCE(c.state = 'succeeded', false))
     ORDER BY 1 LIMIT $1`,
    [FINDINGS_MAX],
  );
  return result.rows.map(({ key }) => `The payment ${key} and its charge do not agree.`);
}

/** Refunds of orders and transfers that do not agree. One that is pending may have been made already, or not yet. */
async function wrongRefunds(client: pg.ClientBase): Promise<string[]> {
  const result = await client.query<{ key: string }>(
    `SELECT COALESCE(t.reference, r.key) AS key FROM (SELECT * FROM wallet_transfers WHERE kind = 'refund') t
     FULL JOIN (
       SELECT id::text AS key, order_id || ':' || attempt AS charge_key, state, amount FROM refunds
       WHERE method = 'wallet' AND amount > 0
     ) r ON r.key = t.reference
     WHERE r.key IS NULL OR (t.reference IS NULL AND r.state = 'succeeded')
       OR (t.reference IS NOT NULL AND (r.state = 'failed' OR (t.amount, t.charge_key) <> (r.amount, r.charge_key)))
     ORDER BY 1 LIMIT $1`,
    [FINDINGS_MAX],
  );
  return result.rows.map(({ key }) => `The refund ${key} and its transfer do not agree.`);
}
