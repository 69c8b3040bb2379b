// Follows up what a payment provider told by webhook: asks it about each charge and refund that was named. What is found is
// recorded as an answer to a question of ours would be, so an event that comes late, twice or out of order has no effect
// of its own. An event counts as handled once the provider has been asked; until then a sweep sends it a job again.
import type pg from "pg";
import { transaction } from "../../../engine/ledger/database.ts";
import {
  findUnhandledEvents,
  forgetOldEvents,
  listWaitingEvents,
  markEventsHandled,
} from "../../../engine/ledger/payment-events.ts";
import type { Outbox } from "../../../engine/outbox/outbox.ts";
import type { Sweep } from "../sweeps/schedule.ts";

/** Asks the provider about charges (`orderId:attempt`) or refunds, and records what it says. */
export type Recheck = (keys: readonly string[]) => Promise<void>;

export interface FollowUpDependencies {
  readonly pool: pg.Pool;
  readonly recheckCharges: Recheck;
  readonly recheckRefunds: Recheck;
}

const CHARGE_KEY = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}:\d{1,9}$/;
const REFUND_KEY = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Handles those of the events that nobody has. Keys that are no names of ours are passed over: they were noted. */
export async function followUp(deps: FollowUpDependencies, eventIds: readonly string[]): Promise<void> {
  const { pool, recheckCharges, recheckRefunds } = deps;
  const events = await findUnhandledEvents(pool, eventIds);
  if (events.length === 0) return;
  const keys = [...new Set(events.map(({ key }) => key))];
  const charges = keys.filter((key) => CHARGE_KEY.test(key));
  const refunds = keys.filter((key) => REFUND_KEY.test(key));
  await Promise.all([charges.length > 0 && recheckCharges(charges), refunds.length > 0 && recheckRefunds(refunds)]);
  await markEventsHandled(
    pool,
    events.map(({ id }) => id),
  );
}

const EVENTS_PER_PASS = 1_000;
/** An event's job gets this long, over its retries too, before another one is sent. */
const LOST_AFTER_MS = 15_000;
const FORGOTTEN_PER_PASS = 1_000;

/** Sends jobs for events whose own was lost, and forgets old ones. */
export function paymentEventSweep(pool: pg.Pool, outbox: Outbox): Sweep {
  return {
    name: "payment events",
    async run() {
      await transaction(pool, async (client) => {
        const eventIds = await listWaitingEvents(client, LOST_AFTER_MS, EVENTS_PER_PASS);
        if (eventIds.length > 0) await outbox.send(client, "payment-event", { eventIds });
      });
      await forgetOldEvents(pool, FORGOTTEN_PER_PASS);
    },
  };
}
