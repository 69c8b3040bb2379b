// How the shop stands: what is on its way between Redis and Postgres, what waits for an end, and what waits for an
// operator. For people who look; nothing is decided by it.
import { saleState } from "../catalogue/sale-state.ts";
import { listSales, type Sale } from "../catalogue/sales.ts";
import { readConfiguration, type StoredConfiguration } from "../configuration/operations.ts";
import type { Partition } from "../keys.ts";
import type { OrderStatus } from "../order-state.ts";
import type { PartitionSnapshot, PartitionStock } from "../stock/partition-stock.ts";
import type { Queryable } from "./database.ts";
import { countOpenRefunds, type OpenRefunds } from "./refunds.ts";

export interface PartitionStanding extends Partition {
  readonly state: "new" | "live" | "suspended";
  readonly reason: string | null;
  /** Entries of the log that Postgres does not have; `null`: Redis does not have the partition. */
  readonly lag: number | null;
  /** Accepted orders that Postgres does not have. */
  readonly backlog: number | null;
  /**
   * Units by which Redis and the ledger differ, over all products; `null` while they cannot be compared, because entries
   * are on their way or Redis is away.
   */
  readonly drift: number | null;
}

export interface SaleStanding {
  readonly id: string;
  readonly name: string;
  /** `lost`: Redis does not have all of it. */
  readonly state: ReturnType<typeof saleState> | "lost";
  readonly available: number | null;
  readonly partitions: readonly PartitionStanding[];
}

export interface Overview {
  readonly sales: readonly SaleStanding[];
  readonly orders: Readonly<Partial<Record<OrderStatus, number>>>;
  readonly oldestUnfinished: { readonly id: string; readonly status: OrderStatus; readonly placedAt: Date } | null;
  readonly openDeadLetters: number;
  /** `failed` ones are among the dead letters. */
  readonly refunds: OpenRefunds;
  /** What operators should look at, a sentence each; empty: nothing. */
  readonly findings: readonly string[];
}

/** @param stock without it, Redis is taken to be away */
export async function readOverview(db: Queryable, stock: PartitionStock | undefined): Promise<Overview> {
  const sales: SaleStanding[] = [];
  const reasons = await suspensionReasons(db);
  for (const sale of await listSales(db)) sales.push(await standingOf(db, stock, sale, reasons));
  const orders = await countUnfinished(db);
  const oldestUnfinished = await findOldestUnfinished(db);
  const openDeadLetters = await countOpenDeadLetters(db);
  const refunds = await countOpenRefunds(db);
  const paused = pauseFindings(await readConfiguration(db));
  const found = [...findings(sales, openDeadLetters, refunds, stock !== undefined), ...paused];
  return { sales, orders, oldestUnfinished, openDeadLetters, refunds, findings: found };
}

async function standingOf(
  db: Queryable,
  stock: PartitionStock | undefined,
  sale: Sale,
  reasons: ReadonlyMap<string, string>,
): Promise<SaleStanding> {
  const partitions: PartitionStanding[] = [];
  const remaining = new Map<string, number>();
  let nowMs = 0;
  let isWhole = stock !== undefined;
  for (const { partition, state } of sale.partitionEpochs) {
    const at = { saleId: sale.id, partition };
    const snapshot = await stock?.snapshot(at).catch(() => undefined);
    const reason = reasons.get(`${sale.id}.${partition}`) ?? null;
    if (snapshot?.type !== "OK") {
      isWhole = false;
      partitions.push({ ...at, state, reason, lag: null, backlog: null, drift: null });
      continue;
    }
    nowMs = snapshot.atMs;
    for (const { productId } of sale.items) {
      remaining.set(productId, (remaining.get(productId) ?? 0) + (snapshot.stock.get(productId)?.available ?? 0));
    }
    partitions.push({ ...at, state, reason, ...(await compare(db, at, snapshot)) });
  }
  const available = isWhole ? [...remaining.values()].reduce((sum, units) => sum + units, 0) : null;
  const state = isWhole ? saleState(sale, { remaining, nowMs }) : "lost";
  return { id: sale.id, name: sale.name, state, available, partitions };
}

interface ComparedRow {
  readonly seq: number;
  readonly epoch: number;
  readonly reservation: number;
  readonly expected: Record<string, number> | null;
}

