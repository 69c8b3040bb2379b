// The admin CLI as a process, as an operator runs it.
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { findOrder } from "../../engine/ledger/orders.ts";
import { openTestSale, startEngine, startPersister } from "../support/assembly.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startTestRedis, type TestRedis } from "../support/redis.ts";

const CLI = fileURLToPath(new URL("../../cli/main.ts", import.meta.url));
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
    await vi.waitFor(async () => expect(await findOrder(shop.pool, order.orderId)).toBeDefined(), { timeout: 10_000 });
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
