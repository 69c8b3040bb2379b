// What of the code the tests ran, by file and by folder, from what Istanbul's format says of each file.
import path from "node:path";

const MEASURES = ["lines", "statements", "branches", "functions"] as const;
type Measure = (typeof MEASURES)[number];

export interface Count {
  readonly total: number;
  readonly covered: number;
}
export type Counts = Readonly<Record<Measure, Count>>;

interface Place {
  readonly start: { readonly line: number; readonly column: number };
}

/** The part of one file's coverage in `coverage-final.json` that is read here. */
export interface FileCoverage {
  readonly statementMap: Readonly<Record<string, Place>>;
  readonly s: Readonly<Record<string, number>>;
  readonly fnMap: Readonly<Record<string, { readonly loc: Place }>>;
  readonly f: Readonly<Record<string, number>>;
  readonly branchMap: Readonly<Record<string, { readonly type: string; readonly loc: Place }>>;
  readonly b: Readonly<Record<string, readonly number[]>>;
}

export interface CoveredFile {
  /** From the root. */
  readonly name: string;
  readonly counts: Counts;
}

/** Files that are told of because most of their lines are left. */
const LEAST_COVERED_SHOWN = 15;

/**
 * What there is in a file, and how much of it ran. A test's own process runs other text than the processes that it starts
 * (Vite's and Node's), mapped back to the same source: where a thing begins agrees, where it ends need not, and then it is
 * in the file's coverage twice. What begins at the same place is one thing, covered when either ran it.
 */
export function countCovered(file: FileCoverage): Counts {
  const lines = new Map<string, boolean>();
  const statements = new Map<string, boolean>();
  const functions = new Map<string, boolean>();
  const branches = new Map<string, boolean>();
  for (const [id, place] of Object.entries(file.statementMap)) {
    note(statements, placeOf(place), file.s[id]);
    note(lines, String(place.start.line), file.s[id]);
  }
  for (const [id, { loc }] of Object.entries(file.fnMap)) note(functions, placeOf(loc), file.f[id]);
  for (const [id, { type, loc }] of Object.entries(file.branchMap)) {
    const arms = file.b[id] ?? [];
    for (const [arm, times] of arms.entries())
      note(branches, `${type} ${placeOf(loc)} ${arm} of ${arms.length}`, times);
  }
  return {
    lines: countOf(lines),
    statements: countOf(statements),
    branches: countOf(branches),
    functions: countOf(functions),
  };
}

function placeOf({ start }: Place): string {
  return `${start.line}:${start.column}`;
}

function note(things: Map<string, boolean>, key: string, times = 0): void {
  things.set(key, times > 0 || things.get(key) === true);
}

function countOf(things: ReadonlyMap<string, boolean>): Count {
  return { total: things.size, covered: [...things.values()].filter((ran) => ran).length };
}

export function addCounts(files: readonly CoveredFile[]): Counts {
  const sum = (measure: Measure): Count => ({
    total: files.reduce((total, { counts }) => total + counts[measure].total, 0),
    covered: files.reduce((covered, { counts }) => covered + counts[measure].covered, 0),
  });
  return {
    lines: sum("lines"),
    statements: sum("statements"),
    branches: sum("branches"),
    functions: sum("functions"),
  };
}

/** Files by the folder of the root that they are in, in the order of the alphabet. */
export function byFolder(files: readonly CoveredFile[]): [string, CoveredFile[]][] {
  const folders = Map.groupBy(files, ({ name }) => `${name.split(path.sep)[0] ?? ""}/`);
  return [...folders].toSorted(([a], [b]) => a.localeCompare(b));
}

/** A line a folder, and the files with the most lines that no test ran. */
export function coverageTable(files: readonly CoveredFile[]): string {
  const row = (name: string, within: readonly CoveredFile[]) => {
    const counts = addCounts(within);
    return [name, String(within.length), ...MEASURES.map((measure) => share(counts[measure]))];
  };
  const least = files
    .map(({ name, counts: { lines } }) => ({ name, lines, missing: lines.total - lines.covered }))
    .filter(({ missing }) => missing > 0)
    .toSorted((a, b) => b.missing - a.missing || a.name.localeCompare(b.name))
    .slice(0, LEAST_COVERED_SHOWN)
    .map(({ name, lines, missing }) => [name, String(missing), share(lines)]);
  return [
    aligned([["", "files", ...MEASURES], ...byFolder(files).map((entry) => row(...entry)), row("all", files)]),
    ...(least.length > 0 ? ["", aligned([["most lines that no test ran", "lines", "covered"], ...least])] : []),
  ].join("\n");
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
