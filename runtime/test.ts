// `npm test [filter...]`: type check, lint, then the tests; arguments go to vitest. The last line is `N passed, N failed`,
// in which the type check and the lint count as one each, and so does a test file that could not be loaded.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { type Counts, countResults, type VitestReport } from "./test-report.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

const folder = mkdtempSync(path.join(tmpdir(), "onrush-test-report-"));
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
  return (await run(tool, args)) === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

async function runTests(args: string[]): Promise<Counts> {
  const reportFile = path.join(folder, "vitest.json");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${reportFile}`];
  const exitCode = await run("vitest", ["run", ...reporters, ...args]);
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

function run(tool: string, args: string[]): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(path.join(ROOT, "node_modules/.bin", tool), args, {
      cwd: ROOT,
      stdio: "inherit",
      env: toolEnv(),
    });
    child.on("error", (error) => {
      process.stderr.write(`Cannot run ${tool}: ${error.message}\n`);
      resolve(1);
    });
    child.on("exit", (code) => resolve(code ?? 1));
  });
}

/** The tools' `#!/usr/bin/env node` must find the pinned Node, whatever Node called us. */
function toolEnv(): NodeJS.ProcessEnv {
  const bin = path.join(ROOT, "node_modules/.bin");
  return { ...process.env, PATH: `${bin}${path.delimiter}${process.env["PATH"] ?? ""}` };
}
