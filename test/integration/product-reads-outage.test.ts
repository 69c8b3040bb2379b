// The cache's Redis goes away and comes back, or is not there from the start: products are read all the same, and nothing
// old is shown that survived on it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, expect, onTestFinished, test, vi } from "vitest";
import { createProduct } from "../../engine/catalogue/products.ts";
import { PRODUCT_COPIES } from "../../engine/keys.ts";
import { commandConnection, connect } from "../../engine/redis/connection.ts";
import { FaultProxy } from "../support/faults/proxy.ts";
import { startTestRedis } from "../support/redis.ts";
import { JWT_SECRET, openApiShop, RECEIPT_SECRET } from "./api-shop.ts";
import { runCli } from "./cli-shop.ts";
import { type ReadingProcess, startReading } from "./product-reads-processes.ts";

vi.setConfig({ testTimeout: 60_000 });
const MAIN = fileURLToPath(new URL("../../api/main.ts", import.meta.url));
const WAIT = { timeout: 20_000, interval: 20 };
const shop = await openApiShop();
/** A server for the copies alone. */
const cache = await startTestRedis();
afterAll(() => cache.stop());
const url = cache.urlOf("onrush_api");

async function make(): Promise<string> {
  const id = crypto.randomUUID();
  await createProduct(shop.pool, id, { name: "녹차", description: "", price: 1, currency: "KRW" });
  return id;
}
const rename = (id: string, name: string) =>
  shop.pool.query("UPDATE products SET name = $2, version = version + 1 WHERE id = $1", [id, name]);

async function reading(at = url): Promise<ReadingProcess> {
  const process = await startReading(at, shop.pool);
  onTestFinished(() => process.stop());
  return process;
}
const nameOf = async ({ reads }: ReadingProcess, id: string) => (await reads.find(id))?.name;
/** Reads until the copy is read. */
const untilHit = (process: ReadingProcess, id: string, name: string) =>
  expect
    .poll(async () => {
      const { hit } = process.reads.reads;
      return (await nameOf(process, id)) === name && process.reads.reads.hit > hit;
    }, WAIT)
    .toBe(true);

test("killed and started again: read from Postgres meanwhile, and what survived is not shown when it is old", async () => {
  const id = await make();
  const [one, two] = [await reading(), await reading()];
  await untilHit(one, id, "녹차");
  await untilHit(two, id, "녹차");
  await cache.kill();
  await rename(id, "홍차");
  await one.reads.refresh([id]);
  expect(one.errors).toHaveLength(1);
  for (const process of [one, two]) {
    const { fallback } = process.reads.reads;
    expect(await nameOf(process, id)).toBe("홍차");
    expect(process.reads.reads.fallback).toBe(fallback + 1);
  }
  await cache.restart();
  const redis = commandConnection(cache.url, 1_000);
  onTestFinished(() => redis.disconnect());
  await connect(redis);
  await expect.poll(() => one.told, WAIT).toEqual(["away", "back"]);
  await untilHit(one, id, "홍차");
  await untilHit(two, id, "홍차");
  expect(await redis.hget(`${PRODUCT_COPIES}:${id}`, "name")).toBe("홍차");
});

test("what survived is there, was old, and a process that knows better does not show it", async () => {
  const id = await make();
  const process = await reading();
  await untilHit(process, id, "녹차");
  await cache.kill();
  await rename(id, "홍차");
  expect(await nameOf(process, id)).toBe("홍차");
  await cache.restart();
  const redis = commandConnection(cache.url, 1_000);
  onTestFinished(() => redis.disconnect());
  await connect(redis);
  expect(await redis.hget(`${PRODUCT_COPIES}:${id}`, "name")).toBe("녹차");
  await expect.poll(() => process.copies.isThere, WAIT).toBe(true);
  expect(await nameOf(process, id)).toBe("홍차");
  await untilHit(process, id, "홍차");
});

test("frozen: readers are answered from Postgres, and from copies again when it goes on", async () => {
  const id = await make();
  const process = await reading();
  await untilHit(process, id, "녹차");
  const { fallback } = process.reads.reads;
  cache.freeze();
  try {
    const readers = await Promise.all(Array.from({ length: 50 }, () => nameOf(process, id)));
    expect(new Set(readers)).toEqual(new Set(["녹차"]));
    expect(process.reads.reads.fallback).toBe(fallback + 50);
    expect(process.copies.isThere).toBe(false);
    expect(await nameOf(process, id)).toBe("녹차");
    await expect.poll(() => process.told, WAIT).toEqual(["away"]);
  } finally {
    cache.thaw();
  }
  await expect.poll(() => process.told, WAIT).toEqual(["away", "back"]);
  await untilHit(process, id, "녹차");
});

