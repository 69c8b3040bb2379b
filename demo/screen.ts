// What the visitor sees. In a terminal a few lines are redrawn while the sale runs; in a pipe every line is plain and stays.
import { stripVTControlCharacters, styleText } from "node:util";

type Style = Parameters<typeof styleText>[0];

/** How often a pipe gets a line of progress, and a terminal a fresh one. */
const PIPE_INTERVAL_MS = 500;
const TERMINAL_INTERVAL_MS = 80;
const COLUMNS_WITHOUT_TERMINAL = 120;

export class Screen {
  readonly #out: NodeJS.WriteStream;
  readonly #isLive: boolean;
  readonly #hasColour: boolean;
  #liveLines = 0;
  #lastLive = "";

  constructor(out: NodeJS.WriteStream, env: Readonly<Record<string, string | undefined>>) {
    this.#out = out;
    this.#isLive = out.isTTY === true && env["TERM"] !== "dumb";
    // https://no-color.org: any value that is not empty
    this.#hasColour = this.#isLive && !env["NO_COLOR"];
    out.on("error", () => undefined); // a reader that left (`| head`) does not end the sale half-way
  }

  get intervalMs(): number {
    return this.#isLive ? TERMINAL_INTERVAL_MS : PIPE_INTERVAL_MS;
  }

  /** Prints lines that stay. */
  print(text = ""): void {
    this.#out.write(`${this.#eraseLive()}${text}\n`);
  }

  /** Shows progress: in place of the last one in a terminal; in a pipe as one line below it, unless nothing changed. */
  live(lines: readonly string[]): void {
    if (!this.#isLive) {
      const text = `  ${lines.map((line) => line.trim()).join(" | ")}`;
      if (text !== this.#lastLive) this.#out.write(`${text}\n`);
      this.#lastLive = text;
      return;
    }
    const columns = this.#out.columns ?? COLUMNS_WITHOUT_TERMINAL;
    // A line that wraps cannot be redrawn: it is cut, and cut text loses its colours.
    const fitting = lines.map((line) =>
      widthOf(line) < columns ? line : cut(stripVTControlCharacters(line), columns - 1),
    );
    const text = fitting.map((line) => `${line}\n`).join("");
    if (this.#liveLines > 0 && text === this.#lastLive) return; // drawing the same again would only flicker
    this.#out.write(this.#eraseLive() + text);
    this.#liveLines = fitting.length;
    this.#lastLive = text;
  }

  /** Lets the last progress stand. */
  settle(): void {
    this.#liveLines = 0;
    this.#lastLive = "";
  }

  style(style: Style, text: string): string {
    return this.#hasColour ? styleText(style, text, { validateStream: false }) : text;
  }

  #eraseLive(): string {
    const erased = this.#liveLines === 0 ? "" : `\u001b[${this.#liveLines}A\u001b[0J`;
    this.#liveLines = 0;
    return erased;
  }
}

/** Columns that a text takes in a terminal: East Asian wide characters take two, control sequences none. */
export function widthOf(text: string): number {
  let width = 0;
  for (const character of stripVTControlCharacters(text)) width += columnsOf(character);
  return width;
}

/** Fills up with blanks to `width` columns, on the right, or on the left for numbers. */
export function pad(text: string, width: number, side: "left" | "right" = "right"): string {
  const blanks = " ".repeat(Math.max(0, width - widthOf(text)));
  return side === "right" ? text + blanks : blanks + text;
}

function cut(text: string, width: number): string {
  let kept = "";
  let columns = 0;
  for (const character of text) {
    columns += columnsOf(character);
    if (columns > width) break;
    kept += character;
  }
  return kept;
}

const COMBINING = /^(\p{M}|\u200b|\u200c|\u200d|\ufe0f)$/u;
/** Hangul, kana, Han and full-width forms, as in Unicode's EastAsianWidth (W and F) as far as names use them. */
const WIDE =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]$/u;

function columnsOf(character: string): number {
  if (COMBINING.test(character)) return 0;
  return WIDE.test(character) ? 2 : 1;
}
