// Orders at a steady rate from their acceptance to CONFIRMED, with everything on this machine and the payment provider within
// the worker: the highest rate at which the whole path keeps up for half a minute. And the same path with nothing else to
// do: how long one order takes.
//
// A rate is kept up with when, over the last third, as many orders became CONFIRMED as came in, and what was on its way at
// the end is no more than two seconds' worth: a path that is slower than its orders fails one or the other.
import { setTimeout as delay } from "node:timers/promises";
import { Books } from "../books.ts";
import type { Context } from "../context.ts";
import { untilApplied, untilFinished } from "../draining.ts";
import type { Instance } from "../instance.ts";
import { cpuMeter } from "../machine.ts";
import { prove } from "../proof.ts";
import type { Sale, Shop } from "../shop.ts";

/** Tried from the top; the first that is kept up with is the figure. */
const RATES_PER_SECOND = [6_000, 5_000, 4_500, 4_000, 3_500, 3_000, 2_500, 2_000, 1_500, 1_000, 500] as const;
const WARM_UP = { seconds: 5, rate: 2_000 };
const CONFIRMED_SHARE_MIN = 0.98;
const ON_THEIR_WAY_MAX_SECONDS = 2;
const IDLE_ORDERS = 200;
const IDLE_INTERVAL_MS = 50;

export async function measureSustained(context: Context, instance: Instance, shop: Shop): Promise<void> {
  const books = new Books(instance);
  try {
    const warmUp = await shop.openSale("bench warm-up");
    await context.burst(target(instance, shop, warmUp), WARM_UP);
    await untilApplied(books, [warmUp]);
    await untilFinished(books, warmUp);
    await measureIdle(context, books, shop);
    for (const rate of RATES_PER_SECOND) {
      if (await keepsUp(context, instance, shop, books, rate)) return;
    }
    throw new Error(`not even ${RATES_PER_SECOND.at(-1)} orders a second are kept up with`);
  } finally {
    await books.close();
  }
}

function target(instance: Instance, shop: Shop, sale: Sale) {
  const pid = instance.pids["api"] ?? 0;
  return { name: "sustained", url: shop.ordersUrl, pid, order: sale, keyed: true, status: 202 };
}

async function keepsUp(context: Context, instance: Instance, shop: Shop, books: Books, rate: number): Promise<boolean> {
  const seconds = context.options.sustainedSeconds;
  const round = `sustained ${rate}/s`;
  const sale = await shop.openSale(`bench ${round}`);
  const spent = cpuMeter(instance.pids);
  const burst = await context.burst(target(instance, shop, sale), { seconds, rate });
  const endedAt = await books.now();
  const confirmed = await confirmedSince(books, sale, new Date(endedAt.getTime() - (seconds / 3) * 1_000), endedAt);
  const onTheirWay = burst.answered - (await confirmedSince(books, sale, new Date(0), endedAt));
  const confirmedPerSecond = confirmed / (seconds / 3);
  const cpu = spent();
  const kept =
    burst.perSecond >= rate * CONFIRMED_SHARE_MIN &&
    confirmedPerSecond >= rate * CONFIRMED_SHARE_MIN &&
    onTheirWay <= rate * ON_THEIR_WAY_MAX_SECONDS;
  context.note(
    `  ${round}: accepted ${Math.round(burst.perSecond)}/s, CONFIRMED ${Math.round(confirmedPerSecond)}/s over the last third, ` +
      `${onTheirWay} on their way at the end; processor seconds ${JSON.stringify(cpu)}, generator ` +
      `${((burst.generatorCpuUs * burst.answered) / 1e6).toFixed(1)}: ${kept ? "kept up" : "not kept up"}`,
  );
  await untilApplied(books, [sale]);
  await untilFinished(books, sale);
  await untilApplied(books, [sale]);
  context.audit(`${round}, in Redis`, await books.auditAdmission(sale, burst));
  context.audit(`${round}, in the ledger`, await books.auditLedger(sale, burst));
  context.audit(`${round}, at the end`, await books.auditEnds(sale));
  context.audit(`${round}, proof`, await prove(instance, sale, context.say));
  if (kept) {
    const took = await pathTimes(books, sale);
    context.record(round, "sustained_ops", rate);
    context.record(round, "sustained_p50_ms", took.p50);
    context.record(round, "sustained_p99_ms", took.p99);
  }
  return kept;
}

async function measureIdle(context: Context, books: Books, shop: Shop): Promise<void> {
  const sale = await shop.openSale("bench idle");
  for (let order = 0; order < IDLE_ORDERS; order += 1) {
    await shop.buyOne(sale);
    await delay(IDLE_INTERVAL_MS);
  }
  await untilApplied(books, [sale]);
  await untilFinished(books, sale);
  await untilApplied(books, [sale]);
  const took = await pathTimes(books, sale);
  context.record("idle", "idle_confirmed_p50_ms", took.p50);
  context.record("idle", "idle_confirmed_p99_ms", took.p99);
  context.audit("idle", await books.auditLedger(sale, { answered: IDLE_ORDERS, sent: IDLE_ORDERS }));
  context.audit("idle, at the end", await books.auditEnds(sale));
}

/** From the acceptance, by Redis' clock, to the commit of CONFIRMED, by Postgres': one machine's clock for both. */
async function pathTimes(books: Books, { saleId }: Sale): Promise<{ p50: number; p99: number }> {
  const [row] = await books.query<{ p50: number; p99: number }>(
    `SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) AS p50, percentile_cont(0.99) WITHIN GROUP (ORDER BY ms) AS p99
     FROM (SELECT extract(epoch FROM t.at - o.placed_at)::float8 * 1000 AS ms
           FROM orders o JOIN order_timeline t ON t.order_id = o.id AND t.status = 'CONFIRMED' WHERE o.sale_id = $1) took`,
    [saleId],
  );
  if (!row) throw new Error("no order was confirmed");
  return row;
}

async function confirmedSince(books: Books, { saleId }: Sale, from: Date, to: Date): Promise<number> {
  const [row] = await books.query<{ n: string }>(
    `SELECT count(*) AS n FROM orders o JOIN order_timeline t ON t.order_id = o.id AND t.status = 'CONFIRMED'
     WHERE o.sale_id = $1 AND t.at > $2 AND t.at <= $3`,
    [saleId, from, to],
  );
  return Number(row?.n);
}
