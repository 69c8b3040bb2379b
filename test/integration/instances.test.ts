// The registry of instances by the roles' real processes: what each tells of itself, and what is told of those that are late,
// killed, stopped, or without a server.
import { expect, test, vi } from "vitest";
import { listInstances } from "../../engine/instances/instances.ts";
import { FaultProxy } from "../support/faults/proxy.ts";
import { accessToken } from "./api-shop.ts";
import { runCli } from "./cli-shop.ts";
import { openRoleShop } from "./role-shop.ts";

vi.setConfig({ testTimeout: 120_000 });
const shop = await openRoleShop();
/** Beats come every two seconds, and a process is gone after fifteen without one. */
const SOON = { timeout: 40_000, interval: 100 };

interface Item {
  readonly id: string;
  readonly role: string;
  readonly state: string;
  readonly pid: number;
  readonly build: string;
  readonly startedAt: string;
  readonly heardAt: string;
  readonly endedAt: string | null;
  readonly health: { readonly ready: boolean; readonly checks: Record<string, boolean> };
  readonly load: Record<string, number>;
  readonly partitions: readonly string[];
}

async function instances(): Promise<{ items: Item[]; current: boolean }> {
  const { status, body } = await shop.call("GET", "/admin/instances", undefined, shop.admin);
  expect(status).toBe(200);
  return body as unknown as { items: Item[]; current: boolean };
}

/** Until one of the role is told to be so. */
const until = (role: string, like: object) =>
  vi.waitFor(async () => {
    const found = (await instances()).items.filter((one) => one.role === role);
    expect(found).toContainEqual(expect.objectContaining(like));
    return found.find(({ state }) => !("state" in like) || state === like.state);
  }, SOON) as Promise<Item>;

const cli = (...args: string[]) => runCli(args, { REDIS_URL: shop.redis.url, DATABASE_URL: shop.databaseUrl });

test("every process says what it is, what it has to do, and that it can do it", async () => {
  await shop.openSale(10);
  await vi.waitFor(async () => {
    const persister = (await instances()).items.find(({ role }) => role === "persister");
    expect(persister?.partitions).toContain("catalog.0");
    expect(persister?.load["partitions"]).toBe(persister?.partitions.length);
  }, SOON);
  const { items, current } = await instances();
  expect(current).toBe(true);
  expect(items.map(({ role }) => role)).toEqual(["api", "persister", "worker"]);
  const common = { state: "up", version: "0.1.0", node: process.version, configuration: 0, endedAt: null };
  for (const one of items) {
    expect(one).toMatchObject({ ...common, build: expect.stringMatching(/^[0-9a-f]{12}$/) });
    expect(one).toMatchObject({ ackMode: one.role === "api" ? "fsync" : null });
    expect(one.health).toMatchObject({ ready: true, checks: { redis: true, postgres: true, accepting: true } });
    expect(one.load).toMatchObject({
      eventLoopDelayP99Ms: expect.any(Number),
      eventLoopUtilization: expect.any(Number),
      cpu: expect.any(Number),
      rssBytes: expect.any(Number),
    });
    expect(one.load["rssBytes"]).toBeGreaterThan(10_000_000);
    expect(Date.parse(one.startedAt)).toBeLessThan(Date.parse(one.heardAt));
  }
  expect(new Set(items.map(({ build }) => build)).size).toBe(1);
  const [api, , worker] = items;
  expect(api?.load).toMatchObject({ ordersPerSecond: expect.any(Number), sockets: 0 });
  expect(api?.health.checks).toMatchObject({ durability: true, catalogue: true });
  expect(worker?.load).toMatchObject({ jobsInFlight: expect.any(Number), deliveriesInFlight: 0 });
});

test("the load moves under orders", async () => {
  const sale = await shop.openSale(1_000_000);
  const customer = await shop.member(0);
  await vi.waitFor(
    async () => {
      await shop.order(sale, customer.token, 40, "card");
      const { items } = await instances();
      const of = (role: string, name: string) => items.find((one) => one.role === role)?.load[name];
      expect(of("api", "ordersPerSecond")).toBeGreaterThan(1);
      expect(of("persister", "ordersPerSecond")).toBeGreaterThan(1);
      expect(of("persister", "batchesPerSecond")).toBeGreaterThan(0);
      expect(of("api", "eventLoopUtilization")).toBeGreaterThan(0.01);
      expect(of("api", "cpu")).toBeGreaterThan(0.01);
    },
    { timeout: 40_000, interval: 10 },
  );
});

test("a process that misses beats is late, and up again with the next one", async () => {
  const before = await until("persister", { state: "up" });
  shop.signal("persister", "SIGSTOP");
  await until("persister", { id: before.id, state: "late" });
  const { code, out } = await cli("instances");
  expect([code, out]).toEqual([1, expect.stringContaining("late")]);
  shop.signal("persister", "SIGCONT");
  await until("persister", { id: before.id, state: "up" });
});

