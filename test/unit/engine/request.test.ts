import { describe, expect, it } from "vitest";
import type { OrderRequest } from "../../../engine/engine.ts";
import { OnrushError } from "../../../engine/errors.ts";
import { checkRequest } from "../../../engine/request.ts";

const line = (quantity: number) => ({ productId: "p", quantity });
const good: OrderRequest = {
  customerId: "cus_1",
  items: [line(1)],
  address: { street: "세종대로 1", postalCode: "04524", city: "서울" },
};

function wrongPaths(request: OrderRequest): string[] {
  try {
    checkRequest(request);
    return [];
  } catch (error) {
    if (!(error instanceof OnrushError) || error.code !== "VALIDATION") throw error;
    return (error.facts["errors"] as { path: string }[]).map(({ path }) => path);
  }
}

describe("a program's order", () => {
  it("passes as it is when nothing is wrong with it", () => {
    expect(checkRequest(good)).toBe(good);
    expect(wrongPaths({ ...good, customerId: "6f9619ff-8b86-4d11-b42d-00c04fc964ff" })).toEqual([]);
    expect(wrongPaths({ ...good, items: Array.from({ length: 100 }, () => line(1_000_000)) })).toEqual([]);
  });

  it.each(["", "a|b", "a=b", "a,b", "a\nb", "a b", "x".repeat(65)])(
    "is not taken from a buyer called %j",
    (customerId) => {
      expect(wrongPaths({ ...good, customerId })).toEqual(["customerId"]);
    },
  );

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 1_000_001])("is not taken over %d units", (quantity) => {
    expect(wrongPaths({ ...good, items: [line(1), line(quantity)] })).toEqual(["items.1.quantity"]);
  });

  it.each([0, 101])("is not taken with %i lines", (count) => {
    expect(wrongPaths({ ...good, items: Array.from({ length: count }, () => line(1)) })).toEqual(["items"]);
  });

  it.each(["a\0b", "\ud800"])("is not taken with the text %j, which Postgres cannot hold", (street) => {
    expect(wrongPaths({ ...good, address: { street, postalCode: "1", city: "c" } })).toEqual(["address.street"]);
  });

  it("is told everything that is wrong at once", () => {
    expect(wrongPaths({ customerId: "", items: [line(0), line(2), line(-1)] })).toEqual([
      "customerId",
      "items.0.quantity",
      "items.2.quantity",
    ]);
  });
});
