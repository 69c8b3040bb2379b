import { describe, expect, it } from "vitest";
import { coverageTable } from "../../../runtime/coverage-table.ts";

const of = (covered: number, total: number) => {
  const count = { total, covered, skipped: 0, pct: 0 };
  return { lines: count, statements: count, branches: count, functions: count };
};

describe("coverageTable", () => {
  it("adds files up by their first folder, and names those with the most left to cover", () => {
    const summary = {
      total: of(0, 0),
      "/shop/engine/a.ts": of(9, 10),
      "/shop/engine/stock/b.ts": of(90, 90),
      "/shop/api/c.ts": of(1, 3),
    };
    expect(coverageTable(summary, "/shop").split("\n")).toEqual([
      "         files   lines  statements  branches  functions",
      "api/         1  33.3 %      33.3 %    33.3 %     33.3 %",
      "engine/      2  99.0 %      99.0 %    99.0 %     99.0 %",
      "all          3  97.0 %      97.0 %    97.0 %     97.0 %",
      "",
      "most lines not covered  lines  covered",
      "api/c.ts                    2   33.3 %",
      "engine/a.ts                 1   90.0 %",
    ]);
  });

  it("calls nothing whole that is not, and says nothing of what there is none of", () => {
    const table = coverageTable({ "/shop/cli/a.ts": of(9_999, 10_000), "/shop/client/types.ts": of(0, 0) }, "/shop");
    expect(table).toContain("cli/         1  99.9 %");
    expect(table).toMatch(/^client\/ +1$/m);
  });
});
