// Deletes what members leave behind: sessions and links that have been over for days, carts that nobody touches.
import type pg from "pg";
import { deleteOldCarts } from "../../../engine/cart/carts.ts";
import type { Logger } from "../../../engine/log.ts";
import { deleteExpired } from "../../../engine/members/sessions.ts";
import type { Sweep } from "./schedule.ts";

/** Once an hour of Redis' clock is plenty for what is a week old. */
const PERIOD_MS = 3_600_000;
const DELETED_PER_CALL = 1_000;

export function memberSweep(pool: pg.Pool, log: Logger): Sweep {
  let lastPeriod = -1;
  return {
    name: "members",
    async run(nowMs, signal) {
      const period = Math.floor(nowMs / PERIOD_MS);
      if (period === lastPeriod) return;
      let deleted = 0;
      for (;;) {
        const some = (await deleteExpired(pool)) + (await deleteOldCarts(pool, DELETED_PER_CALL));
        deleted += some;
        if (some === 0 || signal.aborted) break;
      }
      lastPeriod = period;
      if (deleted > 0) log.info({ deleted }, "sessions and carts that were over are deleted");
    },
  };
}
