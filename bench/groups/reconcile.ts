// The reconciler beside a steady stream of orders, everything running: how often it compared, whether it ever saw a drift
// where there is none, what it costs, and how fast it finds what is changed by hand afterwards; each is mended by the CLI.
import { execFile } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Redis } from "ioredis";
import { Books } from "../books.ts";
import type { Context } from "../context.ts";
import { untilApplied, untilFinished } from "../draining.ts";
import type { Instance } from "../instance.ts";
import { cpuSecondsOf } from "../machine.ts";
import type { Sale, Shop } from "../shop.ts";

const ORDERS_PER_SECOND = 2_000;
const POLL_MS = 200;
const CLI = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));
const FIND_TIMEOUT_MS = 30_000;

export async function measureReconciliation(context: Context, instance: Instance, shop: Shop): Promise<void> {
  const books = new Books(instance);
  const redis = new Redis(instance.redisUrl);
  redis.on("error", () => undefined); // the command on it rejects
  const sale = await shop.openSale("bench reconciliation");
  const watch = watchPasses(books, sale);
  try {
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

    for (const change of await changesOf(shop, books, redis, sale)) {
      await change.make();
      const foundMs = await untilFound(books, sale, change.kind);
      context.record(change.kind, "reconcile_found_ms", foundMs);
      await mend(instance, sale);
      // The next change must not be taken for this one: the background sees for itself that it is over.
      await untilNothingIsOpen(books, sale);
    }
    context.audit("reconcile, mended", await books.auditHolds(sale));
  } finally {
    await watch.end();
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
function watchPasses(books: Books, sale: Sale): { stop(): Promise<Seen>; end(): Promise<void> } {
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
  loop.catch(() => undefined); // told by stop()
  return {
    async end() {
      running = false;
      await loop.catch(() => undefined);
    },
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

/** What hands do to the books of a sale that is at rest, and the name that the reconciler has for it. */
async function changesOf(shop: Shop, books: Books, redis: Redis, sale: Sale) {
  const { saleId, productId } = sale;
  const key = (name: string) => `onrush:{${saleId}.0}:${name}`;
  const orderId = await shop.holdOne(sale);
  await untilApplied(books, [sale]);
  return [
    { kind: "STOCK_EDITED", make: () => redis.hincrby(key("stock"), `${productId}|a`, 1) },
    { kind: "HOLD_MISSING", make: () => redis.hdel(key("held"), orderId) },
    {
      kind: "ORDER_MISSING",
      make: () =>
        books.query("DELETE FROM orders WHERE id = (SELECT id FROM orders WHERE sale_id = $1 LIMIT 1)", [saleId]),
    },
    { kind: "LIMIT_OFF", make: () => redis.hset(key("stock"), `${productId}|l`, 99) },
    {
      kind: "MOVEMENT_LOST",
      make: () => books.query("DELETE FROM stock_movements WHERE sale_id = $1 AND seq = 7", [saleId]),
    },
  ];
}

async function untilFound(books: Books, sale: Sale, kind: string): Promise<number> {
  const startedAt = performance.now();
  for (;;) {
    const rows = await books.query<{ kind: string }>(
      "SELECT kind FROM drifts WHERE sale_id = $1 AND ended_at IS NULL",
      [sale.saleId],
    );
    const others = rows.filter((row) => row.kind !== kind);
    if (others.length > 0) throw new Error(`${kind} was found as ${others.map((row) => row.kind).join(", ")}`);
    if (rows.length > 0) return performance.now() - startedAt;
    if (performance.now() - startedAt > FIND_TIMEOUT_MS) throw new Error(`${kind} is not found`);
    await delay(POLL_MS / 10);
  }
}

async function untilNothingIsOpen(books: Books, { saleId }: Sale): Promise<void> {
  const startedAt = performance.now();
  for (;;) {
    const [row] = await books.query<{ n: string }>(
      "SELECT count(*) AS n FROM drifts WHERE sale_id = $1 AND ended_at IS NULL",
      [saleId],
    );
    if (Number(row?.n) === 0) return;
    if (performance.now() - startedAt > FIND_TIMEOUT_MS) throw new Error("a drift that was mended is still told of");
    await delay(POLL_MS / 10);
  }
}

/** As an operator does. @throws when anything differs afterwards */
async function mend({ redisUrl, databaseUrl }: Instance, { saleId }: Sale): Promise<void> {
  const args = [CLI, "stock", "reconcile", "--sale", saleId, "--apply", "--json"];
  const env = { PATH: process.env["PATH"], REDIS_URL: redisUrl, DATABASE_URL: databaseUrl };
  await promisify(execFile)(process.execPath, args, { env });
}

/** Processor seconds that Postgres has spent on the reconciler's connections; they live as long as the worker. */
async function cpuOfReconciler(books: Books): Promise<number> {
  const rows = await books.query<{ pid: number }>(
    "SELECT pid FROM pg_stat_activity WHERE application_name = 'onrush reconciler'",
  );
  return rows.reduce((sum, { pid }) => sum + (cpuSecondsOf(pid) ?? 0), 0);
}
