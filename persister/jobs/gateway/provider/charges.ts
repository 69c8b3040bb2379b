// The provider's books of charges, in the schema `simulated_gateway`: one row a key, committed before anybody hears of it.
// What is `succeeded` or `declined` under a key never changes; what is `processing` succeeds when its time has come.
import { randomUUID } from "node:crypto";
import type pg from "pg";
import { FLAKY_FAILURES } from "./modes.ts";
import { behaviourOf, type ChargeState } from "./tokens.ts";
import { tellingEndsOf } from "./webhooks.ts";

/** What a merchant asks for. Under one key it must be the same every time. */
export interface ChargeParameters {
  readonly key: string;
  /** Minor units of `currency`. */
  readonly amount: number;
  readonly currency: string;
  readonly token: string;
  /** The merchant's own word for it. */
  readonly reference?: string | undefined;
}

export interface BookingOptions {
  /** How long a charge is processed that is not decided at once. */
  readonly processingMs: number;
  /** Whether the merchant is told of what ends. */
  readonly tells: boolean;
}

export interface Charge {
  readonly key: string;
  /** The provider's name for it, `ch_...`. */
  readonly id: string;
  readonly amount: number;
  readonly currency: string;
  readonly token: string;
  readonly reference: string | null;
  readonly state: ChargeState;
}

/** A charge as the ledger shows it. */
export interface LedgerCharge extends Omit<Charge, "token"> {
  readonly refunded: number;
  /** How often it was called for. Calls under one key that arrive together are one. */
  readonly calls: number;
  readonly createdAt: string;
  readonly refunds: readonly { readonly key: string; readonly id: string; readonly amount: number }[];
}

const COLUMNS =
  "c.key, c.reference AS id, c.amount, c.currency, c.token, c.merchant_reference AS reference, c.outcome AS state";

/** Whether this call asks for what is booked under its key. */
export function isSameCharge(charge: Charge, asked: ChargeParameters): boolean {
  return (
    charge.amount === asked.amount &&
    charge.currency === asked.currency &&
    charge.token === asked.token &&
    charge.reference === (asked.reference ?? null)
  );
}

/**
 * Books the charges, one statement for all. @returns what stands under each one's key then, in their order; it need not be
 * what was asked for ({@link isSameCharge})
 */
