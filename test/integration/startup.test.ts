// Roles whose servers are away at their start: they wait, say so, and serve when the servers are there.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer, type Server } from "node:net";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { isAway, untilServersAnswer } from "../../engine/startup.ts";
import { freePort } from "../../runtime/embedded/server.ts";
import { SupervisedProcess, untilChildSaysReady } from "../../runtime/supervisor.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startTestRedis, type TestRedis } from "../support/redis.ts";

const database = await createTestDatabase();
let redis: TestRedis;
const children: ChildProcess[] = [];
const doors: Server[] = [];

beforeAll(async () => {
  redis = await startTestRedis();
});
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }
  for (const door of doors.splice(0)) door.close();
});
afterAll(() => redis.stop());

const ENTRIES = { api: "api/main.ts", persister: "persister/main.ts", worker: "persister/jobs/main.ts" } as const;

/** Starts a role's real process. `said` resolves when it says so over its channel. */
async function startRole(role: keyof typeof ENTRIES, env: { redisUrl?: string; databaseUrl?: string } = {}) {
  const port = await freePort();
  const child = spawn(process.execPath, [fileURLToPath(new URL(`../../${ENTRIES[role]}`, import.meta.url))], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    env: {
      ...{ PATH: process.env["PATH"], ROLES: role, PORT: String(port), LOG_LEVEL: "silent" },
      REDIS_URL: env.redisUrl ?? redis.url,
      DATABASE_URL: env.databaseUrl ?? database.url,
      ...{ JWT_SECRET: "j".repeat(32), RECEIPT_SECRET: "r".repeat(32) },
    },
  });
  children.push(child);
  const heard: string[] = [];
  const ended = once(child, "exit").then(([code]) => Promise.reject(new Error(`${role} ended with ${code}`)));
  ended.catch(() => undefined);
  child.on("message", (message: { type: string }) => heard.push(message.type));
  const said = async (type: string) => {
    while (!heard.includes(type)) await Promise.race([once(child, "message"), ended]);
  };
  return { child, said, heard, url: `http://127.0.0.1:${port}` };
}

/** A port on which nothing listens until it is opened, and then the server behind. */
async function closedDoor(to: string) {
  const target = new URL(to);
  const port = await freePort();
  const url = new URL(to);
  url.port = String(port);
  return {
    url: url.href,
    open: async () => {
      const door = createServer((socket) => {
        const behind = connect(Number(target.port), target.hostname);
        for (const end of [socket, behind]) end.on("error", () => undefined);
        socket.pipe(behind).pipe(socket);
        // A process that is killed while an answer is on its way resets its end, which no pipe passes on.
        socket.on("close", () => behind.destroy());
      });
      doors.push(door);
      door.listen(port, "127.0.0.1");
      await once(door, "listening");
    },
  };
}

it.each(["persister", "worker"] as const)("a %s waits for Redis, and starts when it is there", async (role) => {
  const door = await closedDoor(redis.url);
  const started = await startRole(role, { redisUrl: door.url });
  await started.said("waiting");
  await door.open();
  await started.said("ready");
  expect(started.heard).toEqual(["waiting", "starting", "ready"]);
});

it("an API lives and is not ready while it waits for Postgres, and then serves at the same address", async () => {
  const door = await closedDoor(database.url);
  const { said, url } = await startRole("api", { databaseUrl: door.url });
  await said("waiting");
  expect((await expectAnswer(`${url}/healthz`)).status).toBe(200);
  const ready = await expectAnswer(`${url}/readyz`);
  expect([ready.status, await ready.json()]).toEqual([503, expect.objectContaining({ code: "OVERLOADED" })]);
  expect((await fetch(`${url}/api/v1/sales`)).headers.get("retry-after")).toBe("1");
  await door.open();
  await said("ready");
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
});

it("a role that waits ends at once when it is told to", async () => {
  const door = await closedDoor(redis.url);
  const { child, said } = await startRole("persister", { redisUrl: door.url });
  await said("waiting");
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  expect(await ended).toEqual([0, null]);
});

it("a server that refuses is not waited for", async () => {
  const wrong = new URL(redis.url);
  wrong.password = "wrong";
  const onAway = () => Promise.reject(new Error("it was waited for"));
  const servers = { redisUrl: wrong.href, databaseUrl: database.url };
  await expect(untilServersAnswer(servers, { onAway })).rejects.toThrow("WRONGPASS");
  const missing = new URL(database.url);
  missing.pathname = "/no_such_database";
  const others = { redisUrl: redis.url, databaseUrl: missing.href };
  await expect(untilServersAnswer(others, { onAway })).rejects.toThrow("does not exist");
  expect(isAway(new TypeError("x is not a function"))).toBe(false);
});

it("a supervisor does not give up on a process that ends because its servers went away", async () => {
  let starts = 0;
  const failures: string[] = [];
  let isUp = Promise.withResolvers<void>();
  // Ready at first and then without its servers, six times: more deaths than are forgiven.
  const code = (last: boolean) =>
    `process.send({ type: "ready" }); ${last ? "setInterval(() => {}, 1000)" : "setTimeout(() => process.exit(75), 5)"}`;
  const supervised = new SupervisedProcess(
    {
      name: "role",
      spawn: () => {
        starts += 1;
        const child = spawn(process.execPath, ["-e", code(starts > 6)], {
          stdio: ["ignore", "ignore", "ignore", "ipc"],
        });
        children.push(child);
        return child;
      },
      ready: async (child) => {
        await untilChildSaysReady(child, "role", 20_000, () => undefined);
        if (starts > 6) isUp.resolve();
      },
      stopSignal: "SIGTERM",
      stopTimeoutMs: 5_000,
    },
    {
      started: () => undefined,
      died: () => undefined,
      recovered: () => undefined,
      failed: (_name, reason) => {
        failures.push(reason);
        isUp.reject(new Error(reason));
      },
    },
  );
  await supervised.start();
  await isUp.promise;
  isUp = Promise.withResolvers();
  expect(failures).toEqual([]);
  await supervised.stop();
}, 120_000);

/** An answer of a server that may not listen yet. */
async function expectAnswer(url: string): Promise<Response> {
  await expect
    .poll(
      () =>
        fetch(url).then(
          () => true,
          () => false,
        ),
      { timeout: 20_000 },
    )
    .toBe(true);
  return await fetch(url);
}
