// `npm run coverage [filter...]`: the tests once more, and which of the code they ran; arguments go to vitest. The processes
// that tests start count with the tests (API, persister, worker, CLI), but for those that a test kills: V8 writes what ran
// when a process ends by itself. Vitest's configuration has which folders are counted. Leaves `coverage/index.html` for
// people and `coverage/summary.json` for programs. Exit code 0 when the tests passed, whatever the figures.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import {
  addCounts,
  byFolder,
  type CoveredFile,
  countCovered,
  coverageTable,
  type FileCoverage,
} from "./coverage-table.ts";
import { ROOT, runTool } from "./tool.ts";

const FOLDER = path.join(ROOT, "coverage");

rmSync(FOLDER, { recursive: true, force: true });
const startedAt = new Date();
process.exitCode = await runTool("vitest", ["run", "--coverage", ...process.argv.slice(2)]);
try {
  const files = readFiles();
  const seconds = Math.round((Date.now() - startedAt.getTime()) / 1_000);
  writeFileSync(path.join(FOLDER, "summary.json"), `${JSON.stringify(summaryOf(files, seconds), null, 2)}\n`);
  process.stdout.write(`\n${coverageTable(files)}\n\n${seconds} s; coverage/index.html has the lines.\n`);
} catch (error) {
  process.stderr.write(`There is nothing to say of what was covered: ${(error as Error).message}\n`);
  process.exitCode = 1;
}

function readFiles(): CoveredFile[] {
  const written = JSON.parse(readFileSync(path.join(FOLDER, "coverage-final.json"), "utf8"));
  return Object.entries(written as Record<string, FileCoverage>)
    .map(([file, coverage]) => ({ name: path.relative(ROOT, file), counts: countCovered(coverage) }))
    .toSorted((a, b) => a.name.localeCompare(b.name));
}

function summaryOf(files: readonly CoveredFile[], seconds: number) {
  return {
    startedAt: startedAt.toISOString(),
    seconds,
    all: addCounts(files),
    folders: Object.fromEntries(byFolder(files).map(([name, within]) => [name, addCounts(within)])),
    files: Object.fromEntries(files.map(({ name, counts }) => [name, counts])),
  };
}
