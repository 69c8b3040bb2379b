// Numbers that are missing: put back where what they were can still be told, declared lost where it cannot, and stepped
// over where the log itself has lost them.
import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import type pg from "pg";
import { type Partition, partitionName } from "../keys.ts";
import { recordAudit } from "../ledger/audit.ts";
import { type Queryable, transaction } from "../ledger/database.ts";
import { insertMovements, type StockMovement } from "../ledger/log.ts";
import { declareLost, recordHoldback } from "../ledger/recovery.ts";
import { redisNowMs } from "../redis/clock.ts";
import type { Drift, LedgerFigures } from "./drift.ts";
import { sumMovements } from "./ledger-side.ts";
import { parseHeldRecord, scanRecords } from "./redis-side.ts";
import type { Restored } from "./restore-order.ts";

type Lost = Drift & { kind: "MOVEMENT_LOST" };

/** Ranges that are longer are declared lost as a whole. */
const NUMBERS_MAX = 10_000;

/**
 * Puts back the ledger's movements of a range that is missing there: from copies, from orders, allocations, revivals and returns,
 * and a single one that remains from what the ledger's rows amount to beyond the others. The rest is declared lost.
 */
export async function restoreMovements(pool: pg.Pool, at: Partition, lost: Lost, actor: string): Promise<Restored> {
  const { epoch, fromSeq, toSeq } = lost;
  return await transaction(pool, async (client) => {
    // Nothing is applied while this is worked out.
    await client.query("SELECT FROM sale_partitions WHERE sale_id = $1 AND partition = $2 FOR UPDATE", [
      at.saleId,
      at.partition,
    ]);
    const restored = await fromCopies(client, at, lost);
    const missing = await missingNumbers(client, at, lost);
    if (missing.size > 0) restored.push(...(await fromOrders(client, at, epoch, missing)));
    if (missing.size > 0) restored.push(...(await fromAllocations(client, at, epoch, missing)));
    if (missing.size > 0) restored.push(...(await fromRevivals(client, at, epoch, missing)));
    if (missing.size > 0) restored.push(...(await fromReturns(client, at, epoch, missing)));
    if (missing.size === 1) restored.push(...(await fromRemainder(client, at, epoch, missing)));
    for (const seq of missing) await declareLost(client, at, { epoch, fromSeq: seq, toSeq: seq }, actor);
    const [declared, put] = [[...missing], restored.toSorted((a, b) => a - b)];
    const how = [
      ...(put.length > 0 ? [`put back: ${shorten(put)}`] : []),
      ...(declared.length > 0 ? [`declared lost: ${shorten(declared)}`] : []),
    ].join("; ");
    await recordAudit(client, {
      actor,
      action: "stock.reconcile",
      subject: `partition:${partitionName(at)}`,
      before: { missing: { epoch, fromSeq, toSeq } },
      after: { restored: put, declaredLost: declared },
      reason: `MOVEMENT_LOST: ${how}`,
    });
    return { done: true, how };
  });
}

async function missingNumbers(db: Queryable, at: Partition, { epoch, fromSeq, toSeq }: Lost): Promise<Set<number>> {
  const result = await db.query<{ seq: number }>(
    `SELECT n.seq FROM generate_series($4::bigint, $5::bigint) AS n(seq)
     WHERE NOT EXISTS (SELECT FROM stock_movements m
       WHERE m.sale_id = $1 AND m.partition = $2 AND m.epoch = $3 AND m.seq = n.seq)`,
    [at.saleId, at.partition, epoch, fromSeq, Math.min(toSeq, fromSeq + NUMBERS_MAX - 1)],
  );
  return new Set(result.rows.map(({ seq }) => seq));
}

async function fromCopies(db: Queryable, at: Partition, { epoch, fromSeq, toSeq }: Lost): Promise<number[]> {
  const result = await db.query<{ seq: number }>(
    `WITH kept AS (
       UPDATE removed_rows SET restored_at = now() WHERE table_name = 'stock_movements' AND restored_at IS NULL
         AND content ->> 'sale_id' = $1 AND (content ->> 'partition')::int = $2
         AND (content ->> 'epoch')::bigint = $3 AND (content ->> 'seq')::bigint BETWEEN $4 AND $5
       RETURNING id, content
     )
     INSERT INTO stock_movements SELECT r.* FROM (SELECT * FROM kept ORDER BY id DESC) k,
       LATERAL jsonb_populate_record(NULL::stock_movements, k.content) r ON CONFLICT DO NOTHING RETURNING seq`,
    [at.saleId, at.partition, epoch, fromSeq, toSeq],
  );
  return [...new Set(result.rows.map(({ seq }) => seq))];
}

