// The admin CLI as a process, as an operator runs it.
import { execFile, execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { findOrder } from "../../engine/ledger/orders.ts";
import { openTestSale, startEngine, startPersister } from "../support/assembly.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startTestRedis, type TestRedis } from "../support/redis.ts";
import { scratchFolder } from "../support/scratch.ts";

const CLI = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));
vi.setConfig({ testTimeout: 300_000 });
const database = await createTestDatabase();
let redis: TestRedis;
let shop: Awaited<ReturnType<typeof startEngine>>;
let sale: { saleId: string; productId: string };

beforeAll(async () => {
  redis = await startTestRedis();
  shop = await startEngine({ databaseUrl: database.url, redisUrl: redis.url });
  sale = await openTestSale(shop, { stock: 10 });
});
afterAll(async () => {
  await shop.stop();
  await redis.stop();
});

interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function onrush(args: string[], env: Record<string, string> = { REDIS_URL: redis.url, DATABASE_URL: database.url }) {
  return new Promise<Run>((resolve) => {
    execFile(process.execPath, [CLI, ...args], { env: { PATH: process.env["PATH"], ...env } }, (error, out, err) => {
      resolve({ code: typeof error?.code === "number" ? error.code : 0, out, err });
    });
  });
}

const place = () =>
  shop.engine.place({
    saleId: sale.saleId,
    customerId: randomUUID(),
    items: [{ productId: sale.productId, quantity: 1 }],
    payment: { method: "later" },
  });

describe("onrush", () => {
  it("shows stock by Redis beside the ledger", async () => {
    const { code, out } = await onrush(["stock", "show", "--sale", sale.saleId]);
    expect(code).toBe(0);
    expect(out).toContain(`${sale.saleId}.0  live\n`);
    expect(out).toMatch(/^product +available/m);
    expect(out).toMatch(/^커피 +10 +0 +0 +0 +0 +10$/m);
  });

  it("plans a rebuild without touching anything, and carries it out when told to", async () => {
    const persister = await startPersister({ databaseUrl: database.url, redisUrl: redis.url });
    const order = await place();
    await vi.waitFor(async () => expect(await findOrder(shop.pool, order.orderId)).toBeDefined(), { timeout: 30_000 });
    await persister.stop();
    await shop.redis.flushall();
    expect((await onrush(["stock", "show", "--sale", sale.saleId])).code).toBe(1);
    const plan = await onrush(["stock", "rebuild", "--sale", sale.saleId]);
    expect(plan).toMatchObject({ code: 0, out: expect.stringContaining("Nothing was changed") });
    await expect(place()).rejects.toMatchObject({ code: "STOCK_UNAVAILABLE" });

    const done = await onrush(["stock", "rebuild", "--sale", sale.saleId, "--apply", "--json"]);
    expect(done.code).toBe(0);
    expect(JSON.parse(done.out)).toMatchObject([{ saleId: sale.saleId, partition: 0, epoch: 2 }]);
    await shop.engine.catalogue.refresh();
    expect(order.orderId).not.toBe((await place()).orderId);
  });

  it("finds the instance that runs on DATA_DIR", async () => {
    const folder = scratchFolder("cli");
    try {
      const runtime = { apiUrl: null, redisUrl: redis.url, databaseUrl: database.url, pids: {} };
      writeFileSync(path.join(folder, "runtime.json"), JSON.stringify(runtime));
      const { code, out } = await onrush(["stock", "show", "--sale", sale.saleId, "--json"], { DATA_DIR: folder });
      expect([code, JSON.parse(out)]).toMatchObject([0, [{ saleId: sale.saleId }]]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it("says when a server cannot be reached, in the form that was asked for", async () => {
    const away = { REDIS_URL: "redis://127.0.0.1:1", DATABASE_URL: database.url };
    const text = await onrush(["stock", "show"], away);
    expect(text).toMatchObject({ code: 1, out: "", err: expect.stringMatching(/^Redis cannot be reached: .*\n$/) });
    const { code, err } = await onrush(["audit", "list", "--json"], {
      ...away,
      DATABASE_URL: "postgres://127.0.0.1:1/x",
    });
    expect([code, JSON.parse(err)]).toMatchObject([1, { error: { code: "UNREACHABLE" } }]);
    // What asks Postgres alone goes on without Redis, and status says what is away.
    expect(await onrush(["audit", "list"], away)).toMatchObject({ code: 0 });
    const status = await onrush(["status", "--json"], away);
    expect(status.code).toBe(1);
    expect(JSON.parse(status.out)).toMatchObject({ servers: { redis: null } });
    expect(status.out).toContain("Redis cannot be reached.");
  });

  it("completes words in a shell", async () => {
    const { code, out } = await onrush(["completion", "bash"]);
    expect(code).toBe(0);
    const complete = (...words: string[]) =>
      execFileSync(
        "bash",
        [
          "-c",
          `${out}\nCOMP_WORDS=(onrush ${words.join(" ")}); COMP_CWORD=${words.length}; _onrush
        printf '%s\\n' "\${COMPREPLY[@]}"`,
        ],
        { encoding: "utf8" },
      )
        .trim()
        .split("\n");
    expect(complete("st")).toEqual(["stock", "status"]);
    expect(complete("stock", "re")).toEqual(expect.arrayContaining(["restock", "rebuild"]));
    expect(complete("stock", "rebuild", "--a")).toEqual(["--apply"]);
    expect((await onrush(["completion", "zsh"])).out).toContain("bashcompinit");
    expect((await onrush(["completion", "fish"])).out).toContain("complete -c onrush -f");
    expect(JSON.parse((await onrush(["completion", "fish", "--json"])).out)).toMatchObject({ shell: "fish" });
    expect(await onrush(["completion", "cmd"])).toMatchObject({
      code: 2,
      err: expect.stringContaining("no completion"),
    });
  });

  it("says what was wrong in one line: 2 for bad usage, 1 for what cannot be done", async () => {
    expect(await onrush(["stock", "nonsense"])).toMatchObject({
      code: 2,
      err: expect.stringContaining("unknown command"),
    });
    expect(await onrush(["stock", "show", "--nonsense"])).toMatchObject({ code: 2 });
    expect(await onrush(["stock", "show", "--sale", "nowhere"])).toMatchObject({
      code: 1,
      err: "There is no sale nowhere.\n",
    });
    const lost = await onrush(["stock", "show"], { DATA_DIR: "/nonexistent" });
    expect(lost).toMatchObject({ code: 1, err: expect.stringContaining("No instance runs on /nonexistent") });
    expect(await onrush(["--help"])).toMatchObject({ code: 0, out: expect.stringContaining("Examples:") });
  });
});
