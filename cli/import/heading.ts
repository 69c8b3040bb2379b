// The first line of a CSV file: what parts its cells, and which columns it names.
import type { ImportIssue } from "./entries.ts";

const DELIMITERS = [",", ";", "\t"] as const;

/** What parts the cells of the heading, and so of every row; spreadsheets write any of three. */
export function delimiterOf(text: string): string {
  const heading = text.slice(0, text.search(/[\r\n]|$/));
  return DELIMITERS.reduce((best, next) => (heading.split(next).length > heading.split(best).length ? next : best));
}

/** The column that a heading means, whatever its case, blanks and hyphens; one that is none is told of, and stays. */
export function knownColumn(name: string, columns: readonly string[], issues: ImportIssue[]): string {
  const known = columns.find((column) => column.toLowerCase() === name.toLowerCase().replaceAll(/[\s_-]/g, ""));
  if (!known) issues.push({ at: "line 1", message: `there is no column ${name}; there are ${columns.join(", ")}` });
  return known ?? name;
}
