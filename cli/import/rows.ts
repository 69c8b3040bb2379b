// The rows of a CSV file, one by one. A row whose quotes are wrong ends neither the file nor, as a parser that goes on
// looking for the quote would have it, the rows after it: reading starts again at the next line.
import { CsvError, type Options, parse } from "csv-parse/sync";
import type { ImportIssue } from "./entries.ts";
import { delimiterOf, knownColumn } from "./heading.ts";

/** Bytes of one row; where a quote is never closed, the search for its end stops here. */
const ROW_BYTES_MAX = 128 * 1_024;
const [TAB, LINE_FEED, CARRIAGE_RETURN, SPACE] = [0x09, 0x0a, 0x0d, 0x20];
const WRONG_QUOTES = 'the quotes do not match: a cell with a quote in it is quoted, and the quote in it doubled ("")';

/** Calls `take` with each row under its heading's columns, and where it begins; what is no row goes to `issues`. */
export function readCsvRows(
  text: string,
  columns: readonly string[],
  issues: ImportIssue[],
  take: (at: string, cells: Readonly<Record<string, string>>) => void,
): void {
  let heading: readonly string[] | undefined;
  const rows = (line: number, cells: readonly string[]) => {
    const at = `line ${line}`;
    if (!heading) {
      heading = cells.map((name) => knownColumn(name, columns, issues));
      return heading.some((name) => columns.includes(name));
    }
    if (cells.length !== heading.length) {
      issues.push({ at, message: `${cells.length} cells, where the heading has ${heading.length}` });
    } else take(at, Object.fromEntries(cells.map((cell, i) => [heading?.[i], cell])));
    return true;
  };
  const options = { bom: true, delimiter: delimiterOf(text), trim: true, skip_empty_lines: true };
  readRows(Buffer.from(text), options, rows, (line) => issues.push({ at: `line ${line}`, message: WRONG_QUOTES }));
}

/** @param row is called with the line on which a row begins; false ends the reading */
function readRows(
  bytes: Buffer,
  options: Options & { readonly delimiter: string },
  row: (line: number, cells: readonly string[]) => boolean,
  wrongQuotes: (line: number) => void,
): void {
  let [line, at] = [1, 0];
  const moveTo = (end: number) => {
    for (; at < end; at += 1) if (endsLine(bytes, at)) line += 1;
  };
  const skipEmptyLines = () => {
    let next = at;
    while (isBlank(bytes[next], options.delimiter)) next += 1;
    // A row may begin with blanks.
    while (next > at && !endsLine(bytes, next - 1)) next -= 1;
    moveTo(next);
  };
  let goesOn = true;
  while (goesOn && at < bytes.length) {
    const start = at;
    try {
      parse(bytes.subarray(start), {
        ...options,
        relax_column_count: true,
        max_record_size: ROW_BYTES_MAX,
        on_record: (cells: string[], { bytes: read }) => {
          if (!goesOn) return null;
          skipEmptyLines();
          goesOn = row(line, cells);
          moveTo(start + read);
          return null;
        },
      });
      return;
    } catch (error) {
      if (!(error instanceof CsvError)) throw error;
      if (!goesOn) return;
      skipEmptyLines();
      wrongQuotes(line);
      moveTo(endOfLine(bytes, at));
    }
  }
}

function isBlank(byte: number | undefined, delimiter: string): boolean {
  return byte === LINE_FEED || byte === CARRIAGE_RETURN || byte === SPACE || (byte === TAB && delimiter !== "\t");
}

/** Whether the byte is the last one of a line: a line feed, or a carriage return without one. */
function endsLine(bytes: Buffer, at: number): boolean {
  return bytes[at] === LINE_FEED || (bytes[at] === CARRIAGE_RETURN && bytes[at + 1] !== LINE_FEED);
}

/** Where the next line begins. */
function endOfLine(bytes: Buffer, from: number): number {
  let at = from;
  while (at < bytes.length && !endsLine(bytes, at)) at += 1;
  return at + 1;
}
