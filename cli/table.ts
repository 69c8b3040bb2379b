// Tables for people: columns aligned by what a terminal shows, where a Korean syllable is two cells wide, and cut to the
// terminal's width by shortening the widest texts.
import stringWidth from "string-width";

const GAP = "  ";
/** A column is never cut below this, or below its heading. */
const COLUMN_MIN = 6;

/** Cells that a text takes in a terminal. */
export function widthOf(text: string): number {
  return stringWidth(text);
}

export interface TableOptions {
  /** Cells that a line may take; left out: as many as it needs. */
  readonly columns?: number | undefined;
  /** Headings of columns that are never cut: ids, which people copy. */
  readonly whole?: readonly string[];
}

/** Rows under their headings; columns of numbers stand at the right. */
export function table(
  headings: readonly string[],
  rows: readonly (readonly (string | number)[])[],
  options: TableOptions = {},
): string {
  const texts = [headings, ...rows.map((row) => row.map((cell) => oneLine(String(cell))))];
  const isNumber = headings.map((_, column) => rows.length > 0 && rows.every((row) => typeof row[column] === "number"));
  const needed = headings.map((_, column) => Math.max(...texts.map((row) => widthOf(row[column] ?? ""))));
  const isWhole = headings.map((heading, column) => isNumber[column] || options.whole?.includes(heading));
  const widths = fit(needed, headings, isWhole, options.columns);
  return texts
    .map((row) =>
      row
        .map((text, column) => {
          const width = widths[column] ?? 0;
          const shown = cut(text, width);
          const gap = " ".repeat(Math.max(0, width - widthOf(shown)));
          return isNumber[column] ? gap + shown : shown + gap;
        })
        .join(GAP)
        .trimEnd(),
    )
    .join("\n");
}

/** `name  value` lines, for one thing in detail; a value that is wider than the screen goes on below itself. */
export function details(
  rows: readonly (readonly [string, string | number | null | undefined])[],
  { columns }: TableOptions = {},
): string {
  const given = rows.filter(([, value]) => value !== null && value !== undefined && value !== "");
  const indent = Math.max(0, ...given.map(([name]) => widthOf(name))) + GAP.length;
  const width = columns === undefined ? undefined : Math.max(COLUMN_MIN, columns - indent);
  return given
    .map(([name, value]) => {
      const lines = wrap(oneLine(String(value)), width);
      return `${name}${" ".repeat(indent - widthOf(name))}${lines.join(`\n${" ".repeat(indent)}`)}`;
    })
    .join("\n");
}

function wrap(text: string, width: number | undefined): string[] {
  if (width === undefined || widthOf(text) <= width) return [text];
  const lines = [""];
  for (const word of text.split(/(?<= )/)) {
    const line = lines.at(-1) ?? "";
    if (widthOf(line + word.trimEnd()) <= width || line === "") lines[lines.length - 1] = line + word;
    else lines.push(word);
  }
  return lines.map((line) => line.trimEnd());
}

function fit(
  needed: number[],
  headings: readonly string[],
  isWhole: readonly (boolean | undefined)[],
  columns?: number,
): number[] {
  if (columns === undefined) return needed;
  const widths = [...needed];
  const floor = (column: number) => Math.max(COLUMN_MIN, widthOf(headings[column] ?? ""));
  for (;;) {
    const over = widths.reduce((sum, width) => sum + width, 0) + GAP.length * (widths.length - 1) - columns;
    if (over <= 0) return widths;
    let widest = -1;
    for (const [column, width] of widths.entries()) {
      if (isWhole[column] || width <= floor(column)) continue;
      if (widest === -1 || width > (widths[widest] ?? 0)) widest = column;
    }
    if (widest === -1) return widths;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
}

const ESCAPE = String.fromCharCode(27);

/** Shortens a text to so many cells, with an ellipsis; colours in it end with it. */
export function cut(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let shown = "";
  for (const { segment } of new Intl.Segmenter().segment(
    text.replaceAll(new RegExp(`${ESCAPE}\\[[0-9;]*m`, "g"), ""),
  )) {
    if (widthOf(shown + segment) > width - 1) break;
    shown += segment;
  }
  return `${shown}…`;
}

/** What people wrote never moves the cursor: control characters become spaces, except those that colour. */
export function oneLine(text: string): string {
  let shown = "";
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    const isColour = code === 27 && /^\[[0-9;]*m/.test(text.slice(at + 1, at + 12));
    shown += (code < 32 || (code >= 127 && code < 160)) && !isColour ? " " : text.charAt(at);
  }
  return shown;
}
