// The platforms' benchmark where nothing can be installed: what it says then. Driving them takes packages and minutes, and is
// no part of the tests.
import { execFile } from "node:child_process";
import { rmSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import { rush } from "../../bench/platforms/buyers.ts";
import { Refused, type Shop } from "../../bench/platforms/platform.ts";
import { scratchFolder } from "../support/scratch.ts";

const MAIN = fileURLToPath(new URL("../../bench/platforms/main.ts", import.meta.url));
const scratch = scratchFolder("platforms");

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function platforms(...args: string[]) {
  const env = {
    ...process.env,
    npm_config_registry: "http://127.0.0.1:1",
    npm_config_cache: path.join(scratch, "cache"),
    npm_config_fetch_retries: "0",
  };
  return promisify(execFile)(process.execPath, [MAIN, ...args], { env, timeout: 60_000 });
}

describe("npm run bench:platforms", () => {
  it("says what it does", async () => {
    expect((await platforms("--help")).stdout).toMatch(/complete\s+guest purchase/);
  });

  it("refuses what it does not know, with exit code 2", async () => {
    await expect(platforms("--only", "nothing")).rejects.toMatchObject({ code: 2 });
  });

  it("names the registry when it cannot install, and exits with 1", { timeout: 70_000 }, async () => {
    const dir = path.join(scratch, "installed");
    await expect(platforms("--only", "vendure", "--dir", dir)).rejects.toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringMatching(/could not install vendure .*is its registry within reach\?[\s\S]*ECONNREFUSED/),
    });
  });
});

describe("a rush", () => {
  it("believes the books, and not what buyers were told", async () => {
    let asked = 0;
    const shop: Shop = {
      offer: async () => "product",
      purchase: async () => {
        asked += 1;
        if (asked > 8) throw new Refused("nothing left of item_01KSZ9V7P3N5T6Q8R2W4X6Y8Z0");
      },
      stockAfter: async () => ({ paid: 7, left: -2 }),
    };

    expect(await rush(shop, 10, 5)).toMatchObject({
      sold: 8,
      paid: 7,
      oversold: 2,
      left: -2,
      refusals: { "nothing left of ...": 2 },
    });
  });
});
