// A distributed lock around a read-modify-write, as shops with more than one server write it first: the product's lock in
// Redis, then one Postgres transaction that reads the stock, subtracts in the program, and writes it back with the order. The
// lock can end under its holder, so each carries a number that grows (a fencing token), and the row takes no smaller one.
import { Redis } from "ioredis";
import type pg from "pg";
import { onOrder } from "../own-process.ts";
import { type PeerVerdict, serveOrders } from "./child-server.ts";
import { LockTimeout, RedisLock } from "./lock.ts";
import { inLockOrder, insertOrder, type Line, type OrderBody, poolOf, transaction } from "./order.ts";

/** One is at work; the others are there for products that are not the hot one. */
const CONNECTIONS_MAX = 8;

onOrder<{ databaseUrl: string; redisUrl: string }>(({ databaseUrl, redisUrl }) => {
  const pool = poolOf(databaseUrl, CONNECTIONS_MAX);
  const redis = new Redis(redisUrl);
  redis.on("error", () => undefined); // the command on it rejects
  const locks = new Map<string, RedisLock>();
  const lockOf = (productId: string) => {
    const lock = locks.get(productId) ?? new RedisLock(redis, productId);
    locks.set(productId, lock);
    return lock;
  };
  serveOrders(async (id, body) => {
    try {
      return await holding(inLockOrder(body.items), [], (tokens) => place(pool, id, body, tokens));
    } catch (error) {
      if (error instanceof LockTimeout) return "BUSY";
      throw error;
    }
  });

  /** One lock after the other, all held while `work` is done. */
  function holding<T>(
    lines: readonly Line[],
    tokens: readonly number[],
    work: (tokens: readonly number[]) => Promise<T>,
  ): Promise<T> {
    const [line, ...others] = lines;
    if (!line) return work(tokens);
    return lockOf(line.productId).hold((token) => holding(others, [...tokens, token], work));
  }
});

async function place(pool: pg.Pool, id: string, body: OrderBody, tokens: readonly number[]): Promise<PeerVerdict> {
  let verdict: PeerVerdict = "ACCEPTED";
  await transaction(pool, async (client) => {
    for (const [i, { productId, quantity }] of inLockOrder(body.items).entries()) {
      const left = (await available(client, productId)) - quantity;
      if (left < 0) {
        verdict = "SOLD_OUT";
        return undefined;
      }
      if (await write(client, productId, left, tokens[i] as number)) continue;
      verdict = "BUSY"; // somebody with a later token was faster
      return undefined;
    }
    return insertOrder(client, id, body);
  });
  return verdict;
}

async function available(client: pg.PoolClient, productId: string): Promise<number> {
  const { rows } = await client.query<{ available: string }>({
    name: "available",
    text: "SELECT available FROM stock WHERE product_id = $1",
    values: [productId],
  });
  return Number(rows[0]?.available ?? 0);
}

async function write(client: pg.PoolClient, productId: string, left: number, token: number): Promise<boolean> {
  const written = await client.query({
    name: "write",
    text: "UPDATE stock SET available = $2, fence = $3 WHERE product_id = $1 AND fence < $3",
    values: [productId, left, token],
  });
  return written.rowCount === 1;
}
