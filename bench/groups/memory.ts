// What an order keeps in Redis: while it is live, when its log entry is acknowledged, when it is at its end, and when the
// rotating buckets have turned. The turn is brought about by setting the partition's period two back, which is what two
// periods without this sale would do; the next order in it then empties both buckets.
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { Books } from "../books.ts";
import type { Context } from "../context.ts";
import { untilApplied, untilFinished } from "../draining.ts";
import type { Figure } from "../figures.ts";
import { type Instance, startInstance } from "../instance.ts";
import type { Sale, Shop } from "../shop.ts";
import { placeOrders, startProgram } from "./expiry.ts";

const ORDERS = 20_000;
const TTL_SECONDS = 5;
const ACKNOWLEDGED_TIMEOUT_MS = 20_000;
const POLL_MS = 50;
const KEYS = ["held", "limits", "idem:even", "idem:odd", "recent:even", "recent:odd", "stream"] as const;
type Key = (typeof KEYS)[number];

/** Bytes an order, by key. */
type Bytes = Readonly<Record<Key, number>>;

export async function measureMemory(context: Context, instance: Instance, shop: Shop): Promise<void> {
  const paid = await shop.openSale("bench memory paid");
  const expired = await shop.openSale("bench memory expired", undefined, TTL_SECONDS);
  const books = new Books(instance);
  const redis = new Redis(instance.redisUrl);
  redis.on("error", () => undefined); // the command on it rejects
  const program = await startProgram(instance); // after the sales: it reads them when it starts
  const tell = (figure: Figure, bytes: Bytes) => {
    context.record("memory", figure, total(bytes));
    context.note(
      `    ${JSON.stringify(bytes, (_key, value) => (typeof value === "number" ? Math.round(value) : value))}`,
    );
  };
  try {
    await placeOrders(program, paid, ORDERS, false);
    await placeOrders(program, expired, ORDERS, true);
    tell("memory_live_bytes", await bytesAnOrder(redis, paid));
    const rest = await startInstance({ roles: "persister,worker", servers: instance });
    try {
      for (const sale of [paid, expired]) {
        await untilApplied(books, [sale]);
        await untilFinished(books, sale);
        await untilApplied(books, [sale]);
      }
      // The last acknowledgement follows the commit that was waited for.
      for (const sale of [paid, expired]) await untilAcknowledged(redis, sale);
    } finally {
      await rest.stop();
    }
    tell("memory_confirmed_bytes", await bytesAnOrder(redis, paid));
    tell("memory_cancelled_bytes", await bytesAnOrder(redis, expired));
    for (const sale of [paid, expired]) {
      context.audit("memory", await books.auditHolds(sale));
      await redis.hmset(keyOf(sale, "meta"), await twoPeriodsBack(redis, sale));
      await placeOrders(program, sale, 1, true);
    }
    const [bought, gone] = [await bytesAnOrder(redis, paid), await bytesAnOrder(redis, expired)];
    tell("memory_bought_bytes", bought);
    tell("memory_gone_bytes", gone);
    // What is left of the sale that expired is the order just placed, and the end of its log.
    const { stream: _log, ...kept } = gone;
    const left = Object.values(kept).some((bytes) => bytes > 1) ? ORDERS : 0;
    context.audit("memory, left in Redis", { oversold: 0, lost: 0, duplicated: left });
  } finally {
    redis.disconnect();
    await Promise.all([program.stop(), books.close()]);
  }
}

function total(bytes: Bytes): number {
  return KEYS.reduce((sum, key) => sum + bytes[key], 0);
}

async function bytesAnOrder(redis: Redis, sale: Sale): Promise<Bytes> {
  const bytes = await Promise.all(KEYS.map((key) => redis.memory("USAGE", keyOf(sale, key), "SAMPLES", 0)));
  return Object.fromEntries(KEYS.map((key, i) => [key, (bytes[i] ?? 0) / ORDERS])) as Record<Key, number>;
}

async function twoPeriodsBack(redis: Redis, sale: Sale): Promise<Record<string, number>> {
  const [idem, recent] = await redis.hmget(keyOf(sale, "meta"), "idemPeriod", "recentPeriod");
  return { idemPeriod: Number(idem) - 2, recentPeriod: Number(recent) - 2 };
}

async function untilAcknowledged(redis: Redis, sale: Sale): Promise<void> {
  const giveUpAt = performance.now() + ACKNOWLEDGED_TIMEOUT_MS;
  for (;;) {
    const pending = (await redis.xpending(keyOf(sale, "stream"), "persister")) as [number, ...unknown[]];
    if (pending[0] === 0) return;
    if (performance.now() > giveUpAt) throw new Error(`applied and not acknowledged: ${JSON.stringify(pending)}`);
    await delay(POLL_MS);
  }
}

function keyOf({ saleId }: Sale, key: string): string {
  return `onrush:{${saleId}.0}:${key}`;
}
