// What Postgres says of a sale, for the proof. One statement each, to be run within one read-only snapshot.
import type { Queryable } from "../../engine/ledger/database.ts";
import type { CancelReason, OrderStatus } from "../../engine/order-state.ts";

export interface OrderCount {
  readonly status: OrderStatus;
  readonly reason: CancelReason | null;
  readonly orders: number;
  readonly units: number;
}

export async function countOrders(db: Queryable, saleId: string): Promise<OrderCount[]> {
  const result = await db.query<OrderCount>(
    `SELECT o.status, o.reason, count(*) AS orders, sum(l.units)::bigint AS units
     FROM orders o CROSS JOIN LATERAL (SELECT sum(quantity) AS units FROM order_lines WHERE order_id = o.id) l
     WHERE o.sale_id = $1 GROUP BY o.status, o.reason ORDER BY o.status, o.reason`,
    [saleId],
  );
  return result.rows;
}

export interface ProductStock {
  readonly partition: number;
  readonly productId: string;
  readonly name: string;
  readonly allocated: number;
  readonly reserved: number;
  readonly sold: number;
  /** Sum of the committed increases and decreases, less what was written off of what came back. */
  readonly allocations: number;
  /** Units in the lines of confirmed orders, and of refunded ones, less what came back. */
  readonly confirmed: number;
}

export async function listProductStock(db: Queryable, saleId: string): Promise<ProductStock[]> {
  const result = await db.query<ProductStock>(
    `SELECT s.partition, s.product_id AS "productId", p.name, s.allocated, s.reserved, s.sold,
       (SELECT coalesce(sum(a.quantity), 0)::bigint FROM allocations a
        WHERE a.sale_id = s.sale_id AND a.partition = s.partition AND a.product_id = s.product_id)
       - (SELECT coalesce(sum(m.quantity - m.refused), 0)::bigint FROM stock_movements m
        WHERE m.sale_id = s.sale_id AND m.partition = s.partition AND m.product_id = s.product_id
          AND m.kind = 'write_off') AS allocations,
       (SELECT coalesce(sum(l.quantity - l.returned), 0)::bigint FROM orders o JOIN order_lines l ON l.order_id = o.id
        WHERE o.sale_id = s.sale_id AND o.partition = s.partition AND l.product_id = s.product_id
          AND (o.status = 'CONFIRMED' OR (o.status IN ('REFUND_PENDING', 'REFUNDED') AND o.stock_state = 'sold')))
         AS confirmed
     FROM stock s JOIN products p ON p.id = s.product_id WHERE s.sale_id = $1 ORDER BY s.partition, p.name`,
    [saleId],
  );
  return result.rows;
}

export interface LogFacts {
  readonly partition: number;
  readonly epoch: number;
  /** Highest number applied. */
  readonly seq: number;
  /** Numbers of this epoch that are there, each counted once; the lowest and highest of them (0: none). */
  readonly entries: number;
  readonly first: number;
  readonly last: number;
  /** Units that the ledger's guard refused. */
  readonly refused: number;
}

export async function readLog(db: Queryable, saleId: string): Promise<LogFacts[]> {
  const result = await db.query<LogFacts>(
    `SELECT p.partition, p.epoch, p.seq, count(DISTINCT m.seq) AS entries, coalesce(min(m.seq), 0) AS first,
       coalesce(max(m.seq), 0) AS last, coalesce(sum(m.refused), 0)::bigint AS refused
     FROM sale_partitions p LEFT JOIN stock_movements m USING (sale_id, partition, epoch)
     WHERE p.sale_id = $1 GROUP BY p.partition, p.epoch, p.seq ORDER BY p.partition`,
    [saleId],
  );
  return result.rows;
}

export interface AcknowledgedFacts {
  readonly missing: readonly string[];
  readonly unfinished: readonly string[];
}

/** Which of these orders Postgres does not have under this sale, and which are not at an end. */
export async function lookForAcknowledged(
  db: Queryable,
  saleId: string,
  orderIds: readonly string[],
  terminal: readonly OrderStatus[],
): Promise<AcknowledgedFacts> {
  const result = await db.query<{ id: string; isMissing: boolean }>(
    `SELECT a.id, o.id IS NULL AS "isMissing" FROM unnest($2::uuid[]) AS a (id)
     LEFT JOIN orders o ON o.id = a.id AND o.sale_id = $1
     WHERE o.id IS NULL OR o.status <> ALL($3::text[]) ORDER BY a.id`,
    [saleId, orderIds, terminal],
  );
  const ids = (isMissing: boolean) => result.rows.filter((row) => row.isMissing === isMissing).map((row) => row.id);
  return { missing: ids(true), unfinished: ids(false) };
}

