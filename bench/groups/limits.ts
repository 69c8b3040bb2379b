// What nothing on this machine can be faster than: node:http without a framework, by turns with the no-op on it, and Redis given
// the bytes of orders without anything to do for them.
import { Redis } from "ioredis";
import { Books } from "../books.ts";
import { startChild } from "../children.ts";
import type { Context } from "../context.ts";
import type { Instance } from "../instance.ts";
import { redisBenchmark } from "../limits/redis-benchmark.ts";
import type { Shop } from "../shop.ts";
import { type Noop, noopTarget, startNoop } from "./admission.ts";
import { fill } from "./library.ts";

const WEIGHED_ORDERS = 20_000;
/** A full batch. */
const BATCH = 256;
/** At about which it takes the seconds of the options. */
const ORDERS_PER_SECOND = 100_000;
const WARM_UP_SECONDS = 1;
const KEY = "onrush-bench:limit";

export async function measureLimits(context: Context, instance: Instance, shop: Shop): Promise<void> {
  const sale = await shop.openSale("bench limits");
  const books = new Books(instance);
  const redis = new Redis(instance.redisUrl);
  redis.on("error", () => undefined); // the command on it rejects
  const answerBytes = await shop.buyOne(sale);
  const noop = await startNoop(answerBytes);
  const bare: Noop = await startChild("limits/node-http.ts", { answerBytes });
  try {
    const before = await bytesReceived(redis);
    const { answered, sent } = await fill(instance, sale, WEIGHED_ORDERS);
    const bytes = Math.round(((await bytesReceived(redis)) - before) / answered);
    context.record("limits", "redis_order_bytes", bytes);
    const turns = [
      { figure: "noop_rps", target: noopTarget(noop, sale) },
      { figure: "node_http_rps", target: { ...noopTarget(bare, sale), name: "node_http" } },
    ] as const;
    for (const { target } of turns) await context.burst(target, { seconds: WARM_UP_SECONDS });
    for (let round = 1; round <= context.options.longRounds; round += 1) {
      for (const { figure, target } of round % 2 === 1 ? turns : turns.toReversed()) {
        await context.measure(`limits ${round}`, figure, target);
      }
      const orders = ORDERS_PER_SECOND * context.options.seconds;
      const load = { redisUrl: instance.redisUrl, key: KEY, bytes, orders, ordersPerCommand: BATCH };
      const perSecond = await redisBenchmark(load);
      if (perSecond === undefined) context.say("  redis-benchmark is not installed: its limit is left out");
      else context.record(`limits ${round}`, "redis_benchmark_ops", perSecond);
      await redis.unlink(KEY);
    }
    context.audit(
      "limits, the orders that were weighed",
      await books.auditAdmission(sale, { answered: answered + 1, sent: sent + 1 }),
    );
  } finally {
    redis.disconnect();
    await Promise.all([noop.stop(), bare.stop(), books.close()]);
  }
}

async function bytesReceived(redis: Redis): Promise<number> {
  return Number(/total_net_input_bytes:(\d+)/.exec(await redis.info("stats"))?.[1] ?? Number.NaN);
}
