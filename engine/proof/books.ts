// What a proof reads from Postgres, every statement within one REPEATABLE READ transaction: they all see one instant. Sums
// are made in SQL; rows that are only hashed come through server-side cursors, a page at a time.
import type pg from "pg";
import type { StockMovement } from "../ledger/log.ts";

export interface SaleHead {
  readonly id: string;
  readonly name: string;
  readonly currency: string;
  readonly now: Date;
  readonly schema: string;
  readonly postgres: string;
}

export async function readHead(db: pg.ClientBase, saleId: string): Promise<SaleHead | undefined> {
  const result = await db.query<SaleHead>(
    `SELECT id, name, currency, clock_timestamp() AS now, current_setting('server_version') AS postgres,
       (SELECT name FROM schema_migrations ORDER BY id DESC LIMIT 1) AS schema
     FROM sales WHERE id = $1`,
    [saleId],
  );
  return result.rows[0];
}

export interface PartitionFigures {
  readonly partition: number;
  readonly epoch: number;
  readonly seq: number;
  readonly reservation: number;
  readonly state: "new" | "live" | "suspended";
}

export async function readPartitions(db: pg.ClientBase, saleId: string): Promise<PartitionFigures[]> {
  const result = await db.query<PartitionFigures>(
    "SELECT partition, epoch, seq, reservation, state FROM sale_partitions WHERE sale_id = $1 ORDER BY partition",
    [saleId],
  );
  return result.rows;
}

/** Units of one product in one partition. */
export interface SkuFigures {
  readonly partition: number;
  readonly productId: string;
  readonly name: string;
  readonly allocated: number;
  readonly reserved: number;
  readonly sold: number;
  readonly initial: number;
  readonly restocked: number;
  readonly writtenOff: number;
  readonly undelivered: number;
  readonly holdback: number;
  /** What was ever held back and not used for the orders that it was held for. */
  readonly heldBackEver: number;
  readonly ordersReserved: number;
  readonly ordersSold: number;
  /** Of what orders had bought: what came back, and what of that went back on sale. */
  readonly ordersReturned: number;
  readonly ordersRestocked: number;
}

export async function readSkus(db: pg.ClientBase, saleId: string): Promise<SkuFigures[]> {
  const result = await db.query<SkuFigures>(
    `WITH of_allocations AS (
       SELECT partition, product_id,
         sum(quantity) FILTER (WHERE reason = 'initial')::bigint AS initial,
         sum(quantity) FILTER (WHERE reason = 'restock')::bigint AS restocked,
         -sum(quantity) FILTER (WHERE reason = 'write_off' AND applied_seq IS NOT NULL)::bigint AS written_off,
         sum(quantity) FILTER (WHERE quantity > 0 AND applied_seq IS NULL)::bigint AS undelivered
       FROM allocations WHERE sale_id = $1 GROUP BY 1, 2
     ), of_holdbacks AS (
       SELECT partition, product_id, sum(quantity)::bigint AS ever,
         sum(quantity) FILTER (WHERE returned_at IS NULL)::bigint AS open
       FROM holdbacks WHERE sale_id = $1 GROUP BY 1, 2
     ), of_orders AS (
       SELECT o.partition, l.product_id, sum(l.quantity) FILTER (WHERE o.stock_state = 'reserved')::bigint AS reserved,
         sum(l.quantity - l.returned) FILTER (WHERE o.stock_state = 'sold')::bigint AS sold,
         sum(l.returned)::bigint AS returned, sum(l.restocked)::bigint AS restocked
       FROM orders o JOIN order_lines l ON l.order_id = o.id WHERE o.sale_id = $1 GROUP BY 1, 2
     )
     SELECT s.partition, s.product_id AS "productId", p.name, s.allocated, s.reserved, s.sold,
       COALESCE(a.initial, 0) AS initial, COALESCE(a.restocked, 0) AS restocked, COALESCE(a.written_off, 0) AS "writtenOff",
       COALESCE(a.undelivered, 0) AS undelivered, COALESCE(h.open, 0) AS holdback, COALESCE(h.ever, 0) AS "heldBackEver",
       COALESCE(o.reserved, 0) AS "ordersReserved", COALESCE(o.sold, 0) AS "ordersSold",
       COALESCE(o.returned, 0) AS "ordersReturned", COALESCE(o.restocked, 0) AS "ordersRestocked"
     FROM stock s JOIN products p ON p.id = s.product_id
     LEFT JOIN of_allocations a USING (partition, product_id) LEFT JOIN of_holdbacks h USING (partition, product_id)
     LEFT JOIN of_orders o USING (partition, product_id)
     WHERE s.sale_id = $1 ORDER BY s.partition, s.product_id`,
    [saleId],
  );
  return result.rows;
}

