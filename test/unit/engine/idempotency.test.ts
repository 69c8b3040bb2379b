import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { idempotencyScope, orderHash } from "../../../engine/idempotency.ts";

const DIGEST = /^[\w-]{22}$/;

describe("the scope of an idempotency key", () => {
  it("is the same for the same buyer, route and key, and never changes", () => {
    expect(idempotencyScope("cus_1", "POST /orders", "key")).toBe("5CB1e1ic16V3FSYoizFsWy");
  });

  it("is another one when any of the three is", () => {
    const scopes = [
      idempotencyScope("cus_1", "POST /orders", "key"),
      idempotencyScope("cus_2", "POST /orders", "key"),
      idempotencyScope("cus_1", "POST /refunds", "key"),
      idempotencyScope("cus_1", "POST /orders", "Key"),
    ];
    expect(new Set(scopes).size).toBe(scopes.length);
  });

  it("does not depend on where one part ends and the next begins", () => {
    const part = fc.string({ unit: fc.constantFrom("a", "1", ":", "2"), maxLength: 4 });
    fc.assert(
      fc.property(part, part, part, part, part, part, (b1, r1, k1, b2, r2, k2) => {
        const same = b1 === b2 && r1 === r2 && k1 === k2;
        expect(idempotencyScope(b1, r1, k1) === idempotencyScope(b2, r2, k2)).toBe(same);
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("the hash of an order", () => {
  const order = fc.record(
    {
      saleId: fc.constantFrom("a", "b"),
      customerId: fc.constantFrom("x", "y"),
      items: fc.array(
        fc.record(
          { productId: fc.constantFrom("p", "q"), quantity: fc.integer({ min: 1, max: 3 }), price: fc.nat(2) },
          { requiredKeys: ["productId", "quantity"] },
        ),
        { minLength: 1, maxLength: 3 },
      ),
      price: fc.nat(2),
      payment: fc.record(
        { method: fc.constantFrom("card" as const, "later" as const), token: fc.constantFrom("s", "t") },
        { requiredKeys: ["method"] },
      ),
      address: fc.record({ street: fc.string(), postalCode: fc.string(), city: fc.string() }),
      couponCode: fc.constantFrom("TEN", "TWO"),
      points: fc.nat(2),
    },
    { requiredKeys: ["customerId", "items"] },
  );

  it("does not depend on the order of members", () => {
    const reversed = (value: object) => Object.fromEntries(Object.entries(value).toReversed());
    fc.assert(
      fc.property(order, (value) => {
        const items = value.items.map(reversed) as typeof value.items;
        expect(orderHash({ ...reversed(value), items } as typeof value)).toBe(orderHash(value));
      }),
    );
  });

  it("is the same for equal orders and another one for any other", () => {
    fc.assert(
      fc.property(order, order, (a, b) => {
        expect(orderHash(structuredClone(a))).toBe(orderHash(a));
        expect(orderHash(a) === orderHash(b)).toBe(isDeepStrictEqual(a, b));
      }),
      { numRuns: 2_000 },
    );
  });

  it("depends on the order of lines, and on neither the key nor what is undefined", () => {
    const [p, q] = [
      { productId: "p", quantity: 1 },
      { productId: "q", quantity: 1 },
    ] as const;
    const of = (items: (typeof p | typeof q)[]) => orderHash({ customerId: "x", items });
    expect(of([p, q])).not.toBe(of([q, p]));
    expect(orderHash({ customerId: "x", items: [p], price: undefined, idempotencyKey: "k" })).toBe(of([p]));
    expect(of([p])).toMatch(DIGEST);
    // Keys of orders without discounts outlive the release that brought them.
    expect(of([p])).toBe("j4rxKu89r9e-jU0K8iy6Za");
    const withCode = (couponCode: string) => orderHash({ customerId: "x", items: [p], couponCode });
    expect(withCode("ten")).toBe(withCode("TEN"));
  });
});
