// Carries to Redis what the catalogue has committed and Redis lacks: partitions never opened, increases not delivered.
import type pg from "pg";
import { configureSale, deliverAllocations } from "../../../engine/catalogue/lifecycle.ts";
import { listUnopenedSales } from "../../../engine/ledger/sweeps.ts";
import type { Logger } from "../../../engine/log.ts";
import type { PartitionStock } from "../../../engine/stock/partition-stock.ts";
import type { Sweep } from "./schedule.ts";

export function allocationSweep(pool: pg.Pool, stock: PartitionStock, log: Logger): Sweep {
  return {
    name: "allocations",
    async run(_nowMs, signal) {
      for (const saleId of await listUnopenedSales(pool)) {
        if (signal.aborted) return;
        if (!(await configureSale(pool, stock, saleId)))
          log.warn({ sale: saleId }, "a sale could not be opened in Redis");
      }
      const delivered = await deliverAllocations(pool, stock);
      if (delivered > 0) log.info({ delivered }, "allocations delivered");
    },
  };
}