export async function bookCharges(
  pool: pg.Pool,
  asked: readonly ChargeParameters[],
  { processingMs, tells }: BookingOptions,
): Promise<Charge[]> {
  // One statement may touch a row only once: repetitions of a key that arrive together are one call.
  const byKey = new Map(asked.map((charge) => [charge.key, charge]));
  // In key order, so that two processes that charge the same keys cannot deadlock.
  const distinct = [...byKey.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
  const behaviours = distinct.map(({ token }) => behaviourOf(token));
  const result = await pool.query<Charge>({
    name: tells ? "bookAndTellCharges" : "bookCharges",
    text: tells ? BOOK_AND_TELL : BOOK,
    values: [
      distinct.map((charge) => charge.key),
      distinct.map((charge) => charge.amount),
      distinct.map((charge) => charge.currency),
      distinct.map((charge) => charge.token),
      distinct.map((charge) => charge.reference ?? null),
      distinct.map(() => `ch_${randomUUID()}`),
      behaviours.map(({ endsAs }) => endsAs),
      behaviours.map(({ failures }) => failures),
      FLAKY_FAILURES,
      processingMs,
    ],
  });
  const booked = new Map(result.rows.map((charge) => [charge.key, charge]));
  return asked.map((charge) => booked.get(charge.key) as Charge);
}

/** A failed charge `c` is tried again, as it was asked for, and has failed often enough. */
const RECOVERS = `(c.outcome = 'error' AND c.calls >= c.failures
  AND (c.amount, c.currency, c.token) = (EXCLUDED.amount, EXCLUDED.currency, EXCLUDED.token)
  AND (SELECT mode FROM simulated_gateway.charge_mode) <> 'unavailable')`;

const BOOKED = `INSERT INTO simulated_gateway.charges AS c (key, amount, currency, token, merchant_reference, reference,
    ends_as, failures, outcome, decides_at, ended_at)
  SELECT new.*, CASE WHEN outcome = 'processing' THEN now() + $10 * interval '1 millisecond' END,
    CASE WHEN outcome IN ('succeeded', 'declined') THEN now() END
  FROM (
    SELECT key, amount, currency, token, merchant_reference, reference,
      CASE mode WHEN 'refuse' THEN 'declined' ELSE ends_as END,
      CASE mode WHEN 'flaky' THEN greatest(failures, $9::integer) ELSE failures END,
      CASE WHEN mode IN ('flaky', 'unavailable') THEN 'error' WHEN mode = 'refuse' THEN 'declined'
        WHEN failures > 0 THEN 'error' ELSE ends_as END AS outcome
    FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::integer[])
      AS asked (key, amount, currency, token, merchant_reference, reference, ends_as, failures),
      simulated_gateway.charge_mode
  ) new
  ON CONFLICT (key) DO UPDATE SET calls = c.calls + 1,
    outcome = CASE WHEN ${RECOVERS} THEN c.ends_as ELSE c.outcome END,
    decides_at = CASE WHEN ${RECOVERS} AND c.ends_as = 'processing' THEN now() + $10 * interval '1 millisecond'
      ELSE c.decides_at END,
    ended_at = CASE WHEN ${RECOVERS} AND c.ends_as IN ('succeeded', 'declined') THEN now() ELSE c.ended_at END
  RETURNING c.*`;
const BOOK = `WITH c AS (${BOOKED}) SELECT ${COLUMNS} FROM c`;
const BOOK_AND_TELL = `WITH c AS (${BOOKED}), told AS (${tellingEndsOf("c")}) SELECT ${COLUMNS} FROM c`;

const DECIDED = `UPDATE simulated_gateway.charges c SET outcome = 'succeeded', ended_at = now()
  FROM due WHERE c.key = due.key RETURNING c.*`;

/** Lets the charges succeed whose time in processing is over. @returns how many of a batch; fewer than it holds: all */
export async function decideCharges(pool: pg.Pool, limit: number, tells: boolean): Promise<number> {
  const result = await pool.query<{ decided: number }>({
    name: tells ? "decideAndTellCharges" : "decideCharges",
    text: `WITH due AS (
       SELECT key FROM simulated_gateway.charges WHERE outcome = 'processing' AND decides_at <= now()
       ORDER BY decides_at LIMIT $1 FOR UPDATE SKIP LOCKED
     ), decided AS (${DECIDED})${tells ? `, told AS (${tellingEndsOf("decided")})` : ""}
     SELECT count(*)::integer AS decided FROM decided`,
    values: [limit],
  });
  return result.rows[0]?.decided ?? 0;
}

/** The charge that moved money, was declined, or is processed, under the key. */
export async function findCharge(pool: pg.Pool, key: string): Promise<Charge | undefined> {
  const result = await pool.query<Charge>({
    name: "findCharge",
    text: `SELECT ${COLUMNS} FROM simulated_gateway.charges c WHERE c.key = $1 AND c.outcome <> 'error'`,
    values: [key],
  });
  return result.rows[0];
}

/**
 * A page of the books in the order of their keys. A charge that is booked while the pages are read is missed when its key
 * lies before them: who checks the books waits until they are quiet.
 */
export async function pageOfLedger(pool: pg.Pool, afterKey: string, limit: number): Promise<LedgerCharge[]> {
  const result = await pool.query<LedgerCharge>({
    name: "pageOfLedger",
    text: `SELECT c.key, c.reference AS id, c.amount, c.currency, c.merchant_reference AS reference, c.outcome AS state,
       c.refunded, c.calls, c.created_at AS "createdAt", COALESCE(given.refunds, '[]') AS refunds
     FROM simulated_gateway.charges c LEFT JOIN LATERAL (
       SELECT json_agg(json_build_object('key', r.key, 'id', r.reference, 'amount', r.amount) ORDER BY r.key) AS refunds
       FROM simulated_gateway.refunds r WHERE r.charge_key = c.key
     ) given ON true
     WHERE c.key > $1 ORDER BY c.key LIMIT $2`,
    values: [afterKey, limit],
  });
  return result.rows;
}
