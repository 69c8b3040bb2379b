// Puts an order's row back. Best from the copy that was kept when it was removed; else from what survives of it: its hold
// in Redis, its lines, its timeline, its payment attempts. Where what was bought or for how much can no longer be told,
// the order comes back as CANCELLING, so that its stock returns by the ordinary way, and everybody can see why.
import type pg from "pg";
import type { Partition } from "../keys.ts";
import { recordAudit } from "../ledger/audit.ts";
import { transaction } from "../ledger/database.ts";
import type { CancelReason, OrderStatus } from "../order-state.ts";
import { type HeldRecord, parseHeldRecord } from "./redis-side.ts";

/** What became of it, for the operator. */
export type Restored = { readonly done: boolean; readonly how: string };

/** @param record the order's hold in Redis; `""`: none */
export async function restoreOrder(
  pool: pg.Pool,
  at: Partition,
  orderId: string,
  record: string,
  actor: string,
): Promise<Restored> {
  return await transaction(pool, async (client) => {
    const restored =
      (await fromCopy(client, orderId)) ?? (await fromEvidence(client, at, orderId, parseHeldRecord(record)));
    if (restored.done) {
      const row = await client.query<{ row: unknown }>("SELECT to_jsonb(o) AS row FROM orders o WHERE id = $1", [
        orderId,
      ]);
      const after = row.rows[0]?.row;
      await recordAudit(client, {
        actor,
        action: "stock.reconcile",
        subject: `order:${orderId}`,
        after,
        reason: `ORDER_MISSING: ${restored.how}`,
      });
    }
    return restored;
  });
}

async function fromCopy(client: pg.PoolClient, orderId: string): Promise<Restored | undefined> {
  const tables = {
    orders: "id",
    order_lines: "order_id",
    order_timeline: "order_id",
    order_discounts: "order_id",
  } as const;
  let rows = 0;
  for (const [table, key] of Object.entries(tables)) {
    // Names come from the table above; the newest copy wins where a row was removed more than once.
    const result = await client.query(
      `WITH kept AS (
         UPDATE removed_rows SET restored_at = now()
         WHERE table_name = $1 AND restored_at IS NULL AND content ->> $2 = $3 RETURNING id, content
       )
       INSERT INTO ${table} SELECT r.* FROM (SELECT * FROM kept ORDER BY id DESC) k,
         LATERAL jsonb_populate_record(NULL::${table}, k.content) r ON CONFLICT DO NOTHING`,
      [table, key, orderId],
    );
    rows += result.rowCount ?? 0;
  }
  const there = await client.query("SELECT FROM orders WHERE id = $1", [orderId]);
  if (rows === 0 || there.rowCount === 0) return undefined;
  return { done: true, how: "restored from the copy that was kept when it was removed" };
}

interface Evidence {
  readonly lines: number;
  readonly price: number;
  readonly discount: number;
  readonly status: OrderStatus | null;
  readonly reason: CancelReason | null;
  readonly version: number;
  readonly placedAt: Date | null;
  readonly attempts: number;
  readonly method: string | null;
  readonly amount: number | null;
  readonly isPaid: boolean;
}