// At the same number both must hold the same units: what is allocated, less what Redis was not given yet and what is held
// back for lost orders.
async function compare(db: Queryable, at: Partition, snapshot: PartitionSnapshot) {
  const result = await db.query<ComparedRow>(
    `SELECT p.seq, p.epoch, p.reservation, (
       SELECT json_object_agg(s.product_id, s.allocated
         - COALESCE((SELECT sum(a.quantity) FROM allocations a WHERE a.sale_id = s.sale_id AND a.partition = s.partition
             AND a.product_id = s.product_id AND a.applied_seq IS NULL AND a.quantity > 0), 0)
         - COALESCE((SELECT sum(h.quantity) FROM holdbacks h WHERE h.sale_id = s.sale_id AND h.partition = s.partition
             AND h.product_id = s.product_id AND h.returned_at IS NULL), 0))
       FROM stock s WHERE s.sale_id = p.sale_id AND s.partition = p.partition) AS expected
     FROM sale_partitions p WHERE p.sale_id = $1 AND p.partition = $2`,
    [at.saleId, at.partition],
  );
  const [row] = result.rows;
  if (!row || row.epoch !== snapshot.position.epoch) return { lag: null, backlog: null, drift: null };
  const lag = Math.max(0, snapshot.position.seq - row.seq);
  const backlog = Math.max(0, snapshot.reservation - Math.max(row.reservation, snapshot.persisted));
  if (row.seq !== snapshot.position.seq) return { lag, backlog, drift: null };
  let drift = 0;
  for (const sku of new Set([...snapshot.stock.keys(), ...Object.keys(row.expected ?? {})])) {
    const { available, reserved, sold } = snapshot.stock.get(sku) ?? { available: 0, reserved: 0, sold: 0 };
    drift += Math.abs(available + reserved + sold - (row.expected?.[sku] ?? 0));
  }
  return { lag, backlog, drift };
}

async function suspensionReasons(db: Queryable): Promise<Map<string, string>> {
  const result = await db.query<{ name: string; reason: string }>(
    `SELECT sale_id || '.' || partition AS name, COALESCE(reason, '') AS reason FROM sale_partitions
     WHERE state = 'suspended'`,
  );
  return new Map(result.rows.map(({ name, reason }) => [name, reason]));
}

/** Orders that are at no end, by status; those at an end are history and not counted. */
async function countUnfinished(db: Queryable): Promise<Partial<Record<OrderStatus, number>>> {
  const result = await db.query<{ status: OrderStatus; count: number }>(
    `SELECT status, count(*)::int AS count FROM orders
     WHERE status IN ('RESERVED', 'PAYING', 'PAID', 'CANCELLING', 'REFUND_PENDING') GROUP BY status`,
  );
  return Object.fromEntries(result.rows.map(({ status, count }) => [status, count]));
}

async function findOldestUnfinished(db: Queryable): Promise<Overview["oldestUnfinished"]> {
  const result = await db.query<NonNullable<Overview["oldestUnfinished"]>>(
    `SELECT id, status, placed_at AS "placedAt" FROM orders
     WHERE status IN ('RESERVED', 'PAYING', 'PAID', 'CANCELLING', 'REFUND_PENDING') ORDER BY id LIMIT 1`,
  );
  return result.rows[0] ?? null;
}

async function countOpenDeadLetters(db: Queryable): Promise<number> {
  const result = await db.query<{ count: number }>(
    "SELECT count(*)::int AS count FROM dead_letters WHERE state = 'open'",
  );
  return result.rows[0]?.count ?? 0;
}

/** What stands still because somebody wanted it so, and may have forgotten. */
function pauseFindings({ version, settings }: StoredConfiguration): string[] {
  const paused = Object.entries(settings.pauses ?? {}).flatMap(([name, isPaused]) => (isPaused ? [name] : []));
  return paused.map((name) => `Paused by version ${version} of the configuration: ${name}.`);
}

/** A refund that is under way for longer than this waits for a provider that does not answer. */
const REFUND_SECONDS_MAX = 300;

function findings(
  sales: readonly SaleStanding[],
  openDeadLetters: number,
  refunds: OpenRefunds,
  hasRedis: boolean,
): string[] {
  const found: string[] = [];
  if (!hasRedis) found.push("Redis cannot be reached.");
  for (const partition of sales.flatMap((sale) => sale.partitions)) {
    const name = `${partition.saleId}.${partition.partition}`;
    if (partition.state === "suspended")
      found.push(`${name} is suspended: ${partition.reason ?? "no reason is known"}.`);
    else if (hasRedis && partition.state === "live" && partition.lag === null) found.push(`${name} is not in Redis.`);
    if (partition.drift) found.push(`${name}: Redis and the ledger differ by ${partition.drift} units.`);
  }
  if (refunds.failed > 0) found.push(`${refunds.failed} refund(s) failed: the money is owed until a replay succeeds.`);
  if ((refunds.oldestPendingSeconds ?? 0) > REFUND_SECONDS_MAX) {
    found.push(`A refund is under way for ${Math.round(refunds.oldestPendingSeconds ?? 0)} s.`);
  }
  if (openDeadLetters > 0) found.push(`${openDeadLetters} dead letter(s) wait for a decision.`);
  return found;
}
