// Ends reservations whose deadline has passed, and gives their units back.
import type pg from "pg";
import { transaction } from "../../../engine/ledger/database.ts";
import type { MovedOrder } from "../../../engine/ledger/fates.ts";
import { type ExpiredOrder, expireOrders } from "../../../engine/ledger/sweeps.ts";
import type { Logger } from "../../../engine/log.ts";
import type { Sweep } from "./schedule.ts";

/** One statement locks this many orders until its commit, a few dozen ms later. */
const ORDERS_PER_STATEMENT = 1_000;

export function expirySweep(
  pool: pg.Pool,
  onMoved: (orders: readonly MovedOrder[]) => Promise<unknown>,
  log: Logger,
): Sweep {
  return {
    name: "expiry",
    async run(nowMs, signal) {
      let count = 0;
      let from: Date | undefined;
      // Postgres decides the next orders while Redis gives the units of the last ones back.
      let moving: Promise<unknown> = Promise.resolve();
      while (!signal.aborted) {
        const expired = await transaction(pool, (client) => expireOrders(client, nowMs, ORDERS_PER_STATEMENT, from));
        await moving;
        moving = onMoved(expired);
        count += expired.length;
        from = latestDeadline(expired);
        if (expired.length < ORDERS_PER_STATEMENT) break;
      }
      await moving;
      if (count > 0) log.info({ count }, "reservations expired");
    },
  };
}

function latestDeadline(orders: readonly ExpiredOrder[]): Date | undefined {
  return orders.reduce<Date | undefined>(
    (latest, { reservedUntil }) => (latest && latest > reservedUntil ? latest : reservedUntil),
    undefined,
  );
}
