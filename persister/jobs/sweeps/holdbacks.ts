// Returns units to sale that a rebuild held back for lost orders, once their receipts have had their time.
import type pg from "pg";
import { listExpiredHoldbacks } from "../../../engine/ledger/recovery.ts";
import type { Logger } from "../../../engine/log.ts";
import type { PartitionStock } from "../../../engine/stock/partition-stock.ts";
import type { Sweep } from "./schedule.ts";

const HOLDBACKS_PER_PASS = 1_000;

export function holdbackSweep(pool: pg.Pool, stock: PartitionStock, log: Logger): Sweep {
  return {
    name: "holdbacks",
    async run(nowMs) {
      for (const { saleId, partition, epoch, movementId, productId, quantity } of await listExpiredHoldbacks(
        pool,
        nowMs,
        HOLDBACKS_PER_PASS,
      )) {
        const outcome = await stock.restock({ saleId, partition }, epoch, { movementId, sku: productId, quantity });
        if (outcome.type === "OK" && !outcome.repeated) {
          log.info({ saleId, partition, productId, quantity }, "units held back are on sale again");
        }
      }
    },
  };
}