export interface MoneyFacts {
  /** Minor units that the provider took and did not give back. */
  readonly captured: number;
  /** Minor units that the confirmed orders owe, less what was refunded. */
  readonly due: number;
  readonly chargedOrders: number;
  readonly chargedTwice: number;
  readonly confirmedUnpaid: number;
  /** Orders that are not confirmed and whose money was kept. */
  readonly othersCharged: number;
  /** Successful charges for orders that nobody has. */
  readonly strayCharges: number;
}

/** The shop's orders against the simulated provider's own books. A charge's key is `order id:attempt`. */
export async function compareMoney(db: Queryable, saleId: string): Promise<MoneyFacts> {
  const result = await db.query<MoneyFacts>(
    `WITH success AS (
       SELECT split_part(key, ':', 1) AS order_id, amount - refunded AS kept
       FROM simulated_gateway.charges WHERE outcome = 'succeeded'
     ), books AS (
       SELECT o.id, o.status, o.payable - o.refunded_amount AS due, count(s.order_id) AS charges,
         coalesce(sum(s.kept), 0)::bigint AS kept
       FROM orders o LEFT JOIN success s ON s.order_id = o.id::text WHERE o.sale_id = $1 GROUP BY o.id
     )
     SELECT coalesce(sum(kept), 0)::bigint AS captured,
       coalesce(sum(due) FILTER (WHERE status = 'CONFIRMED'), 0)::bigint AS due,
       count(*) FILTER (WHERE charges > 0) AS "chargedOrders",
       count(*) FILTER (WHERE charges > 1) AS "chargedTwice",
       count(*) FILTER (WHERE status = 'CONFIRMED' AND kept <> due) AS "confirmedUnpaid",
       count(*) FILTER (WHERE status <> 'CONFIRMED' AND kept <> 0) AS "othersCharged",
       (SELECT count(*) FROM success s WHERE NOT EXISTS (SELECT FROM orders o WHERE o.id::text = s.order_id))
         AS "strayCharges"
     FROM books`,
    [saleId],
  );
  return only(result.rows);
}

export interface RuleFacts {
  /** Buyers and products above the sale's limit. */
  readonly aboveLimit: number;
  /** The most units of one product that one buyer holds. */
  readonly unitsPerBuyerMax: number;
  /** Orders that share their idempotency key with another. */
  readonly keysSplit: number;
  readonly keys: number;
  /** Orders whose timeline misses a version. */
  readonly timelinesBroken: number;
  readonly deadLetters: number;
}

export async function checkRules(db: Queryable, saleId: string): Promise<RuleFacts> {
  const result = await db.query<RuleFacts>(
    `WITH held AS (
       SELECT o.customer_id, l.product_id, sum(l.quantity - l.restocked)::bigint AS units
       FROM orders o JOIN order_lines l ON l.order_id = o.id
       WHERE o.sale_id = $1 AND o.stock_state IN ('reserved', 'sold') GROUP BY o.customer_id, l.product_id
     )
     SELECT (SELECT count(*) FROM held JOIN sale_items i USING (product_id)
             WHERE i.sale_id = $1 AND held.units > i.per_customer_limit) AS "aboveLimit",
       (SELECT coalesce(max(units), 0) FROM held) AS "unitsPerBuyerMax",
       count(o.idempotency_scope) - count(DISTINCT o.idempotency_scope) AS "keysSplit",
       count(DISTINCT o.idempotency_scope) AS keys,
       count(*) FILTER (WHERE o.version <> (SELECT count(*) FROM order_timeline t WHERE t.order_id = o.id))
         AS "timelinesBroken",
       (SELECT count(*) FROM dead_letters d WHERE d.sale_id = $1 AND d.state = 'open') AS "deadLetters"
     FROM orders o WHERE o.sale_id = $1`,
    [saleId],
  );
  return only(result.rows);
}

/** Orders of the sale that are not at an end. */
export async function countUnfinished(
  db: Queryable,
  saleId: string,
  terminal: readonly OrderStatus[],
): Promise<number> {
  const result = await db.query<{ orders: number }>(
    "SELECT count(*) AS orders FROM orders WHERE sale_id = $1 AND status <> ALL($2::text[])",
    [saleId, terminal],
  );
  return only(result.rows).orders;
}

function only<T>(rows: readonly T[]): T {
  const [row] = rows;
  if (row === undefined) throw new Error("an aggregate answers one row");
  return row;
}
