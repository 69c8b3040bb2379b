// Sales, their items and their partitions in Postgres.
import { randomUUID } from "node:crypto";
import type pg from "pg";
import { recordIncrease } from "../ledger/allocations.ts";
import type { Queryable } from "../ledger/database.ts";

/** The sale that always exists and serves orders that name none. */
export const CATALOG_SALE_ID = "catalog";

export type AdmissionState = "open" | "paused" | "closed";

export interface SaleItem {
  readonly productId: string;
  readonly name: string;
  readonly price: number;
  readonly perCustomerLimit: number | null;
}

export interface PartitionEpoch {
  readonly partition: number;
  readonly epoch: number;
  readonly seq: number;
  readonly state: "new" | "live" | "suspended";
}

export interface Sale {
  readonly id: string;
  readonly no: number;
  readonly name: string;
  readonly currency: string;
  readonly opensAt: Date;
  readonly closesAt: Date | null;
  readonly admission: AdmissionState;
  readonly reservationTtlMs: number;
  readonly partitions: number;
  readonly onDecline: "release" | "hold";
  readonly membersOnly: boolean;
  readonly stockVisibility: "exact" | "band";
  /** Grows with every change; what an edit compares. */
  readonly version: number;
  readonly createdAt: Date;
  readonly items: readonly SaleItem[];
  readonly partitionEpochs: readonly PartitionEpoch[];
}

export interface SaleInput {
  readonly id?: string;
  readonly name: string;
  readonly currency: string;
  readonly opensAt: Date;
  readonly closesAt: Date | null;
  readonly reservationTtlMs: number;
  readonly partitions: number;
  readonly onDecline: "release" | "hold";
  readonly membersOnly: boolean;
  readonly stockVisibility: "exact" | "band";
  readonly items: readonly {
    productId: string;
    stock: number;
    price: number | null;
    perCustomerLimit: number | null;
  }[];
}

export interface SalePatch {
  readonly name?: string;
  readonly opensAt?: Date;
  readonly closesAt?: Date | null;
  readonly admission?: AdmissionState;
  readonly reservationTtlMs?: number;
  readonly onDecline?: "release" | "hold";
  readonly membersOnly?: boolean;
  readonly stockVisibility?: "exact" | "band";
}

const ITEMS = `COALESCE((SELECT json_agg(json_build_object('productId', i.product_id, 'name', p.name,
    'price', COALESCE(i.price, p.price), 'perCustomerLimit', i.per_customer_limit) ORDER BY i.position)
  FROM sale_items i JOIN products p ON p.id = i.product_id AND p.deleted_at IS NULL
  WHERE i.sale_id = s.id), '[]')`;
const PARTITIONS = `(SELECT json_agg(json_build_object('partition', q.partition, 'epoch', q.epoch, 'seq', q.seq,
    'state', q.state) ORDER BY q.partition)
  FROM sale_partitions q WHERE q.sale_id = s.id)`;
const COLUMNS = `s.id, s.no, s.name, s.currency, s.opens_at AS "opensAt", s.closes_at AS "closesAt", s.admission,
  s.reservation_ttl_ms AS "reservationTtlMs", s.partitions, s.on_decline AS "onDecline",
  s.members_only AS "membersOnly", s.stock_visibility AS "stockVisibility", s.version, s.created_at AS "createdAt",
  ${ITEMS} AS items, ${PARTITIONS} AS "partitionEpochs"`;

/** The number that grows with every change of the catalogue. */
export async function catalogueVersion(db: Queryable): Promise<number> {
  const result = await db.query<{ version: number }>("SELECT version FROM catalogue_state");
  return result.rows[0]?.version ?? 0;
}

/** All sales, with items and partitions, in the order they were made. */
export async function listSales(db: Queryable): Promise<Sale[]> {
  const result = await db.query<Sale>(`SELECT ${COLUMNS} FROM sales s ORDER BY s.no`);
  return result.rows;
}

export async function findSale(db: Queryable, id: string): Promise<Sale | undefined> {
  const result = await db.query<Sale>(`SELECT ${COLUMNS} FROM sales s WHERE s.id = $1`, [id]);
  return result.rows[0];
}

/** The sale, locked until the transaction ends: of two who change it, the second waits here. */
export async function lockSale(client: pg.ClientBase, id: string): Promise<Sale | undefined> {
  const locked = await client.query("SELECT FROM sales WHERE id = $1 FOR UPDATE", [id]);
  return locked.rowCount === 0 ? undefined : findSale(client, id);
}

