// `npm test [filter...]`: type check, lint, then the tests; arguments go to vitest. The last line is `N passed, N failed`,
// in which the type check and the lint count as one each, and so does a test file that could not be loaded.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type Counts, countResults, type VitestReport } from "./test-report.ts";
import { runTool } from "./tool.ts";

const folder = mkdtempSync(path.join(tmpdir(), "onrush-test-report-"));
// Tests start hundreds of processes, which would each strip and compile the same modules.
process.env["NODE_COMPILE_CACHE"] ??= path.join(folder, "compiled");
try {
  const sections = [
    await section("Type check", () => check("tsc", ["--noEmit", "--project", "."])),
    await section("Lint", () => check("biome", ["check", "--diagnostic-level=warn", "."])),
    await section("Tests", () => runTests(process.argv.slice(2))),
  ];
  const passed = sections.reduce((sum, counts) => sum + counts.passed, 0);
  const failed = sections.reduce((sum, counts) => sum + counts.failed, 0);
  process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
  process.exitCode = failed === 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function section(title: string, work: () => Promise<Counts>): Promise<Counts> {
  process.stdout.write(`\n== ${title}\n`);
  const startedAt = performance.now();
  const counts = await work();
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  process.stdout.write(`== ${title}: ${counts.failed === 0 ? "ok" : "FAILED"} (${seconds} s)\n`);
  return counts;
}

async function check(tool: string, args: string[]): Promise<Counts> {
  return (await runTool(tool, args)) === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

async function runTests(args: string[]): Promise<Counts> {
  const reportFile = path.join(folder, "vitest.json");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${reportFile}`];
  const exitCode = await runTool("vitest", ["run", ...reporters, ...args]);
  return countResults(readReport(reportFile), exitCode);
}

/** Undefined when vitest ended before it could write one. */
function readReport(file: string): VitestReport | undefined {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as VitestReport;
  } catch {
    return undefined;
  }
}
