// What an order costs when its sale has had a thousand orders, and when it has had a million: processor time of the engine,
// of Redis' main thread, of the persister and of its Postgres connections, over windows of orders that are placed and then
// applied.
import { Books } from "../books.ts";
import type { Context } from "../context.ts";
import { untilApplied } from "../draining.ts";
import type { Figure } from "../figures.ts";
import type { Instance } from "../instance.ts";
import { costOf, type OrderCost, OrderMeter } from "../order-meter.ts";
import type { Sale, Shop } from "../shop.ts";
import { placeOrders, startProgram } from "./expiry.ts";

const WINDOW_ORDERS = 5_000;
const WINDOWS_PER_DEPTH = 4;
const WARM_UP_ORDERS = 30_000;
/** The figures' names end like this. */
const DEPTHS = { "1k": 1_000, "10k": 10_000, "100k": 100_000, "1m": 1_000_000 } as const;
type Depth = keyof typeof DEPTHS;

export async function measureScale(context: Context, instance: Instance, shop: Shop): Promise<void> {
  const depths = (Object.keys(DEPTHS) as Depth[]).filter((name) => DEPTHS[name] <= context.options.depthOrdersMax);
  const warmUp = await shop.openSale("bench scale warm-up");
  const deep = await shop.openSale("bench scale");
  const shallow: Sale[] = [];
  for (let i = 0; i < 2 * WINDOWS_PER_DEPTH; i += 1) shallow.push(await shop.openSale(`bench scale shallow ${i}`));
  const books = new Books(instance);
  const meter = await OrderMeter.open(instance, books);
  const program = await startProgram(instance); // after the sales: it reads them when it starts
  let placed = 0;
  const place = async (sale: Sale, orders: number) => {
    const report = await placeOrders(program, sale, orders, true);
    await untilApplied(books, [sale]);
    if (sale === deep) placed += report.placed;
    return report;
  };
  const window = async (depth: Depth, sale: Sale) => {
    const before = await meter.read();
    const { cpuSeconds } = await place(sale, WINDOW_ORDERS);
    record(context, depth, costOf(WINDOW_ORDERS, before, await meter.read(), cpuSeconds));
  };
  // A thousand orders are too few for several windows: each has a sale of its own, half of them at the very end.
  const shallowWindows = async (sales: readonly Sale[]) => {
    for (const sale of sales) {
      await place(sale, DEPTHS["1k"]);
      await window("1k", sale);
    }
  };
  try {
    await place(warmUp, WARM_UP_ORDERS);
    await shallowWindows(shallow.slice(0, WINDOWS_PER_DEPTH));
    for (const depth of depths.slice(1)) {
      if (DEPTHS[depth] > placed) await place(deep, DEPTHS[depth] - placed);
      for (let i = 0; i < WINDOWS_PER_DEPTH; i += 1) await window(depth, deep);
    }
    await shallowWindows(shallow.slice(WINDOWS_PER_DEPTH));
    for (const sale of [deep, ...shallow]) {
      const tally = { answered: 0, sent: Number.MAX_SAFE_INTEGER };
      context.audit("scale", await books.auditAdmission(sale, tally));
      context.audit("scale, in the ledger", await books.auditLedger(sale, tally));
    }
  } finally {
    await Promise.all([program.stop(), meter.close(), books.close()]);
  }
}

function record(context: Context, depth: Depth, { engineUs, redisUs, persisterUs, postgresUs }: OrderCost): void {
  const figures: readonly (readonly [Figure, number])[] = [
    [`cost_admission_${depth}_us`, engineUs + redisUs],
    [`cost_persister_${depth}_us`, persisterUs + postgresUs],
    [`cost_${depth}_us`, engineUs + redisUs + persisterUs + postgresUs],
  ];
  for (const [figure, value] of figures) context.record("scale", figure, value);
  const orders = DEPTHS[depth];
  context.point("depth", { orders, admissionUs: engineUs + redisUs, persisterUs: persisterUs + postgresUs });
}
