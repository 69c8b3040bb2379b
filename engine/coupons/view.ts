// What a process knows of coupons: each is read when an order names it, once for however many orders, and read again when the
// catalogue has a newer version than it was read with (changes of coupons raise it, as all changes of the catalogue do). When
// Postgres is away, what is known serves on.
import type { Queryable } from "../ledger/database.ts";
import { type Coupon, couponCodeOf } from "./coupon.ts";
import { findCouponAsOf } from "./coupons.ts";

interface Known {
  /** `undefined`: there is none of this code. */
  readonly coupon: Coupon | undefined;
  readonly catalogue: number;
  /** It is older than the catalogue, and Postgres could not be asked: until then it is not asked again. */
  readonly trustedUntilMs?: number;
}

/** Codes that are kept, of either sort: guesses do not push out what there is. */
const CODES_MAX = 10_000;
const TRUSTED_MS = 1_000;

export class CouponView {
  readonly #db: Queryable;
  readonly #catalogueVersion: () => number;
  readonly #coupons = new Map<string, Known>();
  readonly #guesses = new Map<string, Known>();
  readonly #loading = new Map<string, Promise<Known>>();

  /** @param catalogueVersion the newest version of the catalogue that this process knows */
  constructor(db: Queryable, catalogueVersion: () => number) {
    this.#db = db;
    this.#catalogueVersion = catalogueVersion;
  }

  /** The coupon of a code, in whatever case. @throws what Postgres throws, for one that is not known */
  async find(text: string): Promise<Coupon | undefined> {
    const code = couponCodeOf(text);
    const known = this.#coupons.get(code) ?? this.#guesses.get(code);
    if (known && this.#isTrusted(known)) return known.coupon;
    try {
      return (await this.#load(code)).coupon;
    } catch (error) {
      if (!known?.coupon) throw error;
      this.#coupons.set(code, { ...known, trustedUntilMs: performance.now() + TRUSTED_MS });
      return known.coupon;
    }
  }

  #isTrusted({ catalogue, trustedUntilMs = 0 }: Known): boolean {
    return catalogue >= this.#catalogueVersion() || performance.now() < trustedUntilMs;
  }

  async #load(code: string): Promise<Known> {
    // Whoever joins may know of a newer version than the read began with: it is read once more for them.
    const joined = this.#loading.get(code);
    if (joined) {
      const known = await joined;
      if (this.#isTrusted(known)) return known;
    }
    let loading = this.#loading.get(code);
    if (!loading) {
      loading = findCouponAsOf(this.#db, code).finally(() => this.#loading.delete(code));
      this.#loading.set(code, loading);
    }
    const known = await loading;
    const [here, there] = known.coupon ? [this.#coupons, this.#guesses] : [this.#guesses, this.#coupons];
    there.delete(code);
    keep(here, code, known);
    return known;
  }
}

function keep(codes: Map<string, Known>, code: string, known: Known): void {
  codes.delete(code);
  if (codes.size >= CODES_MAX) {
    const [oldest] = codes.keys();
    if (oldest !== undefined) codes.delete(oldest);
  }
  codes.set(code, known);
}