/** A placement is told by the orders that it placed. */
async function fromOrders(db: Queryable, at: Partition, epoch: number, missing: Set<number>): Promise<number[]> {
  const result = await db.query<Omit<StockMovement, "kind" | "epoch">>(
    `SELECT o.seq, l.product_id AS "productId", sum(l.quantity)::bigint AS quantity,
       COALESCE(sum(l.quantity) FILTER (WHERE o.reason = 'LEDGER_GUARD'), 0)::bigint AS refused,
       (SELECT count(*) FROM orders c WHERE c.sale_id = $1 AND c.partition = $2 AND c.epoch = $3 AND c.seq = o.seq) AS holds,
       (extract(epoch FROM min(o.placed_at)) * 1000)::bigint AS "atMs"
     FROM orders o JOIN order_lines l ON l.order_id = o.id
     WHERE o.sale_id = $1 AND o.partition = $2 AND o.epoch = $3 AND o.seq = ANY($4::bigint[]) GROUP BY 1, 2 ORDER BY 1, 2`,
    [at.saleId, at.partition, epoch, [...missing]],
  );
  const rows = result.rows.map(
    (row, i): StockMovement => ({
      ...row,
      epoch,
      kind: "place",
      holds: result.rows[i - 1]?.seq === row.seq ? 0 : row.holds,
    }),
  );
  await insertMovements(db, at, rows);
  return taken(missing, rows);
}

async function fromAllocations(db: Queryable, at: Partition, epoch: number, missing: Set<number>): Promise<number[]> {
  const result = await db.query<Omit<StockMovement, "kind">>(
    `SELECT applied_epoch AS epoch, applied_seq AS seq, product_id AS "productId", quantity, 0 AS refused, 0 AS holds,
       (extract(epoch FROM created_at) * 1000)::bigint AS "atMs"
     FROM allocations WHERE sale_id = $1 AND partition = $2 AND applied_epoch = $3 AND applied_seq = ANY($4::bigint[])`,
    [at.saleId, at.partition, epoch, [...missing]],
  );
  const rows = result.rows.map((row): StockMovement => ({ ...row, kind: "restock" }));
  await insertMovements(db, at, rows);
  return taken(missing, rows);
}

/** A revival is told by its record and the lines of its orders. */
async function fromRevivals(db: Queryable, at: Partition, epoch: number, missing: Set<number>): Promise<number[]> {
  const result = await db.query<Omit<StockMovement, "kind" | "epoch">>(
    `SELECT v.seq, l.product_id AS "productId", sum(l.quantity)::bigint AS quantity,
       COALESCE(sum(l.quantity) FILTER (WHERE v.outcome = 'refused'), 0)::bigint AS refused,
       count(DISTINCT v.order_id) FILTER (WHERE l.product_id = (SELECT min(f.product_id::text)::uuid FROM order_lines f
         WHERE f.order_id = v.order_id)) AS holds,
       (extract(epoch FROM min(v.at)) * 1000)::bigint AS "atMs"
     FROM order_revivals v JOIN order_lines l USING (order_id)
     WHERE v.sale_id = $1 AND v.partition = $2 AND v.epoch = $3 AND v.seq = ANY($4::bigint[]) GROUP BY 1, 2`,
    [at.saleId, at.partition, epoch, [...missing]],
  );
  const rows = result.rows.map((row): StockMovement => ({ ...row, epoch, kind: "revive" }));
  await insertMovements(db, at, rows);
  return taken(missing, rows);
}

async function fromReturns(db: Queryable, at: Partition, epoch: number, missing: Set<number>): Promise<number[]> {
  const result = await db.query<Omit<StockMovement, "epoch">>(
    `SELECT r.seq, u.key::uuid AS "productId", CASE WHEN r.restock THEN 'return' ELSE 'write_off' END AS kind,
       sum(u.value::bigint)::bigint AS quantity, 0 AS refused, 0 AS holds,
       (extract(epoch FROM min(r.at)) * 1000)::bigint AS "atMs"
     FROM order_returns r, jsonb_each_text(r.units) u
     WHERE r.sale_id = $1 AND r.partition = $2 AND r.epoch = $3 AND r.seq = ANY($4::bigint[]) GROUP BY 1, 2, 3`,
    [at.saleId, at.partition, epoch, [...missing]],
  );
  const rows = result.rows.map((row): StockMovement => ({ ...row, epoch }));
  await insertMovements(db, at, rows);
  return taken(missing, rows);
}

