// Sends jobs for refunds that nobody is at, and carries their units once more while the ledger does not have them.
import type pg from "pg";
import { transaction } from "../../../engine/ledger/database.ts";
import { type DueReturnCursor, listDueReturns, noteReturned } from "../../../engine/ledger/refund-returns.ts";
import { wakeDueRefunds } from "../../../engine/ledger/refund-work.ts";
import type { Logger } from "../../../engine/log.ts";
import type { Outbox } from "../../../engine/outbox/outbox.ts";
import type { Returns } from "../refunds/returns.ts";
import type { Sweep } from "./schedule.ts";

const REFUNDS_PER_PASS = 1_000;
/** A job sent for a refund gets this long to come to its turn before another one is sent. */
const WAKE_AGAIN_AFTER_MS = 15_000;

export function refundSweep(pool: pg.Pool, outbox: Outbox, log: Logger): Sweep {
  return {
    name: "refunds",
    async run() {
      await transaction(pool, async (client) => {
        const orders = await wakeDueRefunds(client, WAKE_AGAIN_AFTER_MS, REFUNDS_PER_PASS);
        await outbox.enqueue(client, "refund", orders);
        if (orders.length > 0) log.debug({ orders }, "refunds woken");
      });
    },
  };
}

const RETURNS_PER_PASS = 1_000;

/** @param olderThanMs how long the ledger may take to apply a return before it is carried again */
export function returnSweep(pool: pg.Pool, returns: Returns, olderThanMs: number, log: Logger): Sweep {
  // A pass goes on where the last one ended: returns that cannot move must not hide the others.
  let cursor: DueReturnCursor | undefined;
  return {
    name: "returns",
    async run() {
      await noteReturned(pool);
      const due = await listDueReturns(pool, olderThanMs, cursor, RETURNS_PER_PASS);
      const last = due.at(-1);
      cursor = due.length === RETURNS_PER_PASS && last ? last : undefined;
      const moved = await returns.carry(due);
      if (moved > 0) log.info({ moved }, "units of refunds returned by the sweep");
    },
  };
}
