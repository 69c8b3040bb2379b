// The peers beside Onrush in the same round: each over a database of its own on the instance's Postgres, and those that need
// a Redis over one with the same `appendfsync always`. What an order costs counts until it is in Postgres.
import { setTimeout as delay } from "node:timers/promises";
import { startTestRedis, type TestRedis } from "../../test/support/redis.ts";
import type { Tally } from "../books.ts";
import type { Context } from "../context.ts";
import type { Figure } from "../figures.ts";
import type { Instance } from "../instance.ts";
import type { Burst, Target } from "../load/burst.ts";
import { RecordedLoad } from "../load/recorded.ts";
import type { Sale } from "../shop.ts";
import { PEERS, type PeerName, PeerShop, POOL_SIZES } from "./peer-shop.ts";

const SWEEP_SECONDS = 2;
const WARM_UP_ORDERS = 300;
/** Units for it, where they are rows. */
const WARM_UP_SECONDS = 1;
const POLL_MS = 50;
/** No progress for this long means that it will not end. */
const STALLED_MS = 60_000;

/** Answered with 202, and written by then. */
const RATES: Readonly<Record<PeerName, Figure>> = {
  pg_row: "pg_row_rps",
  pg_skip_locked: "pg_skip_locked_rps",
  redis_lock: "redis_lock_rps",
  bullmq: "bullmq_accept_rps",
};

/** Those of the peers that were asked for. */
export class Peers {
  readonly #redis: TestRedis | undefined;
  readonly #sale: Sale;
  readonly #shops: { readonly shop: PeerShop; readonly tally: Tally }[] = [];

  private constructor(redis: TestRedis | undefined, sale: Sale) {
    this.#redis = redis;
    this.#sale = sale;
  }

  /** Warm, each with the pool size that a short sweep found best. */
  static async start(context: Context, { databaseUrl }: Instance, sale: Sale): Promise<Peers> {
    const redis = context.wants("redis_lock", "bullmq") ? await startTestRedis() : undefined;
    const peers = new Peers(redis, sale);
    try {
      for (const name of PEERS) {
        if (!context.wants(name)) continue;
        const shop = await PeerShop.create(name, { databaseUrl, redisUrl: redis?.url ?? "" }, sale.productId);
        peers.#shops.push({ shop, tally: { answered: 0, sent: 0 } });
        await shop.start(await peers.#bestPoolSize(context, shop));
        await peers.#warmUp(shop);
      }
    } catch (error) {
      await peers.stop();
      throw error;
    }
    return peers;
  }

  /** However slow the machine is just then: compiled code, and connections that know their statements. */
  async #warmUp(shop: PeerShop): Promise<void> {
    await shop.stockUp(WARM_UP_SECONDS);
    const load = new RecordedLoad(() => shop.url, this.#sale);
    await load.untilMore(WARM_UP_ORDERS);
    await load.end();
    this.#tallyOf(shop).answered += load.acknowledged.length;
    await this.#untilWritten(shop);
  }

  async #bestPoolSize(context: Context, shop: PeerShop): Promise<number> {
    const [only = 1, ...others] = POOL_SIZES[shop.name];
    if (others.length === 0) return only;
    let best = { size: only, perSecond: 0 };
    for (const size of [only, ...others]) {
      await shop.start(size);
      const { perSecond } = await this.#burst(context, shop, Math.min(SWEEP_SECONDS, context.options.seconds));
      await shop.stopProcesses();
      if (perSecond > best.perSecond) best = { size, perSecond };
    }
    context.say(`  ${shop.name} does best with a pool of ${best.size}`);
    return best.size;
  }

  /** One measurement of each, every other round backwards. */
  async measure(context: Context, name: string, round: number): Promise<void> {
    for (const { shop } of round % 2 === 1 ? this.#shops : this.#shops.toReversed()) {
      const startedAt = performance.now();
      const { answered, perSecond } = await this.#burst(context, shop, context.options.seconds);
      context.record(name, RATES[shop.name], perSecond);
      if (shop.name !== "bullmq") continue;
      await this.#untilWritten(shop);
      context.record(name, "bullmq_rps", answered / ((performance.now() - startedAt) / 1_000));
    }
  }

  async #burst(context: Context, shop: PeerShop, seconds: number): Promise<Burst> {
    await shop.database.untilIdle();
    await shop.stockUp(seconds);
    const burst = await context.burst(targetOf(shop, this.#sale), { seconds });
    const tally = this.#tallyOf(shop);
    tally.answered += burst.answered;
    tally.sent += burst.sent;
    return burst;
  }

  /** Until Postgres has all orders that were answered with 202. @throws when their number stops growing */
  async #untilWritten(shop: PeerShop): Promise<void> {
    const { answered } = this.#tallyOf(shop);
    for (let most = -1, at = performance.now(); ; await delay(POLL_MS)) {
      const orders = await shop.database.orders();
      if (orders >= answered) return;
      if (orders > most) [most, at] = [orders, performance.now()];
      else if (performance.now() - at > STALLED_MS) {
        throw new Error(`${shop.name}: ${answered - orders} orders do not get to Postgres`);
      }
    }
  }

  #tallyOf(shop: PeerShop): Tally {
    const found = this.#shops.find((one) => one.shop === shop);
    if (!found) throw new Error(`${shop.name} is not one of these`);
    return found.tally;
  }

  async audit(context: Context): Promise<void> {
    for (const { shop, tally } of this.#shops) context.audit(shop.name, await shop.audit(tally));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#shops.map(({ shop }) => shop.stop()));
    await this.#redis?.stop();
  }
}

function targetOf({ name, url, pid }: PeerShop, order: Sale): Target {
  if (url === undefined || pid === undefined) throw new Error(`${name} is not running`);
  return { name, url, pid, order, keyed: true, status: 202 };
}
