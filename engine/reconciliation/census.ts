// What only counting shows: rows that were taken away from the ledger, and orders that wait where nobody waits for long.
// Each count reads a table from end to end, so the background asks seldom and the longer it took, the more seldom.
import type { Partition } from "../keys.ts";
import type { Queryable } from "../ledger/database.ts";
import { HELD_BEYOND, isHeldBeyond, type MovedOrder } from "../ledger/fates.ts";
import { PAYMENT_DUE } from "../ledger/payments.ts";
import { parseOrderId } from "../order-id.ts";
import type { OrderStatus, Transition } from "../order-state.ts";
import type { Drift } from "./drift.ts";
import type { LedgerHead } from "./ledger-side.ts";

export interface Census {
  readonly drifts: readonly Drift[];
  /** Orders that the ledger counts a hold for. */
  readonly holds: number;
}

/** How long an order may stay in a state that lasts moments, in ms. */
export const STUCK_AFTER_MS = 30_000;
const DRIFTS_MAX = 1_000;

/** Counts a partition's orders and movements on a snapshot whose head is given. @param nowMs Redis `TIME` */
export async function takeCensus(db: Queryable, at: Partition, head: LedgerHead, nowMs: number): Promise<Census> {
  const counted = await db.query<{ orders: number; holds: number }>({
    name: "reconcile_count",
    text: `SELECT count(*) AS orders, count(*) FILTER (WHERE stock_state IN ('reserved', 'refused')) AS holds
      FROM orders WHERE sale_id = $1 AND partition = $2`,
    values: [at.saleId, at.partition],
  });
  const { orders = 0, holds = 0 } = counted.rows[0] ?? {};
  const removed = await findRemoved(db, at);
  const drifts = [...removed, ...(await findLostNumbers(db, at, head)), ...(await findStuck(db, at, nowMs))];
  // Copies also tell of lines; only whole orders are missing in the count.
  const known = new Set(await missingOf(db, removed));
  const missing = head.orders - orders - known.size;
  if (missing > 0) drifts.push(...(await findMissingOrders(db, at, missing, known)));
  return { drifts, holds };
}

/** Numbers that are in neither the movements, nor the dead letters, nor the ranges declared lost. */
async function findLostNumbers(db: Queryable, at: Partition, head: LedgerHead): Promise<Drift[]> {
  const result = await db.query<{ epoch: number; fromSeq: number; toSeq: number }>({
    name: "reconcile_gaps",
    text: `WITH known AS (
        SELECT epoch, seq AS first, seq AS last FROM stock_movements WHERE sale_id = $1 AND partition = $2
        UNION ALL SELECT epoch, from_seq, to_seq FROM lost_ranges WHERE sale_id = $1 AND partition = $2
        UNION ALL SELECT epoch, seq, seq FROM dead_letters WHERE sale_id = $1 AND partition = $2
        UNION ALL SELECT $3, $4::bigint + 1, $4::bigint + 1
      ), ordered AS (
        SELECT epoch, first, COALESCE(max(last) OVER (PARTITION BY epoch ORDER BY first, last
          ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before FROM known
      )
      SELECT epoch, before + 1 AS "fromSeq", first - 1 AS "toSeq" FROM ordered WHERE first > before + 1
      ORDER BY epoch, first LIMIT $5`,
    values: [at.saleId, at.partition, head.epoch, head.seq, DRIFTS_MAX],
  });
  return result.rows.map((gap) => ({ kind: "MOVEMENT_LOST", ...gap, applied: true }));
}

/** Those of the products that were once sold here without a limit per buyer. */
export async function listOnceUnlimited(db: Queryable, at: Partition, skus: readonly string[]): Promise<Set<string>> {
  const result = await db.query<{ sku: string }>({
    name: "reconcile_unlimited",
    text: `SELECT n.sku FROM unnest($3::uuid[]) AS n(sku) WHERE EXISTS (SELECT FROM stock_movements m
      WHERE m.sale_id = $1 AND m.partition = $2 AND m.product_id = n.sku AND m.kind = 'place' AND m.buyer_limit = 0)`,
    values: [at.saleId, at.partition, skus],
  });
  return new Set(result.rows.map((row) => row.sku));
}

/** Orders and numbers of which rows were removed: the copies that were kept of them say so. Next to always none. */
async function findRemoved(db: Queryable, at: Partition): Promise<Drift[]> {
  const result = await db.query<{ orderId: string | null; epoch: number | null; seq: number | null }>({
    name: "reconcile_removed",
    text: `SELECT DISTINCT r.content ->> CASE r.table_name WHEN 'orders' THEN 'id' ELSE 'order_id' END AS "orderId",
        (r.content ->> 'epoch')::bigint AS epoch, (r.content ->> 'seq')::bigint AS seq
      FROM removed_rows r LEFT JOIN orders o ON o.id = (r.content ->> 'order_id')::uuid
      WHERE r.restored_at IS NULL
        AND COALESCE(r.content ->> 'sale_id', o.sale_id) = $1
        AND COALESCE((r.content ->> 'partition')::int, o.partition) = $2 LIMIT $3`,
    values: [at.saleId, at.partition, DRIFTS_MAX],
  });
  return result.rows.map(({ orderId, epoch, seq }) =>
    orderId === null
      ? { kind: "MOVEMENT_LOST", epoch: epoch ?? 0, fromSeq: seq ?? 0, toSeq: seq ?? 0, applied: true }
      : { kind: "ORDER_MISSING", orderId, redis: "", count: 1 },
  );
}

