// The crowd: drawn from the seed alone.
import { describe, expect, it } from "vitest";
import { drawCrowd } from "../../../demo/crowd.ts";

const draw = (seed: number, decline = 0.1) =>
  drawCrowd({ seed, buyers: 2_000, decline, slow: 0.1, perCustomerLimit: 2 }).map(({ random, ...buyer }) => ({
    ...buyer,
    next: random(),
  }));

describe("a crowd", () => {
  it("is the same again under the same seed, and another under another", () => {
    expect(draw(7)).toEqual(draw(7));
    expect(draw(7)).not.toEqual(draw(8));
  });

  it("has nobody twice, under ids that are guests' UUIDs", () => {
    const ids = draw(7).map((buyer) => buyer.id);
    expect(new Set(ids).size).toBe(2_000);
    expect(ids.every((id) => /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id))).toBe(
      true,
    );
  });

  it("has about as many cards that are declined as asked for, and none or all at the ends", () => {
    const declined = (share: number) => draw(7, share).filter((buyer) => buyer.token === "tok_declined").length;
    expect(declined(0)).toBe(0);
    expect(declined(1)).toBe(2_000);
    expect(declined(0.1)).toBeGreaterThan(150);
    expect(declined(0.1)).toBeLessThan(250);
  });
});
