// The SQL of honouring lost orders: units set aside from holdbacks, and what becomes of them. `quantity` of a holdback changes
// only when the persister applies a movement, so that Redis and Postgres compare at one position; what is promised before
// that is `claimed`.
import type { Partition } from "../keys.ts";
import type { Position } from "../movement.ts";
import type { Queryable } from "./database.ts";

export interface Honour extends Partition {
  readonly orderId: string;
  /** The present epoch of its partition. */
  readonly epoch: number;
  /** JSON of the order; `null` once it is in the ledger. */
  readonly payload: string | null;
  readonly calls: number;
  readonly applied: boolean;
}

const COLUMNS = `h.order_id AS "orderId", h.sale_id AS "saleId", h.partition, p.epoch, h.payload, h.calls,
  h.applied_at IS NOT NULL AS applied`;

export async function findHonour(db: Queryable, orderId: string): Promise<Honour | undefined> {
  const result = await db.query<Honour>(
    `SELECT ${COLUMNS} FROM honours h JOIN sale_partitions p USING (sale_id, partition) WHERE h.order_id = $1`,
    [orderId],
  );
  return result.rows[0];
}

/** Begins to honour an order. @returns false when somebody has begun before */
export async function insertHonour(
  db: Queryable,
  at: Partition,
  honour: { orderId: string; lost: Position; payload: string; actor: string },
): Promise<boolean> {
  const result = await db.query(
    `INSERT INTO honours (order_id, sale_id, partition, lost_epoch, lost_seq, payload, actor)
     VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
    [honour.orderId, at.saleId, at.partition, honour.lost.epoch, honour.lost.seq, honour.payload, honour.actor],
  );
  return result.rowCount === 1;
}

/** Units of a product that are held back and promised to nobody. */
export interface OpenHoldback {
  readonly movementId: string;
  readonly productId: string;
  readonly open: number;
}

/** Holdbacks whose time is not over, those that end first at the front; locked with `lock`. @param nowMs Redis `TIME` */
export async function listOpenHoldbacks(
  db: Queryable,
  at: Partition,
  productIds: readonly string[],
  nowMs: number,
  lock: boolean,
): Promise<OpenHoldback[]> {
  const result = await db.query<OpenHoldback>(
    `SELECT movement_id AS "movementId", product_id AS "productId", quantity - claimed AS open FROM holdbacks
     WHERE sale_id = $1 AND partition = $2 AND product_id = ANY($3::uuid[]) AND returned_at IS NULL
       AND return_started_at IS NULL AND quantity > claimed AND until > to_timestamp($4::float8 / 1000)
     ORDER BY until, movement_id ${lock ? "FOR UPDATE" : ""}`,
    [at.saleId, at.partition, productIds, nowMs],
  );
  return result.rows;
}

/** Sets units of locked holdbacks aside for the order. */
export async function claimUnits(
  db: Queryable,
  orderId: string,
  claims: readonly { movementId: string; units: number }[],
): Promise<void> {
  await db.query(
    `WITH claim AS (SELECT * FROM unnest($2::uuid[], $3::bigint[]) AS t (movement_id, units)),
       noted AS (INSERT INTO honour_units (order_id, movement_id, units) SELECT $1, movement_id, units FROM claim)
     UPDATE holdbacks h SET claimed = h.claimed + claim.units FROM claim WHERE h.movement_id = claim.movement_id`,
    [orderId, claims.map((claim) => claim.movementId), claims.map((claim) => claim.units)],
  );
}

/** How many units of each product are set aside for the order. */
export async function claimedUnits(db: Queryable, orderId: string): Promise<Map<string, number>> {
  const result = await db.query<{ productId: string; units: number }>(
    `SELECT h.product_id AS "productId", sum(u.units)::bigint AS units
     FROM honour_units u JOIN holdbacks h USING (movement_id) WHERE u.order_id = $1 GROUP BY 1`,
    [orderId],
  );
  return new Map(result.rows.map((row) => [row.productId, row.units]));
}

/**
 * Takes the next call of the script, if nobody's may still be out.
 *
 * @returns the honour with this call counted
 */
export async function takeCall(db: Queryable, orderId: string, againAfterMs: number): Promise<Honour | undefined> {
  const result = await db.query<Honour>(
    `UPDATE honours h SET calls = h.calls + 1, called_at = clock_timestamp() FROM sale_partitions p
     WHERE h.order_id = $1 AND h.applied_at IS NULL AND p.sale_id = h.sale_id AND p.partition = h.partition
       AND h.called_at < clock_timestamp() - $2 * interval '1 millisecond'
     RETURNING ${COLUMNS}`,
    [orderId, againAfterMs],
  );
  return result.rows[0];
}

/** Gives the units back to their holdbacks, as long as no call beside the caller's was made. */
export async function dropHonour(db: Queryable, orderId: string, calls: number): Promise<boolean> {
  const result = await db.query(
    `WITH dropped AS (DELETE FROM honours WHERE order_id = $1 AND calls = $2 AND applied_at IS NULL RETURNING order_id),
       freed AS (
         UPDATE holdbacks h SET claimed = h.claimed - u.units FROM honour_units u JOIN dropped USING (order_id)
         WHERE h.movement_id = u.movement_id
       )
     SELECT FROM dropped`,
    [orderId, calls],
  );
  return (result.rowCount ?? 0) > 0;
}

/**
 * The orders are in the ledger: their units are held back no longer, and who honoured them is on record. Within the
 * transaction that inserts them.
 */
export async function completeHonours(db: Queryable, orderIds: readonly string[]): Promise<void> {
  await db.query(
    `WITH done AS (
       UPDATE honours SET applied_at = now(), payload = NULL
       WHERE order_id = ANY($1::uuid[]) AND applied_at IS NULL
       RETURNING order_id, actor, sale_id, partition, lost_epoch, lost_seq
     ), recorded AS (
       INSERT INTO audit_log (actor, action, subject, after)
       SELECT actor, 'order.honour', 'order:' || order_id, jsonb_build_object('saleId', sale_id, 'partition', partition,
         'lostEpoch', lost_epoch, 'lostSeq', lost_seq) FROM done
     ), used AS (
       SELECT u.movement_id, sum(u.units) AS units FROM honour_units u JOIN done USING (order_id) GROUP BY 1
     )
     UPDATE holdbacks h SET quantity = h.quantity - used.units, claimed = h.claimed - used.units,
       returned_at = CASE WHEN h.quantity = used.units THEN now() END
     FROM used WHERE h.movement_id = used.movement_id`,
    [orderIds],
  );
}

/** Honours that have not come to an end, of partitions that are live, longest untouched first. */
export async function listOpenHonours(db: Queryable, olderThanMs: number, limit: number): Promise<string[]> {
  const result = await db.query<{ orderId: string }>(
    `SELECT h.order_id AS "orderId" FROM honours h JOIN sale_partitions p USING (sale_id, partition)
     WHERE h.applied_at IS NULL AND p.state = 'live' AND h.called_at < clock_timestamp() - $1 * interval '1 millisecond'
     ORDER BY h.called_at LIMIT $2`,
    [olderThanMs, limit],
  );
  return result.rows.map((row) => row.orderId);
}

/** What Postgres knows about a number of a log in which an order was accepted. */
export interface LostPosition {
  /** The epoch of the partition now. */
  readonly epoch: number;
  readonly state: "new" | "live" | "suspended";
  readonly declaredLost: boolean;
  /** Something was applied under that number, or set aside as a dead letter. */
  readonly applied: boolean;
}

/** @returns `undefined` when there is no such partition */
export async function findLostPosition(
  db: Queryable,
  at: Partition,
  position: Position,
): Promise<LostPosition | undefined> {
  const result = await db.query<LostPosition>(
    `SELECT p.epoch, p.state,
       EXISTS (SELECT FROM lost_ranges l WHERE l.sale_id = $1 AND l.partition = $2 AND l.epoch = $3
         AND $4 BETWEEN l.from_seq AND l.to_seq) AS "declaredLost",
       EXISTS (SELECT FROM stock_movements m WHERE m.sale_id = $1 AND m.partition = $2 AND m.epoch = $3 AND m.seq = $4)
         OR EXISTS (SELECT FROM dead_letters d WHERE d.sale_id = $1 AND d.partition = $2 AND d.epoch = $3 AND d.seq = $4)
         AS applied
     FROM sale_partitions p WHERE p.sale_id = $1 AND p.partition = $2`,
    [at.saleId, at.partition, position.epoch, position.seq],
  );
  return result.rows[0];
}

/** Names of products by id. */
export async function productNames(db: Queryable, productIds: readonly string[]): Promise<Map<string, string>> {
  const result = await db.query<{ id: string; name: string }>(
    "SELECT id, name FROM products WHERE id = ANY($1::uuid[])",
    [productIds],
  );
  return new Map(result.rows.map((row) => [row.id, row.name]));
}
