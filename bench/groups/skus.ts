// What an order costs by the number of products in its sale, each order taking another one: windows of orders that are placed and
// applied, the sales by turns.
import { Books } from "../books.ts";
import type { Context } from "../context.ts";
import { untilApplied } from "../draining.ts";
import type { Instance } from "../instance.ts";
import { costOf, OrderMeter } from "../order-meter.ts";
import type { Sale, Shop } from "../shop.ts";
import { placeOrders, startProgram } from "./expiry.ts";

const SKUS = [1, 10, 100, 1_000] as const;
const WINDOW_ORDERS = 5_000;
const WINDOWS = 6;
const WARM_UP_ORDERS = 10_000;

export async function measureSkus(context: Context, instance: Instance, shop: Shop): Promise<void> {
  const sales = new Map<number, Sale>();
  for (const skus of SKUS) sales.set(skus, await shop.openAssortment(`bench ${skus} products`, skus));
  const books = new Books(instance);
  const meter = await OrderMeter.open(instance, books);
  const program = await startProgram(instance); // after the sales: it reads them when it starts
  const place = async (sale: Sale, orders: number) => {
    const { cpuSeconds } = await placeOrders(program, sale, orders, true);
    await untilApplied(books, [sale]);
    return cpuSeconds;
  };
  try {
    for (const sale of sales.values()) await place(sale, WARM_UP_ORDERS);
    for (let window = 0; window < WINDOWS; window += 1) {
      for (const skus of window % 2 === 0 ? SKUS : SKUS.toReversed()) {
        const sale = sales.get(skus) as Sale;
        const before = await meter.read();
        const engineSeconds = await place(sale, WINDOW_ORDERS);
        const cost = costOf(WINDOW_ORDERS, before, await meter.read(), engineSeconds);
        const [admissionUs, persisterUs] = [cost.engineUs + cost.redisUs, cost.persisterUs + cost.postgresUs];
        context.point("skus", { skus, admissionUs, persisterUs });
      }
    }
    const orders = WARM_UP_ORDERS + WINDOWS * WINDOW_ORDERS;
    for (const sale of sales.values()) {
      context.audit("skus", await books.auditAdmission(sale, { answered: orders, sent: orders }));
      context.audit("skus, in the ledger", await books.auditLedger(sale, { answered: orders, sent: orders }));
    }
  } finally {
    await Promise.all([program.stop(), meter.close(), books.close()]);
  }
}
