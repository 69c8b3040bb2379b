// Carries on transfers between partitions whose process is gone, or that the ledger was too slow for.
import type pg from "pg";
import { listAbandonedTransfers } from "../../../engine/ledger/transfers.ts";
import type { Logger } from "../../../engine/log.ts";
import type { PartitionStock } from "../../../engine/stock/partition-stock.ts";
import { StockTransfers } from "../../../engine/stock/transfers.ts";
import type { Sweep } from "./schedule.ts";

/** Longer than the process that began one works on it. */
const ABANDONED_MS = 3_000;
const TRANSFERS_PER_PASS = 100;

export function transferSweep(pool: pg.Pool, stock: PartitionStock, log: Logger): Sweep {
  const transfers = new StockTransfers(pool, stock, () => undefined);
  return {
    name: "transfers",
    async run(_nowMs, signal) {
      for (const id of await listAbandonedTransfers(pool, ABANDONED_MS, TRANSFERS_PER_PASS)) {
        if (signal.aborted) return;
        try {
          if (await transfers.resume(id)) log.info({ transfer: id }, "a transfer of stock was carried on");
        } catch (error) {
          log.warn({ err: error, transfer: id }, "a transfer of stock could not be carried on");
        }
      }
    },
  };
}
