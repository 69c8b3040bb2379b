// Rate limits in this process' memory: one token bucket a key, a few numbers each, no timers and no promises, because the
// order path pays for it on every request. Processes count apart: the limit of an instance is that of each times their
// number, which is enough to keep one caller from crowding the others out.
import { OnrushError } from "../../engine/errors.ts";

interface Bucket {
  tokens: number;
  atMs: number;
}

export interface TokenBucketOptions {
  readonly perSecond: number;
  /** Tokens of a bucket that has rested: what may come at once. */
  readonly burst: number;
  /** Keys that are kept; the oldest goes first, which only forgives it. */
  readonly keysMax?: number;
  readonly now?: () => number;
}

const KEYS_MAX = 50_000;

export class TokenBuckets {
  #perMs: number;
  #burst: number;
  readonly #keysMax: number;
  readonly #now: () => number;
  readonly #buckets = new Map<string, Bucket>();

  constructor({ perSecond, burst, keysMax = KEYS_MAX, now = () => performance.now() }: TokenBucketOptions) {
    this.#perMs = perSecond / 1_000;
    this.#burst = burst;
    this.#keysMax = keysMax;
    this.#now = now;
  }

  /** Fills at another rate from now on. What was taken stays taken; no bucket holds more than the new burst. */
  setRate({ perSecond, burst }: Pick<TokenBucketOptions, "perSecond" | "burst">): void {
    this.#perMs = perSecond / 1_000;
    this.#burst = burst;
  }

  /** @throws OnrushError as {@link take} where it would, and takes nothing */
  check(key: string): void {
    const bucket = this.#buckets.get(key);
    if (!bucket) return;
    const tokens = bucket.tokens + (this.#now() - bucket.atMs) * this.#perMs;
    if (tokens < 1) throw this.#tooMany(tokens);
  }

  /** Takes one token. @throws OnrushError with `RATE_LIMITED` and `retryAfter` (seconds) when there is none */
  take(key: string): void {
    const nowMs = this.#now();
    let bucket = this.#buckets.get(key);
    if (!bucket) {
      if (this.#buckets.size >= this.#keysMax) this.#forgetOldest();
      bucket = { tokens: this.#burst, atMs: nowMs };
      this.#buckets.set(key, bucket);
    }
    bucket.tokens = Math.min(this.#burst, bucket.tokens + (nowMs - bucket.atMs) * this.#perMs);
    bucket.atMs = nowMs;
    if (bucket.tokens < 1) throw this.#tooMany(bucket.tokens);
    bucket.tokens -= 1;
  }

  #tooMany(tokens: number): OnrushError {
    const seconds = (1 - tokens) / this.#perMs / 1_000;
    return new OnrushError("RATE_LIMITED", "Too many requests; try again later.", { retryAfter: Math.ceil(seconds) });
  }

  #forgetOldest(): void {
    for (const key of this.#buckets.keys()) {
      this.#buckets.delete(key);
      return;
    }
  }
}
