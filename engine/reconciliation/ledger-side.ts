// What the reconciler reads from Postgres. Everything that is compared with one another comes from one snapshot of the
// database (REPEATABLE READ): the position up to which the log is applied, and what was so at that position.
import type pg from "pg";
import type { Partition } from "../keys.ts";
import type { Queryable } from "../ledger/database.ts";
import type { LedgerFigures } from "./drift.ts";
import { type LedgerProduct, type Moved, NOTHING_MOVED } from "./figures.ts";

export interface LedgerHead {
  readonly epoch: number;
  readonly seq: number;
  readonly state: "new" | "live" | "suspended";
  readonly reason: string | null;
  /** Orders ever inserted. */
  readonly orders: number;
  /** Postgres' clock. */
  readonly now: Date;
}

/** The sale's settings as `meta` has them. */
export interface LedgerSettings {
  readonly settings: Readonly<Record<string, string>>;
  /** Limit per buyer by product; 0: none. */
  readonly limits: ReadonlyMap<string, number>;
}

export interface LedgerPicture {
  readonly head: LedgerHead;
  readonly products: readonly LedgerProduct[];
  readonly sale: LedgerSettings;
  /** Holds that were taken less those that were ended by what was applied after the position of the comparison. */
  readonly holdsSince: number;
  /** Accepted orders that are dead letters, and those of them whose units nobody can tell. */
  readonly deadLetters: { readonly count: number; readonly unreadable: number };
}

