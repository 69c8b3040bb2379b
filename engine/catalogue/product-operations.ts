// What operators do to products, each in one transaction with its record in the audit trail.
import type pg from "pg";
import { OnrushError } from "../errors.ts";
import { recordAudit } from "../ledger/audit.ts";
import { type Queryable, transaction } from "../ledger/database.ts";
import type { Operator } from "./operator.ts";
import {
  createProduct,
  deleteProduct,
  lockProduct,
  type Product,
  type ProductInput,
  replaceProduct,
} from "./products.ts";

/** @throws OnrushError with `INVALID_STATE` when there is, or was, a product with this id */
export async function createProductBy(
  pool: pg.Pool,
  id: string,
  input: ProductInput,
  operator: Operator,
): Promise<Product> {
  return await transaction(pool, async (client) => {
    const created = await createProduct(client, id, input);
    if (!created) throw new OnrushError("INVALID_STATE", "There is, or was, a product with this id.", { id });
    const after = factsOf(created);
    await recordAudit(client, { ...operator, action: "product.create", subject: `product:${id}`, after });
    return created;
  });
}

/**
 * @param expected the version that the change was made of; `undefined`: any
 * @throws OnrushError with `NOT_FOUND`, or `INVALID_STATE` when it has another version, or a sale offers it in another
 *   currency
 */
export async function replaceProductBy(
  pool: pg.Pool,
  id: string,
  input: ProductInput,
  operator: Operator,
  expected?: number,
): Promise<Product> {
  return await transaction(pool, async (client) => {
    const before = await lockProduct(client, id);
    if (!before) throw notFound(id);
    requireVersion(before, expected);
    if (input.currency !== before.currency) await refuseWhileOffered(client, id, before.currency);
    const replaced = await replaceProduct(client, id, input);
    if (!replaced) throw notFound(id);
    await recordAudit(client, {
      ...operator,
      action: "product.update",
      subject: `product:${id}`,
      before: factsOf(before),
      after: factsOf(replaced),
    });
    return replaced;
  });
}

/** Sales stop offering it. @throws OnrushError with `NOT_FOUND`, or `INVALID_STATE` when it has another version */
export async function deleteProductBy(pool: pg.Pool, id: string, operator: Operator, expected?: number): Promise<void> {
  await transaction(pool, async (client) => {
    const before = await lockProduct(client, id);
    if (before) requireVersion(before, expected);
    if (!before || !(await deleteProduct(client, id))) throw notFound(id);
    const subject = `product:${id}`;
    await recordAudit(client, { ...operator, action: "product.delete", subject, before: factsOf(before) });
  });
}

async function refuseWhileOffered(db: Queryable, id: string, currency: string): Promise<void> {
  const offering = await db.query<{ saleId: string }>(
    `SELECT sale_id AS "saleId" FROM sale_items WHERE product_id = $1 LIMIT 1`,
    [id],
  );
  const [sale] = offering.rows;
  if (!sale) return;
  throw new OnrushError("INVALID_STATE", "A sale offers this product in another currency.", { ...sale, currency });
}

function requireVersion({ id, version }: Product, expected: number | undefined): void {
  if (expected === undefined || expected === version) return;
  throw new OnrushError("INVALID_STATE", "The product was changed since.", { id, version, expected });
}

function factsOf({ name, description, price, currency, imageUrl, version }: Product) {
  return { name, description, price, currency, imageUrl, version };
}

function notFound(id: string): OnrushError {
  return new OnrushError("NOT_FOUND", "There is no such product.", { id });
}
