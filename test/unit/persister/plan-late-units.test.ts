// The arithmetic of units that move after an order's end: revivals and returns.
import { describe, expect, it } from "vitest";
import type { LockedLine } from "../../../engine/ledger/late-units.ts";
import type { LockedOrder } from "../../../engine/ledger/log.ts";
import type { Movement, ReturnedUnits } from "../../../engine/movement.ts";
import { type LedgerState, planBatch } from "../../../persister/plan.ts";
import { orderIdsOf, skusOf } from "../../../persister/touched-rows.ts";

const COFFEE = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
const PIZZA = "3c4d5e6f-7081-92a3-b4c5-def678901234";

const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, "0")}`;

function state(
  figures: readonly [allocated: number, reserved: number, sold: number],
  orders: readonly LockedOrder[],
  lines: readonly LockedLine[] = [],
  knownReturns: readonly string[] = [],
): LedgerState {
  const [allocated, reserved, sold] = figures;
  return { stock: [{ productId: COFFEE, allocated, reserved, sold }], orders, intents: [], lines, knownReturns };
}

const of = (
  status: LockedOrder["status"],
  stockState: LockedOrder["stockState"],
  holdReservation = 1,
): LockedOrder => ({
  ...{ id: "a", status, stockState, holdReservation },
});
const line = (n: number, quantity: number, returned = 0, productId = COFFEE): LockedLine => ({
  ...{ orderId: "a", line: n, productId, quantity, returned, restocked: 0 },
});

function revive(seq: number, reservation: number, units: number, orderId = "a"): Movement {
  const holds = [{ orderId, reservation, buyer: "b", units: [{ sku: COFFEE, units }] }];
  return { kind: "revive", position: { epoch: 1, seq }, atMs: 1, holds, unreadable: [] };
}

function returned(seq: number, ...returns: (Partial<ReturnedUnits> & { readonly count: number })[]): Movement {
  const full = returns.map(
    ({ count, ...given }, i): ReturnedUnits => ({
      ...{
        movementId: id(10 * seq + i),
        orderId: "a",
        buyer: "b",
        restock: true,
        units: [{ sku: COFFEE, units: count }],
      },
      ...given,
    }),
  );
  return { kind: "return", position: { epoch: 1, seq }, atMs: 7, returns: full, unreadable: [] };
}

describe("a revival", () => {
  it("reserves the units of a cancelled order, and makes its settlement due", () => {
    const plan = planBatch([revive(5, 9, 2)], state([5, 1, 0], [of("CANCELLED", "released")]));
    expect(plan.revivals).toEqual([
      {
        ...{ orderId: "a", reservation: 9, earlierReservation: 1, outcome: "revived", stockState: "reserved" },
        ...{ epoch: 1, seq: 5, atMs: 1 },
      },
    ]);
    expect(plan.stock).toMatchObject([{ reserved: 3 }]);
    expect(plan.movements).toMatchObject([{ kind: "revive", quantity: 2, refused: 0, holds: 1 }]);
    expect([plan.settlementsDue, plan.compensationsDue, plan.reservation]).toEqual([["a"], [], 9]);
  });

  it("that does not fit what is allocated is refused, and its hold released", () => {
    const plan = planBatch([revive(5, 9, 2)], state([5, 3, 1], [of("CANCELLED", "released")]));
    expect(plan.revivals).toMatchObject([{ outcome: "refused", stockState: "refused" }]);
    expect(plan.stock).toEqual([]);
    expect(plan.movements).toMatchObject([{ quantity: 2, refused: 2, holds: 1 }]);
    expect([plan.settlementsDue, plan.compensationsDue]).toEqual([[], ["a"]]);
  });

  it("of an order that is being refunded is recorded as its hold, and released", () => {
    const plan = planBatch([revive(5, 9, 2)], state([5, 0, 0], [of("REFUND_PENDING", "released")]));
    expect(plan.revivals).toMatchObject([{ outcome: "late", stockState: "reserved" }]);
    expect(plan.stock).toMatchObject([{ reserved: 2 }]);
    expect([plan.settlementsDue, plan.compensationsDue]).toEqual([[], ["a"]]);
  });

  it.each(["settle", "release"] as const)("is followed by its own %s in the same batch", (kind) => {
    const holds = [{ orderId: "a", reservation: 9, units: [{ sku: COFFEE, units: 2 }] }];
    const end: Movement = { kind, position: { epoch: 1, seq: 6 }, atMs: 1, holds, unreadable: [] };
    const plan = planBatch([revive(5, 9, 2), end], state([5, 0, 0], [of("CANCELLED", "released")]));
    expect(plan.deadLetters).toEqual([]);
    expect(plan.stock).toMatchObject([kind === "settle" ? { reserved: 0, sold: 2 } : { reserved: 0, sold: 0 }]);
  });

  it.each([
    ["an order that the ledger does not know", []],
    ["an order that holds units", [of("CANCELLING", "reserved")]],
    ["an order that is sold", [of("CONFIRMED", "sold")]],
  ])("of %s is set aside, its units told as refused", (_what, orders) => {
    const plan = planBatch([revive(5, 9, 2)], state([5, 0, 0], orders));
    expect(plan.deadLetters).toMatchObject([{ kind: "revive", orderId: "a", seq: 5 }]);
    expect(plan.revivals).toEqual([]);
    expect(plan.movements).toMatchObject([{ kind: "revive", quantity: 2, refused: 2 }]);
  });
});

describe("a return", () => {
  const sold = of("CONFIRMED", "sold");

  it("on sale again: sold no longer, and in the lines", () => {
    const plan = planBatch([returned(5, { count: 2 })], state([5, 0, 3], [sold], [line(1, 3)]));
    expect(plan.stock).toEqual([{ productId: COFFEE, allocated: 5, reserved: 0, sold: 1 }]);
    expect(plan.returnedLines).toMatchObject([{ orderId: "a", line: 1, returned: 2, restocked: 2 }]);
    expect(plan.returns).toEqual([
      {
        ...{ movementId: id(50), orderId: "a", restock: true, units: { [COFFEE]: 2 } },
        ...{ epoch: 1, seq: 5, atMs: 7 },
      },
    ]);
    expect(plan.movements).toMatchObject([{ kind: "return", quantity: 2, refused: 0, holds: 0 }]);
  });

  it("written off: gone from what is allocated, too", () => {
    const plan = planBatch([returned(5, { count: 2, restock: false })], state([5, 0, 3], [sold], [line(1, 3)]));
    expect(plan.stock).toEqual([{ productId: COFFEE, allocated: 3, reserved: 0, sold: 1 }]);
    expect(plan.returnedLines).toMatchObject([{ returned: 2, restocked: 0 }]);
    expect(plan.movements).toMatchObject([{ kind: "write_off", quantity: 2, refused: 0 }]);
  });

  it("of a product of several lines takes them in their order", () => {
    const lines = [line(1, 2, 1), line(2, 4, 0, PIZZA), line(3, 3)];
    const plan = planBatch([returned(5, { count: 3 })], state([9, 0, 9], [sold], lines));
    expect(plan.returnedLines.map(({ line: n, returned: back }) => [n, back])).toEqual([
      [1, 2],
      [3, 2],
    ]);
  });

  it("takes back no more than was bought, over all returns of a batch", () => {
    const batch = [returned(5, { count: 2 }, { count: 2 }), returned(6, { count: 1 })];
    const plan = planBatch(batch, state([9, 0, 3], [sold], [line(1, 3)]));
    expect(plan.deadLetters).toMatchObject([
      { kind: "return", orderId: "a", error: expect.stringContaining("1 left to return") },
    ]);
    expect(plan.stock).toMatchObject([{ sold: 0 }]);
    expect(plan.returnedLines).toMatchObject([{ returned: 3 }]);
    expect(plan.movements).toMatchObject([
      { quantity: 4, refused: 2 },
      { quantity: 1, refused: 0 },
    ]);
  });

  it("that the ledger has, from before or from this batch, is set aside", () => {
    const batch = [returned(5, { count: 1, movementId: id(1) }, { count: 1, movementId: id(2) })];
    const again = returned(6, { count: 1, movementId: id(2) });
    const plan = planBatch([...batch, again], state([9, 0, 3], [sold], [line(1, 3)], [id(1)]));
    expect(plan.deadLetters.map(({ seq }) => seq)).toEqual([5, 6]);
    expect(plan.stock).toMatchObject([{ sold: 2 }]);
  });

  it("under an id that is none is set aside alone", () => {
    const batch = returned(5, { count: 1, movementId: "refund-1" }, { count: 1 });
    const plan = planBatch([batch], state([9, 0, 3], [sold], [line(1, 3)]));
    expect(plan.deadLetters).toMatchObject([{ error: "its id is no UUID" }]);
    expect(plan.movements).toMatchObject([{ quantity: 2, refused: 1 }]);
  });

  it("of an order that is not sold, or not known, is set aside", () => {
    for (const orders of [[], [of("PAID", "reserved")]]) {
      const plan = planBatch([returned(5, { count: 1 })], state([9, 1, 3], orders, [line(1, 3)]));
      expect(plan.deadLetters).toHaveLength(1);
      expect(plan.stock).toEqual([]);
      expect(plan.movements).toMatchObject([{ quantity: 1, refused: 1 }]);
    }
  });
});

it("revivals and returns name what has to be locked", () => {
  const batch = [revive(1, 1, 1, "x"), returned(2, { count: 1, orderId: "y", units: [{ sku: PIZZA, units: 1 }] })];
  expect(orderIdsOf(batch)).toEqual({ placed: [], moved: ["x", "y"] });
  expect(skusOf(batch)).toEqual([COFFEE, PIZZA]);
});
