// The life of an instance: start, stop, and everything that can be in the way of either.
import { existsSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import path from "node:path";
import { Redis } from "ioredis";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { identify } from "../../engine/process-identity.ts";
import { type InstancePlace, type InstanceProcess, instancePlace, startInstance } from "../support/instance.ts";

let place: InstancePlace;
let started: InstanceProcess[];

beforeEach(async () => {
  place = await instancePlace();
  started = [];
});

afterEach(async () => {
  for (const instance of started) {
    if (identify(instance.pid)) instance.signalGroup("SIGTERM");
    await instance.exited;
  }
  place.remove();
});

function start(env: Record<string, string> = {}): InstanceProcess {
  const instance = startInstance(place, env);
  started.push(instance);
  return instance;
}

function stillRunning(pids: Record<string, number>): string[] {
  return Object.keys(pids).filter((name) => identify(pids[name] ?? 0) !== undefined);
}

function modeOf(file: string): string {
  return (statSync(path.join(place.dataDir, file)).mode & 0o777).toString(8);
}

async function redisCall<T>(url: string, work: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url);
  redis.on("error", () => undefined);
  try {
    return await work(redis);
  } finally {
    redis.disconnect();
  }
}

async function sql(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

describe("an instance", () => {
  it("serves, says where, and keeps its secrets to itself", async () => {
    const instance = start();
    const runtime = await instance.untilReady();

    expect(await (await fetch(`${runtime.apiUrl}/`)).text()).toBe("ok");
    expect(Object.keys(runtime.pids).sort()).toEqual(["api", "persister", "postgres", "redis", "supervisor", "worker"]);
    expect(await redisCall(runtime.redisUrl, (redis) => redis.config("GET", "appendfsync"))).toContain("always");
    expect(await sql(runtime.databaseUrl, "SHOW synchronous_commit")).toEqual([{ synchronous_commit: "on" }]);
    expect(instance.output()).toContain(`curl -i ${runtime.apiUrl}/api/v1/orders`);
    for (const file of ["runtime.json", "secrets.json", "redis/users.acl"]) expect(modeOf(file), file).toBe("600");
  });

  it("stops on Ctrl-C in order, leaving nothing running, and starts again with what it had", async () => {
    const first = start();
    const before = await first.untilReady();
    await redisCall(before.redisUrl, (redis) => redis.set("onrush:kept", "1"));
    await sql(before.databaseUrl, "CREATE TABLE kept ()");
    first.signalGroup("SIGINT");

    expect(await first.exited).toBe(0);
    expect(stillRunning(before.pids)).toEqual([]);
    expect(first.output().match(/drained \w+/g)).toEqual(["drained api", "drained worker", "drained persister"]);
    expect(existsSync(path.join(place.dataDir, "runtime.json"))).toBe(false);

    const second = start();
    const after = await second.untilReady();
    expect(after.redisUrl).toBe(before.redisUrl);
    expect(after.databaseUrl).toBe(before.databaseUrl);
    expect(await redisCall(after.redisUrl, (redis) => redis.get("onrush:kept"))).toBe("1");
    expect(await sql(after.databaseUrl, "SELECT to_regclass('kept') IS NOT NULL AS kept")).toEqual([{ kept: true }]);
    expect(first.output()).toMatch(/password \S+ +\(shown this once\)/);
    expect(second.output()).not.toContain("password");
  });

  it("stops cleanly when it is told to while it is still starting", async () => {
    const instance = start();
    await instance.untilSaid("Starting Postgres");
    instance.signalGroup("SIGTERM");
    expect(await instance.exited).toBe(0);
    expect(readdirSync(place.dataDir)).not.toContain("processes.json");
  });

  it("recovers from kill -9: what was left running is ended, nothing acknowledged is lost", async () => {
    const first = start();
    const before = await first.untilReady();
    await redisCall(before.redisUrl, (redis) => redis.set("onrush:kept", "1"));
    await sql(before.databaseUrl, "CREATE TABLE kept ()");
    await first.kill();
    expect(stillRunning(before.pids)).toEqual(expect.arrayContaining(["redis", "postgres"]));

    const second = start();
    const after = await second.untilReady();
    expect(second.output()).toMatch(/Ended what a killed instance had left running: .*Postgres, Redis/);
    expect(stillRunning(before.pids)).toEqual([]);
    expect(await redisCall(after.redisUrl, (redis) => redis.get("onrush:kept"))).toBe("1");
    expect(await sql(after.databaseUrl, "SELECT to_regclass('kept') IS NOT NULL AS kept")).toEqual([{ kept: true }]);
  });
});

describe("a process that dies", () => {
  it("is started again where it was, be it a role or a server", async () => {
    const instance = start();
    const before = await instance.untilReady();
    for (const name of ["api", "worker", "Redis", "Postgres"]) {
      process.kill(before.pids[name.toLowerCase()] ?? 0, "SIGKILL");
      await instance.untilSaid(`${name} is back.`);
    }
    const after = await instance.untilReady();
    expect(stillRunning(before.pids)).toEqual(["supervisor", "persister"]);
    expect(stillRunning(after.pids)).toEqual(Object.keys(before.pids));
    expect({ ...after, pids: {} }).toEqual({ ...before, pids: {} });
    expect(await redisCall(after.redisUrl, (redis) => redis.ping())).toBe("PONG");
    expect(await sql(after.databaseUrl, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
    expect(await (await fetch(`${after.apiUrl}/`)).text()).toBe("ok");
  });

  it("again and again ends the instance, and everything with it", async () => {
    const instance = start({ TRIVIAL_ROLE_DIES: "worker" });
    const { pids } = await instance.untilReady();
    expect(await instance.exited).toBe(1);
    expect(instance.output()).toMatch(/Giving up on worker: it died 5 times within 60 s; the last time: exit code 3\./);
    expect(stillRunning(pids)).toEqual([]);
  });
});

describe("a start that cannot be", () => {
  it("says so when the directory is in use, and by whom", async () => {
    const first = start();
    const { apiUrl } = await first.untilReady();
    const second = start({ PORT: "0" });
    expect(await second.exited).toBe(1);
    expect(second.output().trim()).toBe(
      `Onrush is already running on ${place.dataDir} (pid ${first.pid}, ${apiUrl}); stop it first, or start another one with its own DATA_DIR and PORT.`,
    );
    expect(await (await fetch(`${apiUrl}/`)).text()).toBe("ok");
  });

  it("says so when the port is taken, before it starts anything", async () => {
    const squatter = createServer().listen(place.port, "127.0.0.1");
    const instance = start();
    expect(await instance.exited).toBe(1);
    expect(instance.output().trim()).toBe(
      `Port ${place.port} on 127.0.0.1 is already in use; stop what uses it, or set PORT to another one.`,
    );
    expect(existsSync(path.join(place.dataDir, "redis"))).toBe(false);
    squatter.close();
  });

  it("lists everything that is wrong with the configuration", async () => {
    const instance = start({ PORT: "99999", ACK_MODE: "maybe" });
    expect(await instance.exited).toBe(1);
    expect(instance.output()).toMatch(/PORT: .*\n.*ACK_MODE: /);
    expect(readdirSync(place.dataDir)).toEqual([]);
  });

  it("does not go on with secrets that it cannot read", async () => {
    writeFileSync(path.join(place.dataDir, "secrets.json"), "{}");
    const instance = start();
    expect(await instance.exited).toBe(1);
    expect(instance.output().trim()).toMatch(/secrets\.json is damaged; restore it from a backup\.$/);
  });

  it("shows the server's own words when a server does not start", async () => {
    const first = start();
    const { pids } = await first.untilReady();
    first.signalGroup("SIGTERM");
    await first.exited;
    expect(stillRunning(pids)).toEqual([]);
    const log = path.join(place.dataDir, "redis/appendonlydir");
    for (const file of readdirSync(log).filter((name) => name.endsWith(".manifest"))) {
      writeFileSync(path.join(log, file), "not a manifest\n");
    }
    const second = start();
    expect(await second.exited).toBe(1);
    expect(second.output()).toMatch(/Redis did not start \(exit code 1\)\. The end of .*redis\.log:\n.*manifest/s);
  });
});
