// Admission alone: an API with its Redis and Postgres and nobody who takes the log away, as when the persister has a
// machine of its own. Accepted and sold out, one after the other in each round and the no-op before each, every other round
// backwards, so that a machine that gets slower or faster favours none of them.
import { Books, type Tally } from "../books.ts";
import { type Child, startChild } from "../children.ts";
import type { Context } from "../context.ts";
import type { Figure } from "../figures.ts";
import type { Instance } from "../instance.ts";
import type { Target } from "../load/burst.ts";
import type { Sale, Shop } from "../shop.ts";

const WARM_UP_SECONDS = 2;
/** Of the measured rate: busy, and not yet queueing. */
const LATENCY_LOAD = 0.5;

export type Noop = Child<{ url: string }>;

/** Starts the no-op peer, its answers as large as those of an order. */
export function startNoop(answerBytes: number): Promise<Noop> {
  return startChild("limits/noop.ts", { answerBytes });
}

export function noopTarget(noop: Noop, sale: Sale): Target {
  return { name: "noop", url: noop.ready.url, pid: noop.pid, order: sale, keyed: true, status: 202 };
}

/** Measures; @returns the sale whose orders are left in the log. */
export async function measureAdmission(context: Context, instance: Instance, shop: Shop): Promise<Sale> {
  const sale = await shop.openSale("bench accept");
  const soldOut = await shop.openSale("bench sold out", 1);
  const noop = await startNoop(await shop.buyOne(sale));
  await shop.buyOne(soldOut);
  const books = new Books(instance);
  const tally: Tally = { answered: 1, sent: 1 };
  const api = { url: shop.ordersUrl, pid: instance.pids["api"] ?? 0 };
  const accept: Target = { ...api, name: "accept", order: sale, keyed: true, status: 202 };
  const turns: { figure: Figure; target: Target }[] = [];
  if (context.wants("noop")) turns.push({ figure: "noop_rps", target: noopTarget(noop, sale) });
  if (context.wants("accept", "accept_p99")) turns.push({ figure: "accept_rps", target: accept });
  if (context.wants("soldout")) {
    turns.push({
      figure: "soldout_rps",
      target: { ...api, name: "soldout", order: soldOut, keyed: false, status: 409 },
    });
  }
  if (context.wants("soldout_keyed")) {
    turns.push({
      figure: "soldout_keyed_rps",
      target: { ...api, name: "soldout_keyed", order: soldOut, keyed: true, status: 409 },
    });
  }
  const [first, ...others] = turns;
  const alternated =
    first?.figure === "noop_rps" && others.length > 0 ? others.flatMap((turn) => [first, turn]) : turns;
  const count = (target: Target, { answered, sent }: Tally) => {
    if (target !== accept) return;
    tally.answered += answered;
    tally.sent += sent;
  };
  try {
    for (const { target } of turns) count(target, await context.burst(target, { seconds: WARM_UP_SECONDS }));
    for (let round = 1; round <= context.options.shortRounds; round += 1) {
      for (const { figure, target } of round % 2 === 1 ? alternated : alternated.toReversed()) {
        count(target, await context.measure(`admission ${round}`, figure, target));
      }
    }
    if (context.wants("accept_p99")) {
      for (const { target } of turns.filter(({ figure }) => figure === "accept_rps" || figure === "soldout_rps")) {
        count(target, await measureLatency(context, target));
      }
    }
    context.audit("accept", await books.auditAdmission(sale, tally));
    context.audit("sold out", await books.auditAdmission(soldOut, { answered: 1, sent: 1 }));
  } finally {
    await Promise.all([noop.stop(), books.close()]);
  }
  return sale;
}

async function measureLatency(context: Context, target: Target): Promise<Tally> {
  const capacity = target.name === "accept" ? "accept_rps" : "soldout_rps";
  const rate = Math.round((context.measurements.figure(capacity)?.median ?? 0) * LATENCY_LOAD);
  const name = `${target.name}_p99`;
  const burst = await context.burst({ ...target, name }, { rate, seconds: context.options.latencySeconds });
  if (!burst.pace) throw new Error("a burst at a fixed rate came without latencies");
  const { latencies, lag } = burst.pace;
  if (target.name === "accept") {
    context.record("admission", "accept_p50_ms", latencies.p50Ms);
    context.record("admission", "accept_p99_ms", latencies.p99Ms);
    context.record("admission", "accept_p999_ms", latencies.p999Ms);
    context.record("admission", "accept_lag_p99_ms", lag.p99Ms);
  } else context.record("admission", "soldout_p99_ms", latencies.p99Ms);
  return burst;
}
