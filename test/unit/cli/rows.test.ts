import { describe, expect, it } from "vitest";
import type { ImportIssue } from "../../../cli/import/entries.ts";
import { readCsvRows } from "../../../cli/import/rows.ts";

function read(text: string) {
  const issues: ImportIssue[] = [];
  const rows: [string, string | undefined][] = [];
  readCsvRows(text, ["id", "name", "price"], issues, (at, { name }) => rows.push([at, name]));
  return { rows, issues: issues.map(({ at, message }) => `${at}: ${message}`) };
}

const QUOTES = expect.stringMatching(/^line \d+: the quotes do not match/);

describe("readCsvRows", () => {
  it("goes on with the line after a quote that is not closed, or stands where none may", () => {
    const { rows, issues } = read(
      ["id,name,price", ',"open,1', ",a,2", ',"b ""b""",3', ',5" pipe,4', ",c,5", ',"d" d,6', ",e,7", ',"end,8'].join(
        "\n",
      ),
    );
    expect(rows).toEqual([
      ["line 3", "a"],
      ["line 4", 'b "b"'],
      ["line 6", "c"],
      ["line 8", "e"],
    ]);
    expect(issues).toEqual([QUOTES, QUOTES, QUOTES, QUOTES]);
    expect(issues.map((issue) => Number.parseInt(issue.slice(5), 10))).toEqual([2, 5, 7, 9]);
  });

  it.each([
    ["\n", 1],
    ["\r\n", 1],
    ["\r", 1],
    [" \n", 1],
  ])("says the line on which a row begins, whatever ends lines: %j", (end, each) => {
    const { rows } = read(["", "id,name,price", ",a,1", "", `,"b${end}b",2`, "  , c,3", ""].join(end));
    expect(rows).toEqual([
      [`line ${3 * each}`, "a"],
      [`line ${5 * each}`, `b${end}b`],
      [`line ${7 * each}`, "c"],
    ]);
  });

  it("tells a row of more or fewer cells than the heading, and goes on", () => {
    expect(read("id;name;price\n;a;1\n;b\n;c;3;;\n;d;4")).toEqual({
      rows: [
        ["line 2", "a"],
        ["line 5", "d"],
      ],
      issues: ["line 3: 2 cells, where the heading has 3", "line 4: 5 cells, where the heading has 3"],
    });
  });

  it("reads no rows under a heading that is none", () => {
    const { rows, issues } = read("1,tea,500\n2,mug,700\n");
    expect(rows).toEqual([]);
    expect(issues).toHaveLength(3);
    expect(read("")).toEqual({ rows: [], issues: [] });
  });

  it("looks for the end of a row no further than a row may be long", () => {
    const { rows, issues } = read(`id,name,price\n,"${"x".repeat(200_000)}\n,b,2\n`);
    expect(rows).toEqual([["line 3", "b"]]);
    expect(issues).toEqual([QUOTES]);
  });
});
