// Carts in Redis: what a page that shows one reads. Filled from Postgres when it is missing; a copy that cannot be written
// or read costs a query and nothing else.
//
// A cart is a hash with a field a version: writers and readers that fill the cache race, and whoever comes late with an
// older version adds a field that nobody reads and the next reader removes.
import type { Redis } from "ioredis";
import { z } from "zod";
import { KEY_PREFIX } from "../keys.ts";
import type { Queryable } from "../ledger/database.ts";
import { CART_DAYS, type Cart } from "./cart.ts";
import { findCart } from "./carts.ts";

const TTL_MS = CART_DAYS * 86_400_000;
const stored = z.object({
  lines: z.array(z.object({ saleId: z.string(), productId: z.string(), quantity: z.int() })),
  updatedAt: z.coerce.date().optional(),
});

export class CartCache {
  readonly #redis: Redis;
  readonly #db: Queryable;
  readonly #onError: (error: unknown) => void;

  constructor(redis: Redis, db: Queryable, onError: (error: unknown) => void) {
    this.#redis = redis;
    this.#db = db;
    this.#onError = onError;
  }

  /** The cart, from Redis if it is there. @throws what Postgres throws when it is needed and away */
  async read(customerId: string): Promise<Cart> {
    const known = await this.#newest(customerId).catch((error) => {
      this.#onError(error);
      return undefined;
    });
    if (known) return known;
    const cart = await findCart(this.#db, customerId);
    await this.keep(cart);
    return cart;
  }

  /** Keeps a cart that was read or changed; a newer one that is there stays. */
  async keep({ customerId, version, lines, updatedAt }: Cart): Promise<void> {
    const key = keyOf(customerId);
    try {
      const json = JSON.stringify({ lines, updatedAt });
      await this.#redis.multi().hset(key, version, json).pexpire(key, TTL_MS).exec();
    } catch (error) {
      // An older copy may be there that must not be shown on.
      this.#onError(error);
      await this.#redis.del(key).catch(this.#onError);
    }
  }

  async #newest(customerId: string): Promise<Cart | undefined> {
    const key = keyOf(customerId);
    const copies = Object.entries(await this.#redis.hgetall(key)).sort(([a], [b]) => Number(b) - Number(a));
    const [newest, ...older] = copies;
    if (!newest) return undefined;
    if (older.length > 0) await this.#redis.hdel(key, ...older.map(([version]) => version));
    const cart = stored.safeParse(parseJson(newest[1]));
    return cart.success
      ? { customerId, version: Number(newest[0]), lines: cart.data.lines, updatedAt: cart.data.updatedAt }
      : undefined;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function keyOf(customerId: string): string {
  return `${KEY_PREFIX}cart:${customerId}`;
}
