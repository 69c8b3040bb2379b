// What a rebuild reads from Postgres, and the epoch that it raises.
import { type Partition, partitionName } from "../keys.ts";
import type { Position } from "../movement.ts";
import type { Queryable } from "./database.ts";

/** Units that one number of a log holds for orders which one process acknowledged. */
export interface AcknowledgedEntry {
  readonly seq: number;
  readonly units: Readonly<Record<string, number>>;
}

export interface AcknowledgedReport extends Partition, Position {
  readonly entries: readonly AcknowledgedEntry[];
}

/** How far Postgres has come, by partition name. */
export async function appliedSeqs(db: Queryable, partitions: readonly Partition[]): Promise<Map<string, Position>> {
  const result = await db.query<Partition & Position>({
    name: "applied_seqs",
    text: `SELECT p.sale_id AS "saleId", p.partition, p.epoch, p.seq
      FROM unnest($1::text[], $2::smallint[]) AS asked(sale_id, partition) JOIN sale_partitions p USING (sale_id, partition)`,
    values: [partitions.map((at) => at.saleId), partitions.map((at) => at.partition)],
  });
  return new Map(result.rows.map((row) => [partitionName(row), { epoch: row.epoch, seq: row.seq }]));
}

/** Replaces what the process reported before. */
export async function reportAcknowledged(
  db: Queryable,
  process: string,
  reports: readonly AcknowledgedReport[],
): Promise<void> {
  await db.query({
    name: "report_acknowledged",
    text: `INSERT INTO acknowledgements (process, sale_id, partition, epoch, seq, entries)
      SELECT $1, r.sale_id, r.partition, r.epoch, r.seq, r.entries
      FROM unnest($2::text[], $3::smallint[], $4::bigint[], $5::bigint[], $6::jsonb[])
        AS r(sale_id, partition, epoch, seq, entries)
      ON CONFLICT (process, sale_id, partition) DO UPDATE SET epoch = EXCLUDED.epoch, seq = EXCLUDED.seq,
        entries = EXCLUDED.entries, at = now()`,
    values: [
      process,
      reports.map((report) => report.saleId),
      reports.map((report) => report.partition),
      reports.map((report) => report.epoch),
      reports.map((report) => report.seq),
      reports.map((report) => JSON.stringify(report.entries)),
    ],
  });
}

/** The highest number that any process has acknowledged, by partition name, of each partition's present epoch. */
export async function highestAcknowledged(db: Queryable): Promise<Map<string, number>> {
  const result = await db.query<Partition & { seq: number }>(
    `SELECT a.sale_id AS "saleId", a.partition, max(a.seq) AS seq
     FROM acknowledgements a JOIN sale_partitions p USING (sale_id, partition, epoch) GROUP BY 1, 2`,
  );
  return new Map(result.rows.map((row) => [partitionName(row), row.seq]));
}

/** All processes' reports about a partition in one epoch. */
export async function listAcknowledged(db: Queryable, at: Partition, epoch: number): Promise<AcknowledgedReport[]> {
  const result = await db.query<AcknowledgedReport>(
    `SELECT sale_id AS "saleId", partition, epoch, seq, entries FROM acknowledgements
     WHERE sale_id = $1 AND partition = $2 AND epoch = $3`,
    [at.saleId, at.partition, epoch],
  );
  return result.rows;
}

/**
 * Raises the partition's epoch and closes it: from this commit on, scripts and inserts of the old epoch are refused.
 *
 * @returns the new epoch, or `undefined` when the partition moved on from the position the caller saw
 */
export async function raiseEpoch(db: Queryable, at: Partition, seen: Position): Promise<number | undefined> {
  const result = await db.query<{ epoch: number }>(
    `UPDATE sale_partitions SET epoch = epoch + 1, seq = 0, state = 'suspended', reason = 'being rebuilt', updated_at = now()
     WHERE sale_id = $1 AND partition = $2 AND epoch = $3 AND seq = $4 RETURNING epoch`,
    [at.saleId, at.partition, seen.epoch, seen.seq],
  );
  return result.rows[0]?.epoch;
}