test("connections that swallow everything, are refused, are cut: each is given up and made anew", async () => {
  const proxy = await FaultProxy.start(cache.port);
  onTestFinished(() => proxy.stop());
  const through = new URL(url);
  through.port = String(proxy.port);
  const id = await make();
  const process = await reading(through.href);
  await untilHit(process, id, "녹차");
  for (const mode of ["silent", "refuse"] as const) {
    proxy.setMode(mode);
    const { fallback } = process.reads.reads;
    await expect
      .poll(async () => {
        expect(await nameOf(process, id)).toBe("녹차");
        return process.reads.reads.fallback;
      }, WAIT)
      .toBeGreaterThan(fallback);
    const count = mode === "silent" ? "swallowed" : "refused";
    const before = proxy.counts[count];
    await expect.poll(() => proxy.counts[count], WAIT).toBeGreaterThan(before + 1);
    proxy.heal();
    await untilHit(process, id, "녹차");
  }
  proxy.cutAll();
  await untilHit(process, id, "녹차");
});

test("a log-in that is refused, a right that is missing: Postgres answers, and it is told once", async () => {
  const id = await make();
  const wrong = new URL(url);
  wrong.password = "wrong";
  const stranger = await reading(wrong.href);
  await expect.poll(() => stranger.told, WAIT).toEqual(["away"]);
  expect(await nameOf(stranger, id)).toBe("녹차");

  const admin = commandConnection(cache.url, 1_000);
  onTestFinished(() => admin.disconnect());
  await connect(admin);
  await admin.call("ACL", "SETUSER", "reader", "on", ">reader", "~onrush:*", "+@all", "-hgetall");
  const limited = new URL(url);
  limited.username = "reader";
  limited.password = "reader";
  const process = await reading(limited.href);
  await expect.poll(() => process.copies.isThere, WAIT).toBe(true);
  for (let turn = 0; turn < 3; turn += 1) expect(await nameOf(process, id)).toBe("녹차");
  expect(process.reads.reads).toEqual({ hit: 0, miss: 0, fallback: 3 });
  expect(process.errors.map((error) => (error as Error).message)).toEqual([expect.stringContaining("NOPERM")]);
  expect(process.told).toEqual([]);
});

test("a process starts without it, takes it up when it comes, and shows what an import changed", async () => {
  const id = await make();
  await cache.kill();
  const child = spawn(process.execPath, [MAIN], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    env: {
      PATH: process.env["PATH"],
      PORT: "0",
      REDIS_URL: shop.redis.urlOf("onrush_api"),
      CACHE_REDIS_URL: url,
      DATABASE_URL: shop.databaseUrl,
      JWT_SECRET,
      RECEIPT_SECRET,
      LOG_LEVEL: "error",
      RATE_LIMIT_ENABLED: "false",
    },
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const exited = once(child, "exit");
  const [ready] = (await Promise.race([once(child, "message"), exited])) as [{ url: string }];
  const read = async () =>
    ((await (await fetch(`${ready.url}/api/v1/products/${id}`)).json()) as { name: string }).name;
  const count = async (outcome: string) => {
    const text = await (await fetch(`${ready.url}/metrics`)).text();
    return Number(new RegExp(`^onrush_product_reads_total\\{outcome="${outcome}"\\} (\\d+)`, "m").exec(text)?.[1]);
  };
  expect(await read()).toBe("녹차");
  expect([await count("fallback"), await count("hit")]).toEqual([1, 0]);

  await cache.restart();
  await expect
    .poll(async () => {
      expect(await read()).toBe("녹차");
      return await count("hit");
    }, WAIT)
    .toBeGreaterThan(0);

  const file = path.join(cache.directory, "products.jsonl");
  writeFileSync(file, JSON.stringify({ id, name: "홍차", price: 2 }));
  const env = { REDIS_URL: shop.redis.url, DATABASE_URL: shop.databaseUrl };
  expect((await runCli(["product", "import", file, "--yes"], env)).code).toBe(0);
  await expect.poll(read, WAIT).toBe("홍차");
  child.kill("SIGTERM");
  expect(await exited).toEqual([0, null]);
});
