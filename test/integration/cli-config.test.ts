// `onrush config`, by the real binary.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import { readOverview } from "../../engine/ledger/overview.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { scratchFolder } from "../support/scratch.ts";
import { runCli } from "./cli-shop.ts";

vi.setConfig({ testTimeout: 120_000 });
const database = await createTestDatabase();
const folder = scratchFolder("config");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

// Redis is not asked for any of it.
const env = { REDIS_URL: "redis://127.0.0.1:1", DATABASE_URL: database.url, RATE_LIMIT_REQUESTS_PER_SECOND: "900" };
const onrush = (...args: string[]) => runCli(["config", ...args], env);
async function json<T = Record<string, unknown>>(...args: string[]): Promise<T> {
  const { code, out, err } = await onrush(...args, "--json");
  if (code !== 0) throw new Error(`exit ${code}: ${err}${out}`);
  return JSON.parse(out) as T;
}
const file = (name: string, content: unknown) => {
  const at = path.join(folder, name);
  writeFileSync(at, typeof content === "string" ? content : JSON.stringify(content));
  return at;
};

test("a setting is shown with where it is from, changed, and taken back", async () => {
  const shown = await onrush("show", "rateLimit");
  expect(shown.code).toBe(0);
  expect(shown.out).toMatch(/rateLimit\.ordersPerSecond +200 +default/);
  expect(shown.out).toMatch(/rateLimit\.requestsPerSecond +900 +environment/);
  expect(shown.out).not.toContain("pauses");

  const set = await onrush("set", "rateLimit.ordersPerSecond", "500", "--yes", "--reason", "the rush comes");
  expect([set.code, set.out]).toEqual([0, "Version 1 holds.\n"]);
  expect(set.err).toBe("rateLimit.ordersPerSecond: 200 (default) -> 500\n");
  expect(await json("set", "log.level", "warn", "--yes")).toEqual({
    applied: true,
    version: 2,
    changes: [{ name: "log.level", before: null, after: "warn" }],
  });
  expect(await json("show")).toMatchObject({
    version: 2,
    changedBy: expect.stringMatching(/^cli:/),
    settings: { rateLimit: { ordersPerSecond: 500, requestsPerSecond: 900 } },
    stored: { rateLimit: { ordersPerSecond: 500 }, log: { level: "warn" } },
    origins: { rateLimit: { ordersPerSecond: "stored" } },
  });
  expect(await json("unset", "log.level", "--yes")).toMatchObject({ version: 3 });
  expect(await json("set", "rateLimit.ordersPerSecond", "500", "--yes")).toMatchObject({ applied: false, version: 3 });

  const history = await onrush("history");
  expect(history.out).toMatch(/3 .*log\.level back to its default/);
  expect(history.out).toMatch(/1 .*rateLimit\.ordersPerSecond 500 +the rush comes/);
  expect(await json("history", "--limit", "1")).toMatchObject([
    { version: 3, changes: [{ name: "log.level", before: "warn", after: null }] },
  ]);
});

test("a file is exported, applied as a whole, planned first, and the same when nothing differs", async () => {
  await json("set", "pauses.mails", "true", "--yes");
  const exported = path.join(folder, "onrush.json");
  await json("export", exported);
  expect(readFileSync(exported, "utf8")).toBe(
    `${JSON.stringify({ rateLimit: { ordersPerSecond: 500 }, pauses: { mails: true } }, null, 2)}\n`,
  );
  expect((await onrush("export")).out).toBe(readFileSync(exported, "utf8"));
  expect(await json("apply", exported, "--yes")).toMatchObject({ applied: false, version: 4, changes: [] });

  const other = file("other.json", { log: { level: "debug" }, rateLimit: { ordersPerSecond: 600 } });
  const plan = [
    "rateLimit.ordersPerSecond: 500 -> 600",
    "pauses.mails: true -> false (default)",
    "log.level: info (default) -> debug",
  ].join("\n");
  const planned = await onrush("apply", other, "--dry-run");
  expect([planned.code, planned.out]).toEqual([0, `${plan}\nNothing was changed: this was a dry run.\n`]);
  expect(await json("show")).toMatchObject({ version: 4 });
  const applied = await onrush("apply", other, "--yes");
  expect([applied.out, applied.err]).toEqual(["Version 5 holds.\n", `${plan}\n`]);
  expect(await json("rollback", "4", "--yes")).toMatchObject({ version: 6 });
  expect((await onrush("export")).out).toBe(readFileSync(exported, "utf8"));
  expect(await json("rollback", "0", "--yes")).toMatchObject({ version: 7 });
  expect(await json("show")).toMatchObject({ stored: {} });
});

test("what is paused is among what an operator should look at", async () => {
  await json("set", "pauses.webhooks", "true", "--yes");
  const { findings } = await readOverview(database.pool, undefined);
  const { version } = await json<{ version: number }>("show");
  expect(findings).toContain(`Paused by version ${version} of the configuration: webhooks.`);
  await json("unset", "pauses", "--yes");
  expect((await readOverview(database.pool, undefined)).findings.join()).not.toContain("Paused");
});

test("a bad file is refused whole, by what is wrong in it", async () => {
  const { version } = await json<{ version: number }>("show");
  const bad = file("bad.json", { rateLimit: { ordersPerSecond: 600 }, pauses: { everything: true } });
  const refused = await onrush("apply", bad, "--yes", "--json");
  expect([refused.code, JSON.parse(refused.err)]).toEqual([
    2,
    { error: { code: "VALIDATION", message: "Not valid: pauses.everything: is not known." } },
  ]);
  const gateway = file("gateway.json", { rateLimit: { ordersPerSecond: 600 }, payments: { gateway: "stripe" } });
  expect(JSON.parse((await onrush("apply", gateway, "--yes", "--json")).err)).toMatchObject({
    error: { code: "VALIDATION", message: expect.stringContaining("payments.gateway: stripe: no worker runs") },
  });
  expect(await json("show")).toMatchObject({ version });
});

test("says what is wrong with how it was called, and changes nothing", async () => {
  const { version } = await json<{ version: number }>("show");
  const wrong = [
    ["set", "log.level"],
    ["set", "log.level", "warn"], // nobody to ask, and no --yes
    ["set", "log.colour", "red", "--yes"],
    ["set", "log", "warn", "--yes"],
    ["set", "log.level", "loud", "--yes"],
    ["set", "rateLimit.ordersPerSecond", "many", "--yes"],
    ["unset", "nothing", "--yes"],
    ["show", "nothing"],
    ["apply", file("none.json", "{"), "--yes"],
    ["apply", file("list.json", []), "--yes"],
    ["rollback", "x", "--yes"],
    ["history", "--limit", "0"],
  ];
  for (const args of wrong) expect([args, (await onrush(...args, "--json")).code]).toEqual([args, 2]);
  for (const args of [
    ["apply", path.join(folder, "absent.json"), "--yes"],
    ["rollback", "99", "--yes"],
    ["export", path.join(folder, "no", "where.json")],
  ]) {
    expect([args, (await onrush(...args, "--json")).code]).toEqual([args, 1]);
  }
  expect(await json("show")).toMatchObject({ version });
});
