// Reads a sale's books where they are kept: Postgres and Redis; what became of its money is read in money-books.ts.
import { CONSUMER_GROUP, partitionKeys } from "../../engine/keys.ts";
import { transaction } from "../../engine/ledger/database.ts";
import type {
  Books,
  DeadLetterRow,
  HoldbackRow,
  LostRange,
  NumberRow,
  OrderRow,
  PartitionRow,
  RedisPartition,
  StockRow,
} from "./checker/books.ts";
import { readDiscounts } from "./discounts.ts";
import { readMoney } from "./money-books.ts";
import type { Sale } from "./shop.ts";
import type { System } from "./system.ts";

/** To be called at rest. */
export async function readBooks(system: System, sale: Sale): Promise<Books> {
  const ledger = await readPostgres(system, sale.id);
  return {
    products: sale.products,
    ...ledger,
    redis: await readRedis(system, sale.id, ledger.partitions),
    ...(await readMoney(system, sale.id)),
    ...(await readDiscounts(system, sale.id)),
  };
}

const PARTITIONS =
  "SELECT partition, epoch, seq, state, reason FROM sale_partitions WHERE sale_id = $1 ORDER BY partition";
const STOCK = `SELECT partition, product_id AS "productId", allocated, reserved, sold,
    (SELECT coalesce(sum(a.quantity), 0)::bigint FROM allocations a WHERE a.sale_id = s.sale_id
       AND a.partition = s.partition AND a.product_id = s.product_id) AS allocations
  FROM stock s WHERE sale_id = $1 ORDER BY partition, product_id`;
const HOLDBACKS = `SELECT partition, product_id AS "productId", quantity, returned_at IS NOT NULL AS returned
  FROM holdbacks WHERE sale_id = $1`;

/**
 * Stock by both books at one number of the log, while orders are on their way; `undefined` when Postgres was behind, or
 * the log moved on between the two looks at it.
 */
export async function readStockAtOneNumber(
  system: System,
  saleId: string,
): Promise<Pick<Books, "stock" | "redis" | "partitions" | "holdbacks"> | undefined> {
  const ledger = await transaction(system.pool, async (db) => {
    await db.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY");
    const rows = async <Row extends object>(text: string) => (await db.query<Row>(text, [saleId])).rows;
    const partitions = await rows<PartitionRow>(PARTITIONS);
    const redis = await readRedis(system, saleId, partitions);
    return { partitions, redis, stock: await rows<StockRow>(STOCK), holdbacks: await rows<HoldbackRow>(HOLDBACKS) };
  });
  // Numbers only grow: where the second look finds the number of the first, nothing moved while the keys were read.
  const after = await readRedis(system, saleId, ledger.partitions);
  const isOne = ledger.partitions.every(({ partition, epoch, seq }) =>
    [ledger.redis, after].every((redis) =>
      redis.some((row) => row.partition === partition && row.epoch === epoch && row.seq === seq),
    ),
  );
  return isOne ? ledger : undefined;
}

/** Units that are held back at the moment. */
export async function heldBackNow({ pool }: System, saleId: string): Promise<number> {
  const result = await pool.query<HoldbackRow>(HOLDBACKS, [saleId]);
  return result.rows.reduce((sum, { returned, quantity }) => sum + (returned ? 0 : quantity), 0);
}

async function readPostgres({ pool }: System, saleId: string) {
  return await transaction(pool, async (db) => {
    await db.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY");
    const rows = async <Row extends object>(text: string) => (await db.query<Row>(text, [saleId])).rows;
    return {
      partitions: await rows<PartitionRow>(PARTITIONS),
      stock: await rows<StockRow>(STOCK),
      holdbacks: await rows<HoldbackRow>(HOLDBACKS),
      lostRanges: await rows<LostRange>(
        `SELECT partition, epoch, from_seq AS "fromSeq", to_seq AS "toSeq" FROM lost_ranges WHERE sale_id = $1`,
      ),
      numbers: await rows<NumberRow>(
        `SELECT partition, epoch, seq, sum(refused)::bigint AS refused FROM stock_movements WHERE sale_id = $1
         GROUP BY partition, epoch, seq ORDER BY partition, epoch, seq`,
      ),
      deadLetters: await rows<DeadLetterRow>(
        `SELECT partition, epoch, seq, order_id AS "orderId", kind, error FROM dead_letters
         WHERE sale_id = $1 AND state = 'open' ORDER BY id`,
      ),
      orders: await rows<OrderRow>(
        `SELECT id, customer_id AS "customerId", status, reason, version, stock_state AS "stockState", price, payable,
           (SELECT json_build_object('couponId', d.coupon_id, 'couponCode', d.coupon_code, 'couponAmount', d.coupon_amount,
              'points', d.points) FROM order_discounts d WHERE d.order_id = o.id) AS discounts,
           late_capture AS "lateCapture",
           refunded_amount AS "refundedAmount", idempotency_scope AS "idempotencyScope", partition, epoch, seq,
           (SELECT coalesce(json_agg(json_build_object('productId', l.product_id, 'quantity', l.quantity,
              'returned', l.returned, 'restocked', l.restocked) ORDER BY l.line), '[]') FROM order_lines l WHERE l.order_id = o.id) AS lines,
           (SELECT coalesce(json_agg(json_build_object('version', t.version, 'status', t.status,
              'refundedAmount', t.refunded_amount, 'atMs', extract(epoch FROM t.at) * 1000) ORDER BY t.version), '[]')
            FROM order_timeline t WHERE t.order_id = o.id) AS timeline
         FROM orders o WHERE sale_id = $1 ORDER BY id`,
      ),
    };
  });
}

async function readRedis(
  { redis }: System,
  saleId: string,
  partitions: readonly PartitionRow[],
): Promise<RedisPartition[]> {
  return await Promise.all(
    partitions.map(async ({ partition }) => {
      const keys = partitionKeys({ saleId, partition });
      const [meta, stock, held, limits] = await Promise.all([
        redis.hgetall(keys.meta),
        redis.hgetall(keys.stock),
        redis.hkeys(keys.held),
        redis.hgetall(keys.limits),
      ]);
      const products = Object.keys(stock).flatMap((field) => (field.endsWith("|a") ? [field.slice(0, -2)] : []));
      const units = (product: string, figure: string) => Number(stock[`${product}|${figure}`] ?? 0);
      return {
        partition,
        epoch: Number(meta["epoch"]),
        seq: Number(meta["seq"]),
        stock: new Map(
          products.map((product) => [
            product,
            { available: units(product, "a"), reserved: units(product, "r"), sold: units(product, "s") },
          ]),
        ),
        held,
        limits: new Map(Object.entries(limits).map(([field, value]) => [field, Number(value)])),
        ...(await groupOf(redis, keys.stream)),
      };
    }),
  );
}

/** Lag is counted in the stream: Redis' own figure is unknown after a trim. */
async function groupOf(redis: System["redis"], stream: string): Promise<{ pending: number; lag: number }> {
  const groups = (await redis.xinfo("GROUPS", stream).catch(() => [])) as unknown[][];
  for (const fields of groups) {
    const of = (name: string) => fields[fields.indexOf(name) + 1];
    if (of("name") !== CONSUMER_GROUP) continue;
    const unread = await redis.xrange(stream, `(${String(of("last-delivered-id"))}`, "+", "COUNT", 1_000);
    return { pending: Number(of("pending")), lag: unread.length };
  }
  return { pending: 0, lag: 0 };
}
