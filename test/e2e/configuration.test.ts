// Four processes, two of the API, a persister and a worker, under a load of orders: a change of the configuration reaches all of
// them and is what they then do; a bad one is refused whole; and no order is lost over any of it.
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { Agent, request } from "node:http";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { makeCustomerId } from "../../engine/members/users.ts";
import { freePort } from "../../runtime/embedded/server.ts";
import { accessToken, JWT_SECRET, RECEIPT_SECRET } from "../integration/api-shop.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startTestRedis } from "../support/redis.ts";
import { scratchFolder } from "../support/scratch.ts";
import { STRIPE_KEY } from "../support/stripe/server.ts";

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });
const database = await createTestDatabase();
const redis = await startTestRedis();
const dataDir = scratchFolder("configuration");
const admin = await accessToken(makeCustomerId(), ["admin"]);
const agent = new Agent({ keepAlive: true, maxSockets: 64 });
/** Within a second is what is promised; a busy machine that runs other tests is given more before it fails. */
const REACHED_MS_MAX = 10_000;
/** Orders a second, over both APIs. */
const ORDERS_PER_SECOND = 200;
const ORDERS_PER_ROUND = 10;

interface Said {
  readonly msg: string;
  readonly time: string;
  readonly level: number;
  readonly configuration?: number;
  readonly queue?: string;
}

interface RoleProcess {
  readonly name: string;
  readonly child: ChildProcess;
  readonly port: number;
  /** Its log. */
  readonly said: Said[];
}

async function startRole(name: string, role: "api" | "persister" | "worker", entry: string): Promise<RoleProcess> {
  const port = await freePort();
  const child = spawn(process.execPath, [fileURLToPath(new URL(`../../${entry}`, import.meta.url))], {
    stdio: ["ignore", "pipe", "inherit", "ipc"],
    env: {
      ...{ PATH: process.env["PATH"], ROLES: role, PORT: String(port), DATA_DIR: dataDir, LOG_LEVEL: "info" },
      ...{ REDIS_URL: redis.url, DATABASE_URL: database.url, JWT_SECRET, RECEIPT_SECRET, GUEST_ORDERS: "true" },
      STRIPE_SECRET_KEY: STRIPE_KEY,
      ...{ RATE_LIMIT_ORDERS_PER_SECOND: "100000", RATE_LIMIT_REQUESTS_PER_SECOND: "100000" },
    },
  });
  const said: Said[] = [];
  if (!child.stdout) throw new Error("there is a pipe");
  createInterface({ input: child.stdout }).on("line", (line) => said.push(JSON.parse(line) as Said));
  const ended = once(child, "exit").then(() => Promise.reject(new Error(`${name} ended`)));
  ended.catch(() => undefined);
  for (let last = ""; last !== "ready"; ) {
    [{ type: last }] = (await Promise.race([once(child, "message"), ended])) as [{ type: string }];
  }
  return { name, child, port, said };
}

let processes: RoleProcess[] = [];
const api = (n: number) => processes[n] as RoleProcess;
beforeAll(async () => {
  processes = await Promise.all([
    startRole("api 1", "api", "api/main.ts"),
    startRole("api 2", "api", "api/main.ts"),
    startRole("persister", "persister", "persister/main.ts"),
    startRole("worker", "worker", "persister/jobs/main.ts"),
  ]);
});
afterAll(async () => {
  await Promise.all(
    processes.map(async ({ child }) => {
      if (child.exitCode !== null) return;
      const gone = once(child, "exit");
      child.kill("SIGKILL");
      await gone;
    }),
  );
  agent.destroy();
  await redis.stop();
  rmSync(dataDir, { recursive: true, force: true });
});

interface Answer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly text: string;
}

function call(port: number, method: string, path: string, body?: unknown, token?: string): Promise<Answer> {
  const payload = body === undefined ? undefined : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const headers = {
      ...(payload && { "content-type": "application/json", "content-length": Buffer.byteLength(payload) }),
      ...(token && { authorization: `Bearer ${token}` }),
    };
    const sending = request({ host: "127.0.0.1", port, method, path, headers, agent }, async (response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk as Buffer);
      const text = Buffer.concat(chunks).toString();
      resolve({ status: response.statusCode ?? 0, retryAfter: response.headers["retry-after"], text });
    });
    sending.on("error", reject);
    sending.end(payload);
  });
}

