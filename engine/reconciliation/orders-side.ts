// Orders as the reconciler compares them with Redis' records: what each one's hold must say, what buyers' limits must
// count, and whether something about them has moved since an instant of Postgres' clock.
import type { Partition } from "../keys.ts";
import type { Queryable } from "../ledger/database.ts";
import { formatPosition, type Position } from "../movement.ts";

const ORDER_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Whether Postgres could have an order of this id at all. */
export function isOrderId(text: string): boolean {
  return ORDER_ID.test(text);
}

export interface OrderHold {
  readonly id: string;
  /** Whether the ledger counts a hold for it. */
  readonly isHeld: boolean;
  readonly stockState: string;
  /** Changed after the instant asked about: what Redis said before cannot be held against it. */
  readonly isMoving: boolean;
  /** The record as place.lua writes it. */
  readonly record: string;
}

/** Those of the orders that Postgres has. */
export async function readOrderHolds(
  db: Queryable,
  at: Partition,
  ids: readonly string[],
  since: Date,
): Promise<Map<string, OrderHold>> {
  const result = await db.query<OrderHold>({
    name: "reconcile_orders",
    text: `SELECT o.id, o.stock_state IN ('reserved', 'refused') AS "isHeld", o.stock_state AS "stockState",
        o.updated_at > $4 AS "isMoving",
        o.hold_reservation || '|' || floor(extract(epoch FROM o.reserved_until) * 1000)::bigint || '|' || o.epoch || '-'
          || o.seq || '|' || o.customer_id || '|' || COALESCE((
            SELECT string_agg(l.product_id || '=' || l.units || l.mark, ',' ORDER BY l.product_id) FROM (
              SELECT l.product_id, sum(l.quantity) AS units,
                CASE WHEN i.per_customer_limit IS NULL THEN '' ELSE '!' END AS mark
              FROM order_lines l LEFT JOIN sale_items i ON i.sale_id = o.sale_id AND i.product_id = l.product_id
              WHERE l.order_id = o.id GROUP BY l.product_id, i.per_customer_limit) l), '') AS record
      FROM orders o WHERE o.id = ANY($3::uuid[]) AND o.sale_id = $1 AND o.partition = $2`,
    values: [at.saleId, at.partition, ids.filter(isOrderId), since],
  });
  return new Map(result.rows.map((row) => [row.id, row]));
}

/** Numbers of the log under which fewer orders stand than were placed. */
export async function readThinned(db: Queryable, at: Partition, positions: readonly Position[]): Promise<Set<string>> {
  if (positions.length === 0) return new Set();
  const result = await db.query<Position>(
    `SELECT n.epoch, n.seq FROM unnest($3::bigint[], $4::bigint[]) AS n(epoch, seq)
     WHERE (SELECT sum(m.holds) FROM stock_movements m WHERE m.sale_id = $1 AND m.partition = $2 AND m.epoch = n.epoch
         AND m.seq = n.seq AND m.kind = 'place')
       > (SELECT count(*) FROM orders o WHERE o.sale_id = $1 AND o.partition = $2 AND o.epoch = n.epoch AND o.seq = n.seq)`,
    [at.saleId, at.partition, positions.map(({ epoch }) => epoch), positions.map(({ seq }) => seq)],
  );
  return new Set(result.rows.map(formatPosition));
}

/** Of ids that are no orders: those that left something behind, and those that are dead letters. */
export async function readTraces(
  db: Queryable,
  at: Partition,
  ids: readonly string[],
): Promise<{ traces: Set<string>; deadLetters: ReadonlySet<string> }> {
  const known = ids.filter(isOrderId);
  const traces = await db.query<{ id: string }>(
    `SELECT n.id FROM unnest($1::uuid[]) AS n(id)
     WHERE NOT EXISTS (SELECT FROM orders o WHERE o.id = n.id)
       AND (EXISTS (SELECT FROM order_lines l WHERE l.order_id = n.id)
         OR EXISTS (SELECT FROM order_timeline t WHERE t.order_id = n.id)
         OR EXISTS (SELECT FROM removed_rows r WHERE r.table_name = 'orders' AND r.restored_at IS NULL
           AND r.content ->> 'id' = n.id::text))`,
    [known],
  );
  const letters = await db.query<{ id: string }>(
    `SELECT order_id AS id FROM dead_letters
     WHERE sale_id = $1 AND partition = $2 AND kind = 'place' AND state <> 'replayed' AND order_id = ANY($3::text[])`,
    [at.saleId, at.partition, ids],
  );
  return { traces: new Set(traces.rows.map((row) => row.id)), deadLetters: new Set(letters.rows.map((row) => row.id)) };
}

export interface LimitUse {
  /** Units of all the buyer's orders less what went back on sale, and of those that were certainly counted: placed in this epoch under a limit. */
  readonly units: number;
  readonly counted: number;
  readonly isMoving: boolean;
}

