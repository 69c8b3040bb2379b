// The SQL of stock transfers between partitions: see 0192_stock_transfers.sql for what a row goes through.
import type { Partition } from "../keys.ts";
import type { Queryable } from "./database.ts";

export interface NewTransfer {
  readonly id: string;
  readonly depositId: string;
  readonly productId: string;
  readonly from: Partition;
  readonly to: Partition;
  readonly quantity: number;
  readonly actor: string;
}

export interface StockTransfer extends Omit<NewTransfer, "actor" | "depositId"> {
  /** The source's epoch, and whether it may be asked. */
  readonly epoch: number;
  readonly isLive: boolean;
  /** Since a call whose answer nobody knows, in ms; `null`: there was none. */
  readonly unansweredMs: number | null;
}

/** Writes the transfer, its first call included. @returns false while another one brings the product there */
export async function openTransfer(
  db: Queryable,
  { id, depositId, productId, from, to, quantity, actor }: NewTransfer,
) {
  const result = await db.query(
    `INSERT INTO stock_transfers (id, deposit_id, product_id, from_sale, from_partition, to_sale, to_partition, quantity, actor)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
     ON CONFLICT (product_id, to_sale, to_partition) WHERE state = 'open' DO NOTHING`,
    [id, depositId, productId, from.saleId, from.partition, to.saleId, to.partition, quantity, actor],
  );
  return result.rowCount === 1;
}

/** Whether a transfer brings the product there at this moment. */
export async function isBeingBrought(db: Queryable, productId: string, to: Partition): Promise<boolean> {
  const result = await db.query(
    "SELECT FROM stock_transfers WHERE product_id = $1 AND to_sale = $2 AND to_partition = $3 AND state = 'open'",
    [productId, to.saleId, to.partition],
  );
  return result.rowCount === 1;
}

/** What may still bring units of a product somewhere, by the ledger. */
export interface OnTheWay {
  /** Units are taken somewhere, and not allocated yet. */
  readonly isTransferred: boolean;
  /** Transfers that there have ever been: a number that only grows. */
  readonly transfers: number;
  /** Increases that have not come back through the log; Redis may have them. */
  readonly increases: readonly (Partition & { readonly movementId: string })[];
}

export async function readOnTheWay(db: Queryable, productId: string): Promise<OnTheWay> {
  const result = await db.query<OnTheWay>(
    `SELECT EXISTS (SELECT FROM stock_transfers WHERE product_id = $1 AND state = 'open') AS "isTransferred",
       (SELECT count(*) FROM stock_transfers WHERE product_id = $1)::int AS transfers,
       COALESCE((SELECT json_agg(json_build_object('saleId', sale_id, 'partition', partition, 'movementId', movement_id))
         FROM allocations WHERE product_id = $1 AND applied_seq IS NULL AND quantity > 0), '[]') AS increases`,
    [productId],
  );
  return result.rows[0] ?? { isTransferred: false, transfers: 0, increases: [] };
}

/** Transfers that nobody has worked on for so long, oldest first. */
export async function listAbandonedTransfers(db: Queryable, olderThanMs: number, limit: number): Promise<string[]> {
  const result = await db.query<{ id: string }>(
    `SELECT id FROM stock_transfers WHERE state = 'open' AND called_at < clock_timestamp() - $1 * interval '1 millisecond'
     ORDER BY created_at LIMIT $2`,
    [olderThanMs, limit],
  );
  return result.rows.map(({ id }) => id);
}

/** Notes another call of a transfer that is open. */
export async function noteTransferCall(db: Queryable, id: string): Promise<StockTransfer | undefined> {
  type Row = Omit<StockTransfer, "from" | "to"> & { from: Partition; to: Partition };
  const result = await db.query<Row>(
    `UPDATE stock_transfers t SET unanswered_at = CASE WHEN t.answered THEN t.unanswered_at ELSE t.called_at END,
       called_at = clock_timestamp(), answered = false
     FROM sale_partitions p
     WHERE t.id = $1 AND t.state = 'open' AND p.sale_id = t.from_sale AND p.partition = t.from_partition
     RETURNING t.id, t.product_id AS "productId", t.quantity, p.epoch, p.state = 'live' AS "isLive",
       json_build_object('saleId', t.from_sale, 'partition', t.from_partition) AS "from",
       json_build_object('saleId', t.to_sale, 'partition', t.to_partition) AS "to",
       extract(epoch FROM clock_timestamp() - t.unanswered_at)::float8 * 1000 AS "unansweredMs"`,
    [id],
  );
  return result.rows[0];
}

/** Notes that the last call's answer is known. */
export async function noteTransferAnswer(db: Queryable, id: string): Promise<void> {
  await db.query("UPDATE stock_transfers SET answered = true WHERE id = $1", [id]);
}

/** Ends a transfer that has taken nothing and will take nothing. */
export async function voidTransfer(db: Queryable, id: string): Promise<void> {
  await db.query(
    `UPDATE stock_transfers SET state = 'void', ended_at = clock_timestamp() WHERE id = $1 AND state = 'open'
       AND NOT EXISTS (SELECT FROM allocations WHERE movement_id = $1 AND applied_seq IS NOT NULL)`,
    [id],
  );
}

/**
 * Allocates the units at the other end, once, as soon as the ledger has applied that they were taken.
 *
 * @returns whether they are allocated, by this call or an earlier one
 */
export async function depositTransfer(db: Queryable, id: string): Promise<boolean> {
  const result = await db.query<{ isDone: boolean }>(
    `WITH ended AS (
       UPDATE stock_transfers t SET state = 'done', ended_at = clock_timestamp()
       FROM allocations a WHERE t.id = $1 AND t.state = 'open' AND a.movement_id = t.id AND a.applied_seq IS NOT NULL
       RETURNING t.*
     ), recorded AS (
       INSERT INTO allocations (movement_id, sale_id, partition, product_id, quantity, reason, actor)
       SELECT deposit_id, to_sale, to_partition, product_id, quantity, 'restock', actor FROM ended
     ), stocked AS (
       INSERT INTO stock (sale_id, partition, product_id, allocated)
       SELECT to_sale, to_partition, product_id, quantity FROM ended
       ON CONFLICT (sale_id, partition, product_id) DO UPDATE SET allocated = stock.allocated + EXCLUDED.allocated
     )
     SELECT EXISTS (SELECT FROM ended) OR EXISTS (SELECT FROM stock_transfers WHERE id = $1 AND state = 'done') AS "isDone"`,
    [id],
  );
  return result.rows[0]?.isDone ?? false;
}

/** The deposit of a transfer, as restock.lua delivers it; `undefined` when the log has it. */
export async function findDeposit(
  db: Queryable,
  id: string,
): Promise<(Partition & { epoch: number; movementId: string; productId: string; quantity: number }) | undefined> {
  const result = await db.query<Partition & { epoch: number; movementId: string; productId: string; quantity: number }>(
    `SELECT a.sale_id AS "saleId", a.partition, p.epoch, a.movement_id AS "movementId", a.product_id AS "productId",
       a.quantity
     FROM stock_transfers t JOIN allocations a ON a.movement_id = t.deposit_id
     JOIN sale_partitions p ON p.sale_id = a.sale_id AND p.partition = a.partition
     WHERE t.id = $1 AND a.applied_seq IS NULL AND p.state = 'live'`,
    [id],
  );
  return result.rows[0];
}