async function asAdmin<T>(method: string, path: string, body?: unknown): Promise<T> {
  const { status, text } = await call(api(0).port, method, `/api/v1${path}`, body, admin);
  if (status >= 300) throw new Error(`${method} ${path}: ${status} ${text}`);
  return JSON.parse(text) as T;
}
const change = async (patch: unknown) => (await asAdmin<{ version: number }>("PATCH", "/admin/config", patch)).version;

/** Until each process has said that the version holds. @returns how long after `startedAtMs` each of them said so, in ms */
async function untilReached(version: number, startedAtMs: number): Promise<Record<string, number>> {
  const reached: Record<string, number> = {};
  await vi.waitFor(
    () => {
      for (const { name, said } of processes) {
        const line = said.find(({ msg, configuration }) => msg === NEWS && configuration === version);
        if (line) reached[name] = new Date(line.time).getTime() - startedAtMs;
      }
      expect(Object.keys(reached).toSorted()).toEqual(processes.map(({ name }) => name).toSorted());
    },
    { timeout: REACHED_MS_MAX, interval: 5 },
  );
  return reached;
}
const NEWS = "another configuration holds";
const until = (check: () => void | Promise<void>) => vi.waitFor(check, { timeout: 40_000, interval: 50 });

interface Load {
  readonly accepted: string[];
  /** Other answers, by status and code. */
  readonly refused: Map<string, number>;
  stop(): Promise<void>;
}

/** Orders at a steady rate, on both APIs in turn, however long the answers take. */
async function startLoad(): Promise<Load> {
  const { id: productId } = await asAdmin<{ id: string }>("POST", "/products", { name: "한정판", price: 1_000 });
  const sale = { name: "Sale", opensAt: new Date(0), items: [{ productId, stock: 1_000_000 }] };
  const { id: saleId } = await asAdmin<{ id: string }>("POST", "/sales", sale);
  // The API that did not make it hears of it a moment later.
  await until(async () => {
    const known = await Promise.all([0, 1].map((n) => call(api(n).port, "GET", `/api/v1/sales/${saleId}`)));
    expect(known.map(({ status }) => status)).toEqual([200, 200]);
  });
  const accepted: string[] = [];
  const refused = new Map<string, number>();
  const stopping = new AbortController();
  const waiting = new Set<Promise<void>>();
  const order = async (port: number) => {
    const body = { saleId, customerId: randomUUID(), items: [{ productId, quantity: 1 }] };
    const { status, text } = await call(port, "POST", "/api/v1/orders", body);
    const answer = JSON.parse(text) as { orderTrackingId: string; code?: string };
    if (status === 202) accepted.push(answer.orderTrackingId);
    else refused.set(`${status} ${answer.code}`, (refused.get(`${status} ${answer.code}`) ?? 0) + 1);
  };
  const loop = (async () => {
    for (let round = 0; !stopping.signal.aborted; round += 1) {
      for (let n = 0; n < ORDERS_PER_ROUND; n += 1) {
        const placed = order(api((round + n) % 2).port).finally(() => waiting.delete(placed));
        waiting.add(placed);
      }
      await sleep((1_000 / ORDERS_PER_SECOND) * ORDERS_PER_ROUND);
    }
  })();
  return {
    accepted,
    refused,
    async stop() {
      stopping.abort();
      await loop;
      await Promise.all(waiting);
    },
  };
}

async function endsOf(orders: readonly string[]): Promise<Record<string, number>> {
  const result = await database.pool.query<{ status: string; count: number }>(
    "SELECT status, count(*)::int AS count FROM orders WHERE id = ANY($1::uuid[]) GROUP BY status",
    [orders],
  );
  return Object.fromEntries(result.rows.map(({ status, count }) => [status, count]));
}