/** What orders hold and have bought, by `buyer|sku`. */
export async function readLimitUse(
  db: Queryable,
  at: Partition,
  fields: readonly string[],
  since: Date,
): Promise<Map<string, LimitUse>> {
  const pairs = fields.map(splitField).filter(({ sku }) => isOrderId(sku));
  const result = await db.query<LimitUse & { buyer: string; sku: string }>({
    name: "reconcile_limit_use",
    // Buyer by buyer, whatever the planner knows of the tables: by figures that are a moment old it reads every order of the
    // sale for each thousand buyers (600 ms where this takes 15).
    text: `SELECT n.buyer, n.sku, COALESCE(u.units, 0)::bigint AS units, COALESCE(u.counted, 0)::bigint AS counted,
        COALESCE(u.moving, false) AS "isMoving"
      FROM unnest($3::text[], $4::uuid[]) AS n(buyer, sku)
      CROSS JOIN (SELECT max(epoch) AS epoch FROM sale_partitions WHERE sale_id = $1 AND partition = $2) p
      CROSS JOIN LATERAL (
        SELECT sum(l.quantity - l.restocked) FILTER (WHERE o.stock_state <> 'released') AS units,
          sum(l.quantity - l.restocked) FILTER (WHERE o.stock_state <> 'released' AND o.epoch = p.epoch AND (
            SELECT m.buyer_limit > 0 FROM stock_movements m WHERE m.sale_id = $1 AND m.partition = $2 AND m.epoch = o.epoch
              AND m.seq = o.seq AND m.product_id = n.sku)) AS counted,
          bool_or(o.updated_at > $5) AS moving
        FROM orders o LEFT JOIN LATERAL (
          SELECT quantity, restocked FROM order_lines WHERE order_id = o.id AND product_id = n.sku) l ON true
        WHERE o.customer_id = n.buyer AND o.sale_id = $1 AND o.partition = $2) u`,
    values: [at.saleId, at.partition, pairs.map(({ buyer }) => buyer), pairs.map(({ sku }) => sku), since],
  });
  return new Map(result.rows.map(({ buyer, sku, ...use }) => [`${buyer}|${sku}`, use]));
}

/** Units of limited products in accepted orders that became dead letters: Redis counts them, the ledger has no order. */
export async function readBuriedUse(db: Queryable, at: Partition): Promise<Map<string, number>> {
  const result = await db.query<{ field: string; units: number }>(
    `SELECT (d.payload::jsonb #>> '{payload,customerId}') || '|' || (l.line ->> 'productId') AS field,
       sum((l.line ->> 'quantity')::bigint)::bigint AS units
     FROM dead_letters d CROSS JOIN LATERAL jsonb_array_elements(d.payload::jsonb #> '{payload,lines}') AS l(line)
     WHERE d.sale_id = $1 AND d.partition = $2 AND d.kind = 'place' AND d.state = 'open' AND d.payload IS JSON OBJECT
       AND jsonb_typeof(d.payload::jsonb #> '{payload,lines}') = 'array' GROUP BY 1`,
    [at.saleId, at.partition],
  );
  return new Map(result.rows.map(({ field, units }) => [field, units]));
}

/** A limit's field: `buyer|sku`. */
export function splitField(field: string): { buyer: string; sku: string } {
  const bar = field.lastIndexOf("|");
  return { buyer: field.slice(0, bar), sku: field.slice(bar + 1) };
}

const CURSOR_ROWS = 1_000;

/** Every order that the ledger counts a hold for, in pages: `id` and the beginning of its record. On a snapshot. */
export async function* scanHeldOrders(
  db: Queryable,
  at: Partition,
): AsyncGenerator<readonly { id: string; reservation: number }[]> {
  yield* pages<{ id: string; reservation: number }>(
    db,
    `SELECT id, hold_reservation AS reservation FROM orders
     WHERE sale_id = $1 AND partition = $2 AND stock_state IN ('reserved', 'refused')`,
    at,
  );
}

/** Every limited product that a buyer has something of, in pages: `buyer|sku` and units. On a snapshot. */
export async function* scanLimitUse(
  db: Queryable,
  at: Partition,
): AsyncGenerator<readonly { field: string; units: number }[]> {
  yield* pages<{ field: string; units: number }>(
    db,
    `SELECT o.customer_id || '|' || l.product_id AS field, sum(l.quantity - l.restocked)::bigint AS units
     FROM orders o JOIN order_lines l ON l.order_id = o.id
     JOIN sale_items i ON i.sale_id = o.sale_id AND i.product_id = l.product_id AND i.per_customer_limit IS NOT NULL
     WHERE o.sale_id = $1 AND o.partition = $2 AND o.stock_state <> 'released' AND l.quantity > l.restocked GROUP BY 1`,
    at,
  );
}

async function* pages<Row extends object>(db: Queryable, query: string, at: Partition): AsyncGenerator<Row[]> {
  await db.query(`DECLARE reconcile_pages NO SCROLL CURSOR FOR ${query}`, [at.saleId, at.partition]);
  try {
    for (;;) {
      const { rows } = await db.query<Row>(`FETCH ${CURSOR_ROWS} FROM reconcile_pages`);
      if (rows.length > 0) yield rows;
      if (rows.length < CURSOR_ROWS) return;
    }
  } finally {
    await db.query("CLOSE reconcile_pages").catch(() => undefined); // gone with its transaction
  }
}
