// `onrush orders honour`, by the real binary: after a loss of Redis and a rebuild, an order by the answer that its client kept.
import { rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, expect, it, vi } from "vitest";
import { findPendingOrder } from "../../engine/pending.ts";
import { scratchFolder } from "../support/scratch.ts";
import { openCliShop, runCli } from "./cli-shop.ts";

vi.setConfig({ testTimeout: 300_000 });
const shop = await openCliShop();
const folder = scratchFolder("cli-honour");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const { redisUrl, databaseUrl } = shop.servers;
const servers = { REDIS_URL: redisUrl, DATABASE_URL: databaseUrl };
const SECRET = "r".repeat(32);
const honour = (file: string, args: string[] = [], env: Record<string, string> = { RECEIPT_SECRET: SECRET }) =>
  runCli(["orders", "honour", file, ...args], { ...servers, ...env });

function write(name: string, content: unknown): string {
  const file = path.join(folder, name);
  writeFileSync(file, typeof content === "string" ? content : JSON.stringify(content));
  return file;
}

it("plans, honours once, and says why not", async () => {
  const sale = await shop.openSale({ stock: 5 });
  const placed = await shop.place(sale, 2);
  if (placed.type !== "placed") throw new Error(placed.type);
  const items = placed.items.map(({ unitPrice, ...item }) => ({ ...item, price: unitPrice }));
  const body = { ...placed, orderTrackingId: placed.orderId, items };
  const file = write("answer.json", body);
  expect(await honour(file)).toMatchObject({ code: 1, err: expect.stringContaining("on its way") });
  await vi.waitFor(
    async () => {
      const reports = await shop.pool.query("SELECT seq FROM acknowledgements WHERE sale_id = $1", [sale.saleId]);
      expect(reports.rows).toEqual([{ seq: 2 }]);
    },
    { timeout: 20_000 },
  );
  await shop.redis.flushall();
  expect((await runCli(["stock", "rebuild", "--sale", sale.saleId, "--apply"], servers)).code).toBe(0);

  const plan = await honour(file);
  expect([plan.code, plan.err]).toEqual([0, ""]);
  expect(plan.out).toMatch(new RegExp(`^${sale.productId} +2 +2 +0$`, "m"));
  expect(plan.out).toContain("Nothing was changed. --apply honours it.");
  const at = { saleId: sale.saleId, partition: 0 };
  expect(await findPendingOrder(shop.redis, at, placed.orderId)).toBeUndefined();

  const changed = write("changed.json", { ...body, payable: 1 });
  expect(await honour(changed, ["--apply"])).toMatchObject({ code: 2, err: expect.stringContaining("receipt") });
  const other = await honour(file, ["--apply"], { RECEIPT_SECRET: "o".repeat(32) });
  expect(other).toMatchObject({ code: 2, err: expect.stringContaining("receipt") });
  expect(await findPendingOrder(shop.redis, at, placed.orderId)).toBeUndefined();

  const rotated = { RECEIPT_SECRET: "o".repeat(32), RECEIPT_SECRET_PREVIOUS: SECRET };
  const done = await honour(file, ["--apply", "--json"], rotated);
  expect(JSON.parse(done.out)).toEqual({ orderId: placed.orderId, honoured: "now" });
  expect(await findPendingOrder(shop.redis, at, placed.orderId)).toMatchObject({
    payload: { customerId: placed.customerId },
  });
  const unarmed = await honour(file, [], { DATA_DIR: folder });
  expect(unarmed).toMatchObject({ code: 1, err: expect.stringContaining("RECEIPT_SECRET") });
  expect((await honour(file, ["--apply"])).out).toBe(`The order ${placed.orderId} was honoured before.\n`);
});

it.each<[what: string, content: unknown]>([
  ["no JSON", "{"],
  ["no answer", { orderTrackingId: "x" }],
])("refuses a file that is %s", async (_what, content) => {
  expect((await honour(write("bad.json", content))).code).toBe(2);
});
