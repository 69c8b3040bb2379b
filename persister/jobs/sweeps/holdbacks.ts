// Returns units to sale that a rebuild held back for lost orders, once their receipts have had their time; and carries on
// orders whose honouring was cut short.
import type pg from "pg";
import { listOpenHonours } from "../../../engine/ledger/honours.ts";
import { startReturns } from "../../../engine/ledger/recovery.ts";
import type { Logger } from "../../../engine/log.ts";
import { CALL_MAY_ARRIVE_MS, resumeHonour } from "../../../engine/recovery/honour.ts";
import type { PartitionStock } from "../../../engine/stock/partition-stock.ts";
import type { Sweep } from "./schedule.ts";

const HOLDBACKS_PER_PASS = 1_000;
const HONOURS_PER_PASS = 100;

export function holdbackSweep(pool: pg.Pool, stock: PartitionStock, log: Logger): Sweep {
  return {
    name: "holdbacks",
    async run(nowMs) {
      for (const { saleId, partition, epoch, movementId, productId, quantity } of await startReturns(
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

export function honourSweep(pool: pg.Pool, stock: PartitionStock, log: Logger): Sweep {
  return {
    name: "honours",
    async run(_nowMs, signal) {
      for (const orderId of await listOpenHonours(pool, CALL_MAY_ARRIVE_MS, HONOURS_PER_PASS)) {
        if (signal.aborted) return;
        try {
          if (await resumeHonour({ pool, stock }, orderId)) log.info({ order: orderId }, "a lost order was honoured");
        } catch (error) {
          log.warn({ err: error, order: orderId }, "a lost order could not be honoured");
        }
      }
    },
  };
}
