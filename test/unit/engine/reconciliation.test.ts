import { describe, expect, it } from "vitest";
import { type Drift, fingerprintOf } from "../../../engine/reconciliation/drift.ts";
import {
  blameLedger,
  compareFigures,
  expectedFigures,
  type LedgerProduct,
  NOTHING_MOVED,
  type RedisProduct,
} from "../../../engine/reconciliation/figures.ts";
import { seenTwice, withoutConsequences } from "../../../engine/reconciliation/inspect.ts";

function product(over: Partial<LedgerProduct> = {}): LedgerProduct {
  return {
    sku: "coffee",
    allocated: 100,
    reserved: 10,
    sold: 20,
    undelivered: 0,
    heldBack: 0,
    refused: NOTHING_MOVED,
    buried: 0,
    since: { ...NOTHING_MOVED, restock: 0, fromHoldback: 0 },
    ...over,
  };
}
const redis = (available: number, reserved: number, sold: number): ReadonlyMap<string, RedisProduct> =>
  new Map([["coffee", { available: `${available}`, reserved: `${reserved}`, sold: `${sold}`, limit: "0" }]]);

describe("what Redis must have", () => {
  it("is what the ledger has, less what it never got", () => {
    expect(expectedFigures(product())).toEqual({ available: 70, reserved: 10, sold: 20 });
    expect(expectedFigures(product({ undelivered: 5, heldBack: 7 }))).toMatchObject({ available: 58 });
  });

  it("counts what the guard refused and what became dead letters: Redis holds it", () => {
    expect(
      expectedFigures(product({ refused: { ...NOTHING_MOVED, place: 6, settle: 1, release: 2 }, buried: 4 })),
    ).toEqual({
      available: 62,
      reserved: 17,
      sold: 21,
    });
  });

  it.each<[string, Partial<LedgerProduct["refused"]>, readonly [number, number, number]]>([
    ["a revival", { revive: 3 }, [67, 13, 20]],
    ["a return to sale", { return: 3 }, [73, 10, 17]],
    ["a return that was written off", { write_off: 3 }, [70, 10, 17]],
  ])("is where %s took it that the ledger refused", (_what, refused, [available, reserved, sold]) => {
    const moved = { ...NOTHING_MOVED, ...refused };
    expect(expectedFigures(product({ refused: moved }))).toEqual({ available, reserved, sold });
  });

  it.each<[string, Partial<LedgerProduct["since"]>, readonly [number, number, number]]>([
    ["a placement", { place: 3 }, [73, 7, 20]],
    ["a settlement", { settle: 3 }, [70, 13, 17]],
    ["a release", { release: 3 }, [67, 13, 20]],
    ["an increase", { restock: 3 }, [67, 10, 20]],
    ["a revival", { revive: 3 }, [73, 7, 20]],
    ["a return to sale", { return: 3 }, [67, 10, 23]],
    ["a return that was written off", { write_off: 3 }, [70, 10, 23]],
    ["an order from what was held back", { place: 3, fromHoldback: 2 }, [71, 7, 20]],
  ])("goes back over %s that was applied since", (_what, since, [available, reserved, sold]) => {
    const zero = product().since;
    expect(expectedFigures(product({ since: { ...zero, ...since } }))).toEqual({ available, reserved, sold });
  });
});

describe("figures", () => {
  it("that agree are no drift", () => {
    expect(compareFigures([product()], redis(70, 10, 20))).toEqual([]);
  });

  it("are told one by one, and so is what only one side knows", () => {
    expect(compareFigures([product()], redis(71, 10, 20))).toEqual([
      { kind: "STOCK_EDITED", sku: "coffee", figure: "available", redis: "71", expected: 70 },
    ]);
    expect(compareFigures([], redis(1, 0, 0))).toMatchObject([{ figure: "available", redis: "1", expected: 0 }]);
    expect(compareFigures([product()], new Map()).map((drift) => drift.redis)).toEqual(["", "", ""]);
  });

  it("are the ledger's fault when its movements side with Redis", () => {
    const sums = new Map([["coffee", { allocated: 100, reserved: 12, sold: 20 }]]);
    expect(blameLedger([product()], sums, redis(68, 12, 20))).toMatchObject([{ kind: "LEDGER_EDITED" }]);
    expect(blameLedger([product()], sums, redis(60, 12, 20))).toEqual([]);
    expect(blameLedger([product()], new Map([["coffee", product()]]), redis(60, 12, 20))).toEqual([]);
  });
});

describe("a drift", () => {
  const edited = (value: number, expected: number): Drift => ({
    kind: "STOCK_EDITED",
    sku: "coffee",
    figure: "available",
    redis: String(value),
    expected,
  });

  it("of a figure that flows is the same while its difference is", () => {
    expect(fingerprintOf(edited(75, 70))).toBe(fingerprintOf(edited(45, 40)));
    expect(fingerprintOf(edited(75, 70))).not.toBe(fingerprintOf(edited(76, 70)));
  });

  it("counts when two looks agree, as the later one tells it", () => {
    expect(seenTwice([edited(75, 70)], [edited(45, 40)])).toEqual([edited(45, 40)]);
    expect(seenTwice([edited(75, 70)], [edited(46, 40)])).toEqual([]);
  });

  it("that follows from another is left out", () => {
    const missing: Drift = { kind: "ORDER_MISSING", orderId: "o", redis: "", count: 1 };
    const limit = (has: string): Drift => ({ kind: "LIMIT_OFF", sku: "s", buyer: "b", redis: has, expected: 1 });
    const stuck: Drift = { kind: "STUCK_TRANSITION", orderId: "o", status: "PAID", stockState: "reserved", step: null };
    const unnamed: Drift = { kind: "ORDER_MISSING", orderId: null, redis: "", count: 1 };
    expect(withoutConsequences([missing, limit("2"), stuck, unnamed])).toEqual([missing]);
    expect(withoutConsequences([missing, limit("0")])).toEqual([missing, limit("0")]);
    expect(withoutConsequences([limit("2"), stuck, unnamed])).toEqual([stuck, unnamed]);
    expect(withoutConsequences([limit("2"), stuck])).toEqual([limit("2"), stuck]);
  });
});