async function fromEvidence(
  client: pg.PoolClient,
  at: Partition,
  orderId: string,
  hold: HeldRecord | undefined,
): Promise<Restored> {
  if (!hold)
    return { done: false, how: "no copy of it was kept and Redis holds nothing for it: nobody can say whose it was" };
  const found = await client.query<Evidence>(
    `SELECT (SELECT count(*) FROM order_lines WHERE order_id = $1) AS lines,
       (SELECT COALESCE(sum(quantity * unit_price), 0)::bigint FROM order_lines WHERE order_id = $1) AS price,
       (SELECT COALESCE(sum(coupon_amount + points), 0)::bigint FROM order_discounts WHERE order_id = $1) AS discount,
       t.status, t.reason, COALESCE(t.version, 0) AS version,
       (SELECT at FROM order_timeline WHERE order_id = $1 AND version = 1) AS "placedAt",
       COALESCE(a.attempt, 0) AS attempts, a.method, a.amount,
       EXISTS (SELECT FROM payment_attempts WHERE order_id = $1 AND state = 'succeeded' AND surplus IS NULL) AS "isPaid"
     FROM (SELECT 1) one
     LEFT JOIN LATERAL (SELECT status, version, (SELECT reason FROM order_timeline
         WHERE order_id = $1 AND reason IS NOT NULL ORDER BY version DESC LIMIT 1) AS reason
       FROM order_timeline WHERE order_id = $1 ORDER BY version DESC LIMIT 1) t ON true
     LEFT JOIN LATERAL (SELECT attempt, method, amount FROM payment_attempts WHERE order_id = $1
       ORDER BY attempt DESC LIMIT 1) a ON true`,
    [orderId],
  );
  const evidence = found.rows[0] as Evidence;
  const isWhole = evidence.lines > 0 && evidence.status !== null;
  const price = evidence.lines > 0 ? evidence.price : await inventLines(client, at, orderId, hold);
  const status = isWhole ? (evidence.status as OrderStatus) : evidence.isPaid ? "PAID" : "CANCELLING";
  const reason = isWhole ? evidence.reason : status === "CANCELLING" ? "OPERATOR" : null;
  const version = isWhole ? evidence.version : evidence.version + 1;
  if (!isWhole) {
    await client.query("INSERT INTO order_timeline (order_id, version, status, reason) VALUES ($1, $2, $3, $4)", [
      orderId,
      version,
      status,
      reason,
    ]);
  }
  await client.query(
    `INSERT INTO orders (id, sale_id, partition, epoch, seq, hold_reservation, customer_id, status, reason, version,
       stock_state, price, payable, currency, payment_method, payment_attempts, on_decline, reserved_until, placed_at,
       late_capture)
     SELECT $1, s.id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, s.currency, $14, $15, s.on_decline,
       to_timestamp($16::float8 / 1000), COALESCE($17, now()),
       -- Money that came when the order no longer waited for it is decided about when the order is CANCELLED.
       CASE WHEN $8 = 'CANCELLING' THEN (SELECT min(attempt) FROM payment_attempts
         WHERE order_id = $1 AND state = 'succeeded' AND surplus IS NULL AND amount > 0) END
     FROM sales s WHERE s.id = $2`,
    [
      orderId,
      at.saleId,
      at.partition,
      hold.position.epoch,
      hold.position.seq,
      hold.reservation,
      hold.buyer,
      status,
      reason,
      version,
      reason === "LEDGER_GUARD" ? "refused" : "reserved",
      price,
      evidence.amount ?? Math.max(0, price - evidence.discount),
      // The payment's token went with the row: whoever has not paid yet may do so until the deadline.
      evidence.method ?? "later",
      evidence.attempts,
      hold.deadlineMs,
      evidence.placedAt,
    ],
  );
  return isWhole
    ? { done: true, how: "restored from its hold, lines, timeline and payment attempts" }
    : { done: true, how: `restored as ${status}: too little of it survives` };
}

/** Lines from what the hold covers, at the prices of today. @returns their price */
async function inventLines(client: pg.PoolClient, at: Partition, orderId: string, hold: HeldRecord): Promise<number> {
  const result = await client.query<{ price: number }>(
    `WITH written AS (
       INSERT INTO order_lines (order_id, line, product_id, product_name, quantity, unit_price)
       SELECT $1, row_number() OVER (ORDER BY p.id), p.id, p.name, u.units, COALESCE(i.price, p.price)
       FROM unnest($3::text[], $4::bigint[]) AS u(sku, units) JOIN products p ON p.id::text = u.sku
       LEFT JOIN sale_items i ON i.product_id = p.id AND i.sale_id = $2
       RETURNING quantity * unit_price AS price
     )
     SELECT COALESCE(sum(price), 0)::bigint AS price FROM written`,
    [orderId, at.saleId, [...hold.units.keys()], [...hold.units.values()]],
  );
  return result.rows[0]?.price ?? 0;
}
