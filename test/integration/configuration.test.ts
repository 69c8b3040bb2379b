// How one process follows the runtime configuration: by news, without news, while Postgres is away, and past versions that
// cannot be used.
import { pino } from "pino";
import { afterAll, afterEach, expect, test, vi } from "vitest";
import { ConfigurationFollower } from "../../engine/configuration/follower.ts";
import { patchConfiguration, readConfiguration, replaceConfiguration } from "../../engine/configuration/operations.ts";
import { settingsEnvironment } from "../../engine/configuration/settings.ts";
import { FaultProxy } from "../support/faults/proxy.ts";
import { createTestDatabase } from "../support/postgres.ts";

vi.setConfig({ testTimeout: 60_000 });
const database = await createTestDatabase();
const proxy = await FaultProxy.start(Number(new URL(database.url).port || 5432));
const proxied = new URL(database.url);
proxied.port = String(proxy.port);
const environment = settingsEnvironment({ RATE_LIMIT_ORDERS_PER_SECOND: "11" });
const by = { actor: "cli:test" };
/** Longer than any test: what arrives without waiting for it was told. */
const NEVER_MS = 600_000;

afterAll(() => proxy.stop());
const followers: ConfigurationFollower[] = [];
afterEach(async () => {
  await Promise.all(followers.splice(0).map((follower) => follower.stop()));
  proxy.heal();
});

async function follow(options: { url?: string; pollMs?: number } = {}) {
  const said: { level: number; msg: string; configuration?: number }[] = [];
  const log = pino({ level: "info" }, { write: (line: string) => said.push(JSON.parse(line)) });
  const { url = database.url, pollMs = 50 } = options;
  const follower = new ConfigurationFollower({ databaseUrl: url, environment, log, pollMs });
  followers.push(follower);
  await follower.start();
  return { follower, said };
}

const set = async (ordersPerSecond: number) =>
  (await patchConfiguration(database.pool, { rateLimit: { ordersPerSecond } }, by)).version;
const rateOf = (follower: ConfigurationFollower) => follower.current.settings.rateLimit.ordersPerSecond;
const until = (check: () => void | Promise<void>) => vi.waitFor(check, { timeout: 20_000, interval: 5 });

test("starts by the environment where nothing is stored, and by what is stored where something is", async () => {
  const { follower } = await follow();
  expect([follower.current.version, rateOf(follower)]).toEqual([0, 11]);
  const version = await set(21);
  const { follower: second } = await follow();
  expect([second.current.version, rateOf(second)]).toEqual([version, 21]);
  await until(() => expect(rateOf(follower)).toBe(21));
});

test("hears of a change with its commit, without looking", async () => {
  const { follower } = await follow({ pollMs: NEVER_MS });
  for (let rate = 31; rate < 36; rate += 1) {
    const version = await set(rate);
    await until(() => expect([follower.current.version, rateOf(follower)]).toEqual([version, rate]));
  }
});

test("finds by looking what it was not told", async () => {
  const { follower } = await follow();
  const { version, settings } = await readConfiguration(database.pool);
  // As if the news had been lost: a hand stores a version, and tells nobody.
  await database.pool.query("INSERT INTO configuration_versions (version, settings, actor) VALUES ($1, $2, 'hand')", [
    version + 1,
    { ...settings, rateLimit: { ordersPerSecond: 41 } },
  ]);
  await until(() => expect([follower.current.version, rateOf(follower)]).toEqual([version + 1, 41]));
});

test("listeners hear at once and at each change; one that throws is logged, and holds up none", async () => {
  const { follower, said } = await follow();
  const heard: [number, number][] = [];
  follower.follow(() => {
    throw new Error("a listener's own trouble");
  });
  follower.follow((settings, version) => heard.push([version, settings.rateLimit.ordersPerSecond]));
  const { version } = follower.current;
  expect(heard).toEqual([[version, 41]]);
  await set(51);
  await until(() => expect(heard.at(-1)).toEqual([version + 1, 51]));
  expect(said.filter(({ msg }) => msg === "a change could not be put in force")).toHaveLength(2);
});

test("what was read stays as it was: the next version is another object", async () => {
  const { follower } = await follow();
  const { current } = follower;
  await set(61);
  await until(() => expect(rateOf(follower)).toBe(61));
  expect(current.settings.rateLimit.ordersPerSecond).toBe(51);
  expect(Object.isFrozen(follower.current.settings.rateLimit)).toBe(true);
});

