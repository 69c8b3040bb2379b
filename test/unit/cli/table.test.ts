import { describe, expect, it } from "vitest";
import { table, widthOf } from "../../../cli/table.ts";

describe("a table", () => {
  it("counts a Korean syllable as two cells", () => {
    expect(widthOf("커피 x")).toBe(6);
  });

  it("aligns Korean and English names, and numbers at the right", () => {
    expect(
      table(
        ["name", "units"],
        [
          ["커피", 1_000],
          ["tea", 5],
        ],
      ),
    ).toBe(["name  units", "커피   1000", "tea       5"].join("\n"));
  });
});
