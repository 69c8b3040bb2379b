// The persister at work on a log that is there already, and bulk inserts of the same rows, by turns. What the admission
// scenarios left in the log goes first: it is counted, and it warms the tables.
import { Books } from "../books.ts";
import { runChild } from "../children.ts";
import type { Context } from "../context.ts";
import { untilApplied } from "../draining.ts";
import { type Instance, startInstance } from "../instance.ts";
import type { RawOrder, RawReport } from "../limits/raw-inserts.ts";
import type { Sale, Shop } from "../shop.ts";
import { fill } from "./library.ts";

/** Drains what was accepted before, and counts it in the ledger. */
export async function drainAccepted(context: Context, instance: Instance, sales: readonly Sale[]): Promise<void> {
  const books = new Books(instance);
  const persister = await startInstance({ roles: "persister", servers: instance });
  try {
    const { orders, perSecond } = await untilApplied(books, sales);
    context.note(`  drained ${orders} orders of the admission scenarios at ${Math.round(perSecond)} orders/s`);
    for (const sale of sales) {
      context.audit("accept, in the ledger", await books.auditLedger(sale, { answered: 0, sent: 0 }));
    }
  } finally {
    await Promise.all([persister.stop(), books.close()]);
  }
}

export async function measurePersisting(context: Context, instance: Instance, shop: Shop): Promise<void> {
  const ordersPerRound = context.options.persistOrders;
  const books = new Books(instance);
  try {
    for (let round = 1; round <= context.options.longRounds; round += 1) {
      const sale = await shop.openSale(`bench persist ${round}`);
      const tally = await fill(instance, sale, ordersPerRound);
      const persister = await startInstance({ roles: "persister", servers: instance });
      try {
        const { perSecond } = await untilApplied(books, [sale]);
        context.record(`persisting ${round}`, "persist_ops", perSecond);
      } finally {
        await persister.stop();
      }
      const rows: RawOrder = { databaseUrl: instance.databaseUrl, saleId: sale.saleId, ordersMax: ordersPerRound };
      if (context.wants("persist_raw")) {
        const { orders, seconds } = await runChild<RawReport>("limits/raw-inserts.ts", rows);
        context.record(`persisting ${round}`, "persist_raw_ops", orders / seconds);
      }
      if (context.wants("persist_copy")) {
        const { orders, seconds } = await runChild<RawReport>("limits/raw-copy.ts", rows);
        context.record(`persisting ${round}`, "persist_copy_ops", orders / seconds);
      }
      context.audit("persist", await books.auditLedger(sale, tally));
    }
  } finally {
    await books.close();
  }
}