test("a change reaches four processes under load and is what they do; a bad one is refused whole", async () => {
  const load = await startLoad();
  onTestFinished(() => load.stop());
  await until(() => expect(load.accepted.length).toBeGreaterThan(100));

  // Ten in a row, each as soon as the one before has arrived.
  const figures: string[] = [];
  for (let n = 1; n <= 10; n += 1) {
    const startedAtMs = Date.now();
    const version = await change({ orders: { backlogMax: 100_000 + n } });
    const answeredMs = Date.now() - startedAtMs;
    expect(version).toBe(n);
    const reachedMs = Math.max(...Object.values(await untilReached(version, startedAtMs)));
    figures.push(`${reachedMs} (answered ${answeredMs})`);
  }
  if (process.env["TEST_FIGURES"]) process.stderr.write(`ms from PATCH to the last of four: ${figures.join(", ")}\n`);

  // A bad one, beside a good setting: refused, no version, nothing changed anywhere.
  const bad = { rateLimit: { ordersPerSecond: 1 }, pauses: { orders: "please" } };
  const refusal = await call(api(1).port, "PATCH", "/api/v1/admin/config", bad, admin);
  expect([refusal.status, JSON.parse(refusal.text)]).toMatchObject([
    400,
    { code: "VALIDATION", errors: [{ path: "pauses.orders" }] },
  ]);

  // The log's level: the persister tells of each batch from then on, and then no more.
  const persister = processes[2] as RoleProcess;
  const startedAtMs = Date.now();
  await untilReached(await change({ log: { level: "debug" } }), startedAtMs);
  await until(() => expect(persister.said.some(({ msg, level }) => msg === "applied" && level === 20)).toBe(true));
  await untilReached(await change({ log: null }), startedAtMs);

  // Orders: refused by both APIs, with when to come back; then taken again.
  expect([...load.refused]).toEqual([]);
  await untilReached(await change({ pauses: { orders: true } }), startedAtMs);
  for (const { port } of [api(0), api(1)]) {
    const body = { saleId: "catalog", items: [{ productId: randomUUID(), quantity: 1 }] };
    const { status } = await call(port, "POST", "/api/v1/orders", body);
    expect(status).toBe(404); // what is wrong with an order is still said
  }
  await until(() => expect(load.refused.get("503 OVERLOADED")).toBeGreaterThan(50));
  expect([...load.refused.keys()]).toEqual(["503 OVERLOADED"]);
  const paused = await call(api(1).port, "GET", "/metrics");
  expect(paused.text).toContain('onrush_paused{what="orders"} 1');
  await untilReached(await change({ pauses: { orders: null } }), startedAtMs);
  const acceptedBefore = load.accepted.length;
  await until(() => expect(load.accepted.length).toBeGreaterThan(acceptedBefore + 50));

  // Payments: orders are taken, and wait; then they are paid.
  await untilReached(await change({ pauses: { payments: true } }), startedAtMs);
  const worker = processes[3] as RoleProcess;
  await until(() =>
    expect(worker.said.some(({ msg, queue }) => msg === "a queue is paused" && queue === "payment")).toBe(true),
  );
  const from = load.accepted.length;
  await until(() => expect(load.accepted.length).toBeGreaterThan(from + 200));
  const waiting = load.accepted.slice(from + 100, from + 200);
  await until(async () => expect(await endsOf(waiting)).toEqual({ RESERVED: 100 }));
  await untilReached(await change({ pauses: null }), startedAtMs);
  await until(async () => expect(await endsOf(waiting)).toEqual({ CONFIRMED: 100 }));

  // The rate of orders of an address, and the provider: without a default, a card's order has to name its token.
  await load.stop();
  // What begins now would begin at the other provider, which does not know these tokens.
  await until(async () => expect(await endsOf(load.accepted)).toEqual({ CONFIRMED: load.accepted.length }));
  const order = (port: number, payment?: object) =>
    call(port, "POST", "/api/v1/orders", {
      customerId: randomUUID(),
      items: [{ productId: randomUUID(), quantity: 1 }],
      payment,
    });
  await untilReached(await change({ rateLimit: { ordersPerSecond: 1 }, payments: { gateway: "stripe" } }), startedAtMs);
  for (const { port } of [api(0), api(1)]) {
    const first = await order(port);
    expect([first.status, JSON.parse(first.text)]).toMatchObject([400, { errors: [{ path: "payment.token" }] }]);
    const statuses: number[] = [];
    for (let n = 0; n < 20; n += 1) statuses.push((await order(port, { method: "later" })).status);
    expect(statuses).toContain(429);
  }
  await untilReached(await change({ rateLimit: null, payments: null }), startedAtMs);

  // Redis away: the configuration does not ask it.
  await redis.kill();
  const withoutRedis = Date.now();
  const last = await change({ orders: null });
  await untilReached(last, withoutRedis);
  await redis.restart();

  // Every process says the same of itself, and every accepted order came through.
  await until(async () => {
    const { items } = await asAdmin<{ items: { role: string; configuration: number | null }[] }>(
      "GET",
      "/admin/instances",
    );
    expect(items.map(({ role, configuration }) => [role, configuration]).toSorted()).toEqual([
      ["api", last],
      ["api", last],
      ["persister", last],
      ["worker", last],
    ]);
  });
  for (const { port } of [api(0), api(1)]) {
    expect((await call(port, "GET", "/metrics")).text).toContain(`onrush_configuration_version ${last}`);
  }
  await until(async () => expect(await endsOf(load.accepted)).toEqual({ CONFIRMED: load.accepted.length }));
});
