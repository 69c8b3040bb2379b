// Points that an operator gives or takes, and those that end with a member's account.
import { randomUUID } from "node:crypto";
import type pg from "pg";
import { invalidInput, type Operator } from "../catalogue/operator.ts";
import { OnrushError } from "../errors.ts";
import { REASON_LENGTH_MAX, recordAudit } from "../ledger/audit.ts";
import { transaction } from "../ledger/database.ts";
import { isMemberKnown } from "../members/users.ts";
import { AMOUNT_MAX } from "../money.ts";
import { unknownMember } from "../wallet/deposits.ts";
import { bookEntries, findAdjustment, lockPoints, type PointsEntry } from "./accounts.ts";

export interface WantedAdjustment {
  readonly customerId: string;
  /** Points to give, or below 0 to take. Never 0, and at most {@link AMOUNT_MAX} either way. */
  readonly amount: number;
  /** Makes it safe to repeat; the member's own. */
  readonly key?: string | undefined;
}

export interface Adjustment {
  readonly id: string;
  readonly customerId: string;
  readonly amount: number;
  /** What the member had after it. */
  readonly balance: number;
  readonly reason: string | null;
  readonly at: Date;
}

/**
 * Gives a member points, or takes some, with its record in the audit trail.
 *
 * @returns `isReplayed`: the key had led to it before, and nothing was done
 * @throws OnrushError with `NOT_FOUND` for an unknown or erased member, `IDEMPOTENCY_CONFLICT` for a key that stands for
 *   another adjustment, `INVALID_STATE` when more would be taken than there is, or an account would hold more than it may
 */
export async function adjustPoints(
  pool: pg.Pool,
  wanted: WantedAdjustment,
  operator: Operator,
): Promise<{ readonly adjustment: Adjustment; readonly isReplayed: boolean }> {
  const { customerId, amount, key } = wanted;
  if (!(await isMemberKnown(pool, customerId))) throw unknownMember(customerId);
  if (!Number.isSafeInteger(amount) || amount === 0 || Math.abs(amount) > AMOUNT_MAX) {
    throw invalidInput("amount", `must be a whole number from -${AMOUNT_MAX} to ${AMOUNT_MAX}, and not 0`);
  }
  const reference = `${customerId}:${key ?? randomUUID()}`;
  const reason = operator.reason?.slice(0, REASON_LENGTH_MAX) || null;
  return await transaction(pool, async (client) => {
    // Before the account, as the erasure does: of the two one waits for the other.
    const isErased = await lockMember(client, customerId);
    const [account] = await lockPoints(client, [customerId]);
    if (!account) throw new Error(`the points of ${customerId} are not there`);
    const known = await findAdjustment(client, reference);
    if (known) {
      if (known.amount !== amount || known.reason !== reason) {
        throw new OnrushError("IDEMPOTENCY_CONFLICT", "This key was sent with another adjustment.");
      }
      return { adjustment: adjustmentOf(known), isReplayed: true };
    }
    if (isErased) throw unknownMember(customerId);
    const balance = account.balance + amount;
    if (amount < 0 ? balance < 0 : balance > AMOUNT_MAX) {
      const limit =
        amount < 0 ? `There are ${account.balance} points to take` : `A member has at most ${AMOUNT_MAX} points`;
      throw new OnrushError("INVALID_STATE", `${limit}.`, { balance: account.balance });
    }
    const entry = {
      customerId,
      orderId: null,
      kind: "adjust",
      occurrence: 1,
      amount,
      spend: 0,
      reference,
      reason,
    } as const;
    const [booked] = await bookEntries(client, [entry]);
    await recordAudit(client, {
      ...operator,
      action: "points.adjust",
      subject: `points:${customerId}`,
      before: { balance: account.balance },
      after: { balance, amount },
    });
    return { adjustment: adjustmentOf(booked as PointsEntry), isReplayed: false };
  });
}

/** An entry's name for the outside. */
export function entryName(id: number): string {
  return `pt_${id}`;
}

/** Ends what a member has, within the transaction of the erasure. What is owed stays, and so do the entries. */
export async function forfeitPoints(client: pg.ClientBase, customerId: string): Promise<void> {
  const [account] = await lockPoints(client, [customerId]);
  if (!account || account.balance <= 0) return;
  const entry = {
    customerId,
    orderId: null,
    kind: "forfeit",
    occurrence: 1,
    amount: -account.balance,
    spend: 0,
  } as const;
  await bookEntries(client, [entry]);
}

function adjustmentOf({ id, customerId, amount, balance, reason, at }: PointsEntry): Adjustment {
  return { id: entryName(id), customerId, amount, balance, reason, at };
}

async function lockMember(client: pg.ClientBase, id: string): Promise<boolean> {
  const result = await client.query<{ isErased: boolean }>(
    `SELECT erased_at IS NOT NULL AS "isErased" FROM users WHERE id = $1 FOR NO KEY UPDATE`,
    [id],
  );
  return result.rows[0]?.isErased === true;
}