/** Movements of one kind, summed. `refused`: units that Redis moved and the ledger did not. */
export interface MovementSum {
  readonly partition: number;
  readonly productId: string;
  readonly kind: StockMovement["kind"];
  readonly quantity: number;
  readonly refused: number;
  /** The refused ones of the partition's present epoch: Redis still knows of them. */
  readonly refusedNow: number;
}

export async function sumMovements(db: pg.ClientBase, saleId: string): Promise<MovementSum[]> {
  const result = await db.query<MovementSum>(
    `SELECT m.partition, m.product_id AS "productId", m.kind, sum(m.quantity)::bigint AS quantity,
       sum(m.refused)::bigint AS refused,
       COALESCE(sum(m.refused) FILTER (WHERE m.epoch = p.epoch), 0)::bigint AS "refusedNow"
     FROM stock_movements m JOIN sale_partitions p USING (sale_id, partition)
     WHERE m.sale_id = $1 GROUP BY 1, 2, 3`,
    [saleId],
  );
  return result.rows;
}

/** Units that Redis moved after a number of the present epoch. Of placed ones, `heldBack` came from a holdback. */
export interface LaterMovement {
  readonly productId: string;
  readonly kind: MovementSum["kind"];
  readonly quantity: number;
  readonly heldBack: number;
}

export async function sumMovementsAfter(
  db: pg.ClientBase,
  saleId: string,
  partition: number,
  after: { epoch: number; seq: number },
): Promise<LaterMovement[]> {
  const result = await db.query<LaterMovement>(
    `SELECT m.product_id AS "productId", m.kind, sum(m.quantity)::bigint AS quantity,
       COALESCE(sum((SELECT sum(u.units) FROM orders o JOIN honour_units u ON u.order_id = o.id
           JOIN holdbacks h USING (movement_id)
         WHERE o.sale_id = m.sale_id AND o.partition = m.partition AND o.epoch = m.epoch AND o.seq = m.seq
           AND h.product_id = m.product_id AND m.kind = 'place')), 0)::bigint AS "heldBack"
     FROM stock_movements m WHERE m.sale_id = $1 AND m.partition = $2 AND m.epoch = $3 AND m.seq > $4 GROUP BY 1, 2`,
    [saleId, partition, after.epoch, after.seq],
  );
  return result.rows;
}

/** Numbers of an epoch's log: applied ones, and the holes between them and before the last known one. */
export interface EpochFigures {
  readonly partition: number;
  readonly epoch: number;
  readonly last: number;
  readonly applied: number;
}
export interface NumberRange {
  readonly partition: number;
  readonly epoch: number;
  readonly from: number;
  readonly to: number;
}

// An entry of which nothing could be read has no movement, but a dead letter.
const APPLIED = `(SELECT partition, epoch, seq FROM stock_movements WHERE sale_id = $1
  UNION SELECT partition, epoch, seq FROM dead_letters WHERE sale_id = $1 AND epoch IS NOT NULL)`;

export async function readEpochs(db: pg.ClientBase, saleId: string): Promise<EpochFigures[]> {
  const result = await db.query<EpochFigures>(
    `SELECT partition, epoch, max(last)::bigint AS last, sum(applied)::int AS applied FROM (
       SELECT partition, epoch, max(seq) AS last, count(*) AS applied FROM ${APPLIED} n GROUP BY 1, 2
       UNION ALL SELECT partition, epoch, max(to_seq), 0 FROM lost_ranges WHERE sale_id = $1 GROUP BY 1, 2
       UNION ALL SELECT partition, epoch, seq, 0 FROM sale_partitions WHERE sale_id = $1
     ) known GROUP BY 1, 2 ORDER BY 1, 2`,
    [saleId],
  );
  return result.rows;
}

