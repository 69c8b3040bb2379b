// The engine as a library, batched and one order a call, by turns. The log of these orders is only counted: nobody
// carries it into Postgres.
import { randomBytes } from "node:crypto";
import { Books, type Tally } from "../books.ts";
import { runChild } from "../children.ts";
import type { Context } from "../context.ts";
import type { Instance } from "../instance.ts";
import type { PlacerOrder, PlacerReport } from "../programs/engine-placer.ts";
import type { Sale, Shop } from "../shop.ts";

/** Orders on their way at once: two full batches in flight, and two that wait. */
const CONCURRENCY = 1_024;

export async function measureLibrary(context: Context, instance: Instance, shop: Shop): Promise<void> {
  const sale = await shop.openSale("bench engine");
  const books = new Books(instance);
  const tally: Tally = { answered: 0, sent: 0 };
  try {
    for (let round = 1; round <= context.options.shortRounds; round += 1) {
      const turns = round % 2 === 1 ? ([false, true] as const) : ([true, false] as const);
      for (const single of turns) {
        if (!context.wants(single ? "engine_single" : "engine_direct")) continue;
        const report = await place(instance, sale, { single, seconds: context.options.seconds });
        tally.answered += report.placed;
        tally.sent += report.placed;
        const figure = single ? "engine_single_ops" : "engine_direct_ops";
        context.record(`library ${round}`, figure, report.measured / report.seconds);
      }
    }
    context.audit("engine", await books.auditAdmission(sale, tally));
  } finally {
    await books.close();
  }
}

/** Fills a sale's log with a number of orders. */
export async function fill(instance: Instance, sale: Sale, orders: number): Promise<Tally> {
  const { placed } = await place(instance, sale, { ordersMax: orders });
  return { answered: placed, sent: placed };
}

function place(
  { redisUrl, databaseUrl }: Instance,
  { saleId, productId }: Sale,
  { single = false, seconds = 600, ordersMax = Number.MAX_SAFE_INTEGER }: Partial<PlacerOrder>,
): Promise<PlacerReport> {
  return runChild<PlacerReport>("programs/engine-placer.ts", {
    redisUrl,
    databaseUrl,
    saleId,
    productId,
    burst: randomBytes(4).toString("hex"),
    concurrency: CONCURRENCY,
    single,
    seconds,
    ordersMax,
  } satisfies PlacerOrder);
}
