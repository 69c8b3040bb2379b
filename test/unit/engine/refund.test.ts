// The arithmetic of refunds: whatever is asked for, in whatever order, what goes back adds up to what was paid.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { OnrushError } from "../../../engine/errors.ts";
import { planRefund, type RefundableOrder, type RefundWish } from "../../../engine/refund.ts";

const A = "a".repeat(36);
const B = "b".repeat(36);
const COUPON = "c".repeat(36);
const order = (change: Partial<RefundableOrder> = {}): RefundableOrder => ({
  price: 5_000,
  captured: 5_000,
  lines: [
    { productId: A, quantity: 3, unitPrice: 1_000 },
    { productId: B, quantity: 1, unitPrice: 2_000 },
  ],
  refunded: { amount: 0, units: new Map() },
  ...change,
});
const codeOf = (wish: RefundWish, change: Partial<RefundableOrder> = {}) => {
  try {
    return planRefund(order(change), wish);
  } catch (error) {
    if (error instanceof OnrushError) return { code: error.code, ...error.facts };
    throw error;
  }
};

describe("a refund", () => {
  test("of neither items nor an amount is all that is left", () => {
    const refunded = { amount: 1_200, units: new Map([[A, 1]]) };
    expect(planRefund(order({ refunded }), {})).toEqual({
      scope: "whole",
      amount: 3_800,
      items: [
        { productId: A, quantity: 2 },
        { productId: B, quantity: 1 },
      ],
    });
  });

  test("of units gives back what was paid for them: of a discount, their share, rounded down", () => {
    const wish = { items: [{ productId: A, quantity: 1 }] };
    expect(planRefund(order({ captured: 4_999 }), wish)).toMatchObject({ scope: "part", amount: 999 });
    const rest = order({ captured: 4_999, refunded: { amount: 2_997, units: new Map([[A, 3]]) } });
    // The last one takes what the roundings left.
    expect(planRefund(rest, { items: [{ productId: B, quantity: 1 }] })).toMatchObject({
      scope: "whole",
      amount: 2_002,
    });
  });

  test("of all units by name is whole, and so is the amount that completes the order", () => {
    const items = [
      { productId: B, quantity: 1 },
      { productId: A, quantity: 1 },
      { productId: A, quantity: 2 },
    ];
    expect(planRefund(order(), { items })).toMatchObject({ scope: "whole", amount: 5_000 });
    const refunded = { amount: 1_000, units: new Map([[A, 1]]) };
    expect(planRefund(order({ refunded }), { amount: 4_000 })).toMatchObject({
      scope: "whole",
      items: [
        { productId: A, quantity: 2 },
        { productId: B, quantity: 1 },
      ],
    });
  });

  test("of units whose money went back already by amount gives back no more than is left", () => {
    const refunded = { amount: 4_500, units: new Map() };
    expect(codeOf({ items: [{ productId: A, quantity: 1 }] }, { refunded })).toEqual({
      code: "INVALID_STATE",
      refundableAmount: 500,
    });
    const items = [
      { productId: A, quantity: 3 },
      { productId: B, quantity: 1 },
    ];
    expect(codeOf({ items }, { refunded })).toMatchObject({ scope: "whole", amount: 500 });
  });

  test("of an order with nothing paid moves units and no money", () => {
    const free = { price: 0, captured: 0, lines: [{ productId: A, quantity: 3, unitPrice: 0 }] };
    expect(codeOf({ items: [{ productId: A, quantity: 1 }] }, free)).toMatchObject({ scope: "part", amount: 0 });
    expect(codeOf({}, free)).toMatchObject({ scope: "whole", amount: 0 });
    expect(codeOf({ amount: 1 }, free)).toMatchObject({ code: "INVALID_STATE", refundableAmount: 0 });
    // All of it was discount.
    expect(codeOf({ items: [{ productId: A, quantity: 1 }] }, { captured: 0 })).toMatchObject({ amount: 0 });
  });

  test("of all that was bought takes a coupon's use back, which nobody can ask for by name", () => {
    const lines = [
      { productId: A, quantity: 1, unitPrice: 5_000 },
      { productId: COUPON, quantity: 1, unitPrice: 0 },
    ];
    const discounted = { captured: 0, lines, couponId: COUPON };
    expect(codeOf({ items: [{ productId: A, quantity: 1 }] }, discounted)).toEqual({
      scope: "whole",
      amount: 0,
      items: [
        { productId: A, quantity: 1 },
        { productId: COUPON, quantity: 1 },
      ],
    });
    expect(codeOf({ items: [{ productId: COUPON, quantity: 1 }] }, discounted)).toMatchObject({ code: "VALIDATION" });
  });

  test("is refused for more than is left, and for products that the order does not have", () => {
    const refunded = { amount: 2_000, units: new Map([[A, 2]]) };
    expect(codeOf({ amount: 3_001 }, { refunded })).toMatchObject({ code: "INVALID_STATE", refundableAmount: 3_000 });
    expect(codeOf({ items: [{ productId: A, quantity: 2 }] }, { refunded })).toMatchObject({
      code: "INVALID_STATE",
      refundableUnits: 1,
    });
    expect(codeOf({ items: [{ productId: "c", quantity: 1 }] })).toMatchObject({
      code: "VALIDATION",
      errors: [{ path: "items.0.productId" }],
    });
  });
});

test("any refunds in any order never give back more than was paid, nor more units than were bought, and end at both", () => {
  const line = fc.record({
    productId: fc.constantFrom(A, B),
    quantity: fc.integer({ min: 1, max: 1_000_000 }),
    unitPrice: fc.integer({ min: 0, max: 1_000_000 }),
  });
  const wish = fc.oneof(
    fc.record({ amount: fc.integer({ min: 1, max: 1_000_000_000_000 }) }),
    fc.record({
      items: fc.array(fc.record({ productId: fc.constantFrom(A, B), quantity: fc.nat(1_000) }), { minLength: 1 }),
    }),
  );
  fc.assert(
    fc.property(
      fc.array(line, { minLength: 1, maxLength: 5 }),
      fc.array(wish, { maxLength: 10 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.boolean(),
      (bought, wishes, share, hasCoupon) => {
        const use = { productId: COUPON, quantity: 1, unitPrice: 0 };
        const [lines, couponId] = hasCoupon ? [[...bought, use], COUPON] : [bought, null];
        const price = lines.reduce((sum, { quantity, unitPrice }) => sum + quantity * unitPrice, 0);
        const captured = Math.floor(price * share);
        const units = new Map<string, number>();
        let amount = 0;
        let isOver = false;
        for (const asked of [...wishes, {}]) {
          if (isOver) break;
          let plan: ReturnType<typeof planRefund>;
          try {
            plan = planRefund({ price, captured, lines, couponId, refunded: { amount, units } }, asked);
          } catch (error) {
            expect(error).toBeInstanceOf(OnrushError);
            continue;
          }
          expect(plan.amount).toBeGreaterThanOrEqual(0);
          amount += plan.amount;
          for (const { productId, quantity } of plan.items)
            units.set(productId, (units.get(productId) ?? 0) + quantity);
          expect(amount).toBeLessThanOrEqual(captured);
          isOver = plan.scope === "whole";
          // The coupon's use goes with the last of the order, and with nothing else.
          expect(units.get(COUPON) ?? 0).toBe(hasCoupon && isOver ? 1 : 0);
        }
        expect(amount).toBe(captured);
        for (const productId of [A, B]) {
          const count = lines.reduce((sum, of) => sum + (of.productId === productId ? of.quantity : 0), 0);
          expect(units.get(productId) ?? 0).toBe(count);
        }
      },
    ),
  );
});
