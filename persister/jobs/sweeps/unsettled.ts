// Moves the stock of orders that have been PAID or CANCELLING for longer than the way through the log takes: whoever
// decided their fate died before the call, or Redis refused it. And releases what orders hold that have gone another way.
//
// A log that Postgres has not caught up with may hold their movement already: many thousand reservations that end at once
// take seconds to come back. Asking Redis for each of them again would only take its time from admission.
import type { Redis } from "ioredis";
import type pg from "pg";
import { type Partition, partitionName } from "../../../engine/keys.ts";
import { findPartition } from "../../../engine/ledger/partitions.ts";
import {
  listUnsettled,
  UNSETTLED,
  type Unsettled,
  type UnsettledCursor,
  type UnsettledOrder,
} from "../../../engine/ledger/sweeps.ts";
import type { Logger } from "../../../engine/log.ts";
import { timeOfNext } from "../../log-stream.ts";
import type { Settlement } from "../settlement/settlement.ts";
import type { Sweep } from "./schedule.ts";

const ORDERS_PER_PAGE = 1_000;
/** A pass ends after so many pages and the next one goes on there: those that cannot move must not hide the others. */
const PAGES_PER_PASS = 5;
/** Times `olderThanMs`: an order that has waited so long is moved again however far behind the log is. */
const PATIENCE = 10;

export interface UnsettledSweepOptions {
  readonly pool: pg.Pool;
  readonly redis: Redis;
  readonly settlement: Settlement;
  /** How long an order may wait before it is taken for stuck. */
  readonly olderThanMs: number;
  readonly log: Logger;
}

export function unsettledSweep({ pool, redis, settlement, olderThanMs, log }: UnsettledSweepOptions): Sweep {
  const cursors = new Map<Unsettled, UnsettledCursor>();

  async function page(which: Unsettled, lagOf: (at: Partition) => Promise<number>): Promise<boolean> {
    const orders = await listUnsettled(pool, which, olderThanMs, cursors.get(which), ORDERS_PER_PAGE);
    const stuck: UnsettledOrder[] = [];
    for (const order of orders) {
      const { waitedMs } = order;
      if (waitedMs >= olderThanMs * PATIENCE || waitedMs >= olderThanMs + (await lagOf(order))) stuck.push(order);
    }
    const moved = await settlement.move(stuck);
    if (moved > 0) log.info({ which, moved }, "stock moved by the sweep");
    const last = orders.at(-1);
    if (last && orders.length === ORDERS_PER_PAGE) cursors.set(which, last);
    else cursors.delete(which);
    return cursors.has(which);
  }

  return {
    name: "unsettled",
    async run(nowMs, signal) {
      const lags = new Map<string, number>();
      const lagOf = async ({ saleId, partition }: Partition) => {
        const at = { saleId, partition };
        const known = lags.get(partitionName(at));
        if (known !== undefined) return known;
        const lag = await lagMs(pool, redis, at, nowMs);
        lags.set(partitionName(at), lag);
        return lag;
      };
      for (const which of UNSETTLED) {
        for (let pages = 0; pages < PAGES_PER_PASS && !signal.aborted; pages += 1) {
          if (!(await page(which, lagOf))) break;
        }
      }
    },
  };
}

/** How far Postgres is behind the partition's log, in ms by Redis' clock. */
async function lagMs(pool: pg.Pool, redis: Redis, at: Partition, nowMs: number): Promise<number> {
  const position = await findPartition(pool, at);
  const next = position && (await timeOfNext(redis, at, position));
  return next === undefined ? 0 : Math.max(0, nowMs - next);
}