/** Which orders are gone: those that left lines or a timeline. @param known those that are known to be */
async function findMissingOrders(
  db: Queryable,
  at: Partition,
  count: number,
  known: ReadonlySet<string>,
): Promise<Drift[]> {
  const sale = await db.query<{ no: number }>("SELECT no FROM sales WHERE id = $1", [at.saleId]);
  const result = await db.query<{ id: string }>(
    `SELECT t.order_id AS id FROM order_timeline t
     WHERE t.version = 1 AND NOT EXISTS (SELECT FROM orders o WHERE o.id = t.order_id)
     UNION SELECT l.order_id FROM order_lines l
     WHERE l.line = 1 AND NOT EXISTS (SELECT FROM orders o WHERE o.id = l.order_id) LIMIT $1`,
    [DRIFTS_MAX],
  );
  const ids = result.rows
    .map(({ id }) => id)
    .filter((id) => {
      const told = parseOrderId(id);
      return !known.has(id) && (!told || (told.partition === at.partition && told.saleNo === sale.rows[0]?.no));
    });
  const drifts: Drift[] = ids.map((orderId) => ({ kind: "ORDER_MISSING", orderId, redis: "", count: 1 }));
  const unknown = count - ids.length;
  if (unknown > 0) drifts.push({ kind: "ORDER_MISSING", orderId: null, redis: "", count: unknown });
  return drifts;
}

/** Those of the orders that have no row. */
async function missingOf(db: Queryable, removed: readonly Drift[]): Promise<string[]> {
  const ids = removed.flatMap((drift) => (drift.kind === "ORDER_MISSING" && drift.orderId ? [drift.orderId] : []));
  if (ids.length === 0) return [];
  const result = await db.query<{ id: string }>(
    `SELECT n.id FROM unnest($1::uuid[]) AS n(id) WHERE NOT EXISTS (SELECT FROM orders o WHERE o.id = n.id)`,
    [ids],
  );
  return result.rows.map(({ id }) => id);
}

/** Orders that wait for what should long have happened, with what they wait for. */
async function findStuck(db: Queryable, at: Partition, nowMs: number): Promise<Drift[]> {
  const result = await db.query<{
    orderId: string;
    status: OrderStatus;
    stockState: MovedOrder["stockState"];
    ended: "succeeded" | "declined" | "failed" | null;
    open: boolean;
  }>({
    name: "reconcile_stuck",
    text: `SELECT o.id AS "orderId", o.status, o.stock_state AS "stockState", a.state AS ended,
        EXISTS (SELECT FROM payment_attempts p WHERE p.order_id = o.id AND p.state = 'started') AS open
      FROM orders o LEFT JOIN payment_attempts a ON a.order_id = o.id AND a.attempt = o.payment_attempts
      WHERE o.sale_id = $1 AND o.partition = $2 AND o.updated_at < now() - $3 * interval '1 millisecond'
        AND (o.status IN ('PAID', 'CANCELLING') OR ${HELD_BEYOND}
          OR (o.status = 'PAYING' AND NOT EXISTS (SELECT FROM payment_attempts p WHERE p.order_id = o.id AND p.state = 'started'))
          OR (o.status = 'RESERVED' AND NOT ${PAYMENT_DUE}
            AND o.reserved_until < to_timestamp(($4::float8 - $3) / 1000)))
      ORDER BY o.id LIMIT $5`,
    values: [at.saleId, at.partition, STUCK_AFTER_MS, nowMs, DRIFTS_MAX],
  });
  return result.rows.map(({ orderId, status, stockState, ended }) => ({
    kind: "STUCK_TRANSITION",
    orderId,
    status,
    stockState,
    step: nextStep(status, stockState, ended),
  }));
}

function nextStep(
  status: OrderStatus,
  stockState: MovedOrder["stockState"],
  ended: "succeeded" | "declined" | "failed" | null,
): Transition | "move stock" | null {
  if (status === "PAID") return stockState === "sold" ? "settle" : stockState === "reserved" ? "move stock" : null;
  if (status === "CANCELLING")
    return stockState === "released" ? "release" : stockState === "sold" ? null : "move stock";
  if (isHeldBeyond({ status, stockState })) return "move stock";
  if (status === "RESERVED") return "expire";
  if (ended === "succeeded") return "capture";
  return ended === null ? null : "cancelAfterPayment";
}
