// The SQL of refusals: many in one insert, what was passed over as counts, both found again by an id that a buyer has.
import type { ErrorCode } from "../errors.ts";
import type { Queryable } from "../ledger/database.ts";
import type { Refusal } from "./ring.ts";

/** How many refusals of a second were counted and not kept. */
export interface PassedOver {
  readonly saleId: string;
  readonly partition: number;
  readonly code: ErrorCode;
  /** Since 1970. */
  readonly second: number;
  readonly passedOver: number;
}

/** How long refusals are kept. */
export const REFUSALS_KEPT_DAYS = 7;

/** Writes refusals, and counts as far as they have come. Writing either again changes nothing. */
export async function insertRefusals(
  db: Queryable,
  process: string,
  refusals: readonly Refusal[],
  counts: readonly PassedOver[],
): Promise<void> {
  if (refusals.length > 0) {
    await db.query({
      name: "insert_refusals",
      text: `INSERT INTO refusals (request_id, order_id, buyer, sale_id, partition, code, facts, decided_by, epoch, seq, script,
          decided_at, at)
        SELECT r.request_id, r.order_id, r.buyer, r.sale_id, r.partition, r.code, r.facts, r.decided_by, r.epoch, r.seq,
          r.script, to_timestamp(r.decided_ms / 1000.0), to_timestamp(r.at_ms / 1000.0)
        FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::smallint[], $6::text[], $7::jsonb[], $8::text[],
          $9::bigint[], $10::bigint[], $11::text[], $12::bigint[], $13::bigint[])
          AS r(request_id, order_id, buyer, sale_id, partition, code, facts, decided_by, epoch, seq, script,
            decided_ms, at_ms)
        ON CONFLICT DO NOTHING`,
      values: [
        refusals.map((refusal) => refusal.requestId),
        refusals.map((refusal) => refusal.orderId),
        refusals.map((refusal) => refusal.buyer),
        refusals.map((refusal) => refusal.saleId),
        refusals.map((refusal) => refusal.partition),
        refusals.map((refusal) => refusal.code),
        refusals.map((refusal) => JSON.stringify(refusal.facts)),
        refusals.map((refusal) => refusal.decidedBy),
        refusals.map((refusal) => refusal.epoch),
        refusals.map((refusal) => refusal.seq),
        refusals.map((refusal) => refusal.script),
        refusals.map((refusal) => refusal.decidedAtMs),
        refusals.map((refusal) => refusal.atMs),
      ],
    });
  }
  if (counts.length > 0) {
    await db.query({
      name: "count_refusals",
      text: `INSERT INTO refusal_counts (process, sale_id, partition, code, second, passed_over)
        SELECT $1, c.sale_id, c.partition, c.code, to_timestamp(c.second), c.passed_over
        FROM unnest($2::text[], $3::smallint[], $4::text[], $5::bigint[], $6::bigint[])
          AS c(sale_id, partition, code, second, passed_over)
        ON CONFLICT (second, sale_id, code, partition, process)
        DO UPDATE SET passed_over = GREATEST(refusal_counts.passed_over, EXCLUDED.passed_over)`,
      values: [
        process,
        counts.map((count) => count.saleId),
        counts.map((count) => count.partition),
        counts.map((count) => count.code),
        counts.map((count) => count.second),
        counts.map((count) => count.passedOver),
      ],
    });
  }
}

export interface StoredRefusal extends Omit<Refusal, "atMs" | "decidedAtMs"> {
  readonly decidedAt: Date | null;
  readonly at: Date;
}

/** A refusal by its request's id, or by the id that its order would have had. */
export async function findRefusal(db: Queryable, id: string): Promise<StoredRefusal | undefined> {
  const result = await db.query<StoredRefusal>(
    `SELECT request_id AS "requestId", order_id AS "orderId", buyer, sale_id AS "saleId", partition, code, facts,
       decided_by AS "decidedBy", epoch, seq, script, decided_at AS "decidedAt", at
     FROM refusals WHERE request_id = $1 OR order_id::text = $1 LIMIT 1`,
    [id],
  );
  return result.rows[0];
}

/** What was counted and not kept in a second, by sale and code. */
export async function countsOfSecond(
  db: Queryable,
  second: number,
): Promise<{ readonly saleId: string; readonly code: ErrorCode; readonly passedOver: number }[]> {
  const result = await db.query<{ saleId: string; code: ErrorCode; passedOver: number }>(
    `SELECT sale_id AS "saleId", code, sum(passed_over)::bigint AS "passedOver" FROM refusal_counts
     WHERE second = to_timestamp($1) GROUP BY 1, 2 ORDER BY 1, 2`,
    [second],
  );
  return result.rows;
}

/** Removes what has been kept for long enough, some at a time. @returns how many */
export async function dropOldRefusals(db: Queryable, days: number, limit: number): Promise<number> {
  const refusals = await db.query(
    `DELETE FROM refusals WHERE request_id IN (
       SELECT request_id FROM refusals WHERE at < now() - make_interval(days => $1) ORDER BY at LIMIT $2)`,
    [days, limit],
  );
  const counts = await db.query(
    `DELETE FROM refusal_counts WHERE ctid IN (
       SELECT ctid FROM refusal_counts WHERE second < now() - make_interval(days => $1) LIMIT $2)`,
    [days, limit],
  );
  return (refusals.rowCount ?? 0) + (counts.rowCount ?? 0);
}
