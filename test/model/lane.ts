// A lane: a database of its own, its connections, and sales to use up. Sequences of one lane run one after the other, so
// that sweeps, which look at a whole database, meet one sale that is alive. Lanes run side by side on one Redis.
import { Redis } from "ioredis";
import type pg from "pg";
import { openPool } from "../../engine/ledger/database.ts";
import { loadScripts } from "../../engine/redis/scripts.ts";

/** Sales that are made at once; tables are emptied with them, so that a statement never looks through many of them. */
const SALES_AT_ONCE = 120;
/** Two persisters at the same time, and the lock of a rebuild. */
const CONNECTIONS_MAX = 3;

export const SKUS = [1, 2, 3].map((n) => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`) as [
  string,
  string,
  string,
];
/** Units that a sale begins with, and limits (0: none), by product. */
export const UNITS = [6, 5, 4] as const;
export const LIMITS = [0, 4, 3] as const;
export const NOT_SOLD = "00000000-0000-4000-8000-000000000099";

/** How long a reservation lasts: longer than any sequence, so that nothing expires by itself. */
export const TTL_MS = 3_600_000;

export interface Lane {
  readonly pool: pg.Pool;
  readonly redis: Redis;
  /** A number that no other sale of this lane has had, and the id of its sale, which is in Postgres only. */
  takeSale(): Promise<{ readonly no: number; readonly saleId: string }>;
  /** A sequence broke off: what it left must not come into the next one's sweeps. */
  abandon(): void;
  stop(): Promise<void>;
}

/** @param databaseUrl a migrated database that nobody else uses; @param name tells lanes on one Redis apart */
export async function openLane(databaseUrl: string, redisUrl: string, name: string): Promise<Lane> {
  const options = { connectionsMax: CONNECTIONS_MAX, applicationName: `model ${name}`, statementTimeoutMs: 20_000 };
  const pool = openPool(databaseUrl, options, () => undefined); // a broken connection also fails the query on it
  const redis = new Redis(redisUrl);
  await loadScripts(redis);
  await pool.query(
    "INSERT INTO products (id, name, price, currency) SELECT id, 'thing', 100, 'KRW' FROM unnest($1::uuid[]) id",
    [SKUS],
  );
  let [next, last] = [1, 0];
  return {
    pool,
    redis,
    async takeSale() {
      if (next > last) {
        last = next + SALES_AT_ONCE - 1;
        await makeSales(pool, name, next, last);
        await redis.del(...(await keysOf(redis, name)), "model:none");
      }
      const no = next;
      next += 1;
      return { no, saleId: `${name}-${no}` };
    },
    abandon() {
      next = last + 1;
    },
    async stop() {
      redis.disconnect();
      await pool.end();
    },
  };
}

async function makeSales(pool: pg.Pool, name: string, from: number, to: number): Promise<void> {
  await pool.query(`TRUNCATE sales, orders, order_lines, order_timeline, order_intents, payment_attempts, stock_movements,
    dead_letters, lost_ranges, order_revivals, order_returns CASCADE`);
  await pool.query(
    `INSERT INTO sales (id, name, currency, opens_at, reservation_ttl_ms)
     SELECT $1 || '-' || n, 'model', 'KRW', to_timestamp(0), $4 FROM generate_series($2::int, $3::int) n`,
    [name, from, to, TTL_MS],
  );
  await pool.query(
    "INSERT INTO sale_partitions (sale_id, partition, state) SELECT id, 0, 'live' FROM sales ORDER BY no",
  );
  await pool.query(
    `INSERT INTO sale_items (sale_id, product_id, per_customer_limit)
     SELECT s.id, i.id, NULLIF(i.max, 0) FROM sales s, unnest($1::uuid[], $2::int[]) i(id, max)`,
    [SKUS, LIMITS],
  );
  await pool.query(
    `INSERT INTO stock (sale_id, partition, product_id, allocated)
     SELECT s.id, 0, i.id, i.units FROM sales s, unnest($1::uuid[], $2::int[]) i(id, units)`,
    [SKUS, UNITS],
  );
}

async function keysOf(redis: Redis, name: string): Promise<string[]> {
  const found: string[] = [];
  let cursor = "0";
  do {
    const [next, keys] = await redis.scan(cursor, "MATCH", `*{${name}-*`, "COUNT", 1_000);
    cursor = next;
    found.push(...keys);
  } while (cursor !== "0");
  return found;
}
