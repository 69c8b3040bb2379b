import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { makeOrderId, PARTITIONS_MAX, parseOrderId, SALE_NO_MAX } from "../../../engine/order-id.ts";

const NOW_MS = Date.UTC(2026, 10, 20);
const UUID_V8 = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

describe("an order's id", () => {
  it("is a UUID of version 8 that tells sale and partition", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: SALE_NO_MAX }),
        fc.integer({ min: 0, max: PARTITIONS_MAX - 1 }),
        fc.integer({ min: 0, max: (2 ** 32 - 1) * 1_000 }),
        (saleNo, partition, nowMs) => {
          const id = makeOrderId(saleNo, partition, nowMs);
          expect(id).toMatch(UUID_V8);
          expect(parseOrderId(id)).toEqual({ saleNo, partition });
          expect(Number.parseInt(id.slice(0, 8), 16)).toBe(Math.floor(nowMs / 1_000));
        },
      ),
    );
  });

  it("sorts as text by the second in which it was made", () => {
    const ids = [1, 2, 3, 1_000, 100_000].map((seconds) => makeOrderId(SALE_NO_MAX, 255, NOW_MS + seconds * 1_000));
    expect(ids.toSorted()).toEqual(ids);
  });

  it("is never made twice, over many fillings of the random pool", () => {
    const ids = Array.from({ length: 50_000 }, () => makeOrderId(1, 0, NOW_MS));
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("of another kind is not read", () => {
    const id = makeOrderId(1, 0, NOW_MS);
    const others = ["", "x", id.toUpperCase(), `${id} `, id.slice(1), id.replace("-8", "-4"), crypto.randomUUID()];
    for (const other of others) expect(parseOrderId(other)).toBeUndefined();
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(parseOrderId(text)).toBeUndefined();
      }),
    );
  });
});