/** Opens a partition whose rebuild is complete. */
export async function markRebuilt(db: Queryable, at: Partition, epoch: number): Promise<void> {
  await db.query(
    `UPDATE sale_partitions SET state = 'live', reason = NULL, updated_at = now()
     WHERE sale_id = $1 AND partition = $2 AND epoch = $3`,
    [at.saleId, at.partition, epoch],
  );
}

export async function declareLost(
  db: Queryable,
  at: Partition,
  range: { epoch: number; fromSeq: number; toSeq: number },
  actor: string,
): Promise<void> {
  await db.query(
    `INSERT INTO lost_ranges (sale_id, partition, epoch, from_seq, to_seq, actor) VALUES ($1, $2, $3, $4, $5, $6)`,
    [at.saleId, at.partition, range.epoch, range.fromSeq, range.toSeq, actor],
  );
}

export interface Holdback {
  readonly movementId: string;
  readonly productId: string;
  readonly quantity: number;
  readonly untilMs: number;
}

export async function recordHoldback(db: Queryable, at: Partition, holdback: Holdback): Promise<void> {
  await db.query(
    `INSERT INTO holdbacks (movement_id, sale_id, partition, product_id, quantity, until)
     VALUES ($1, $2, $3, $4, $5, to_timestamp($6::float8 / 1000))`,
    [holdback.movementId, at.saleId, at.partition, holdback.productId, holdback.quantity, holdback.untilMs],
  );
}

/** A SKU's figures as Redis is to have them. Units. */
export interface RebuiltStock {
  readonly productId: string;
  /** allocated - reserved - sold - held back - increases that are still to be delivered by restock.lua. */
  readonly available: number;
  readonly reserved: number;
  readonly sold: number;
  readonly undelivered: number;
}

export async function readStock(db: Queryable, at: Partition): Promise<RebuiltStock[]> {
  const result = await db.query<RebuiltStock>(
    `SELECT s.product_id AS "productId", s.reserved, s.sold, u.undelivered::bigint AS undelivered,
       (s.allocated - s.reserved - s.sold - u.undelivered
         - COALESCE((SELECT sum(h.quantity) FROM holdbacks h WHERE h.sale_id = s.sale_id AND h.partition = s.partition
             AND h.product_id = s.product_id AND h.returned_at IS NULL), 0))::bigint AS available
     FROM stock s, LATERAL (
       SELECT COALESCE(sum(a.quantity), 0) AS undelivered FROM allocations a
       WHERE a.sale_id = s.sale_id AND a.partition = s.partition AND a.product_id = s.product_id
         AND a.applied_seq IS NULL AND a.quantity > 0
     ) u
     WHERE s.sale_id = $1 AND s.partition = $2`,
    [at.saleId, at.partition],
  );
  return result.rows;
}

/**
 * Takes increases that were still to be delivered for delivered, by the rebuild itself: restock.lua had perhaps, and what
 * was sold of them is held back.
 */
export async function deliverByRebuild(db: Queryable, at: Partition, epoch: number): Promise<void> {
  await db.query(
    `UPDATE allocations SET applied_epoch = $3, applied_seq = 0
     WHERE sale_id = $1 AND partition = $2 AND applied_seq IS NULL AND quantity > 0`,
    [at.saleId, at.partition, epoch],
  );
}

export interface RebuiltHold {
  readonly id: string;
  readonly reservation: number;
  readonly untilMs: number;
  readonly epoch: number;
  readonly seq: number;
  readonly buyer: string;
  /** `sku=units[!],...` as place.lua writes it. */
  readonly units: string;
}

/** The holds of every order whose stock is not settled. */
export async function readHolds(db: Queryable, at: Partition): Promise<RebuiltHold[]> {
  const result = await db.query<RebuiltHold>(
    `SELECT o.id, o.hold_reservation AS reservation, (extract(epoch FROM o.reserved_until) * 1000)::bigint AS "untilMs",
       o.epoch, o.seq, o.customer_id AS buyer, string_agg(l.units, ',' ORDER BY l.units) AS units
     FROM orders o
     JOIN LATERAL (
       SELECT l.product_id || '=' || sum(l.quantity)
         || CASE WHEN i.per_customer_limit IS NULL THEN '' ELSE '!' END AS units
       FROM order_lines l LEFT JOIN sale_items i ON i.sale_id = o.sale_id AND i.product_id = l.product_id
       WHERE l.order_id = o.id GROUP BY l.product_id, i.per_customer_limit
     ) l ON true
     WHERE o.sale_id = $1 AND o.partition = $2 AND o.stock_state = 'reserved' GROUP BY o.id`,
    [at.saleId, at.partition],
  );
  return result.rows;
}

