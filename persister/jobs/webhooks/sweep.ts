// Carries the timeline's events to deliveries, sends jobs for endpoints that something is due for, and forgets what is old.
// Without an endpoint it asks one small table whether there is one, and that is all.
import type pg from "pg";
import { transaction } from "../../../engine/ledger/database.ts";
import type { Logger } from "../../../engine/log.ts";
import type { Outbox } from "../../../engine/outbox/outbox.ts";
import { forgetDeliveries, forgetEndpoints } from "../../../engine/webhooks/deliveries.ts";
import { dispatchEvents, hasWebhookEndpoints, summarizeTimeline } from "../../../engine/webhooks/dispatch.ts";
import { wakeDueEndpoints } from "../../../engine/webhooks/endpoints.ts";
import type { Sweep } from "../sweeps/schedule.ts";

/** Steps in one statement, and one transaction. */
const STEPS_MAX = 2_000;
/** Transactions that are looked at for them; doubled while there is nothing in them, as in a quiet shop beside a busy one. */
const XACTS_MIN = 128;
const XACTS_MAX = 1_048_576;
/** After so many endpoints are woken, however far behind it is. */
const STATEMENTS_PER_PASS = 50;
/** A job sent for an endpoint gets this long before another one is sent. */
const WAKE_AGAIN_AFTER_MS = 2_000;
const FORGET_EVERY_MS = 60_000;
const FORGOTTEN_PER_CALL = 5_000;

/** @param isPaused whether nothing is to be sent; events become deliveries all the same */
export function webhookSweep(pool: pg.Pool, outbox: Outbox, isPaused: () => boolean, log: Logger): Sweep {
  let xacts = XACTS_MIN;
  let lastPeriod = -1;

  async function dispatch(signal: AbortSignal): Promise<void> {
    let found = 0;
    for (let statement = 0; statement < STATEMENTS_PER_PASS && !signal.aborted; statement += 1) {
      const { steps, caughtUp, restarted } = await dispatchEvents(pool, xacts, STEPS_MAX);
      if (restarted) {
        log.error(
          "the numbers of transactions went back, as after a restore from a dump: events before now are not told",
        );
      }
      found += steps;
      xacts = steps > 0 ? XACTS_MIN : Math.min(XACTS_MAX, xacts * 2);
      if (caughtUp) break;
    }
    // While a vacuum has the table it keeps the summaries up itself.
    if (found > 0) await summarizeTimeline(pool).catch((err) => log.debug({ err }, "summaries wait for a vacuum"));
  }

  async function wake(): Promise<void> {
    await transaction(pool, async (client) => {
      const endpointIds = await wakeDueEndpoints(client, WAKE_AGAIN_AFTER_MS);
      if (endpointIds.length > 0) await outbox.send(client, "webhook", { endpointIds });
    });
  }

  return {
    name: "webhooks",
    async run(nowMs, signal) {
      if (await hasWebhookEndpoints(pool)) {
        await dispatch(signal);
        if (!isPaused()) await wake();
      }
      const period = Math.floor(nowMs / FORGET_EVERY_MS);
      if (period === lastPeriod) return;
      while (!signal.aborted && (await forgetDeliveries(pool, FORGOTTEN_PER_CALL)) > 0);
      await forgetEndpoints(pool);
      lastPeriod = period;
    },
  };
}
