// How long answers take at a rate that does not ask how long they take: orders arrive at 25, 50, 75 and 90 % of what a closed
// loop has just reached, and each is timed from when it was due. Accepted orders and sold-out answers by an API alone with its
// servers, and accepted orders with everything running, where each step is drained before the next one.
import { Books, type Tally } from "../books.ts";
import type { Context } from "../context.ts";
import { untilApplied, untilFinished } from "../draining.ts";
import type { Instance } from "../instance.ts";
import type { Burst, Target } from "../load/burst.ts";
import { prove } from "../proof.ts";
import type { LatencyPath } from "../series.ts";
import type { Sale, Shop } from "../shop.ts";
import { spreadOf } from "../statistics.ts";

const LOADS = [0.25, 0.5, 0.75, 0.9] as const;
const CAPACITY_ROUNDS = 3;
const CAPACITY_SECONDS = 3;
const WARM_UP_SECONDS = 3;
/** As many as the closed loop has, so that it is never a connection that a request waits for first. */
const CONNECTIONS = 256;

/** The API alone; @returns the sale whose orders are left in the log. */
export async function measureLatencies(context: Context, instance: Instance, shop: Shop): Promise<Sale> {
  const sale = await shop.openSale("bench latency");
  const soldOut = await shop.openSale("bench latency sold out", 1);
  await shop.buyOne(soldOut);
  const api = { url: shop.ordersUrl, pid: instance.pids["api"] ?? 0, keyed: true };
  const books = new Books(instance);
  const tally: Tally = { answered: 0, sent: 0 };
  const count = ({ answered, sent }: Burst) => {
    tally.answered += answered;
    tally.sent += sent;
  };
  try {
    const accept: Target = { ...api, name: "latency accept", order: sale, status: 202 };
    await curve(context, "accept", accept, async (burst) => count(burst));
    context.audit("latency, accepted", await books.auditAdmission(sale, tally));
    const soldout: Target = { ...api, name: "latency soldout", order: soldOut, keyed: false, status: 409 };
    await curve(context, "soldout", soldout, async () => undefined);
    context.audit("latency, sold out", await books.auditAdmission(soldOut, { answered: 1, sent: 1 }));
  } finally {
    await books.close();
  }
  return sale;
}

/** With persister, worker and payment beside it. */
export async function measureBusyLatencies(context: Context, instance: Instance, shop: Shop): Promise<void> {
  const sale = await shop.openSale("bench latency everything");
  const books = new Books(instance);
  const tally: Tally = { answered: 0, sent: 0 };
  const pid = instance.pids["api"] ?? 0;
  const target: Target = { name: "latency all", url: shop.ordersUrl, pid, order: sale, keyed: true, status: 202 };
  try {
    await curve(context, "everything", target, async ({ answered, sent }) => {
      tally.answered += answered;
      tally.sent += sent;
      await untilApplied(books, [sale]);
      await untilFinished(books, sale);
      await untilApplied(books, [sale]);
    });
    context.audit("latency with everything, in Redis", await books.auditAdmission(sale, tally));
    context.audit("latency with everything, in the ledger", await books.auditLedger(sale, tally));
    context.audit("latency with everything, at the end", await books.auditEnds(sale));
    context.audit("latency with everything, proof", await prove(instance, sale, context.say));
  } finally {
    await books.close();
  }
}

async function curve(
  context: Context,
  path: LatencyPath,
  target: Target,
  after: (burst: Burst) => Promise<void>,
): Promise<void> {
  await after(await context.burst(target, { seconds: WARM_UP_SECONDS }));
  const reached: number[] = [];
  for (let round = 0; round < CAPACITY_ROUNDS; round += 1) {
    const burst = await context.burst(target, { seconds: CAPACITY_SECONDS });
    reached.push(burst.perSecond);
    await after(burst);
  }
  const capacity = spreadOf(reached)?.median ?? Number.NaN;
  for (let round = 1; round <= context.options.longRounds; round += 1) {
    for (const load of round % 2 === 1 ? LOADS : LOADS.toReversed()) {
      const rate = Math.round(capacity * load);
      const seconds = context.options.latencySeconds;
      const burst = await context.burst(target, { rate, seconds, connections: CONNECTIONS });
      await after(burst);
      tell(context, path, load, burst);
    }
  }
}

function tell(context: Context, path: LatencyPath, load: number, { perSecond, pace }: Burst): void {
  if (!pace) throw new Error("a burst at a fixed rate came without latencies");
  const { latencies, lag, unanswered } = pace;
  const of = { lagP50Ms: lag.p50Ms, lagP99Ms: lag.p99Ms, unanswered };
  context.point("latency", { path, load, perSecond, ...latencies, ...of });
  if (path === "everything" && load === 0.5) context.record("latency", "accept_all_p99_ms", latencies.p99Ms);
}
