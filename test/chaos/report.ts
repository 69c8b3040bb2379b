// What a run says: the closing table, and for each broken promise the smallest trace that shows it.
import type { Books, Violation } from "./checker/books.ts";
import type { History } from "./history.ts";
import type { Outcome, Verdict } from "./scenario.ts";

const VIOLATIONS_SHOWN_MAX = 6;
const HEADINGS = ["fault", "fired", "accepted", "refused", "unknown", "sells again", "at rest", "verdict"] as const;

export function isGood({ violations, shortfalls }: Verdict): boolean {
  return violations.length === 0 && shortfalls.length === 0;
}

export function table(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map((verdict) => [
    verdict.fault,
    String(verdict.fired),
    String(verdict.counts.accepted),
    String(verdict.counts.refused),
    String(verdict.counts.unknown),
    milliseconds(verdict.sellsAgainMs),
    milliseconds(verdict.atRestMs),
    inAWord(verdict),
  ]);
  const widths = HEADINGS.map((heading, i) => Math.max(heading.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (i === 0 || i === 7 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join("  ");
  return [line(HEADINGS), ...rows.map(line)].map((text) => text.trimEnd()).join("\n");
}

/** The broken promises of one run, with the lines of history and the timeline of the first order that shows each. */
export function trace({ verdict, history, books }: Outcome): string {
  const shown = verdict.violations.slice(0, VIOLATIONS_SHOWN_MAX);
  const more = verdict.violations.length - shown.length;
  return [
    ...verdict.shortfalls.map((shortfall) => `  proves nothing: ${shortfall}`),
    ...shown.flatMap((violation) => traceOf(violation, history, books)),
    ...(more > 0 ? [`  ... and ${more} more`] : []),
  ].join("\n");
}

function traceOf({ promise, claim, detail, orderId }: Violation, history: History, books: Books | undefined): string[] {
  const head = `  promise ${promise} broken: ${claim}: ${detail}`;
  if (orderId === undefined) return [head];
  const order = books?.orders.find(({ id }) => id === orderId);
  const operations = new Set(
    history.events.flatMap((event) => ("orderId" in event && event.orderId === orderId ? [event.op] : [])),
  );
  const events = history.events.filter(({ op }) => operations.has(op)).map((event) => `      ${JSON.stringify(event)}`);
  const timeline = order?.timeline.map(({ version, status }) => `${version} ${status}`).join(", ");
  return [head, `    order ${orderId}: ${timeline ?? "not in Postgres"}`, ...events];
}

function milliseconds(value: number | undefined): string {
  return value === undefined ? "-" : `${value.toLocaleString("en")} ms`;
}

function inAWord({ violations, shortfalls }: Verdict): string {
  if (violations.length > 0) return `BROKEN (${violations.length})`;
  return shortfalls.length > 0 ? "PROVES NOTHING" : "held";
}
