import { describe, expect, it } from "vitest";
import { countCovered, coverageTable } from "../../../runtime/coverage-table.ts";

const place = (line: number, column: number, end = 80) => ({
  start: { line, column },
  end: { line, column: end },
});

const of = (name: string, covered: number, total: number) => {
  const count = { total, covered };
  return { name, counts: { lines: count, statements: count, branches: count, functions: count } };
};

describe("countCovered", () => {
  it("counts once what two processes saw end at different places", () => {
    const counts = countCovered({
      statementMap: { 0: place(1, 0), 1: place(1, 0, 79), 2: place(1, 40), 3: place(2, 0), 4: place(2, 0, 79) },
      s: { 0: 0, 1: 3, 2: 0, 3: 0, 4: 0 },
      fnMap: { 0: { loc: place(1, 10) }, 1: { loc: place(1, 10, 79) }, 2: { loc: place(2, 10) } },
      f: { 0: 1, 1: 0, 2: 0 },
      branchMap: { 0: { type: "if", loc: place(1, 5) }, 1: { type: "if", loc: place(1, 5, 79) } },
      b: { 0: [1, 0], 1: [0, 0] },
    });
    expect(counts).toEqual({
      lines: { total: 2, covered: 1 },
      statements: { total: 3, covered: 1 },
      functions: { total: 2, covered: 1 },
      branches: { total: 2, covered: 1 },
    });
  });
});

describe("coverageTable", () => {
  it("adds files up by their first folder, and names those with the most left to cover", () => {
    const files = [of("engine/a.ts", 9, 10), of("engine/stock/b.ts", 90, 90), of("api/c.ts", 1, 3)];
    expect(coverageTable(files).split("\n")).toEqual([
      "         files   lines  statements  branches  functions",
      "api/         1  33.3 %      33.3 %    33.3 %     33.3 %",
      "engine/      2  99.0 %      99.0 %    99.0 %     99.0 %",
      "all          3  97.0 %      97.0 %    97.0 %     97.0 %",
      "",
      "most lines that no test ran  lines  covered",
      "api/c.ts                         2   33.3 %",
      "engine/a.ts                      1   90.0 %",
    ]);
  });

  it("calls nothing whole that is not, and says nothing of what there is none of", () => {
    const table = coverageTable([of("cli/a.ts", 9_999, 10_000), of("client/types.ts", 0, 0)]);
    expect(table).toContain("cli/         1  99.9 %");
    expect(table).toMatch(/^client\/ +1$/m);
  });
});
