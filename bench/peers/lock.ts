// A lock in Redis, as good as it can be made: SET NX PX with a fencing token from a counter beside it, given back only by who
// holds it. Within a process waiters stand in line, so that one process asks Redis for one holder at a time instead of polling
// for hundreds; what gives the lock back and what takes it again go out together, and cost one wait.
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "ioredis";

/** A holder that died keeps the others waiting for this long. */
const TTL_MS = 2_000;
/** Another process has it. */
const RETRY_MS_MIN = 5;
const RETRY_MS_MAX = 25;
const WAIT_MS_MAX = 10_000;

/** KEYS: lock, counter. ARGV: holder, ttl in ms. Returns the token, or nil when somebody holds it. */
const ACQUIRE = `
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return false end
return redis.call('INCR', KEYS[2])`;
/** KEYS: lock. ARGV: holder. */
const RELEASE = `if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end`;

/** Nobody got to the lock in time; nothing was done. */
export class LockTimeout extends Error {}

type LockCommands = Redis & {
  acquireLock(lock: string, counter: string, holder: string, ttlMs: number): Promise<number | null>;
  releaseLock(lock: string, holder: string): Promise<unknown>;
};

export class RedisLock {
  readonly #redis: LockCommands;
  readonly #keys: readonly [lock: string, counter: string];
  #last: Promise<unknown> = Promise.resolve();

  constructor(redis: Redis, name: string) {
    redis.defineCommand("acquireLock", { numberOfKeys: 2, lua: ACQUIRE });
    redis.defineCommand("releaseLock", { numberOfKeys: 1, lua: RELEASE });
    this.#redis = redis as LockCommands;
    this.#keys = [`lock:{${name}}`, `fence:{${name}}`];
  }

  /** Does `work` while holding the lock. @throws LockTimeout */
  hold<T>(work: (token: number) => Promise<T>): Promise<T> {
    const turn = this.#last.then(() => this.#hold(work));
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #hold<T>(work: (token: number) => Promise<T>): Promise<T> {
    const [lock] = this.#keys;
    const holder = randomUUID();
    const token = await this.#acquire(holder);
    try {
      return await work(token);
    } finally {
      // Not waited for: the next one's question goes out right behind it. What gets lost ends by itself.
      void this.#redis.releaseLock(lock, holder).catch(() => undefined);
    }
  }

  async #acquire(holder: string): Promise<number> {
    const [lock, counter] = this.#keys;
    const endsAt = performance.now() + WAIT_MS_MAX;
    for (;;) {
      const token = await this.#redis.acquireLock(lock, counter, holder, TTL_MS);
      if (token !== null) return token;
      if (performance.now() > endsAt) throw new LockTimeout(`the lock ${lock} was not to be had`);
      await delay(RETRY_MS_MIN + Math.random() * (RETRY_MS_MAX - RETRY_MS_MIN));
    }
  }
}
