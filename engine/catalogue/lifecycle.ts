// Carries what Postgres says of a sale to Redis: creates and configures its partitions, and delivers allocations that
// Redis does not have. Everything here is repeatable, so a crash at any point is mended by calling it again; a sweep does.

import { listCouponLimits } from "../coupons/coupons.ts";
import { listUnapplied } from "../ledger/allocations.ts";
import type { Queryable } from "../ledger/database.ts";
import { markLive } from "../ledger/partitions.ts";
import type { PartitionStock } from "../stock/partition-stock.ts";
import { findSale, type Sale } from "./sales.ts";

const ALLOCATIONS_PER_PASS = 1_000;

/**
 * Opens the sale's partitions in Redis and lays its window, state and limits over them.
 *
 * A partition is created only while Postgres has it as new: one that was live and is missing was lost, and needs the
 * operator's rebuild. @returns whether all partitions are in place
 */
export async function configureSale(db: Queryable, stock: PartitionStock, saleId: string): Promise<boolean> {
  const sale = await findSale(db, saleId);
  if (!sale) return false;
  const settings = settingsOf(sale, await listCouponLimits(db, saleId));
  let complete = true;
  for (const { partition, epoch, state } of sale.partitionEpochs) {
    const at = { saleId, partition };
    const outcome = await stock.open(at, epoch, state === "new", settings);
    if (outcome.type !== "OK") complete = false;
    else if (state === "new") await markLive(db, at);
  }
  return complete;
}

/** Delivers increases that are committed in Postgres and not yet in the log. @returns how many Redis took */
export async function deliverAllocations(db: Queryable, stock: PartitionStock): Promise<number> {
  let delivered = 0;
  for (const { saleId, partition, epoch, movementId, productId, quantity } of await listUnapplied(
    db,
    ALLOCATIONS_PER_PASS,
  )) {
    const outcome = await stock.restock({ saleId, partition }, epoch, { movementId, sku: productId, quantity });
    if (outcome.type === "OK" && !outcome.repeated) delivered += 1;
  }
  return delivered;
}

function settingsOf(sale: Sale, coupons: readonly { readonly sku: string; readonly limit: number }[]) {
  return {
    opensAtMs: sale.opensAt.getTime(),
    closesAtMs: sale.closesAt?.getTime() ?? 0,
    admission: sale.admission,
    reservationTtlMs: sale.reservationTtlMs,
    items: [...sale.items.map((item) => ({ sku: item.productId, limit: item.perCustomerLimit ?? 0 })), ...coupons],
  };
}