/** Units held and bought by each buyer of each limited product: `buyer|sku` and units. */
export async function readLimits(db: Queryable, at: Partition): Promise<[field: string, units: number][]> {
  const result = await db.query<{ field: string; units: number }>(
    `SELECT o.customer_id || '|' || l.product_id AS field, sum(l.quantity - l.restocked)::bigint AS units
     FROM orders o JOIN order_lines l ON l.order_id = o.id
     JOIN sale_items i ON i.sale_id = o.sale_id AND i.product_id = l.product_id AND i.per_customer_limit IS NOT NULL
     WHERE o.sale_id = $1 AND o.partition = $2 AND o.stock_state IN ('reserved', 'sold') AND l.quantity > l.restocked
     GROUP BY 1`,
    [at.saleId, at.partition],
  );
  return result.rows.map(({ field, units }) => [field, units]);
}

/** Idempotency records of orders placed on a day (days since 1970, UTC): scope and `order id|payload hash`. */
export async function readIdempotency(
  db: Queryable,
  at: Partition,
  day: number,
): Promise<[scope: string, record: string][]> {
  const result = await db.query<{ scope: string; record: string }>(
    `SELECT idempotency_scope AS scope, id || '|' || payload_hash AS record FROM orders
     WHERE sale_id = $1 AND partition = $2 AND idempotency_scope IS NOT NULL
       AND placed_at >= to_timestamp($3::float8 * 86400) AND placed_at < to_timestamp(($3::float8 + 1) * 86400)`,
    [at.saleId, at.partition, day],
  );
  return result.rows.map(({ scope, record }) => [scope, record]);
}

/** Movements of restock.lua and take-back.lua that have been applied: id and seq. */
export async function readAppliedMovements(db: Queryable, at: Partition): Promise<[id: string, seq: number][]> {
  const result = await db.query<{ id: string; seq: number }>(
    `SELECT movement_id AS id, applied_seq AS seq FROM allocations
     WHERE sale_id = $1 AND partition = $2 AND applied_seq IS NOT NULL
     UNION ALL SELECT movement_id, seq FROM order_returns WHERE sale_id = $1 AND partition = $2`,
    [at.saleId, at.partition],
  );
  return result.rows.map(({ id, seq }) => [id, seq]);
}

/** Orders that the guard refused and whose hold is gone with the old Redis: nothing is left to release. */
export async function listRefused(db: Queryable, at: Partition): Promise<string[]> {
  const result = await db.query<{ id: string }>(
    "SELECT id FROM orders WHERE sale_id = $1 AND partition = $2 AND stock_state = 'refused'",
    [at.saleId, at.partition],
  );
  return result.rows.map(({ id }) => id);
}

/**
 * Holdbacks whose time is over, of partitions that are live; from now on nobody can claim them. Those with claims that are
 * on their way wait for them.
 *
 * @param nowMs Redis `TIME`
 */
export async function startReturns(
  db: Queryable,
  nowMs: number,
  limit: number,
): Promise<(Partition & { epoch: number; movementId: string; productId: string; quantity: number })[]> {
  const result = await db.query<Partition & { epoch: number; movementId: string; productId: string; quantity: number }>(
    `WITH chosen AS (
       SELECT h.movement_id, p.epoch FROM holdbacks h JOIN sale_partitions p USING (sale_id, partition)
       WHERE h.returned_at IS NULL AND h.claimed = 0 AND h.until <= to_timestamp($1::float8 / 1000) AND p.state = 'live'
       ORDER BY h.until, h.movement_id LIMIT $2 FOR UPDATE OF h
     )
     UPDATE holdbacks h SET return_started_at = COALESCE(h.return_started_at, now()) FROM chosen
     WHERE h.movement_id = chosen.movement_id
     RETURNING h.movement_id AS "movementId", h.sale_id AS "saleId", h.partition, h.product_id AS "productId", h.quantity,
       chosen.epoch`,
    [nowMs, limit],
  );
  return result.rows;
}
