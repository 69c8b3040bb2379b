// What the peers lose: each takes orders, and one after the other its own processes, its Redis and its Postgres are killed
// by SIGKILL and started again, under load. Afterwards, when it has come to rest, the orders that it acknowledged are looked
// for in Postgres, and the units that its stock lacks in its orders.
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { type DurablePostgres, startDurablePostgres } from "../../test/support/durable-postgres.ts";
import { startTestRedis, type TestRedis } from "../../test/support/redis.ts";
import type { Context } from "../context.ts";
import { RecordedLoad } from "../load/recorded.ts";
import { PEERS, type PeerName, PeerShop, POOL_SIZES } from "./peer-shop.ts";

type Victim = "processes" | "redis" | "postgres";
type Appendfsync = "always" | "everysec";

export interface Killed {
  readonly peer: PeerName;
  readonly victim: Victim;
  /** Of the peer's Redis, where it has one. */
  readonly appendfsync: Appendfsync | null;
  readonly kills: number;
  readonly acknowledged: number;
  /** Acknowledged, and not in Postgres. */
  readonly missing: number;
  /** Orders beyond one a request. */
  readonly twice: number;
  /** Units in orders that the stock does not lack: sold once more than there are. */
  readonly oversold: number;
  /** Units that the stock lacks and no order has: nobody can buy them any more. */
  readonly strayUnits: number;
  /** Orders in Postgres whose buyer got no answer: without a key, trying again makes a second. */
  readonly unanswered: number;
  /** With `everysec`, acknowledged in the second before a kill of Redis, at most: what may not be synced when the power fails. */
  readonly youngMax: number;
}

const ORDERS_BETWEEN_KILLS = 300;
const YOUNG_MS = 1_000;
const REST_TIMEOUT_MS = 60_000;
const POLL_MS = 100;
const PRICE = 5_000;

export async function measurePeersKilled(context: Context): Promise<void> {
  const postgres = await startDurablePostgres();
  try {
    for (const peer of PEERS) {
      const hasRedis = peer === "redis_lock" || peer === "bullmq";
      for (const appendfsync of hasRedis ? (["always", "everysec"] as const) : [null]) {
        for (const victim of ["processes", "redis", "postgres"] as const) {
          // Its own processes and Postgres are the same whatever Redis does.
          if (victim === "redis" ? !hasRedis : appendfsync === "everysec") continue;
          const killed = await killAgainAndAgain(context, postgres, { peer, appendfsync, victim });
          context.killed.push(killed);
          context.say(`  ${JSON.stringify(killed)}`);
        }
      }
    }
  } finally {
    await postgres.stop();
  }
}

async function killAgainAndAgain(
  context: Context,
  postgres: DurablePostgres,
  { peer, appendfsync, victim }: Pick<Killed, "peer" | "appendfsync" | "victim">,
): Promise<Killed> {
  const kills = context.options.longRounds;
  const redis = appendfsync === null ? undefined : await startTestRedis({ appendfsync });
  const productId = randomUUID();
  const name = `${peer}_${victim}_${appendfsync ?? "none"}`;
  const servers = { databaseUrl: postgres.url, redisUrl: redis?.url ?? "" };
  const shop = await PeerShop.create(peer, servers, productId, name);
  let load: RecordedLoad | undefined;
  try {
    await shop.stockUp(kills + 1);
    const [poolSize = 1] = POOL_SIZES[peer];
    await shop.start(poolSize);
    load = new RecordedLoad(() => shop.url, { saleId: randomUUID(), productId, price: PRICE });
    let youngMax = 0;
    for (let kill = 1; kill <= kills; kill += 1) {
      await load.untilMore(ORDERS_BETWEEN_KILLS);
      const since = performance.now() - YOUNG_MS;
      youngMax = Math.max(youngMax, load.acknowledged.filter(({ atMs }) => atMs >= since).length);
      await strike(victim, { shop, redis, postgres, poolSize });
    }
    await load.untilMore(ORDERS_BETWEEN_KILLS);
    await load.end();
    await untilAtRest(shop);
    const { acknowledged } = load;
    const [{ orders, buyers, units }, taken, missing] = await Promise.all([
      shop.database.sold(),
      shop.taken(),
      shop.database.missing(acknowledged.map(({ id }) => id)),
    ]);
    return {
      peer,
      victim,
      appendfsync,
      kills,
      acknowledged: acknowledged.length,
      missing,
      twice: orders - buyers,
      oversold: Math.max(0, units - taken),
      strayUnits: Math.max(0, taken - units),
      unanswered: orders - (acknowledged.length - missing),
      youngMax: victim === "redis" && appendfsync === "everysec" ? youngMax : 0,
    };
  } finally {
    await load?.end();
    await shop.stop();
    await redis?.stop();
  }
}

interface Place {
  readonly shop: PeerShop;
  readonly redis: TestRedis | undefined;
  readonly postgres: DurablePostgres;
  readonly poolSize: number;
}

async function strike(victim: Victim, { shop, redis, postgres, poolSize }: Place): Promise<void> {
  switch (victim) {
    case "processes":
      await shop.killProcesses();
      return shop.start(poolSize);
    case "redis":
      await redis?.kill();
      return redis?.restart();
    case "postgres":
      await postgres.kill();
      return postgres.restart();
  }
}

/** Until nothing is on its way any more, or for a minute: what is not there by then is missing. */
async function untilAtRest(shop: PeerShop): Promise<void> {
  const endsAt = performance.now() + REST_TIMEOUT_MS;
  while ((await shop.underWay()) > 0 && performance.now() < endsAt) await delay(POLL_MS);
}
