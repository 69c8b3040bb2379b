// What of the code the tests ran, by folder, from vitest's summary of it.
import path from "node:path";

const MEASURES = ["lines", "statements", "branches", "functions"] as const;
type Measure = (typeof MEASURES)[number];
type Counts = Readonly<Record<Measure, Count>>;

interface Count {
  readonly total: number;
  readonly covered: number;
}

/** The part of `coverage-summary.json` (Istanbul's format) that is read here: files by absolute path, and `total`. */
export type CoverageSummary = Readonly<Record<string, Counts>>;

/** Files that are told of because least of them is covered. */
const LEAST_COVERED_SHOWN = 15;

/** @param root the folder whose folders are the rows; a file beside them belongs to none */
export function coverageTable(summary: CoverageSummary, root: string): string {
  const files = Object.entries(summary)
    .filter(([name]) => name !== "total")
    .map(([file, counts]) => ({ name: path.relative(root, file), counts }));
  const folders = Map.groupBy(files, ({ name }) => name.split(path.sep)[0] ?? "");
  const rows = [...folders]
    .toSorted(([a], [b]) => a.localeCompare(b))
    .map(([folder, within]) => [`${folder}/`, String(within.length), ...sharesOf(within.map(({ counts }) => counts))]);
  const all = ["all", String(files.length), ...sharesOf(files.map(({ counts }) => counts))];
  const least = files
    .map(({ name, counts: { lines } }) => ({ name, lines, missing: lines.total - lines.covered }))
    .filter(({ missing }) => missing > 0)
    .toSorted((a, b) => b.missing - a.missing || a.name.localeCompare(b.name))
    .slice(0, LEAST_COVERED_SHOWN)
    .map(({ name, lines, missing }) => [name, String(missing), share(lines)]);
  return [
    aligned([["", "files", ...MEASURES], ...rows, all]),
    ...(least.length > 0 ? ["", aligned([["most lines not covered", "lines", "covered"], ...least])] : []),
  ].join("\n");
}

function sharesOf(counts: readonly Counts[]): string[] {
  return MEASURES.map((measure) =>
    share({
      total: counts.reduce((sum, file) => sum + file[measure].total, 0),
      covered: counts.reduce((sum, file) => sum + file[measure].covered, 0),
    }),
  );
}

/** Rounded down: 100 % is said of what is covered whole. */
function share({ total, covered }: Count): string {
  return total === 0 ? "" : `${(Math.floor((covered / total) * 1_000) / 10).toFixed(1)} %`;
}

/** First column to the left, the others to the right. */
function aligned(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  const cell = (text: string, column: number) =>
    column === 0 ? text.padEnd(widths[column] ?? 0) : text.padStart(widths[column] ?? 0);
  return rows.map((row) => row.map(cell).join("  ").trimEnd()).join("\n");
}
