// The benchmark runs, counts and says what it promises. Never how fast: that is what it is for.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

const MAIN = fileURLToPath(new URL("../../bench/main.ts", import.meta.url));

function bench(...args: string[]) {
  return promisify(execFile)(process.execPath, [MAIN, ...args], { timeout: 100_000 });
}

describe("npm run bench", () => {
  it("measures, counts in both servers, and prints one JSON object", { timeout: 110_000 }, async () => {
    const only = "noop,accept,soldout,tokens,engine_direct,engine_single";
    const args = ["--quick", "--json", "--seconds", "1", "--repeat", "1", "--connections", "16", "--only", only];
    const result = JSON.parse((await bench(...args)).stdout) as Record<string, unknown>;

    expect(result).toMatchObject({ oversold: 0, lost: 0, duplicated: 0 });
    const figures = ["noop_rps", "accept_rps", "soldout_rps", "token_rps", "engine_direct_ops", "engine_single_ops"];
    for (const figure of figures) expect(result[figure], figure).toBeGreaterThan(0);
    expect(Object.keys(result["ratios"] as object).sort()).toEqual([
      "accept_to_noop",
      "engine_direct_to_single",
      "soldout_to_noop",
      "token_to_guest",
    ]);
    expect(result["machine"]).toMatchObject({ cores: expect.any(Number), versions: { node: process.versions.node } });
  });

  it("refuses what it does not know, with exit code 2", async () => {
    await expect(bench("--only", "nothing")).rejects.toMatchObject({ code: 2 });
  });
});
