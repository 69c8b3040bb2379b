// What members earn and what refunds take back of it, for every amount.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AMOUNT_MAX } from "../../../engine/money.ts";
import { pointsSection } from "../../../engine/points/section.ts";
import { pointsFor, revokedOf, TIERS_DEFAULT, tierAbove, tierOf } from "../../../engine/points/tiers.ts";

describe("tiers", () => {
  test.each([
    [-5, "bronze", "silver"],
    [0, "bronze", "silver"],
    [299_999, "bronze", "silver"],
    [300_000, "silver", "gold"],
    [999_999, "silver", "gold"],
    [1_000_000, "gold", undefined],
    [AMOUNT_MAX, "gold", undefined],
  ])("at a spend of %i: %s, then %s", (spend, name, next) => {
    expect([tierOf(TIERS_DEFAULT, spend).name, tierAbove(TIERS_DEFAULT, spend)?.name]).toEqual([name, next]);
  });
});

describe("the setting", () => {
  const silver = { name: "silver", from: 100, rate: 200 };
  const bronze = { name: "브론즈 1", from: 0, rate: 0 };
  const issues = (tiers: unknown) => {
    const read = pointsSection.schema.safeParse({ tiers });
    return read.success ? pointsSection.check?.(read.data).map(({ path }) => path) : "refused";
  };
  test.each([
    [[bronze, silver], []],
    [TIERS_DEFAULT, []],
    [[silver], ["tiers.0.from"]],
    [[bronze, silver, { ...silver, name: "gold" }], ["tiers.2.from"]],
    [[bronze, { ...silver, name: bronze.name }], ["tiers.1.name"]],
    [[], "refused"],
    [[{ ...bronze, rate: 10_001 }], "refused"],
    [[{ ...bronze, rate: 0.5 }], "refused"],
    [[{ ...bronze, from: -1 }], "refused"],
    [[{ ...bronze, name: "" }], "refused"],
    [[{ ...bronze, colour: "red" }], "refused"],
    [Array.from({ length: 21 }, (_, i) => ({ name: `t${i}`, from: i, rate: 1 })), "refused"],
  ])("%j: %j", (tiers, expected) => {
    expect(issues(tiers)).toEqual(expected);
  });
});

describe("points", () => {
  test("are the exact share, rounded down", () => {
    const [bronze, gold] = [tierOf(TIERS_DEFAULT, 0), tierOf(TIERS_DEFAULT, AMOUNT_MAX)];
    expect([0, 99, 100, 199, 5_000].map((payable) => pointsFor(payable, bronze))).toEqual([0, 0, 1, 1, 50]);
    expect(pointsFor(AMOUNT_MAX - 1, gold)).toBe(29_999_999_999);
    expect(pointsFor(AMOUNT_MAX, { ...gold, rate: 10_000 })).toBe(AMOUNT_MAX);
  });

  test("are taken back by any refunds without a step back, and all of them with the last", () => {
    const payable = fc.integer({ min: 1, max: AMOUNT_MAX });
    fc.assert(
      fc.property(payable, fc.nat({ max: 10_000 }), fc.array(fc.nat(), { maxLength: 20 }), (paid, rate, wishes) => {
        const earned = pointsFor(paid, { name: "x", from: 0, rate });
        let [refunded, revoked] = [0, 0];
        for (const wish of [...wishes, paid]) {
          refunded = Math.min(paid, refunded + wish);
          const now = revokedOf(earned, refunded, paid);
          expect(now).toBeGreaterThanOrEqual(revoked);
          expect(now).toBeLessThanOrEqual(earned);
          revoked = now;
        }
        expect(revoked).toBe(earned);
      }),
    );
  });
});