test.for(["refuse", "silent"] as const)(
  "keeps what it knows while Postgres is away (%s), and follows on",
  async (mode) => {
    const { follower, said } = await follow({ url: proxied.href });
    const { version } = follower.current;
    const before = rateOf(follower);
    proxy.setMode(mode);
    const next = await set(before + 1);
    await until(() => expect(said.map(({ msg }) => msg)).toContain("the last known configuration holds"));
    expect([follower.current.version, rateOf(follower)]).toEqual([version, before]);
    expect(proxy.counts.refused + proxy.counts.swallowed).toBeGreaterThan(0);
    proxy.heal();
    await until(() => expect([follower.current.version, rateOf(follower)]).toEqual([next, before + 1]));
    expect(said.filter(({ msg }) => msg === "the last known configuration holds")).toHaveLength(1);
  },
);

test("a process that starts without Postgres runs by its environment until it is there", async () => {
  proxy.setMode("refuse");
  const { follower } = await follow({ url: proxied.href });
  expect([follower.current.version, rateOf(follower)]).toEqual([0, 11]);
  proxy.heal();
  const { version } = await readConfiguration(database.pool);
  await until(() => expect(follower.current.version).toBe(version));
  expect(rateOf(follower)).toBe(63);
});

test("a version that cannot be used is told once, and the one before holds until the next", async () => {
  const { follower, said } = await follow();
  const { version } = follower.current;
  await database.pool.query("INSERT INTO configuration_versions (version, settings, actor) VALUES ($1, $2, 'hand')", [
    version + 1,
    { rateLimit: { ordersPerSecond: -1 } },
  ]);
  await until(() => expect(said.at(-1)).toMatchObject({ level: 50, configuration: version + 1 }));
  const { follower: fresh } = await follow();
  expect([fresh.current.version, rateOf(fresh)]).toEqual([0, 11]); // it has never known a good one
  await patchConfiguration(database.pool, { rateLimit: { ordersPerSecond: 71 } }, by);
  await until(() => expect([rateOf(follower), rateOf(fresh)]).toEqual([71, 71]));
  expect(said.filter(({ level }) => level === 50)).toHaveLength(1);
});

test("names that this version does not know are left out, and the others hold", async () => {
  const { follower } = await follow();
  const { version } = follower.current;
  await database.pool.query("INSERT INTO configuration_versions (version, settings, actor) VALUES ($1, $2, 'later')", [
    version + 1,
    { rateLimit: { ordersPerSecond: 81, ordersPerFortnight: 5 }, tides: { high: true } },
  ]);
  await until(() => expect([follower.current.version, rateOf(follower)]).toEqual([version + 1, 81]));
  expect(follower.current.settings).not.toHaveProperty("tides");
  expect(follower.current.settings.rateLimit).not.toHaveProperty("ordersPerFortnight");
  // A patch would have to keep them; a whole document need not.
  await expect(set(82)).rejects.toMatchObject({ code: "INVALID_STATE" });
  await replaceConfiguration(database.pool, { rateLimit: { ordersPerSecond: 83 } }, by);
  await until(() => expect(rateOf(follower)).toBe(83));
});

test("a patch does not store again what is wrong with what is stored", async () => {
  const { version } = await readConfiguration(database.pool);
  await database.pool.query("INSERT INTO configuration_versions (version, settings, actor) VALUES ($1, $2, 'hand')", [
    version + 1,
    { log: { level: "loud" } },
  ]);
  await expect(set(91)).rejects.toMatchObject({ code: "VALIDATION", facts: { errors: [{ path: "log.level" }] } });
  await patchConfiguration(database.pool, { log: null, rateLimit: { ordersPerSecond: 91 } }, by);
});

test("follows a database that went back, as after a restore", async () => {
  const { follower } = await follow();
  const { version } = follower.current;
  await database.pool.query("ALTER TABLE configuration_versions DISABLE TRIGGER configuration_versions_append_only");
  await database.pool.query("DELETE FROM configuration_versions WHERE version > 1");
  expect(version).toBeGreaterThan(1);
  await until(() => expect([follower.current.version, rateOf(follower)]).toEqual([1, 21]));
  await database.pool.query("DELETE FROM configuration_versions");
  await until(() => expect([follower.current.version, rateOf(follower)]).toEqual([0, 11]));
});