/** The last one that is missing is what the ledger's rows amount to beyond all others. */
async function fromRemainder(db: Queryable, at: Partition, epoch: number, missing: Set<number>): Promise<number[]> {
  const [seq] = missing;
  const stock = await db.query<LedgerFigures & { sku: string }>(
    "SELECT product_id AS sku, allocated, reserved, sold FROM stock WHERE sale_id = $1 AND partition = $2",
    [at.saleId, at.partition],
  );
  const sums = await sumMovements(
    db,
    at,
    stock.rows.map(({ sku }) => sku),
  );
  const rest = stock.rows.map((row) => {
    const sum = sums.get(row.sku) ?? { allocated: 0, reserved: 0, sold: 0 };
    return { sku: row.sku, reserved: row.reserved - sum.reserved, sold: row.sold - sum.sold };
  });
  const moved = rest.filter(({ reserved, sold }) => reserved !== 0 || sold !== 0);
  const isSettle = moved.length > 0 && moved.every(({ reserved, sold }) => sold > 0 && reserved === -sold);
  const isRelease = moved.length > 0 && moved.every(({ reserved, sold }) => sold === 0 && reserved < 0);
  if (seq === undefined || !(isSettle || isRelease)) return [];
  const rows = moved.map(
    ({ sku, reserved }): StockMovement => ({
      epoch,
      seq,
      productId: sku,
      kind: isSettle ? "settle" : "release",
      quantity: -reserved,
      refused: 0,
      holds: 0,
      atMs: Date.now(),
    }),
  );
  await insertMovements(db, at, rows);
  return taken(missing, rows);
}

/**
 * Steps over numbers that the log lost before Postgres had them, so that what follows is applied. Units that Redis still
 * holds for orders of those numbers are held back for their receipts, as after a rebuild.
 */
export async function stepOverLoss(
  { pool, redis }: { readonly pool: pg.Pool; readonly redis: Redis },
  at: Partition,
  { epoch, fromSeq, toSeq }: Lost,
  actor: string,
): Promise<Restored> {
  const units = new Map<string, number>();
  let reservation = 0;
  for await (const page of scanRecords(redis, at, "held")) {
    for (const record of page.values()) {
      const hold = parseHeldRecord(record);
      if (hold?.position.epoch !== epoch || hold.position.seq < fromSeq || hold.position.seq > toSeq) continue;
      reservation = Math.max(reservation, hold.reservation);
      for (const [sku, count] of hold.units) units.set(sku, (units.get(sku) ?? 0) + count);
    }
  }
  const nowMs = await redisNowMs(redis);
  return await transaction(pool, async (client) => {
    const moved = await client.query<{ ttlMs: number }>(
      `UPDATE sale_partitions p SET seq = $5, reservation = GREATEST(p.reservation, $6), state = 'live', reason = NULL,
         updated_at = now()
       FROM sales s WHERE s.id = p.sale_id AND p.sale_id = $1 AND p.partition = $2 AND p.epoch = $3 AND p.seq = $4 - 1
       RETURNING s.reservation_ttl_ms AS "ttlMs"`,
      [at.saleId, at.partition, epoch, fromSeq, toSeq, reservation],
    );
    const [row] = moved.rows;
    if (!row) return { done: false, how: "the log moved on meanwhile" };
    await declareLost(client, at, { epoch, fromSeq, toSeq }, actor);
    for (const [productId, quantity] of units) {
      await recordHoldback(client, at, { movementId: randomUUID(), productId, quantity, untilMs: nowMs + row.ttlMs });
    }
    const numbers = fromSeq === toSeq ? `${fromSeq}` : `${fromSeq} to ${toSeq}`;
    const how = `declared lost: ${numbers}; the log goes on after it`;
    await recordAudit(client, {
      actor,
      action: "stock.reconcile",
      subject: `partition:${partitionName(at)}`,
      before: { appliedSeq: fromSeq - 1 },
      after: { epoch, appliedSeq: toSeq, heldBack: Object.fromEntries(units) },
      reason: `MOVEMENT_LOST: ${how}`,
    });
    return { done: true, how };
  });
}

function taken(missing: Set<number>, rows: readonly { readonly seq: number }[]): number[] {
  const seqs = [...new Set(rows.map(({ seq }) => seq))];
  for (const seq of seqs) missing.delete(seq);
  return seqs;
}

function shorten(seqs: readonly number[]): string {
  return seqs.length <= 5 ? seqs.join(", ") : `${seqs.slice(0, 5).join(", ")} and ${seqs.length - 5} more`;
}
