// Ends reservations whose deadline has passed, and gives their units back.
import type pg from "pg";
import { transaction } from "../../../engine/ledger/database.ts";
import type { MovedOrder } from "../../../engine/ledger/fates.ts";
import { expireOrders } from "../../../engine/ledger/sweeps.ts";
import type { Logger } from "../../../engine/log.ts";
import type { Sweep } from "./schedule.ts";

const ORDERS_PER_STATEMENT = 1_000;

export function expirySweep(
  pool: pg.Pool,
  onMoved: (orders: readonly MovedOrder[]) => Promise<unknown>,
  log: Logger,
): Sweep {
  return {
    name: "expiry",
    async run(nowMs, signal) {
      while (!signal.aborted) {
        const expired = await transaction(pool, (client) => expireOrders(client, nowMs, ORDERS_PER_STATEMENT));
        if (expired.length > 0) log.info({ count: expired.length }, "reservations expired");
        await onMoved(expired);
        if (expired.length < ORDERS_PER_STATEMENT) return;
      }
    },
  };
}
