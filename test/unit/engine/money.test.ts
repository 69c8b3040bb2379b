import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AMOUNT_MAX, QUANTITY_MAX, totalOf } from "../../../engine/money.ts";

describe("the total of an order", () => {
  it("is the sum of price times quantity", () => {
    expect(totalOf([])).toBe(0);
    expect(
      totalOf([
        { unitPrice: 5_000, quantity: 3 },
        { unitPrice: 1, quantity: 2 },
        { unitPrice: 0, quantity: 9 },
      ]),
    ).toBe(15_002);
  });

  it("may be the largest amount, and not one more", () => {
    expect(totalOf([{ unitPrice: AMOUNT_MAX, quantity: 1 }])).toBe(AMOUNT_MAX);
    expect(totalOf([{ unitPrice: AMOUNT_MAX / QUANTITY_MAX, quantity: QUANTITY_MAX }])).toBe(AMOUNT_MAX);
    expect(
      totalOf([
        { unitPrice: AMOUNT_MAX, quantity: 1 },
        { unitPrice: 1, quantity: 1 },
      ]),
    ).toBeUndefined();
    expect(totalOf([{ unitPrice: AMOUNT_MAX, quantity: QUANTITY_MAX }])).toBeUndefined();
  });

  it("is exact, or undefined, for any lines", () => {
    const line = fc.record({
      unitPrice: fc.integer({ min: 0, max: AMOUNT_MAX }),
      quantity: fc.integer({ min: 1, max: QUANTITY_MAX }),
    });
    fc.assert(
      fc.property(fc.array(line, { maxLength: 100 }), (lines) => {
        const exact = lines.reduce((sum, { unitPrice, quantity }) => sum + BigInt(unitPrice) * BigInt(quantity), 0n);
        expect(totalOf(lines)).toBe(exact <= BigInt(AMOUNT_MAX) ? Number(exact) : undefined);
      }),
    );
  });
});
