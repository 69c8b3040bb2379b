// The engine as a library, batched and one order a call, by turns, each in a process that stays warm. The log of these orders is
// only counted: nobody carries it into Postgres.
import { randomBytes } from "node:crypto";
import { Books, type Tally } from "../books.ts";
import { type Child, runChild, startChild } from "../children.ts";
import type { Context } from "../context.ts";
import type { Instance } from "../instance.ts";
import type { PlacerOrder, PlacerReport } from "../programs/engine-placer.ts";
import type { Sale, Shop } from "../shop.ts";

/** Orders on their way at once: two full batches in flight, and two that wait. */
const CONCURRENCY = 1_024;
const WARM_UP_SECONDS = 1;
const PLACER = "programs/engine-placer.ts";

export async function measureLibrary(context: Context, instance: Instance, shop: Shop): Promise<void> {
  const sale = await shop.openSale("bench engine");
  const books = new Books(instance);
  const tally: Tally = { answered: 0, sent: 0 };
  const count = (report: PlacerReport) => {
    tally.answered += report.placed;
    tally.sent += report.placed;
    return report;
  };
  const placers: { single: boolean; child: Child<PlacerReport> }[] = [];
  try {
    for (const single of [false, true]) {
      if (!context.wants(single ? "engine_single" : "engine_direct")) continue;
      const order = placerOrder(instance, sale, { single, seconds: WARM_UP_SECONDS });
      const child = await startChild<PlacerReport>(PLACER, order);
      placers.push({ single, child });
      count(child.ready);
    }
    for (let round = 1; round <= context.options.shortRounds; round += 1) {
      for (const { single, child } of round % 2 === 1 ? placers : placers.toReversed()) {
        const order = placerOrder(instance, sale, { single, seconds: context.options.seconds });
        const { measured, seconds } = count(await child.ask<PlacerReport>(order));
        context.record(`library ${round}`, single ? "engine_single_ops" : "engine_direct_ops", measured / seconds);
      }
    }
    context.audit("engine", await books.auditAdmission(sale, tally));
  } finally {
    await Promise.all([books.close(), ...placers.map(({ child }) => child.stop())]);
  }
}

/** Fills a sale's log with a number of orders. */
export async function fill(instance: Instance, sale: Sale, orders: number): Promise<Tally> {
  const { placed } = await runChild<PlacerReport>(PLACER, placerOrder(instance, sale, { ordersMax: orders }));
  return { answered: placed, sent: placed };
}

function placerOrder(
  { redisUrl, databaseUrl }: Instance,
  { saleId, productId }: Sale,
  { single = false, seconds = 600, ordersMax = Number.MAX_SAFE_INTEGER }: Partial<PlacerOrder>,
): PlacerOrder {
  return {
    redisUrl,
    databaseUrl,
    saleId,
    productId,
    burst: randomBytes(4).toString("hex"),
    concurrency: CONCURRENCY,
    single,
    seconds,
    ordersMax,
  };
}
