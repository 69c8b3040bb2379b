// The README's library example, taken from the README and run as it stands.
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { findOrder } from "../../engine/ledger/orders.ts";
import { openTestSale, startEngine, startPersister } from "../support/assembly.ts";
import { type InstalledPackage, installPackage, PINNED_NODE } from "../support/installed-package.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startTestRedis, type TestRedis } from "../support/redis.ts";

const README = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const database = await createTestDatabase();
let redis: TestRedis;
let shop: Awaited<ReturnType<typeof startEngine>>;
let installed: InstalledPackage;
const servers = () => ({ databaseUrl: database.url, redisUrl: redis.url });

beforeAll(async () => {
  [redis, installed] = await Promise.all([startTestRedis(), installPackage()]);
  installed.write("example.ts", exampleOf("As a library"));
  shop = await startEngine(servers());
});
afterAll(async () => {
  await shop.stop();
  await redis.stop();
  installed.remove();
});

/** The one TypeScript block of a README section. */
function exampleOf(section: string): string {
  const text = README.split(/^## /m).find((part) => part.startsWith(`${section}\n`)) ?? "";
  const [, example] = /^```ts\n([\s\S]*?)^```$/m.exec(text) ?? [];
  if (example === undefined) throw new Error(`README.md has no \`\`\`ts block under "${section}"`);
  return example;
}

function runExample(sale: { saleId: string; productId: string }): Promise<string> {
  return installed.run(PINNED_NODE, "example.ts", {
    REDIS_URL: redis.url,
    DATABASE_URL: database.url,
    RECEIPT_SECRET: "r".repeat(32),
    SALE_ID: sale.saleId,
    PRODUCT_ID: sale.productId,
  });
}

it("places an order, which the persister writes to Postgres", async () => {
  const sale = await openTestSale(shop, { stock: 10 });
  const persister = await startPersister(servers());
  try {
    const orderId = (await runExample(sale)).split(/\s/)[0] ?? "";
    expect(orderId).toMatch(UUID);
    const row = await vi.waitFor(
      async () => {
        const found = await findOrder(database.pool, orderId);
        expect(found).toBeDefined();
        return found;
      },
      { timeout: 10_000, interval: 20 },
    );
    expect(row).toMatchObject({ saleId: sale.saleId, status: "RESERVED", lines: [{ productId: sale.productId }] });
  } finally {
    await persister.stop();
  }
});

it("prints the code of a refusal", async () => {
  const sale = await openTestSale(shop, { stock: 0 });
  expect(await runExample(sale)).toMatch(/^SOLD_OUT\b/);
});

it("type checks", async () => {
  expect(await installed.typeCheck()).toBe("");
});
