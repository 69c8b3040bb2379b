// Products in Postgres. A deleted product stays as a row: orders and sales name it.
import type { Queryable } from "../ledger/database.ts";

export interface Product {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly price: number;
  readonly currency: string;
  readonly imageUrl: string | null;
  readonly version: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

export interface ProductInput {
  readonly name: string;
  readonly description: string;
  readonly price: number;
  readonly currency: string;
  readonly imageUrl?: string | null | undefined;
}

export const PRODUCT_COLUMNS = `id, name, description, price, currency, image_url AS "imageUrl", version, created_at AS "createdAt", updated_at AS "updatedAt"`;

export async function findProduct(db: Queryable, id: string): Promise<Product | undefined> {
  const result = await db.query<Product>(
    `SELECT ${PRODUCT_COLUMNS} FROM products WHERE id = $1 AND deleted_at IS NULL`,
    [id],
  );
  return result.rows[0];
}

/** A product, deleted or not, and the catalogue's version that the database had when it was read. */
export interface ProductAsOf {
  readonly catalogue: number;
  readonly isDeleted: boolean;
  readonly product: Product;
}

type ProductAsOfRow = Product & Pick<ProductAsOf, "catalogue" | "isDeleted">;
// One statement is one snapshot: whoever reads this version or a later one sees these products as they are here, or later.
const AS_OF_COLUMNS = `${PRODUCT_COLUMNS}, deleted_at IS NOT NULL AS "isDeleted",
  (SELECT version FROM catalogue_state) AS catalogue`;
const asOf = ({ catalogue, isDeleted, ...product }: ProductAsOfRow): ProductAsOf => ({ catalogue, isDeleted, product });

export async function findProductsAsOf(db: Queryable, ids: readonly string[]): Promise<ProductAsOf[]> {
  const result = await db.query<ProductAsOfRow>(`SELECT ${AS_OF_COLUMNS} FROM products WHERE id = ANY ($1::uuid[])`, [
    ids,
  ]);
  return result.rows.map(asOf);
}

/** Products that are not deleted, by id. `after`: the last id of the page before. */
export async function listProductsAsOf(db: Queryable, limit: number, after?: string): Promise<ProductAsOf[]> {
  const result = await db.query<ProductAsOfRow>(
    `SELECT ${AS_OF_COLUMNS} FROM products WHERE deleted_at IS NULL AND ($1::uuid IS NULL OR id > $1) ORDER BY id LIMIT $2`,
    [after ?? null, limit],
  );
  return result.rows.map(asOf);
}

/** The same, kept from being changed by others until the transaction ends. */
export async function lockProduct(db: Queryable, id: string): Promise<Product | undefined> {
  const result = await db.query<Product>(
    `SELECT ${PRODUCT_COLUMNS} FROM products WHERE id = $1 AND deleted_at IS NULL FOR UPDATE`,
    [id],
  );
  return result.rows[0];
}

/** Products in the order they were made. `after`: the last product of the page before. */
export async function listProducts(
  db: Queryable,
  page: { limit: number; after?: { createdAt: Date; id: string } },
): Promise<Product[]> {
  const result = await db.query<Product>(
    `SELECT ${PRODUCT_COLUMNS} FROM products
     WHERE deleted_at IS NULL
       AND ($1::timestamptz IS NULL OR (date_trunc('milliseconds', created_at, 'UTC'), id) > ($1, $2::uuid))
     ORDER BY date_trunc('milliseconds', created_at, 'UTC'), id LIMIT $3`,
    [page.after?.createdAt ?? null, page.after?.id ?? null, page.limit],
  );
  return result.rows;
}

/** Creates a product; with an id that exists already, nothing happens and `undefined` is returned. */
export async function createProduct(db: Queryable, id: string, input: ProductInput): Promise<Product | undefined> {
  const result = await db.query<Product>(
    `INSERT INTO products (id, name, description, price, currency, image_url) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (id) DO NOTHING RETURNING ${PRODUCT_COLUMNS}`,
    [id, input.name, input.description, input.price, input.currency, input.imageUrl ?? null],
  );
  return result.rows[0];
}

export async function replaceProduct(db: Queryable, id: string, input: ProductInput): Promise<Product | undefined> {
  const result = await db.query<Product>(
    `UPDATE products SET name = $2, description = $3, price = $4, currency = $5, image_url = $6, version = version + 1,
       updated_at = now()
     WHERE id = $1 AND deleted_at IS NULL RETURNING ${PRODUCT_COLUMNS}`,
    [id, input.name, input.description, input.price, input.currency, input.imageUrl ?? null],
  );
  return result.rows[0];
}

/** @returns whether there was such a product */
export async function deleteProduct(db: Queryable, id: string): Promise<boolean> {
  const result = await db.query("UPDATE products SET deleted_at = now() WHERE id = $1 AND deleted_at IS NULL", [id]);
  return (result.rowCount ?? 0) > 0;
}
