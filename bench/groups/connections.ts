// Accepted orders a second by the number of connections that they come over, from one to a thousand: few of them wait for each
// other's fsync, many share it.
import { Books, type Tally } from "../books.ts";
import type { Context } from "../context.ts";
import type { Instance } from "../instance.ts";
import type { Target } from "../load/burst.ts";
import type { Sale, Shop } from "../shop.ts";

const CONNECTIONS = [1, 4, 16, 64, 256, 1_024] as const;
const WARM_UP_SECONDS = 2;
const SECONDS_MAX = 4;

/** @returns the sale whose orders are left in the log */
export async function measureConnections(context: Context, instance: Instance, shop: Shop): Promise<Sale> {
  const sale = await shop.openSale("bench connections");
  const books = new Books(instance);
  const tally: Tally = { answered: 0, sent: 0 };
  const pid = instance.pids["api"] ?? 0;
  const target: Target = { name: "connections", url: shop.ordersUrl, pid, order: sale, keyed: true, status: 202 };
  const count = ({ answered, sent }: Tally) => {
    tally.answered += answered;
    tally.sent += sent;
  };
  const seconds = Math.min(context.options.seconds, SECONDS_MAX);
  try {
    count(await context.burst(target, { seconds: WARM_UP_SECONDS }));
    for (let round = 1; round <= context.options.longRounds; round += 1) {
      for (const connections of round % 2 === 1 ? CONNECTIONS : CONNECTIONS.toReversed()) {
        const burst = await context.burst(target, { seconds, connections });
        count(burst);
        context.point("connections", { connections, perSecond: burst.perSecond });
      }
    }
    context.audit("connections", await books.auditAdmission(sale, tally));
  } finally {
    await books.close();
  }
  return sale;
}
