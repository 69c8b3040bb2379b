// Honours wishes that were recorded while their order's insert was under way: the insert had looked for them already, and
// the API saw no row yet. Without this a cancel that was answered 202 could be forgotten.
import type pg from "pg";
import { cancelOrder } from "../../../engine/ledger/cancellation.ts";
import { transaction } from "../../../engine/ledger/database.ts";
import { dropOrphanedIntents, takeLateIntents } from "../../../engine/ledger/intents.ts";
import { requestPayment } from "../../../engine/ledger/payment-requests.ts";
import type { Logger } from "../../../engine/log.ts";
import type { Outbox } from "../../../engine/outbox/outbox.ts";
import type { Sweep } from "./schedule.ts";

const INTENTS_PER_PASS = 500;
/** Far longer than an accepted order can be away from Postgres without an operator being busy with it. */
const ORPHANED_AFTER_HOURS = 72;

export function intentSweep(pool: pg.Pool, outbox: Outbox, log: Logger): Sweep {
  return {
    name: "intents",
    async run() {
      const honoured = await transaction(pool, async (client) => {
        const intents = await takeLateIntents(client, INTENTS_PER_PASS);
        for (const { orderId, intent, reason, method, token } of intents) {
          if (intent === "cancel") {
            await cancelOrder(client, outbox, orderId, reason ?? "CUSTOMER");
          } else if (await requestPayment(client, orderId, { method: method ?? "card", token })) {
            await outbox.enqueue(client, "payment", [orderId]);
          }
        }
        return intents.length;
      });
      if (honoured > 0) log.info({ honoured }, "wishes about orders honoured by the sweep");
      await dropOrphanedIntents(pool, ORPHANED_AFTER_HOURS);
    },
  };
}