/** Numbers below the highest applied one, or below the position, that nothing was applied under. */
export async function readGaps(db: pg.ClientBase, saleId: string): Promise<NumberRange[]> {
  const result = await db.query<NumberRange>(
    `WITH numbers AS (
       SELECT partition, epoch, seq FROM ${APPLIED} n
       UNION SELECT partition, epoch, seq + 1 FROM sale_partitions WHERE sale_id = $1
     ), followed AS (
       SELECT partition, epoch, lag(seq, 1, 0::bigint) OVER (PARTITION BY partition, epoch ORDER BY seq) AS before, seq
       FROM numbers
     )
     SELECT partition, epoch, before + 1 AS "from", seq - 1 AS "to" FROM followed WHERE seq > before + 1 ORDER BY 1, 2, 3`,
    [saleId],
  );
  return result.rows;
}

export async function readLostRanges(db: pg.ClientBase, saleId: string): Promise<NumberRange[]> {
  const result = await db.query<NumberRange>(
    `SELECT partition, epoch, from_seq AS "from", to_seq AS "to" FROM lost_ranges WHERE sale_id = $1 ORDER BY 1, 2, 3`,
    [saleId],
  );
  return result.rows;
}

export interface DeadLetterCount {
  readonly partition: number;
  readonly kind: string;
  readonly state: "open" | "replayed" | "discarded";
  readonly count: number;
}

export async function countDeadLetters(db: pg.ClientBase, saleId: string): Promise<DeadLetterCount[]> {
  const result = await db.query<DeadLetterCount>(
    `SELECT partition, kind, state, count(*)::int AS count FROM dead_letters WHERE sale_id = $1 GROUP BY 1, 2, 3
     ORDER BY 1, 2, 3`,
    [saleId],
  );
  return result.rows;
}

/** Partitions with entries of their present epoch that were never read: Redis may hold units for them. */
export async function partitionsWithOpenLetters(db: pg.ClientBase, saleId: string): Promise<Set<number>> {
  const result = await db.query<{ partition: number }>(
    `SELECT DISTINCT partition FROM dead_letters d JOIN sale_partitions p USING (sale_id, partition, epoch)
     WHERE sale_id = $1 AND d.state = 'open'`,
    [saleId],
  );
  return new Set(result.rows.map((row) => row.partition));
}

const PAGE_ROWS = 5_000;
let cursors = 0;

/** Rows of a statement in its order, a page at a time, as arrays. */
export async function* stream(db: pg.ClientBase, text: string, values: unknown[]): AsyncGenerator<unknown[][]> {
  cursors += 1;
  const cursor = `proof_${cursors}`;
  await db.query(`DECLARE ${cursor} NO SCROLL CURSOR FOR ${text}`, values);
  for (;;) {
    const page = await db.query<unknown[]>({ text: `FETCH ${PAGE_ROWS} FROM ${cursor}`, rowMode: "array" });
    if (page.rows.length > 0) yield page.rows;
    if (page.rows.length < PAGE_ROWS) break;
  }
  await db.query(`CLOSE ${cursor}`);
}

// Each record as one text, as Postgres writes it: a column a record is read in a third of the time of a dozen. Instants as
// whole milliseconds, as their text would depend on the session's time zone.
export const MOVEMENTS = `SELECT partition, json_build_array(partition, epoch, seq, product_id, kind, quantity, refused,
    (extract(epoch FROM at) * 1000)::bigint, script)::text
  FROM stock_movements WHERE sale_id = $1 ORDER BY stock_movements.partition, epoch, seq, product_id`;
export const ORDERS = `SELECT ROW(id, partition, epoch, seq, hold_reservation, customer_id, status, reason, version, stock_state,
    price, payable, refunded_amount, late_capture, currency, (extract(epoch FROM placed_at) * 1000)::bigint)::text
  FROM orders WHERE sale_id = $1 ORDER BY id`;
export const LINES = `SELECT ROW(l.order_id, l.line, l.product_id, l.quantity, l.unit_price, l.returned, l.restocked)::text
  FROM order_lines l JOIN orders o ON o.id = l.order_id WHERE o.sale_id = $1 ORDER BY l.order_id, l.line`;
export const PAYMENTS = `SELECT ROW(a.order_id, a.attempt, a.method, a.amount, a.currency, a.state, a.surplus, a.reference,
    a.error)::text
  FROM payment_attempts a JOIN orders o ON o.id = a.order_id WHERE o.sale_id = $1 ORDER BY a.order_id, a.attempt`;
export const REFUNDS = `SELECT ROW(r.id, r.order_id, r.attempt, r.scope, r.amount, r.currency, r.restock, r.state, r.reference)::text
  FROM refunds r JOIN orders o ON o.id = r.order_id WHERE o.sale_id = $1 ORDER BY r.id`;
