// A large catalogue: a file of 50,000 products, Korean and English, with bad rows among them, by `onrush product import` as an
// operator runs it; the same file again; then searches through the API, one after another.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Faults } from "../books.ts";
import { track } from "../children.ts";
import type { Context } from "../context.ts";
import type { Instance } from "../instance.ts";
import { productFile, searchQueries } from "../load/products.ts";
import { cpuSecondsOf } from "../machine.ts";

const CLI = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));
const PRODUCTS = 50_000;
const BAD_ROWS = 37;
const QUERIES = 300;
const POLL_MS = 50;

interface Import {
  readonly created: number;
  readonly same: number;
  readonly issues: readonly unknown[];
  readonly seconds: number;
  /** Of the connections that were there meanwhile. */
  readonly postgresCpuSeconds: number;
  readonly memoryMb: number | undefined;
}

export async function measureCatalogue(context: Context, instance: Instance): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), "onrush-bench-products-"));
  const file = path.join(folder, "products.csv");
  try {
    writeFileSync(file, productFile(PRODUCTS, BAD_ROWS));
    const first = await importFile(instance, file);
    context.audit("catalogue, imported", missing(first, { created: PRODUCTS - BAD_ROWS, same: 0 }));
    context.record("catalogue", "import_seconds", first.seconds);
    context.record("catalogue", "import_postgres_cpu_seconds", first.postgresCpuSeconds);
    if (first.memoryMb !== undefined) context.record("catalogue", "import_memory_mb", first.memoryMb);
    const again = await importFile(instance, file);
    context.audit("catalogue, imported again", missing(again, { created: 0, same: PRODUCTS - BAD_ROWS }));
    context.record("catalogue", "import_again_seconds", again.seconds);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const cpuBefore = searchCpuSeconds(instance);
  const latencies = await search(instance, searchQueries(QUERIES));
  const cpuSeconds = searchCpuSeconds(instance) - cpuBefore;
  const at = (share: number) =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? Number.NaN;
  context.record("catalogue", "search_p50_ms", at(0.5));
  context.record("catalogue", "search_p99_ms", at(0.99));
  context.record("catalogue", "search_cpu_ms", (cpuSeconds / QUERIES) * 1_000);
}

/** Products that are not in, or in once too often. @throws when not just the bad rows were told */
function missing({ created, same, issues }: Import, wanted: { created: number; same: number }): Faults {
  if (issues.length !== BAD_ROWS) throw new Error(`the import found ${issues.length} bad rows, of ${BAD_ROWS}`);
  const lost = Math.max(0, wanted.created - created) + Math.max(0, wanted.same - same);
  return { oversold: 0, lost, duplicated: Math.max(0, created - wanted.created) };
}

async function importFile({ redisUrl, databaseUrl, pids }: Instance, file: string): Promise<Import> {
  const postgresCpu = () => cpuSecondsOf(pids["postgres"] ?? 0, true) ?? Number.NaN;
  const cpuBefore = postgresCpu();
  const startedAt = performance.now();
  const child = spawn(process.execPath, [CLI, "product", "import", file, "--yes", "--json"], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { PATH: process.env["PATH"], REDIS_URL: redisUrl, DATABASE_URL: databaseUrl },
  });
  track(child);
  let said = "";
  child.stdout.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  let memoryMb: number | undefined;
  let postgresCpuSeconds = 0;
  const ended = once(child, "close").then(() => true);
  while (!(await Promise.race([ended, delay(POLL_MS, false)]))) {
    memoryMb = peakMemoryMb(child.pid) ?? memoryMb;
    postgresCpuSeconds = Math.max(postgresCpuSeconds, postgresCpu() - cpuBefore);
  }
  const seconds = (performance.now() - startedAt) / 1_000;
  // 1: there were bad rows, and the others are in.
  if (child.exitCode !== 1) throw new Error(`the import ended with exit code ${child.exitCode}: ${said}`);
  return {
    ...(JSON.parse(said) as Pick<Import, "created" | "same" | "issues">),
    seconds,
    postgresCpuSeconds,
    memoryMb,
  };
}

/** The most that the process has had so far; undefined where /proc does not tell. */
function peakMemoryMb(pid: number | undefined): number | undefined {
  try {
    const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return kilobytes === undefined ? undefined : Number(kilobytes) / 1_024;
  } catch {
    return undefined;
  }
}

function searchCpuSeconds({ pids }: Instance): number {
  return ["api", "postgres"].reduce((sum, name) => sum + (cpuSecondsOf(pids[name] ?? 0, true) ?? Number.NaN), 0);
}

/** One after another; milliseconds from asking to the answer's last byte, the shortest first. */
async function search({ apiUrl }: Instance, queries: readonly string[]): Promise<number[]> {
  const took: number[] = [];
  for (const query of queries) {
    const startedAt = performance.now();
    const response = await fetch(`${apiUrl}/api/v1/products?query=${encodeURIComponent(query)}`);
    const text = await response.text();
    took.push(performance.now() - startedAt);
    if (!response.ok) throw new Error(`the search for ${query} was answered ${response.status}: ${text}`);
  }
  return took.toSorted((a, b) => a - b);
}
