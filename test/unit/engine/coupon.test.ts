// What a coupon takes off, and when it takes off nothing.
import fc from "fast-check";
import type { Redis } from "ioredis";
import { describe, expect, it } from "vitest";
import { type Coupon, discountBy, discountOf } from "../../../engine/coupons/coupon.ts";
import { OnrushError } from "../../../engine/errors.ts";
import { AMOUNT_MAX } from "../../../engine/money.ts";
import { RedisClock } from "../../../engine/redis/clock.ts";

const FROM = Date.UTC(2026, 10, 27, 1);
const UNTIL = FROM + 60_000;
const coupon = (change: Partial<Coupon> = {}): Coupon => ({
  ...{ id: "c", code: "TEN", amount: 1_000, percent: null, maximum: null, minimumPrice: null, currency: "KRW" },
  ...{ limit: 1, perMemberLimit: null, validFrom: new Date(FROM), validUntil: new Date(UNTIL), saleIds: ["sale"] },
  ...{ createdAt: new Date(0), closedAt: null },
  ...change,
});
const reasonOf = (change: Partial<Coupon>, { sale = "sale", price = 5_000, now = FROM } = {}) => {
  try {
    return discountBy(coupon(change), sale, price, now);
  } catch (error) {
    if (error instanceof OnrushError) return error.facts["reason"];
    throw error;
  }
};

describe("a coupon", () => {
  it("is valid from its first instant until before its last", () => {
    const at = (now: number) => reasonOf({}, { now });
    expect([at(FROM - 1), at(FROM), at(UNTIL - 1), at(UNTIL)]).toEqual(["not_yet_valid", 1_000, 1_000, "expired"]);
    expect(reasonOf({ validUntil: null }, { now: Number.MAX_SAFE_INTEGER })).toBe(1_000);
  });

  it("is for its sales, from its price on, and until it is closed", () => {
    expect(reasonOf({}, { sale: "other" })).toBe("other_sale");
    expect(reasonOf({ minimumPrice: 5_000 })).toBe(1_000);
    expect(reasonOf({ minimumPrice: 5_001 })).toBe("below_minimum_price");
    expect(reasonOf({ closedAt: new Date(FROM) })).toBe("closed");
  });

  it("takes off whole units of money, never below 0 nor above the price, its maximum or its percentage", () => {
    const amount = fc.integer({ min: 1, max: AMOUNT_MAX });
    const worth = fc.oneof(
      amount.map((of) => ({ amount: of, percent: null, maximum: null })),
      fc.record({ amount: fc.constant(null), percent: fc.integer({ min: 1, max: 100 }), maximum: fc.option(amount) }),
    );
    fc.assert(
      fc.property(worth, fc.integer({ min: 0, max: AMOUNT_MAX }), (change, price) => {
        const discount = discountOf(coupon(change), price);
        expect(Number.isSafeInteger(discount) && discount >= 0 && discount <= price).toBe(true);
        expect(discount).toBeLessThanOrEqual(change.amount ?? change.maximum ?? AMOUNT_MAX);
        if (change.percent !== null) {
          const exact = (BigInt(price) * BigInt(change.percent)) / 100n;
          expect(BigInt(discount)).toBe(
            change.maximum !== null && exact > change.maximum ? BigInt(change.maximum) : exact,
          );
        } else expect(discount).toBe(Math.min(price, change.amount));
      }),
    );
  });
});

describe("Redis' clock", () => {
  it("is carried on from the last answer, and asked for when that is too old", async () => {
    let [now, asked] = [1_000, 0];
    const redis = {
      time: async () => {
        asked += 1;
        return ["2000", "500000"];
      },
    } as unknown as Redis;
    const clock = new RedisClock(redis, () => now);
    expect([await clock.nowMs(), asked]).toEqual([2_000_500, 1]);
    now += 400;
    expect([await clock.nowMs(), asked]).toEqual([2_000_900, 1]);
    clock.learn(7_000_000);
    now += 10_000;
    expect([await clock.nowMs(), asked]).toEqual([7_010_000, 1]);
    now += 1;
    expect([await clock.nowMs(), asked]).toEqual([2_000_500, 2]);
  });
});
