// CSV that spreadsheets open: quoted by RFC 4180, and never a formula, whatever buyers have written.
import { stringify } from "csv-stringify/sync";

/** By this Excel knows UTF-8: without it, one that speaks Korean takes the file for EUC-KR. */
export const BYTE_ORDER_MARK = "\ufeff";

/**
 * Rows with their line ends. A text that a spreadsheet would calculate (it starts with `=`, `+`, `-`, `@`, also in full
 * width, with a tab or a carriage return) gets an apostrophe; numbers are numbers.
 */
export function csvRows(rows: readonly (readonly (string | number | null)[])[]): string {
  return stringify(rows as (string | number | null)[][], {
    escape_formulas: true,
    record_delimiter: "\r\n",
    // A lone CR or LF within a cell too.
    quote_record_delimiter: true,
  });
}