test("a killed process turns late, then gone; its successor on the same machine tells at once", async () => {
  const first = await until("worker", { state: "up" });
  await shop.kill("worker");
  await until("worker", { id: first.id, state: "late" });
  const gone = await until("worker", { id: first.id, state: "gone" });
  expect(gone.endedAt).toBeNull();
  const status = await cli("status", "--json");
  expect([status.code, JSON.parse(status.out).findings]).toEqual([1, expect.arrayContaining(["No worker runs."])]);
  expect((await cli("instances", "--json")).code).toBe(1);

  await shop.start("worker");
  const second = await until("worker", { state: "up" });
  expect(second.id).not.toBe(first.id);
  await shop.kill("worker");
  await shop.start("worker");
  // Not after fifteen seconds: the new one has looked.
  const { items } = await instances();
  expect(items.find(({ id }) => id === second.id)).toMatchObject({ state: "gone", endedAt: expect.any(String) });
});

test("a process that ended in good order says stopped", async () => {
  const before = await until("worker", { state: "up" });
  expect(await shop.stop("worker")).toBe(0);
  const { items } = await instances();
  expect(items.find(({ id }) => id === before.id)).toMatchObject({
    state: "stopped",
    endedAt: expect.any(String),
    health: { ready: true },
  });
  await shop.start("worker");
  const { code, out } = await cli("instances");
  expect([code, out]).toEqual([0, expect.stringMatching(/worker +ready(.|\n)*worker +stopped/)]);
  const listed = JSON.parse((await cli("instances", "--json")).out) as Item[];
  expect(listed.map(({ id }) => id)).toEqual((await instances()).items.map(({ id }) => id));
});

test("Redis away: everybody is up and not ready, and the page says so", async () => {
  await shop.redis.kill();
  for (const role of ["api", "persister", "worker"]) {
    await vi.waitFor(async () => {
      const { items, current } = await instances();
      const one = items.find((item) => item.role === role && item.state === "up");
      expect([current, one?.health]).toMatchObject([true, { ready: false, checks: { redis: false, postgres: true } }]);
    }, SOON);
  }
  expect((await cli("instances")).out).toMatch(/api +no redis/);
  await shop.redis.restart();
  for (const role of ["api", "persister", "worker"]) {
    await vi.waitFor(async () => {
      const one = (await instances()).items.find((item) => item.role === role && item.state === "up");
      expect(one?.health.ready).toBe(true);
    }, SOON);
  }
});

test("Postgres away: the page shows what it was told last, and the process that answers as it is now", async () => {
  const { port } = new URL(shop.databaseUrl);
  const way = await FaultProxy.start(Number(port));
  const through = new URL(shop.databaseUrl);
  through.port = String(way.port);
  try {
    await shop.stop("api");
    await shop.start("api", { DATABASE_URL: through.href });
    const api = await until("api", { state: "up" });
    const worker = await until("worker", { state: "up" });
    for (const mode of ["refuse", "silent"] as const) {
      way.setMode(mode);
      await vi.waitFor(async () => {
        const { items, current } = await instances();
        expect(current).toBe(false);
        expect(items.find(({ id }) => id === api.id)?.health).toMatchObject({
          ready: false,
          checks: { redis: true, postgres: false },
        });
        expect(items.find(({ id }) => id === worker.id)).toMatchObject({ state: "up", pid: worker.pid });
      }, SOON);
      way.heal();
      await vi.waitFor(async () => expect((await instances()).current).toBe(true), SOON);
      await until("api", { id: api.id, state: "up", health: expect.objectContaining({ ready: true }) });
    }
  } finally {
    await shop.stop("api");
    await way.stop();
    await shop.start("api");
  }
});

test("metrics count the processes by role and state", async () => {
  const text = await (await fetch(`${shop.url}/metrics`)).text();
  expect(text).toContain('onrush_instances{role="api",state="up"} 1');
  expect(text).toMatch(/onrush_instances\{role="worker",state="(gone|stopped)"\} [1-9]/);
  expect(text).toContain('onrush_instances_not_ready{role="persister"} 0');
});

test("what was long ago is not shown, and not kept", async () => {
  await shop.pool.query("UPDATE instances SET beat_at = now() - interval '61 minutes' WHERE ended IS NOT NULL");
  expect((await listInstances(shop.pool)).every(({ state }) => state === "up")).toBe(true);
  await shop.stop("worker");
  await shop.start("worker");
  const left = await shop.pool.query("SELECT FROM instances WHERE beat_at < now() - interval '1 hour'");
  expect(left.rowCount).toBe(0);
});

test("customers see nothing of it", async () => {
  const customer = await shop.member(0);
  expect((await shop.call("GET", "/admin/instances", undefined, customer.token)).status).toBe(403);
  expect(
    (await shop.call("GET", "/admin/instances", undefined, await accessToken(customer.id, ["support"]))).status,
  ).toBe(200);
});
