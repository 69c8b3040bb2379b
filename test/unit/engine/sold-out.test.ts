import { describe, expect, it } from "vitest";
import { LEASE_MS, SoldOutMemory } from "../../../engine/admission/sold-out.ts";

const at = { saleId: "sale", partition: 0 };
const line = (productId: string, quantity: number) => ({ productId, quantity });

function memory() {
  let now = 0;
  const soldOut = new SoldOutMemory(() => now);
  return { soldOut, pass: (ms: number) => (now += ms) };
}

describe("the memory of what is sold out", () => {
  it("refuses what wants more than was left, and nothing else", () => {
    const { soldOut } = memory();
    soldOut.remember(at, "coffee", 2);
    expect(soldOut.refuses(at, [line("coffee", 3)])).toEqual({ productId: "coffee", available: 2 });
    expect(soldOut.refuses(at, [line("pizza", 1), line("coffee", 3)])).toMatchObject({ productId: "coffee" });
    expect(soldOut.refuses(at, [line("coffee", 2)])).toBeUndefined();
    expect(soldOut.refuses(at, [line("pizza", 9)])).toBeUndefined();
    expect(soldOut.refuses({ saleId: "sale", partition: 1 }, [line("coffee", 3)])).toBeUndefined();
  });

  it("forgets when stock is announced to be back", () => {
    const { soldOut } = memory();
    soldOut.remember(at, "coffee", 0);
    soldOut.forget("sale.0");
    expect(soldOut.refuses(at, [line("coffee", 1)])).toBeUndefined();
  });

  it("forgets by itself when the announcement is lost, however often it is confirmed in between", () => {
    const { soldOut, pass } = memory();
    soldOut.remember(at, "coffee", 0);
    pass(LEASE_MS - 1);
    soldOut.remember(at, "pizza", 0);
    expect(soldOut.refuses(at, [line("coffee", 1)])).toBeDefined();
    pass(1);
    expect(soldOut.refuses(at, [line("coffee", 1)])).toBeUndefined();
  });
});
