// Sends jobs for payments that nobody is at: open attempts whose lease or delay has run out, and orders whose payment was
// never attempted because their job was lost.
import type pg from "pg";
import { transaction } from "../../../engine/ledger/database.ts";
import { listUnattempted, wakeDueAttempts } from "../../../engine/ledger/payments.ts";
import type { Logger } from "../../../engine/log.ts";
import { isQueueBehind } from "../../../engine/outbox/backlog.ts";
import type { Outbox } from "../../../engine/outbox/outbox.ts";
import type { Sweep } from "./schedule.ts";

const ORDERS_PER_PASS = 1_000;
/** A job sent for an attempt gets this long to come to its turn before another one is sent. */
const WAKE_AGAIN_AFTER_MS = 15_000;
/** A queue whose oldest job waits longer than this is behind. */
const BEHIND_MS = 2_000;

/** @param lostAfterMs how long a payment may wait for its first attempt before its job is taken for lost */
export function paymentSweep(pool: pg.Pool, outbox: Outbox, lostAfterMs: number, log: Logger): Sweep {
  return {
    name: "payments",
    async run() {
      await transaction(pool, async (client) => {
        const due = await wakeDueAttempts(client, WAKE_AGAIN_AFTER_MS, ORDERS_PER_PASS);
        await outbox.enqueue(client, "payment", due);
        if (due.length > 0) log.debug({ orders: due }, "payments woken");
      });
      // While the queue is behind, an order without an attempt is waiting its turn: more jobs would only make it longer.
      if (await isQueueBehind(pool, "payment", BEHIND_MS)) return;
      await transaction(pool, async (client) => {
        const lost = await listUnattempted(client, lostAfterMs, ORDERS_PER_PASS);
        await outbox.enqueue(client, "payment", lost);
        if (lost.length > 0) log.warn({ count: lost.length, orders: lost.slice(0, 10) }, "payments without a job");
      });
    },
  };
}
