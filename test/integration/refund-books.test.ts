// What refunds leave in the books: units on sale again or written off, the proof of the sale, and the alarm of those that failed.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test, vi } from "vitest";
import { listStock } from "../../engine/ledger/allocations.ts";
import { runCli } from "./cli-shop.ts";
import { openRefundShop, WAIT } from "./refund-shop.ts";

vi.setConfig({ testTimeout: 120_000 });
const shop = await openRefundShop();
const { pool, servers } = shop;
const folder = mkdtempSync(path.join(tmpdir(), "onrush-test-refunds-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const onrush = (...args: string[]) =>
  runCli(args, { REDIS_URL: servers.redisUrl, DATABASE_URL: servers.databaseUrl, DATA_DIR: folder });
const json = async (...args: string[]) => {
  const { code, out, err } = await onrush(...args, "--json");
  if (code !== 0) throw new Error(`exit ${code}: ${err}${out}`);
  return JSON.parse(out);
};

const untilReturned = (...orderIds: string[]) =>
  vi.waitFor(async () => {
    const open = await pool.query(
      "SELECT FROM refunds WHERE order_id = ANY($1::uuid[]) AND (state <> 'succeeded' OR returned_at IS NULL)",
      [orderIds],
    );
    expect(open.rowCount).toBe(0);
  }, WAIT);

async function expectProven(saleId: string): Promise<void> {
  const file = path.join(folder, `${saleId}.json`);
  const ledger = `${file}l`;
  await json("stock", "prove", "--sale", saleId, "--out", file, "--ledger", ledger);
  expect(await onrush("stock", "verify", file, "--ledger", ledger)).toMatchObject({ code: 0 });
  expect(await onrush("stock", "reconcile", "--sale", saleId)).toMatchObject({ code: 0 });
}

test("after refunds of every kind the proof of the sale is valid, and the ledger tells where each unit is", async () => {
  const sale = await shop.openSale({ stock: 100, price: 1_000 });
  const buy = (units: number) => shop.confirmed(sale.saleId, [{ productId: sale.productId, quantity: units }]);
  const units = (quantity: number) => ({ items: [{ productId: sale.productId, quantity }] });
  const orders = await Promise.all([buy(5), buy(5), buy(5), buy(5), buy(5)]);
  const [restocked = "", writtenOff = "", parts = "", money = "", kept = ""] = orders;
  await shop.refund(restocked, { restock: true });
  await shop.refund(writtenOff, { restock: false });
  await shop.refund(parts, { ...units(1), restock: true });
  await shop.refund(parts, { ...units(2), restock: false });
  await shop.refund(parts, { amount: 1 });
  await shop.refund(money, { amount: 4_999 });
  await untilReturned(restocked, writtenOff, parts, money);
  expect(await shop.read(kept)).toMatchObject({ status: "CONFIRMED", refundedAmount: 0 });
  expect(await shop.read(parts)).toMatchObject({ status: "CONFIRMED", refundedAmount: 3_001 });
  // Sold: 2 of `parts`, 5 of `money`, 5 of `kept`. Written off: 5 and 2.
  expect(await shop.units(sale.saleId, sale.productId)).toEqual({ available: 81, reserved: 0, sold: 12 });
  expect(await listStock(pool, sale.saleId)).toMatchObject([{ allocated: 93, reserved: 0, sold: 12 }]);
  await expectProven(sale.saleId);

  // The last won takes the five units with it.
  await shop.refund(money, { amount: 1, restock: true });
  await shop.refund(parts, { restock: true });
  await shop.until(money, { status: "REFUNDED", refundedAmount: 5_000 });
  await shop.until(parts, { status: "REFUNDED", refundedAmount: 5_000 });
  await untilReturned(money, parts);
  expect(await shop.units(sale.saleId, sale.productId)).toEqual({ available: 88, reserved: 0, sold: 5 });
  await expectProven(sale.saleId);
});

test("a unit that went back on sale can be bought again by its buyer, within the limit; one that was written off cannot", async () => {
  const sale = await shop.openSale({ stock: 10, price: 1_000, perCustomerLimit: 1 });
  const items = [{ productId: sale.productId, quantity: 1 }];
  const [one, other] = ["00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"];
  const first = await shop.confirmed(sale.saleId, items, { customerId: one });
  const second = await shop.confirmed(sale.saleId, items, { customerId: other });
  await shop.refund(first, { restock: true });
  await shop.refund(second);
  await untilReturned(first, second);
  await shop.confirmed(sale.saleId, items, { customerId: one });
  await expect(shop.confirmed(sale.saleId, items, { customerId: other })).rejects.toMatchObject({
    code: "LIMIT_EXCEEDED",
  });
  await expectProven(sale.saleId);
});

test("units wait for a partition that cannot be touched now, and are carried when it can", async () => {
  const sale = await shop.openSale({ stock: 10, price: 1_000 });
  const orderId = await shop.confirmed(sale.saleId, [{ productId: sale.productId, quantity: 4 }]);
  const setState = (state: string) =>
    pool.query("UPDATE sale_partitions SET state = $2 WHERE sale_id = $1", [sale.saleId, state]);
  await setState("suspended");
  await shop.refund(orderId, { restock: true });
  // The money does not wait for it.
  await shop.until(orderId, { status: "REFUNDED", refundedAmount: 4_000 });
  expect(await shop.units(sale.saleId, sale.productId)).toMatchObject({ available: 6, sold: 4 });
  await setState("live");
  await untilReturned(orderId);
  expect(await shop.units(sale.saleId, sale.productId)).toEqual({ available: 10, reserved: 0, sold: 0 });
  await expectProven(sale.saleId);
});

test("a return that was lost with Redis before the ledger had it is carried again after the rebuild", async () => {
  const sale = await shop.openSale({ stock: 10, price: 1_000 });
  const orderId = await shop.confirmed(sale.saleId, [{ productId: sale.productId, quantity: 4 }]);
  await shop.stopPersister();
  await shop.refund(orderId, { restock: true });
  await shop.until(orderId, { status: "REFUNDED", refundedAmount: 4_000 });
  await vi.waitFor(async () => expect(await shop.units(sale.saleId, sale.productId)).toMatchObject({ sold: 0 }), WAIT);
  expect(await listStock(pool, sale.saleId)).toMatchObject([{ sold: 4 }]);
  await shop.redis.flushall();
  const rebuilt = await onrush("stock", "rebuild", "--apply");
  expect(rebuilt, rebuilt.err).toMatchObject({ code: 0 });
  await shop.startPersister();
  await untilReturned(orderId);
  expect(await shop.units(sale.saleId, sale.productId)).toEqual({ available: 10, reserved: 0, sold: 0 });
  expect(await listStock(pool, sale.saleId)).toMatchObject([{ allocated: 10, reserved: 0, sold: 0 }]);
  await expectProven(sale.saleId);
});

describe("onrush orders refund", () => {
  test("gives units back by name, answers with the refund, and asks before it does", async () => {
    const sale = await shop.openSale({ stock: 10, price: 1_500 });
    const orderId = await shop.confirmed(sale.saleId, [{ productId: sale.productId, quantity: 4 }]);
    const item = `${sale.productId.toUpperCase()}=1`;
    const answer = await json("orders", "refund", orderId, "--item", item, "--item", item, "--restock", "--yes");
    expect(answer).toMatchObject({
      orderTrackingId: orderId,
      amount: 3_000,
      currency: "KRW",
      restock: true,
      state: "pending",
      items: [{ productId: sale.productId, quantity: 2 }],
    });
    await shop.until(orderId, { status: "CONFIRMED", refundedAmount: 3_000 });
    const rest = await onrush("orders", "refund", orderId, "--yes", "--reason", "closing down");
    expect(rest).toMatchObject({
      code: 0,
      out: expect.stringContaining("3000 KRW go back and 2 unit(s) are written off"),
    });
    await shop.until(orderId, { status: "REFUNDED", refundedAmount: 6_000 });
    const shown = await onrush("orders", "show", orderId);
    expect(shown.out).toMatch(/refunded +6000 KRW/);
    expect(shown.out).toMatch(/CONFIRMED, 3000 refunded/);
    expect(shown.out).toMatch(new RegExp(`${answer.id} +3000 +2 +restocked +succeeded`));
    const audit = await json("audit", "list", "--subject", `order:${orderId}`);
    expect(audit).toMatchObject([{ action: "order.refund", reason: "closing down" }, { action: "order.refund" }]);
  });

  test("refuses what makes no sense, and changes nothing", async () => {
    const sale = await shop.openSale({ stock: 10, price: 1_500 });
    const orderId = await shop.confirmed(sale.saleId, [{ productId: sale.productId, quantity: 1 }]);
    for (const wrong of [
      ["--item", sale.productId],
      ["--item", `${sale.productId}=0`],
      ["--item", `${sale.productId}=1.5`],
      ["--item", `${sale.productId}=-1`],
      ["--item", "nothing=1"],
      ["--amount", "0"],
      ["--amount", "x"],
      ["--amount", "1", "--item", `${sale.productId}=1`],
      ["--reason", " "],
    ]) {
      const run = await onrush("orders", "refund", orderId, ...wrong, "--yes");
      expect([wrong, run.code]).toEqual([wrong, 2]);
    }
    expect(await onrush("orders", "refund", orderId)).toMatchObject({ code: 2, err: expect.stringContaining("--yes") });
    const tooMuch = await onrush("orders", "refund", orderId, "--amount", "1501", "--yes", "--json");
    expect(tooMuch.code).toBe(1);
    expect(JSON.parse(tooMuch.err).error).toMatchObject({ code: "INVALID_STATE" });
    const none = await onrush("orders", "refund", orderId.replace(/..$/, "00"), "--yes", "--json");
    expect(JSON.parse(none.err).error).toMatchObject({ code: "NOT_FOUND" });
    expect((await pool.query("SELECT FROM refunds WHERE order_id = $1", [orderId])).rowCount).toBe(0);
  });
});
