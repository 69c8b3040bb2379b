// `npm run coverage [filter...]`: the tests once more, and which of the code they ran; arguments go to vitest. The processes
// that tests start count with the tests (API, persister, worker, CLI), but for those that a test kills: V8 writes what ran
// when a process ends by itself. Vitest's configuration has which folders are counted. Leaves `coverage/index.html` and, for
// programs, `coverage/coverage-summary.json`. Exit code 0 when the tests passed, whatever the figures.
import { readFileSync } from "node:fs";
import path from "node:path";
import { type CoverageSummary, coverageTable } from "./coverage-table.ts";
import { ROOT, runTool } from "./tool.ts";

const SUMMARY = path.join(ROOT, "coverage/coverage-summary.json");

const startedAt = Date.now();
process.exitCode = await runTool("vitest", ["run", "--coverage", ...process.argv.slice(2)]);
try {
  const written = readFileSync(SUMMARY, "utf8");
  process.stdout.write(`\n${coverageTable(JSON.parse(written) as CoverageSummary, ROOT)}\n`);
  process.stdout.write(
    `\n${((Date.now() - startedAt) / 60_000).toFixed(1)} minutes; coverage/index.html has the lines.\n`,
  );
} catch (error) {
  process.stderr.write(`There is no summary of what was covered: ${(error as Error).message}\n`);
  process.exitCode = 1;
}
