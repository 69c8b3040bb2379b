// The benchmark runs, counts and says what it promises. Never how fast: that is what it is for.
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

const MAIN = fileURLToPath(new URL("../../bench/main.ts", import.meta.url));

function bench(...args: string[]) {
  return promisify(execFile)(process.execPath, [MAIN, ...args], { timeout: 200_000 });
}

describe("npm run bench", () => {
  it("measures, counts in both servers, and prints one JSON object", { timeout: 110_000 }, async () => {
    const only = "noop,accept,accept_p99,soldout,tokens,engine_direct,engine_single";
    const args = ["--quick", "--json", "--seconds", "1", "--repeat", "1", "--connections", "16", "--only", only];
    const result = JSON.parse((await bench(...args)).stdout) as Record<string, unknown>;

    expect(result).toMatchObject({ oversold: 0, lost: 0, duplicated: 0 });
    const rates = ["noop_rps", "accept_rps", "soldout_rps", "token_rps", "engine_direct_ops", "engine_single_ops"];
    for (const figure of [...rates, "accept_p99_ms", "soldout_p99_ms"])
      expect(result[figure], figure).toBeGreaterThan(0);
    expect(Object.keys(result["ratios"] as object).sort()).toEqual([
      "accept_to_noop",
      "engine_direct_to_single",
      "soldout_to_noop",
      "token_to_guest",
    ]);
    expect(result["machine"]).toMatchObject({ cores: expect.any(Number), versions: { node: process.versions.node } });
  });

  it("measures its peers, each as durable as it claims", { timeout: 210_000 }, async () => {
    const only = "pg_row,pg_skip_locked,redis_lock,bullmq";
    const args = ["--quick", "--json", "--seconds", "1", "--repeat", "1", "--connections", "16", "--only", only];
    const result = JSON.parse((await bench(...args)).stdout) as Record<string, unknown>;

    expect(result).toMatchObject({ oversold: 0, lost: 0, duplicated: 0 });
    const rates = ["pg_row_rps", "pg_skip_locked_rps", "redis_lock_rps", "bullmq_rps", "bullmq_accept_rps"];
    for (const figure of rates) expect(result[figure], figure).toBeGreaterThan(0);
  });

  it("writes no report from a result whose books are wrong, or that is not there", async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "onrush-bench-result-"));
    try {
      const file = path.join(folder, "wrong.json");
      const machine = { loadBefore: 0, versions: {} };
      const faults = { oversold: 0, lost: 1, duplicated: 0 };
      writeFileSync(file, JSON.stringify({ ...faults, machine, startedAt: "then", spread: { ratios: {} } }));
      await expect(bench("--report", file)).rejects.toMatchObject({
        code: 1,
        stderr: expect.stringContaining("books of then are wrong"),
      });
      await expect(bench("--report", path.join(folder, "none.json"))).rejects.toMatchObject({ code: 1 });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it("refuses what it does not know, with exit code 2", async () => {
    await expect(bench("--only", "nothing")).rejects.toMatchObject({ code: 2 });
  });
});
