// Increases and decreases of what a partition may sell (`allocated`), in Postgres.
import type { Partition } from "../keys.ts";
import type { Queryable } from "./database.ts";

export interface Allocation extends Partition {
  readonly movementId: string;
  readonly productId: string;
  /** Units; an increase. */
  readonly quantity: number;
  readonly reason: "initial" | "restock";
  readonly actor: string;
}

/** Commits an increase: the units exist in the ledger from now on, and restock.lua may carry them to Redis. */
export async function recordIncrease(db: Queryable, increase: Allocation): Promise<void> {
  await db.query(
    `WITH recorded AS (
       INSERT INTO allocations (movement_id, sale_id, partition, product_id, quantity, reason, actor)
       VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING sale_id, partition, product_id, quantity
     )
     INSERT INTO stock (sale_id, partition, product_id, allocated)
     SELECT sale_id, partition, product_id, quantity FROM recorded
     ON CONFLICT (sale_id, partition, product_id) DO UPDATE SET allocated = stock.allocated + EXCLUDED.allocated`,
    [
      increase.movementId,
      increase.saleId,
      increase.partition,
      increase.productId,
      increase.quantity,
      increase.reason,
      increase.actor,
    ],
  );
}

/** The same for new stock of many partitions, in one statement. No partition is named twice for one product. */
export async function recordIncreases(db: Queryable, increases: readonly Allocation[]): Promise<void> {
  if (increases.length === 0) return;
  await db.query(
    `WITH recorded AS (
       INSERT INTO allocations (movement_id, sale_id, partition, product_id, quantity, reason, actor)
       SELECT * FROM unnest($1::uuid[], $2::text[], $3::smallint[], $4::uuid[], $5::bigint[], $6::text[], $7::text[])
       RETURNING sale_id, partition, product_id, quantity
     )
     INSERT INTO stock (sale_id, partition, product_id, allocated)
     SELECT sale_id, partition, product_id, quantity FROM recorded
     ON CONFLICT (sale_id, partition, product_id) DO UPDATE SET allocated = stock.allocated + EXCLUDED.allocated`,
    [
      increases.map((increase) => increase.movementId),
      increases.map((increase) => increase.saleId),
      increases.map((increase) => increase.partition),
      increases.map((increase) => increase.productId),
      increases.map((increase) => increase.quantity),
      increases.map((increase) => increase.reason),
      increases.map((increase) => increase.actor),
    ],
  );
}

/** Records who wrote units off (`quantity` positive), before or after their movement came through the log. */
export async function recordWriteOff(db: Queryable, writeOff: Omit<Allocation, "reason">): Promise<void> {
  await db.query(
    `INSERT INTO allocations (movement_id, sale_id, partition, product_id, quantity, reason, actor)
     VALUES ($1, $2, $3, $4, $5, 'write_off', $6) ON CONFLICT (movement_id) DO UPDATE SET actor = EXCLUDED.actor`,
    [writeOff.movementId, writeOff.saleId, writeOff.partition, writeOff.productId, -writeOff.quantity, writeOff.actor],
  );
}

/** Increases that have not come back through the log, of partitions that are live, oldest first. */
export async function listUnapplied(db: Queryable, limit: number): Promise<(Allocation & { epoch: number })[]> {
  const result = await db.query<Allocation & { epoch: number }>(
    `SELECT a.movement_id AS "movementId", a.sale_id AS "saleId", a.partition, a.product_id AS "productId", a.quantity,
       a.reason, a.actor, p.epoch
     FROM allocations a JOIN sale_partitions p USING (sale_id, partition)
     WHERE a.applied_seq IS NULL AND a.quantity > 0 AND p.state = 'live' ORDER BY a.created_at LIMIT $1`,
    [limit],
  );
  return result.rows;
}

export interface StockRow extends Partition {
  readonly productId: string;
  readonly allocated: number;
  readonly reserved: number;
  readonly sold: number;
}

/** The ledger's stock of a sale, by partition and product; uses of coupons are none of it. */
export async function listStock(db: Queryable, saleId: string): Promise<StockRow[]> {
  const result = await db.query<StockRow>(
    `SELECT sale_id AS "saleId", partition, product_id AS "productId", allocated, reserved, sold
     FROM stock s WHERE sale_id = $1 AND NOT EXISTS (SELECT FROM coupons c WHERE c.id = s.product_id)
     ORDER BY partition, product_id`,
    [saleId],
  );
  return result.rows;
}
