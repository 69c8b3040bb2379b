// The reconciler beside a steady stream of orders, everything running: how often it compared, whether it ever saw a drift
// where there is none, what it costs, and how fast it finds one that is made afterwards.
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { Books } from "../books.ts";
import type { Context } from "../context.ts";
import { untilApplied, untilFinished } from "../draining.ts";
import type { Instance } from "../instance.ts";
import { cpuSecondsOf } from "../machine.ts";
import type { Sale, Shop } from "../shop.ts";

const ORDERS_PER_SECOND = 2_000;
const POLL_MS = 200;
const FIND_TIMEOUT_MS = 30_000;

export async function measureReconciliation(context: Context, instance: Instance, shop: Shop): Promise<void> {
  const books = new Books(instance);
  const redis = new Redis(instance.redisUrl);
  redis.on("error", () => undefined); // the command on it rejects
  try {
    const sale = await shop.openSale("bench reconciliation");
    const watch = watchPasses(books, sale);
    const cpu = await cpuOfReconciler(books);
    const startedAt = performance.now();
    const pid = instance.pids["api"] ?? 0;
    const target = { name: "reconcile", url: shop.ordersUrl, pid, order: sale, keyed: true, status: 202 };
    const burst = await context.burst(target, { seconds: context.options.reconcileSeconds, rate: ORDERS_PER_SECOND });
    context.record("reconcile", "reconcile_rps", burst.perSecond);
    const seconds = (performance.now() - startedAt) / 1_000;
    context.record("reconcile", "reconcile_postgres_cpu", ((await cpuOfReconciler(books)) - cpu) / seconds);
    await untilApplied(books, [sale]);
    await untilFinished(books, sale);
    await untilApplied(books, [sale]);
    const seen = await watch.stop();
    context.record("reconcile", "reconcile_passes", seen.passes);
    context.record("reconcile", "reconcile_uncertain", seen.uncertain);
    context.record("reconcile", "reconcile_drifts", seen.drifts);
    for (const reason of seen.reasons) context.say(`    ${reason}`);
    context.audit("reconcile, in the ledger", await books.auditLedger(sale, burst));
    context.audit("reconcile, drifts", { oversold: 0, lost: seen.drifts, duplicated: 0 });

    const key = `onrush:{${sale.saleId}.0}:stock`;
    await redis.hincrby(key, `${sale.productId}|a`, 1);
    context.record("reconcile", "reconcile_found_ms", await untilFound(books, sale));
    await redis.hincrby(key, `${sale.productId}|a`, -1);
  } finally {
    redis.disconnect();
    await books.close();
  }
}

interface Seen {
  readonly passes: number;
  readonly uncertain: number;
  readonly drifts: number;
  readonly reasons: ReadonlySet<string>;
}

/** Looks at the row of the last pass more often than passes come. */
function watchPasses(books: Books, sale: Sale): { stop(): Promise<Seen> } {
  let running = true;
  const uncertain = new Map<string, string>();
  let last = "0";
  const loop = (async () => {
    while (running) {
      const [row] = await books.query<{ passes: string; verdict: string; reason: string | null }>(
        "SELECT passes, verdict, reason FROM reconciliations WHERE sale_id = $1",
        [sale.saleId],
      );
      if (row) last = row.passes;
      if (row?.verdict === "UNCERTAIN") uncertain.set(row.passes, (row.reason ?? "").replaceAll(/\d+(-\d+)?/g, "N"));
      await delay(POLL_MS);
    }
  })();
  return {
    async stop() {
      running = false;
      await loop;
      const drifts = await countDrifts(books, sale);
      return { passes: Number(last), uncertain: uncertain.size, drifts, reasons: new Set(uncertain.values()) };
    },
  };
}

async function countDrifts(books: Books, sale: Sale): Promise<number> {
  const [row] = await books.query<{ n: string }>("SELECT count(*) AS n FROM drifts WHERE sale_id = $1", [sale.saleId]);
  return Number(row?.n);
}

async function untilFound(books: Books, sale: Sale): Promise<number> {
  const startedAt = performance.now();
  const before = await countDrifts(books, sale);
  while ((await countDrifts(books, sale)) === before) {
    if (performance.now() - startedAt > FIND_TIMEOUT_MS) throw new Error("the reconciler does not find a drift");
    await delay(POLL_MS / 10);
  }
  return performance.now() - startedAt;
}

/** Processor seconds that Postgres has spent on the reconciler's connections; they live as long as the worker. */
async function cpuOfReconciler(books: Books): Promise<number> {
  const rows = await books.query<{ pid: number }>(
    "SELECT pid FROM pg_stat_activity WHERE application_name = 'onrush reconciler'",
  );
  return rows.reduce((sum, { pid }) => sum + (cpuSecondsOf(pid) ?? 0), 0);
}
