// The clock that deadlines and windows are judged by, for those who are not a script.
import type { Redis } from "ioredis";

/** Redis `TIME` in milliseconds since 1970. @throws what Redis throws; then nothing may be judged by any other clock */
export async function redisNowMs(redis: Redis): Promise<number> {
  const [seconds, microseconds] = await redis.time();
  return Number(seconds) * 1_000 + Math.floor(Number(microseconds) / 1_000);
}

/** An estimate is as good as the monotonic clock that carries it on from the last answer. */
const ESTIMATE_MS_MAX = 10_000;

/** Redis' clock for those who judge by it often: carried on from answers that told it, asked for when those are too old. */
export class RedisClock {
  readonly #redis: Redis;
  readonly #now: () => number;
  #told: { readonly redisMs: number; readonly atMs: number } | undefined;

  /** @param now monotonic, in ms */
  constructor(redis: Redis, now: () => number = () => performance.now()) {
    this.#redis = redis;
    this.#now = now;
  }

  /** Takes note of what an answer told just now. */
  learn(redisMs: number): void {
    this.#told = { redisMs, atMs: this.#now() };
  }

  /** @throws as {@link redisNowMs} */
  async nowMs(): Promise<number> {
    const passedMs = this.#told ? this.#now() - this.#told.atMs : Number.POSITIVE_INFINITY;
    if (this.#told && passedMs <= ESTIMATE_MS_MAX) return this.#told.redisMs + passedMs;
    const redisMs = await redisNowMs(this.#redis);
    this.learn(redisMs);
    return redisMs;
  }
}
