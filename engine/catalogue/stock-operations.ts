// What operators do to the stock of a sale: more of it, or less. An increase is committed in Postgres and then carried to
// Redis; a decrease takes unsold units out of Redis first, where nobody can buy them any more, and reaches the ledger by
// the log.
import { randomUUID } from "node:crypto";
import type pg from "pg";
import { listCouponLimits } from "../coupons/coupons.ts";
import { OnrushError } from "../errors.ts";
import { recordWriteOff } from "../ledger/allocations.ts";
import { recordAudit } from "../ledger/audit.ts";
import { transaction } from "../ledger/database.ts";
import type { PartitionStock } from "../stock/partition-stock.ts";
import { checkSaleId, invalidInput, type Operator, unknownSale } from "./operator.ts";
import { findProduct } from "./products.ts";
import { addSaleItem, allocate, CATALOG_SALE_ID, findSale, lockSale, type Sale } from "./sales.ts";

export interface StockChange {
  readonly productId: string;
  /** Units, positive. */
  readonly quantity: number;
}

/**
 * Commits more units of a product, spread evenly over the partitions. The sale `catalog` takes products that it does not
 * have yet.
 *
 * @throws OnrushError with `NOT_FOUND`, or `VALIDATION` when the product is in another currency
 */
export async function restockBy(
  pool: pg.Pool,
  saleId: string,
  { productId, quantity }: StockChange,
  operator: Operator,
): Promise<Sale> {
  checkSaleId(saleId);
  return await transaction(pool, async (client) => {
    const sale = await lockSale(client, saleId);
    if (!sale) throw unknownSale(saleId);
    if (!sale.items.some((item) => item.productId === productId)) {
      if (sale.id !== CATALOG_SALE_ID) throw notOffered(productId);
      const product = await findProduct(client, productId);
      if (!product) throw new OnrushError("NOT_FOUND", "There is no such product.", { productId });
      if (product.currency !== sale.currency) throw invalidInput("productId", `is not sold in ${sale.currency}`);
      await addSaleItem(client, sale.id, { productId, price: null, perCustomerLimit: null });
    }
    await allocate(client, sale, productId, quantity, "restock", operator.actor);
    const after = { productId, quantity };
    await recordAudit(client, { ...operator, action: "stock.restock", subject: `sale:${sale.id}`, after });
    return sale;
  });
}

interface Taken {
  readonly movementId: string;
  readonly partition: number;
  readonly quantity: number;
}

/** Buyers may take units between the look and the write-off; it is planned anew this often. */
const ROUNDS_MAX = 5;

/**
 * Takes unsold units out of the sale, from the partitions that have most. All of them, or none when there are not as many;
 * only buyers who come in between can make it a part.
 *
 * @throws OnrushError with `NOT_FOUND`; `INVALID_STATE` when fewer units are unsold (`available`), or when only a part could
 * be taken (`writtenOff`); `STOCK_UNAVAILABLE` when Redis does not have the sale
 */
export async function writeOffBy(
  { pool, stock }: { readonly pool: pg.Pool; readonly stock: PartitionStock },
  saleId: string,
  { productId, quantity }: StockChange,
  operator: Operator,
): Promise<Sale> {
  checkSaleId(saleId);
  const sale = await findSale(pool, saleId);
  if (!sale) throw unknownSale(saleId);
  // A coupon's uses go when it is closed.
  if ((await listCouponLimits(pool, saleId)).some(({ sku }) => sku === productId)) throw notOffered(productId);
  const taken: Taken[] = [];
  let missing = quantity;
  let available = 0;
  try {
    for (let round = 0; missing > 0 && round < ROUNDS_MAX; round += 1) {
      const shares = await richestFirst(stock, sale, productId);
      available = shares.reduce((sum, share) => sum + share.available, 0);
      if (available < missing) break;
      for (const share of shares) {
        const units = Math.min(missing, share.available);
        if (units === 0) continue;
        const movementId = randomUUID();
        const at = { saleId: sale.id, partition: share.partition };
        const outcome = await stock.restock(at, share.epoch, { movementId, sku: productId, quantity: -units });
        if (outcome.type === "INSUFFICIENT") continue;
        if (outcome.type !== "OK") throw unavailable(saleId);
        taken.push({ movementId, partition: share.partition, quantity: units });
        missing -= units;
      }
    }
  } finally {
    if (taken.length > 0) await record(pool, sale, productId, taken, operator);
  }
  const writtenOff = quantity - missing;
  if (missing > 0 && writtenOff === 0) {
    throw new OnrushError("INVALID_STATE", `There are only ${available} unsold units.`, { productId, available });
  }
  if (missing > 0) {
    const detail = `Only ${writtenOff} units were written off: the others were bought in between.`;
    throw new OnrushError("INVALID_STATE", detail, { productId, writtenOff, available });
  }
  return sale;
}

async function richestFirst(stock: PartitionStock, sale: Sale, productId: string) {
  const shares = [];
  for (const { partition, epoch } of sale.partitionEpochs) {
    const snapshot = await stock.snapshot({ saleId: sale.id, partition });
    if (snapshot.type !== "OK") throw unavailable(sale.id);
    const units = snapshot.stock.get(productId);
    if (units) shares.push({ partition, epoch, available: units.available });
  }
  if (shares.length === 0) throw notOffered(productId);
  return shares.sort((a, b) => b.available - a.available);
}

async function record(pool: pg.Pool, sale: Sale, productId: string, taken: readonly Taken[], operator: Operator) {
  await transaction(pool, async (client) => {
    for (const { movementId, partition, quantity } of taken) {
      const movement = { movementId, saleId: sale.id, partition, productId, quantity };
      await recordWriteOff(client, { ...movement, actor: operator.actor });
    }
    const after = { productId, quantity: taken.reduce((sum, { quantity }) => sum + quantity, 0) };
    await recordAudit(client, { ...operator, action: "stock.write_off", subject: `sale:${sale.id}`, after });
  });
}

function notOffered(productId: string): OnrushError {
  return new OnrushError("NOT_FOUND", "This sale does not offer that product.", { productId });
}

function unavailable(saleId: string): OnrushError {
  return new OnrushError("STOCK_UNAVAILABLE", "The stock of this sale cannot be reached at the moment.", { saleId });
}
