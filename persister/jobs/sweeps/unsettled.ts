// Moves the stock of orders that have been PAID or CANCELLING for longer than the way through the log takes: whoever
// decided their fate died before the call, or Redis refused it.
import type pg from "pg";
import { listUnsettled, type UnsettledCursor } from "../../../engine/ledger/sweeps.ts";
import type { Logger } from "../../../engine/log.ts";
import type { Settlement } from "../settlement/settlement.ts";
import type { Sweep } from "./schedule.ts";

const ORDERS_PER_PAGE = 1_000;
/** A pass ends after so many pages and the next one goes on there: those that cannot move must not hide the others. */
const PAGES_PER_PASS = 5;

type Status = "PAID" | "CANCELLING";

/** @param olderThanMs how long an order may wait before it is taken for stuck */
export function unsettledSweep(pool: pg.Pool, settlement: Settlement, olderThanMs: number, log: Logger): Sweep {
  const cursors = new Map<Status, UnsettledCursor>();

  async function page(status: Status): Promise<boolean> {
    const orders = await listUnsettled(pool, status, olderThanMs, cursors.get(status), ORDERS_PER_PAGE);
    const moved = await settlement.move(orders);
    if (moved > 0) log.info({ status, moved }, "stock moved by the sweep");
    const last = orders.at(-1);
    if (last && orders.length === ORDERS_PER_PAGE) cursors.set(status, last);
    else cursors.delete(status);
    return cursors.has(status);
  }

  return {
    name: "unsettled",
    async run(_nowMs, signal) {
      for (const status of ["PAID", "CANCELLING"] as const) {
        for (let pages = 0; pages < PAGES_PER_PASS && !signal.aborted; pages += 1) {
          if (!(await page(status))) break;
        }
      }
    },
  };
}
