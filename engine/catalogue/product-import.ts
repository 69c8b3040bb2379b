// Many products at once: what a file of them says is made or changed in a few statements, with one record in the audit
// trail a batch.
import type pg from "pg";
import { recordAudit } from "../ledger/audit.ts";
import { type Queryable, transaction } from "../ledger/database.ts";
import type { Operator } from "./operator.ts";
import { PRODUCT_COLUMNS, type Product, type ProductInput } from "./products.ts";

export interface ImportedProduct extends ProductInput {
  readonly id: string;
}

export interface ImportOutcome {
  readonly created: number;
  readonly changed: number;
  /** They are as the file says already. */
  readonly same: number;
  /** Ids that were not imported, each with why. */
  readonly refused: ReadonlyMap<string, "DELETED" | "CURRENCY">;
}

/** Products that one call imports at most. */
export const IMPORT_BATCH = 1_000;

/** Makes products that are missing and changes those that are there; ids are distinct. */
export async function importProducts(
  pool: pg.Pool,
  products: readonly ImportedProduct[],
  operator: Operator,
): Promise<ImportOutcome> {
  return await transaction(pool, async (client) => {
    const written = await upsert(client, products);
    const known = new Map(written.map((row) => [row.id, row]));
    const left = products.filter(({ id }) => !known.has(id));
    const standing = await readLeft(
      client,
      left.map(({ id }) => id),
    );
    const refused = new Map<string, "DELETED" | "CURRENCY">();
    for (const { id, currency } of left) {
      const row = standing.get(id);
      if (row?.isDeleted) refused.set(id, "DELETED");
      else if (row && row.currency !== currency) refused.set(id, "CURRENCY");
    }
    const created = written.filter((row) => row.isNew).length;
    const changed = written.length - created;
    if (written.length > 0) {
      const ids = written.map((row) => row.id);
      await recordAudit(client, {
        ...operator,
        action: "product.import",
        subject: "products",
        after: { created, changed, ids },
      });
    }
    return { created, changed, same: left.length - refused.size, refused };
  });
}

/** Those that are as they should be are left out first: what search knows of a row is computed before a conflict is seen. */
async function upsert(db: Queryable, products: readonly ImportedProduct[]): Promise<{ id: string; isNew: boolean }[]> {
  const result = await db.query<{ id: string; isNew: boolean }>(
    `INSERT INTO products AS p (id, name, description, price, currency, image_url)
     SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[])
       AS given (id, name, description, price, currency, image_url)
     WHERE NOT EXISTS (
       SELECT FROM products same
       WHERE same.id = given.id AND same.deleted_at IS NULL
         AND (same.name, same.description, same.price, same.currency, same.image_url) IS NOT DISTINCT FROM
           (given.name, given.description, given.price, given.currency, given.image_url))
     ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name, description = EXCLUDED.description, price = EXCLUDED.price,
       currency = EXCLUDED.currency, image_url = EXCLUDED.image_url, version = p.version + 1, updated_at = now()
     WHERE p.deleted_at IS NULL
       AND (p.name, p.description, p.price, p.currency, p.image_url) IS DISTINCT FROM
         (EXCLUDED.name, EXCLUDED.description, EXCLUDED.price, EXCLUDED.currency, EXCLUDED.image_url)
       AND (p.currency = EXCLUDED.currency OR NOT EXISTS (SELECT FROM sale_items i WHERE i.product_id = p.id))
     RETURNING id, xmax = 0 AS "isNew"`,
    [
      products.map(({ id }) => id),
      products.map(({ name }) => name),
      products.map(({ description }) => description),
      products.map(({ price }) => price),
      products.map(({ currency }) => currency),
      products.map(({ imageUrl }) => imageUrl ?? null),
    ],
  );
  return result.rows;
}

async function readLeft(db: Queryable, ids: readonly string[]) {
  const result = await db.query<{ id: string; currency: string; isDeleted: boolean }>(
    `SELECT id, currency, deleted_at IS NOT NULL AS "isDeleted" FROM products WHERE id = ANY ($1::uuid[])`,
    [ids],
  );
  return new Map(result.rows.map((row) => [row.id, row]));
}

const EXPORT_PAGE = 1_000;

/** Every product that is not deleted, by id, in pages. */
export async function* exportProducts(db: Queryable): AsyncGenerator<Product[]> {
  let after = "00000000-0000-0000-0000-000000000000";
  for (;;) {
    const result = await db.query<Product>(
      `SELECT ${PRODUCT_COLUMNS} FROM products WHERE deleted_at IS NULL AND id > $1 ORDER BY id LIMIT $2`,
      [after, EXPORT_PAGE],
    );
    const last = result.rows.at(-1);
    if (!last) return;
    yield result.rows;
    after = last.id;
  }
}

export async function countProducts(db: Queryable): Promise<number> {
  const result = await db.query<{ count: number }>("SELECT count(*) AS count FROM products WHERE deleted_at IS NULL");
  return result.rows[0]?.count ?? 0;
}
