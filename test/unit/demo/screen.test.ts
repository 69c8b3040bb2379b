// What a visitor sees, in a terminal and in a pipe.
import { describe, expect, it } from "vitest";
import { pad, Screen, widthOf } from "../../../demo/screen.ts";

function screenOn(terminal: { columns: number } | "pipe", env: Record<string, string> = {}) {
  let written = "";
  const out = {
    isTTY: terminal !== "pipe",
    columns: terminal === "pipe" ? undefined : terminal.columns,
    write: (text: string) => {
      written += text;
    },
    on: () => undefined,
  };
  const screen = new Screen(out as unknown as NodeJS.WriteStream, { TERM: "xterm", ...env });
  return { screen, written: () => written };
}

describe("columns", () => {
  it.each([
    ["Redis", 5],
    ["커피", 4],
    ["한정판 머그컵", 13],
    ["コーヒー", 8],
    ["限定", 4],
    ["cafe\u0301", 4],
    ["\u001b[32m✓\u001b[39m", 1],
    ["█▒· ₩", 5],
  ])("of %j are %i", (text, columns) => expect(widthOf(text)).toBe(columns));

  it("align names of both scripts, and numbers at the right", () => {
    expect(pad("커피", 8)).toBe("커피    ");
    expect(pad("Redis", 8)).toBe("Redis   ");
    expect(pad("1,234", 8, "left")).toBe("   1,234");
    expect(pad("한정판 머그컵", 4)).toBe("한정판 머그컵");
  });
});

describe("a pipe", () => {
  it("gets plain lines, each step of progress one, the same step once", () => {
    const { screen, written } = screenOn("pipe");
    screen.live(["  1.0 s", "     sold 1"]);
    screen.live(["  1.0 s", "     sold 1"]);
    screen.live(["  1.5 s", "     sold 2"]);
    screen.settle();
    screen.print(screen.style("green", "done"));
    expect(written()).toBe("  1.0 s | sold 1\n  1.5 s | sold 2\ndone\n");
  });
});

describe("a terminal", () => {
  it("has its progress redrawn in place, and gone when something else is printed", () => {
    const { screen, written } = screenOn({ columns: 80 });
    screen.live(["a", "b"]);
    screen.live(["c", "d"]);
    screen.print("end");
    expect(written()).toBe("a\nb\n\u001b[2A\u001b[0Jc\nd\n\u001b[2A\u001b[0Jend\n");
  });

  it("keeps the last progress when it is settled", () => {
    const { screen, written } = screenOn({ columns: 80 });
    screen.live(["a"]);
    screen.settle();
    screen.print("end");
    expect(written()).toBe("a\nend\n");
  });

  it("never gets a line that would wrap", () => {
    const { screen, written } = screenOn({ columns: 10 });
    screen.live(["한정판 머그컵 한정판"]);
    expect(widthOf(written().trimEnd())).toBeLessThan(10);
  });

  it("has colours, unless NO_COLOR says otherwise", () => {
    expect(screenOn({ columns: 80 }).screen.style("green", "ok")).toBe("\u001b[32mok\u001b[39m");
    expect(screenOn({ columns: 80 }, { NO_COLOR: "1" }).screen.style("green", "ok")).toBe("ok");
  });
});