/** Runs `work` on one unchanging picture of the database. */
export async function onSnapshot<T>(pool: pg.Pool, work: (db: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let broken: Error | undefined;
  const onError = (error: Error) => {
    broken = error; // the query under way rejects with the same
  };
  client.on("error", onError);
  try {
    await client.query("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    return await work(client);
  } finally {
    await client.query("ROLLBACK").catch((error: Error) => {
      broken = error;
    });
    client.off("error", onError);
    client.release(broken);
  }
}

/** Where the ledger stands. */
export async function readHead(db: Queryable, at: Partition): Promise<LedgerHead | undefined> {
  const result = await db.query<LedgerHead>({
    name: "reconcile_head",
    text: `SELECT epoch, seq, state, reason, orders, clock_timestamp() AS now FROM sale_partitions
      WHERE sale_id = $1 AND partition = $2`,
    values: [at.saleId, at.partition],
  });
  return result.rows[0];
}

/** The ledger as it stands, with what leads from there back to number `seq` of its epoch. On a snapshot. */
export async function readLedger(db: Queryable, at: Partition, head: LedgerHead, seq: number): Promise<LedgerPicture> {
  const where = [at.saleId, at.partition];
  const since = new Map<string, Record<string, number>>();
  let holdsSince = 0;
  if (head.seq > seq) {
    for (const row of await movementsAfter(db, at, head.epoch, seq)) {
      const of = since.get(row.sku) ?? {};
      since.set(row.sku, { ...of, [row.kind]: row.units });
      holdsSince += row.kind === "place" || row.kind === "revive" ? row.holds : -row.holds;
    }
    for (const row of await honouredAfter(db, at, head.epoch, seq)) {
      since.set(row.sku, { ...since.get(row.sku), fromHoldback: row.units });
    }
  }
  const { refused, buried, deadLetters } = await readOutside(db, at, head.epoch, seq);
  const stock = await db.query<LedgerFigures & { sku: string; undelivered: number; heldBack: number }>({
    name: "reconcile_stock",
    text: `SELECT s.product_id AS sku, s.allocated, s.reserved, s.sold,
        COALESCE((SELECT sum(a.quantity) FROM allocations a WHERE a.applied_seq IS NULL AND a.quantity > 0
          AND a.sale_id = s.sale_id AND a.partition = s.partition AND a.product_id = s.product_id), 0)::bigint AS undelivered,
        COALESCE((SELECT sum(h.quantity) FROM holdbacks h WHERE h.returned_at IS NULL
          AND h.sale_id = s.sale_id AND h.partition = s.partition AND h.product_id = s.product_id), 0)::bigint AS "heldBack"
      FROM stock s WHERE s.sale_id = $1 AND s.partition = $2`,
    values: where,
  });
  const products = stock.rows.map((row): LedgerProduct => {
    return {
      ...row,
      refused: refused.get(row.sku) ?? NOTHING_MOVED,
      buried: buried.get(row.sku) ?? 0,
      since: { ...NOTHING_MOVED, restock: 0, fromHoldback: 0, ...since.get(row.sku) },
    };
  });
  return { head, products, sale: await readSettings(db, at.saleId), holdsSince, deadLetters };
}

async function movementsAfter(db: Queryable, at: Partition, epoch: number, seq: number) {
  const result = await db.query<{ sku: string; kind: string; units: number; holds: number }>({
    name: "reconcile_since",
    text: `SELECT product_id AS sku, kind, sum(quantity)::bigint AS units, COALESCE(sum(holds), 0)::bigint AS holds
      FROM stock_movements WHERE sale_id = $1 AND partition = $2 AND epoch = $3 AND seq > $4 GROUP BY 1, 2`,
    values: [at.saleId, at.partition, epoch, seq],
  });
  return result.rows;
}

/** Units of lost orders that were honoured since: they came out of a holdback, and not out of what was available. */
async function honouredAfter(db: Queryable, at: Partition, epoch: number, seq: number) {
  const result = await db.query<{ sku: string; units: number }>({
    name: "reconcile_honoured",
    text: `SELECT b.product_id AS sku, sum(u.units)::bigint AS units
      FROM honours h JOIN honour_units u USING (order_id) JOIN holdbacks b USING (movement_id) JOIN orders o ON o.id = h.order_id
      WHERE h.sale_id = $1 AND h.partition = $2 AND h.applied_at IS NOT NULL AND o.epoch = $3 AND o.seq > $4 GROUP BY 1`,
    values: [at.saleId, at.partition, epoch, seq],
  });
  return result.rows;
}

/**
 * What Redis has moved or holds in this epoch that is outside the ledger: what the guard refused, and dead letters. Those
 * that were discarded count on, as the release of their holds is told as one of units that the ledger never took.
 */
async function readOutside(db: Queryable, at: Partition, epoch: number, seq: number) {
  const refused = new Map<string, Moved>();
  const rows = await db.query<{ sku: string } & Moved>({
    name: "reconcile_refused",
    text: `SELECT product_id AS sku, COALESCE(sum(refused) FILTER (WHERE kind = 'place'), 0)::bigint AS place,
        COALESCE(sum(refused) FILTER (WHERE kind = 'settle'), 0)::bigint AS settle,
        COALESCE(sum(refused) FILTER (WHERE kind = 'release'), 0)::bigint AS release,
        COALESCE(sum(refused) FILTER (WHERE kind = 'revive'), 0)::bigint AS revive,
        COALESCE(sum(refused) FILTER (WHERE kind = 'return'), 0)::bigint AS "return",
        COALESCE(sum(refused) FILTER (WHERE kind = 'write_off'), 0)::bigint AS write_off
      FROM stock_movements WHERE sale_id = $1 AND partition = $2 AND epoch = $3 AND refused <> 0 GROUP BY 1`,
    values: [at.saleId, at.partition, epoch],
  });
  for (const { sku, ...moved } of rows.rows) refused.set(sku, moved);

  const letters = await db.query<{ payload: string }>({
    name: "reconcile_buried",
    text: `SELECT payload FROM dead_letters l WHERE sale_id = $1 AND partition = $2 AND epoch = $3 AND seq <= $4
      AND kind = 'place'
      AND (state = 'open' OR EXISTS (SELECT FROM discarded_orders d WHERE d.letter_id = l.id))`,
    values: [at.saleId, at.partition, epoch, seq],
  });
  const buried = new Map<string, number>();
  let unreadable = 0;
  for (const { payload } of letters.rows) {
    const lines = linesOf(payload);
    if (!lines) unreadable += 1;
    for (const { productId, quantity } of lines ?? []) buried.set(productId, (buried.get(productId) ?? 0) + quantity);
  }
  return { refused, buried, deadLetters: { count: letters.rows.length, unreadable } };
}

// A dead letter is the order as JSON, or the line of the log that could not be read as one.
function linesOf(payload: string): readonly { productId: string; quantity: number }[] | undefined {
  const json = payload.startsWith("{") ? payload : payload.slice(payload.indexOf("|", payload.indexOf("|") + 1) + 1);
  try {
    const parsed = JSON.parse(json) as Record<string, unknown>;
    const lines = (parsed["payload"] as Record<string, unknown> | undefined)?.["lines"] ?? parsed["lines"];
    if (!Array.isArray(lines)) return undefined;
    const isLine = (line: { productId?: unknown; quantity?: unknown } | null) =>
      typeof line?.productId === "string" && Number.isSafeInteger(line.quantity);
    return lines.every(isLine) ? lines : undefined;
  } catch {
    return undefined;
  }
}

async function readSettings(db: Queryable, saleId: string): Promise<LedgerSettings> {
  const sale = await db.query<{
    opensAt: string;
    closesAt: string;
    state: string;
    ttl: string;
    limits: Record<string, number>;
  }>({
    name: "reconcile_settings",
    text: `SELECT floor(extract(epoch FROM opens_at) * 1000)::bigint::text AS "opensAt",
          COALESCE(floor(extract(epoch FROM closes_at) * 1000)::bigint, 0)::text AS "closesAt", admission AS state,
          reservation_ttl_ms::text AS ttl,
          COALESCE((SELECT json_object_agg(i.product_id, COALESCE(i.per_customer_limit, 0)) FROM sale_items i
            JOIN products p ON p.id = i.product_id AND (p.deleted_at IS NULL OR p.kind = 'coupon') WHERE i.sale_id = s.id), '{}') AS limits
        FROM sales s WHERE id = $1`,
    values: [saleId],
  });
  const { limits = {}, ...settings } = sale.rows[0] ?? {};
  return { settings, limits: new Map(Object.entries(limits)) };
}

/** What the ledger's rows must be by the movements and allocations, over all epochs: the third witness. */
export async function sumMovements(
  db: Queryable,
  at: Partition,
  skus: readonly string[],
): Promise<Map<string, LedgerFigures>> {
  const result = await db.query<LedgerFigures & { sku: string }>(
    `SELECT n.sku,
       (COALESCE((SELECT sum(a.quantity) FROM allocations a WHERE a.sale_id = $1 AND a.partition = $2
           AND a.product_id = n.sku AND (a.quantity > 0 OR a.applied_seq IS NOT NULL)), 0)
         - COALESCE(sum(m.quantity - m.refused) FILTER (WHERE m.kind = 'write_off'), 0))::bigint AS allocated,
       COALESCE(sum(CASE WHEN m.kind IN ('place', 'revive') THEN m.quantity - m.refused
         WHEN m.kind IN ('settle', 'release') THEN m.refused - m.quantity END), 0)::bigint AS reserved,
       COALESCE(sum(CASE WHEN m.kind = 'settle' THEN m.quantity - m.refused
         WHEN m.kind IN ('return', 'write_off') THEN m.refused - m.quantity END), 0)::bigint AS sold
     FROM unnest($3::uuid[]) AS n(sku)
     LEFT JOIN stock_movements m ON m.sale_id = $1 AND m.partition = $2 AND m.product_id = n.sku GROUP BY n.sku`,
    [at.saleId, at.partition, skus],
  );
  return new Map(result.rows.map(({ sku, ...figures }) => [sku, figures]));
}
