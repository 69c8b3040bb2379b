// The set-up script from outside, and its lock.
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { withSetupLock } from "../../../runtime/setup-lock.mjs";

const SETUP = fileURLToPath(new URL("../../../runtime/setup.mjs", import.meta.url));

function setup(args: string[], env: Record<string, string>): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [SETUP, ...args], { env }, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    );
  });
}

describe("setup.mjs", () => {
  it("names its commands when it is asked for another", async () => {
    const { code, stderr } = await setup(["nonsense"], {});
    expect(code).toBe(2);
    expect(stderr).toMatch(/^Usage: node runtime\/setup\.mjs start\|/);
  });

  it("says what the choices are when no redis-server can be had", async () => {
    const { code, stdout, stderr } = await setup(["start"], { PATH: "/nonexistent" });
    expect(code).toBe(1);
    expect(stdout).toBe("");
    expect(stderr.trim()).toMatch(/^There is no redis-server on PATH .* REDIS_URL=.*docker compose/);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  });

  it("adds nothing when everything is there, and passes the exit code on", async () => {
    const { code, stdout, stderr } = await setup(["start"], { PATH: "", REDIS_URL: "not a url" });
    expect(code).toBe(1);
    expect(stdout).toBe("");
    expect(stderr).toMatch(/^Invalid configuration:\n {2}REDIS_URL: [^\n]*\n$/);
  });
});

describe("the set-up lock", () => {
  let folder: string;
  let lock: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), "onrush-test-lock-"));
    lock = path.join(folder, "lock");
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const quiet = () => undefined;

  it("lets one in at a time and tells the others once", async () => {
    const said: string[] = [];
    const steps: string[] = [];
    const first = Promise.withResolvers<void>();
    const one = withSetupLock(lock, quiet, () => {
      steps.push("one in");
      return first.promise.then(() => steps.push("one out"));
    });
    const two = withSetupLock(
      lock,
      (line: string) => said.push(line),
      async () => steps.push("two in"),
    );
    first.resolve();
    await Promise.all([one, two]);
    expect(steps).toEqual(["one in", "one out", "two in"]);
    expect(said).toEqual(["Another set-up of this checkout is running; waiting for it ..."]);
    expect(readdirSync(folder)).toEqual([]);
  });

  it("is taken over from an owner that is gone", async () => {
    const pidThatCannotBe = 2 ** 22 + 1;
    writeFileSync(lock, `${pidThatCannotBe}\n`);
    expect(await withSetupLock(lock, quiet, async () => existsSync(lock))).toBe(true);
    expect(readdirSync(folder)).toEqual([]);
  });

  it("is given back when the work fails", async () => {
    const failing = withSetupLock(lock, quiet, async () => Promise.reject(new Error("no network")));
    await expect(failing).rejects.toThrow("no network");
    expect(readdirSync(folder)).toEqual([]);
  });
});
