// The position of each partition's log in Postgres: what has been applied, under which epoch.
import type { Partition } from "../keys.ts";
import type { Queryable } from "./database.ts";

export interface PartitionRow extends Partition {
  readonly epoch: number;
  readonly seq: number;
  readonly reservation: number;
  readonly state: "new" | "live" | "suspended";
  readonly reason: string | null;
}

const COLUMNS = `sale_id AS "saleId", partition, epoch, seq, reservation, state, reason`;

/** All partitions. A closed sale keeps its log: payments and cancellations of its orders still move stock. */
export async function listPartitions(db: Queryable): Promise<PartitionRow[]> {
  const result = await db.query<PartitionRow>(`SELECT ${COLUMNS} FROM sale_partitions ORDER BY sale_id, partition`);
  return result.rows;
}

export async function findPartition(db: Queryable, partition: Partition): Promise<PartitionRow | undefined> {
  const result = await db.query<PartitionRow>(
    `SELECT ${COLUMNS} FROM sale_partitions WHERE sale_id = $1 AND partition = $2`,
    [partition.saleId, partition.partition],
  );
  return result.rows[0];
}

/** Marks a partition whose Redis keys now exist. Until then no order was admitted to it. */
export async function markLive(db: Queryable, partition: Partition): Promise<void> {
  await db.query(
    `UPDATE sale_partitions SET state = 'live', updated_at = now()
     WHERE sale_id = $1 AND partition = $2 AND state = 'new'`,
    [partition.saleId, partition.partition],
  );
}
