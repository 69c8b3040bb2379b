// After the catalogue changed in Postgres: Redis is brought to it, and every process is told to reload. Both may fail, and
// are made good for by a sweep and by the processes' own polling.
import type { Redis } from "ioredis";
import { CHANNELS } from "../keys.ts";
import type { Queryable } from "../ledger/database.ts";
import type { PartitionStock } from "../stock/partition-stock.ts";
import { configureSale, deliverAllocations } from "./lifecycle.ts";
import { catalogueVersion } from "./sales.ts";

/** Brings a sale's window, state, limits and stock to Redis. @returns false when Redis does not have all of the sale */
export async function carrySale(db: Queryable, stock: PartitionStock, saleId: string): Promise<boolean> {
  const complete = await configureSale(db, stock, saleId);
  await deliverAllocations(db, stock);
  return complete;
}

/** Tells every process to reload the catalogue; a process that does not hear it polls. */
export async function announceVersion(db: Queryable, redis: Redis): Promise<void> {
  await redis.publish(CHANNELS.catalogue, String(await catalogueVersion(db)));
}
