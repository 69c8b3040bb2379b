// A burst with everything running on this machine, then drained until every order is at an end; beside it the no-op and the
// peers, in databases of their own on the same server.
import { Books } from "../books.ts";
import type { Context } from "../context.ts";
import { untilApplied, untilFinished } from "../draining.ts";
import type { Instance } from "../instance.ts";
import type { Target } from "../load/burst.ts";
import { cpuMeter } from "../machine.ts";
import { prove } from "../proof.ts";
import type { Sale, Shop } from "../shop.ts";
import { noopTarget, startNoop } from "./admission.ts";
import { Peers } from "./peers.ts";

const WARM_UP_SECONDS = 2;

export async function measureEverything(context: Context, instance: Instance, shop: Shop): Promise<void> {
  const warmUpSale = await shop.openSale("bench warm-up");
  const noop = context.wants("noop") ? await startNoop(await shop.buyOne(warmUpSale)) : undefined;
  const books = new Books(instance);
  context.postgresVersion = await books.postgresVersion();
  let peers: Peers | undefined;
  try {
    peers = await Peers.start(context, instance, warmUpSale);
    if (context.wants("accept_all")) {
      await context.burst(acceptTarget(instance, shop, warmUpSale), { seconds: WARM_UP_SECONDS });
      await untilApplied(books, [warmUpSale]);
      await untilFinished(books, warmUpSale);
    }
    for (let round = 1; round <= context.options.longRounds; round += 1) {
      const name = `everything ${round}`;
      if (noop) await context.measure(name, "noop_rps", noopTarget(noop, warmUpSale));
      if (context.wants("accept_all")) {
        const target = acceptTarget(instance, shop, await shop.openSale(`bench ${name}`));
        await burstAndDrain(context, instance, books, name, target);
      }
      await peers.measure(context, name, round);
    }
    await peers.audit(context);
  } finally {
    await Promise.all([noop?.stop(), peers?.stop(), books.close()]);
  }
}

function acceptTarget(instance: Instance, shop: Shop, sale: Sale): Target & { order: Sale } {
  const pid = instance.pids["api"] ?? 0;
  return { name: "accept_all", url: shop.ordersUrl, pid, order: sale, keyed: true, status: 202 };
}

async function burstAndDrain(
  context: Context,
  instance: Instance,
  books: Books,
  round: string,
  target: Target & { order: Sale },
): Promise<void> {
  const sale = target.order;
  const spent = cpuMeter(instance.pids);
  const startedAt = performance.now();
  const burst = await context.measure(round, "accept_all_rps", target, { seconds: context.options.burstSeconds });
  const drainStartsAt = await books.now();
  await untilApplied(books, [sale]);
  context.record(round, "accept_all_durable_rps", burst.answered / ((performance.now() - startedAt) / 1_000));
  await untilFinished(books, sale);
  await untilApplied(books, [sale]); // the movements of the last payments
  const seconds = (performance.now() - startedAt) / 1_000;
  context.record(round, "accept_all_drained_rps", burst.answered / seconds);
  for (const [process, cpuSeconds] of Object.entries(spent())) {
    context.point("processors", { process, usPerOrder: (cpuSeconds / burst.answered) * 1e6 });
  }
  context.record(round, "confirmed_ops", await confirmedPerSecond(books, sale, drainStartsAt));
  context.audit("accept_all, in Redis", await books.auditAdmission(sale, burst));
  context.audit("accept_all, in the ledger", await books.auditLedger(sale, burst));
  context.audit("accept_all, at the end", await books.auditEnds(sale));
  context.audit("accept_all, proof", await prove(instance, sale, context.say));
}

/** Of what became CONFIRMED once the burst was over; of the whole when next to nothing was left by then. */
async function confirmedPerSecond(books: Books, sale: Sale, drainStartsAt: Date): Promise<number> {
  const [row] = await books.query<{ all: string; all_s: number; late: string; late_s: number }>(
    `SELECT count(*) AS all, extract(epoch FROM max(t.at) - min(o.placed_at))::float8 AS all_s,
       count(*) FILTER (WHERE t.at > $2) AS late, extract(epoch FROM max(t.at) - $2)::float8 AS late_s
     FROM orders o JOIN order_timeline t ON t.order_id = o.id AND t.status = 'CONFIRMED' WHERE o.sale_id = $1`,
    [sale.saleId, drainStartsAt],
  );
  if (!row) return Number.NaN;
  return row.late_s > 1 ? Number(row.late) / row.late_s : Number(row.all) / row.all_s;
}
