// Money that a member has paid in, booked by an operator. It comes once a key, however often it is sent: the member's row is
// held while it is decided, so that the second of two who send it together sees the first.
import { randomUUID } from "node:crypto";
import type pg from "pg";
import { invalidInput, type Operator } from "../catalogue/operator.ts";
import { OnrushError } from "../errors.ts";
import { REASON_LENGTH_MAX, recordAudit } from "../ledger/audit.ts";
import { transaction } from "../ledger/database.ts";
import { isMemberKnown } from "../members/users.ts";
import { AMOUNT_MAX } from "../money.ts";
import { lockAccounts, openAccount } from "./accounts.ts";
import { transferName } from "./charges.ts";

export interface WantedDeposit {
  readonly customerId: string;
  /** Minor units of `currency`, from 1 to {@link AMOUNT_MAX}. */
  readonly amount: number;
  readonly currency: string;
  /** Makes it safe to repeat; the member's own. */
  readonly key?: string | undefined;
}

export interface Deposit {
  readonly id: string;
  readonly customerId: string;
  readonly amount: number;
  readonly currency: string;
  /** What the account held after it. */
  readonly balance: number;
  readonly at: Date;
}

interface DepositRow extends Omit<Deposit, "id" | "customerId"> {
  readonly transferId: number;
  readonly reason: string | null;
}

/**
 * Books a deposit, with its record in the audit trail.
 *
 * @returns `isReplayed`: the key had led to it before, and nothing was done
 * @throws OnrushError with `NOT_FOUND` for an unknown or erased member, `IDEMPOTENCY_CONFLICT` for a key that stands for
 *   another deposit, `INVALID_STATE` when the account would hold more than an account may, `VALIDATION`
 */
export async function depositTo(
  pool: pg.Pool,
  wanted: WantedDeposit,
  operator: Operator,
): Promise<{ readonly deposit: Deposit; readonly isReplayed: boolean }> {
  const { customerId, amount, currency, key } = wanted;
  if (!(await isMemberKnown(pool, customerId))) throw unknownMember(customerId);
  if (!Number.isSafeInteger(amount) || amount < 1 || amount > AMOUNT_MAX) {
    throw invalidInput("amount", `must be a whole number from 1 to ${AMOUNT_MAX}`);
  }
  const reference = `${customerId}:${key ?? randomUUID()}`;
  const reason = operator.reason?.slice(0, REASON_LENGTH_MAX) || null;
  return await transaction(pool, async (client) => {
    const isErased = await lockMember(client, customerId);
    const known = await findDeposit(client, reference);
    if (known) {
      if (known.amount !== amount || known.currency !== currency || known.reason !== reason) {
        throw new OnrushError("IDEMPOTENCY_CONFLICT", "This key was sent with another deposit.");
      }
      return { deposit: depositOf(known, customerId), isReplayed: true };
    }
    if (isErased) throw unknownMember(customerId);
    await openAccount(client, customerId, currency);
    const [account] = await lockAccounts(client, [customerId], [currency]);
    if (!account) throw new Error(`the account of ${customerId} in ${currency} is not there`);
    if (account.balance + amount > AMOUNT_MAX) {
      throw new OnrushError("INVALID_STATE", `A wallet may hold at most ${AMOUNT_MAX}.`, {
        balance: account.balance,
        balanceMax: AMOUNT_MAX,
      });
    }
    const row = await bookDeposit(client, { reference, accountId: account.id, amount, reason });
    await recordAudit(client, {
      ...operator,
      action: "wallet.deposit",
      subject: `wallet:${customerId}`,
      before: { balance: account.balance, currency },
      after: { balance: row.balance, currency, amount, deposit: transferName(row.transferId) },
    });
    return { deposit: depositOf(row, customerId), isReplayed: false };
  });
}

export function unknownMember(customerId: string): OnrushError {
  return new OnrushError("NOT_FOUND", "There is no such member.", { customerId });
}

function depositOf({ transferId, amount, currency, balance, at }: DepositRow, customerId: string): Deposit {
  return { id: transferName(transferId), customerId, amount, currency, balance, at };
}

/** Of two deposits to a member, and of a deposit and the member's erasure, one waits for the other. @returns whether the member is erased */
async function lockMember(client: pg.ClientBase, id: string): Promise<boolean> {
  const result = await client.query<{ isErased: boolean }>(
    `SELECT erased_at IS NOT NULL AS "isErased" FROM users WHERE id = $1 FOR NO KEY UPDATE`,
    [id],
  );
  return result.rows[0]?.isErased === true;
}

async function findDeposit(client: pg.ClientBase, reference: string): Promise<DepositRow | undefined> {
  const result = await client.query<DepositRow>(
    `SELECT t.id AS "transferId", t.amount, a.currency, t.balance, t.reason, t.at
     FROM wallet_transfers t JOIN wallet_accounts a ON a.id = t.account
     WHERE t.kind = 'deposit' AND t.reference = $1`,
    [reference],
  );
  return result.rows[0];
}

async function bookDeposit(
  client: pg.ClientBase,
  deposit: { reference: string; accountId: number; amount: number; reason: string | null },
): Promise<DepositRow> {
  const result = await client.query<DepositRow>(
    `WITH given AS (
       UPDATE wallet_accounts SET balance = balance + $3 WHERE id = $2 RETURNING id, currency, balance
     ), booked AS (
       INSERT INTO wallet_transfers (kind, reference, debit_account, credit_account, amount, balance, reason)
       SELECT 'deposit', $1, (SELECT d.id FROM wallet_accounts d WHERE d.owner = 'deposits' AND d.currency = given.currency),
         given.id, $3, given.balance, $4
       FROM given RETURNING id, amount, balance, reason, at
     )
     SELECT b.id AS "transferId", b.amount, given.currency, b.balance, b.reason, b.at FROM booked b, given`,
    [deposit.reference, deposit.accountId, deposit.amount, deposit.reason],
  );
  return result.rows[0] as DepositRow;
}