/**
 * Creates a sale with its partitions and the initial allocation of each item, spread evenly. Its stock reaches Redis by
 * the same way as a restock: `openSale` in lifecycle.ts.
 *
 * @returns its id, or `undefined` when a sale of that id exists
 */
export async function createSale(client: pg.ClientBase, input: SaleInput, actor: string): Promise<string | undefined> {
  const id = input.id ?? randomUUID();
  const created = await client.query(
    `INSERT INTO sales (id, name, currency, opens_at, closes_at, reservation_ttl_ms, partitions, on_decline,
       members_only, stock_visibility)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING`,
    [
      id,
      input.name,
      input.currency,
      input.opensAt,
      input.closesAt,
      input.reservationTtlMs,
      input.partitions,
      input.onDecline,
      input.membersOnly,
      input.stockVisibility,
    ],
  );
  if (created.rowCount === 0) return undefined;
  await client.query(
    `INSERT INTO sale_partitions (sale_id, partition) SELECT $1, n FROM generate_series(0, $2::int - 1) n`,
    [id, input.partitions],
  );
  for (const item of input.items) {
    await addSaleItem(client, id, item);
    await allocate(client, { id, partitions: input.partitions }, item.productId, item.stock, "initial", actor);
  }
  return id;
}

/** Adds a product to a sale; one that is there already stays as it is. */
export async function addSaleItem(
  db: Queryable,
  saleId: string,
  item: { productId: string; price: number | null; perCustomerLimit: number | null },
): Promise<void> {
  await db.query(
    `INSERT INTO sale_items (sale_id, product_id, price, per_customer_limit) VALUES ($1, $2, $3, $4)
     ON CONFLICT DO NOTHING`,
    [saleId, item.productId, item.price, item.perCustomerLimit],
  );
}

/** Changes an item's price (`null`: the product's) or limit (`null`: none), as far as they are named. */
export async function updateSaleItem(
  db: Queryable,
  saleId: string,
  item: { productId: string; price?: number | null | undefined; perCustomerLimit?: number | null | undefined },
): Promise<void> {
  await db.query(
    `UPDATE sale_items SET price = CASE WHEN $3 THEN $4::bigint ELSE price END,
       per_customer_limit = CASE WHEN $5 THEN $6::integer ELSE per_customer_limit END
     WHERE sale_id = $1 AND product_id = $2`,
    [
      saleId,
      item.productId,
      item.price !== undefined,
      item.price ?? null,
      item.perCustomerLimit !== undefined,
      item.perCustomerLimit ?? null,
    ],
  );
}

/** Commits an increase of the sale's stock, spread evenly over its partitions; restock.lua carries it to Redis. */
export async function allocate(
  db: Queryable,
  sale: { id: string; partitions: number },
  productId: string,
  quantity: number,
  reason: "initial" | "restock",
  actor: string,
): Promise<void> {
  for (let partition = 0; partition < sale.partitions; partition += 1) {
    const share = Math.floor(quantity / sale.partitions) + (partition < quantity % sale.partitions ? 1 : 0);
    if (share === 0) continue;
    const movementId = randomUUID();
    await recordIncrease(db, { movementId, saleId: sale.id, partition, productId, quantity: share, reason, actor });
  }
}

/** Changes what the patch names. @returns whether there is such a sale */
export async function updateSale(db: Queryable, id: string, patch: SalePatch): Promise<boolean> {
  const columns: Record<keyof SalePatch, string> = {
    name: "name",
    opensAt: "opens_at",
    closesAt: "closes_at",
    admission: "admission",
    reservationTtlMs: "reservation_ttl_ms",
    onDecline: "on_decline",
    membersOnly: "members_only",
    stockVisibility: "stock_visibility",
  };
  const given = (Object.keys(columns) as (keyof SalePatch)[]).filter((name) => patch[name] !== undefined);
  const sets = given.map((name, i) => `${columns[name]} = $${i + 2}`);
  const result = await db.query(
    `UPDATE sales SET ${[...sets, "version = version + 1", "updated_at = now()"].join(", ")} WHERE id = $1`,
    [id, ...given.map((name) => patch[name])],
  );
  return (result.rowCount ?? 0) > 0;
}
