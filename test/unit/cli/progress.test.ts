import { describe, expect, it } from "vitest";
import { startProgress } from "../../../cli/progress.ts";

function open(isTTY: boolean, lines = false) {
  const written: string[] = [];
  let now = 0;
  const stream = { isTTY, columns: 60, write: (text: string) => written.push(text) > 0 };
  const progress = startProgress("Importing", { lines, stream, clock: () => now });
  return {
    written,
    at: (ms: number, done: number, total?: number) => {
      now = ms;
      progress.at(done, total);
    },
    end: progress.end,
  };
}

describe("startProgress", () => {
  it("writes over one line on a terminal, not more often than is seen, and clears it", () => {
    const { at, end, written } = open(true);
    at(0, 1_000, 4_000);
    at(10, 2_000, 4_000);
    at(100, 3_000, 4_000);
    at(101, 4_000, 4_000);
    end();
    expect(written.map((text) => text.trim())).toEqual([
      "Importing  ██████░░░░░░░░░░░░░░░░░░  25%  1000/4000",
      "Importing  ██████████████████░░░░░░  75%  3000/4000",
      "Importing  ████████████████████████  100%  4000/4000",
      "",
    ]);
    expect(written.every((text) => text.startsWith("\r") && !text.includes("\n"))).toBe(true);
  });

  it("writes a line now and then elsewhere, where it is asked for, and none for what is soon done", () => {
    const { at, end, written } = open(false, true);
    at(1_900, 1_000, 50_000);
    at(2_100, 6_999, 50_000);
    at(3_000, 8_000, 50_000);
    at(4_200, 12_000);
    at(60_000, 50_000, 50_000);
    end();
    expect(written).toEqual(["Importing  13%  6999/50000\n", "Importing  12000\n"]);
  });

  it("is silent elsewhere otherwise", () => {
    const { at, end, written } = open(false);
    at(60_000, 1, 2);
    end();
    expect(written).toEqual([]);
  });
});
