import { describe, expect, it } from "vitest";
import { partitionOf } from "../../../engine/buyer.ts";

describe("the partition of a buyer", () => {
  // Of 2, of 7, of 256; worked out by another implementation of FNV-1a.
  it.each([
    ["cus_1", 1, 5, 211],
    ["cus_01hxyzabcdefgh", 1, 5, 233],
    ["6f9619ff-8b86-4d11-b42d-00c04fc964ff", 0, 5, 56],
    ["손님", 0, 3, 4],
    ["", 1, 3, 217],
  ])("of %j never changes: limits and idempotency records that are stored depend on it", (id, ...expected) => {
    expect([2, 7, 256].map((count) => partitionOf(id, count))).toEqual(expected);
  });

  it("is the only one there is when there is one", () => {
    expect(partitionOf("anybody", 1)).toBe(0);
  });

  it.each([2, 3, 4, 16, 256])("spreads buyers evenly over %i", (count) => {
    const buyers = 500 * count;
    for (const idOf of [(n: number) => `cus_${n}`, (n: number) => `00000000-0000-4000-8000-${n}`]) {
      const sizes = new Array<number>(count).fill(0);
      for (let n = 0; n < buyers; n += 1) {
        const partition = partitionOf(idOf(n), count);
        sizes[partition] = (sizes[partition] ?? Number.NaN) + 1;
      }
      expect(sizes).toHaveLength(count);
      expect(Math.min(...sizes)).toBeGreaterThan(500 * 0.7);
      expect(Math.max(...sizes)).toBeLessThan(500 * 1.3);
    }
  });
});
