// How long a buyer who waits on a socket waits for the news of the order: thousands of sockets, orders at a fixed rate, everything
// running. An order whose CONFIRMED never came over its socket is counted as lost.
import { randomBytes } from "node:crypto";
import { Books } from "../books.ts";
import { runChild } from "../children.ts";
import type { Context } from "../context.ts";
import { untilApplied, untilFinished } from "../draining.ts";
import type { Instance } from "../instance.ts";
import type { SocketsOrder, SocketsReport } from "../load/sockets.ts";
import { cpuMeter } from "../machine.ts";
import { prove } from "../proof.ts";
import type { Sale, Shop } from "../shop.ts";

const WARM_UP = { sockets: 50, perSecond: 50, seconds: 2 };

export async function measureSockets(context: Context, instance: Instance, shop: Shop): Promise<void> {
  const { sockets, socketOrdersPerSecond: perSecond, socketSeconds: seconds } = context.options;
  const books = new Books(instance);
  try {
    await listen(shop, await shop.openSale("bench sockets warm-up"), WARM_UP);
    const sale = await shop.openSale("bench sockets");
    const spent = cpuMeter(instance.pids);
    const heard = await listen(shop, sale, { sockets, perSecond, seconds });
    context.note(`    processor seconds: ${JSON.stringify(spent())}, the sockets' own ${heard.cpuSeconds.toFixed(2)}`);
    const { p50Ms, p99Ms } = heard.latencies;
    context.record("sockets", "ws_sockets", sockets);
    context.record("sockets", "ws_orders_rps", perSecond);
    context.record("sockets", "ws_p50_ms", p50Ms);
    context.record("sockets", "ws_p99_ms", p99Ms);
    await untilApplied(books, [sale]);
    await untilFinished(books, sale);
    await untilApplied(books, [sale]);
    const tally = { answered: heard.placed, sent: heard.placed };
    context.audit("sockets, never told", { oversold: 0, lost: heard.placed - heard.told, duplicated: 0 });
    context.audit("sockets, in the ledger", await books.auditLedger(sale, tally));
    context.audit("sockets, at the end", await books.auditEnds(sale));
    context.audit("sockets, proof", await prove(instance, sale, context.say));
  } finally {
    await books.close();
  }
}

function listen(
  shop: Shop,
  { saleId, productId, price }: Sale,
  shape: Pick<SocketsOrder, "sockets" | "perSecond" | "seconds">,
): Promise<SocketsReport> {
  return runChild<SocketsReport>("load/sockets.ts", {
    ordersUrl: shop.ordersUrl,
    socketUrl: `${shop.apiUrl.replace(/^http/, "ws")}/ws`,
    order: { saleId, productId, price },
    burst: randomBytes(4).toString("hex"),
    ...shape,
  } satisfies SocketsOrder);
}
