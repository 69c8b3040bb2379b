// Coupons through losses: what a rebuild restores, what a receipt proves, what the reconciler and the proof say of orders with one.
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { checkCoupons, readCouponUses } from "../../engine/coupons/books.ts";
import type { Coupon } from "../../engine/coupons/coupon.ts";
import type { OrderRequest, PlacedOrder } from "../../engine/engine.ts";
import { findOrder } from "../../engine/ledger/orders.ts";
import { makeCustomerId } from "../../engine/members/users.ts";
import { type Outbox, openOutbox } from "../../engine/outbox/outbox.ts";
import { loadSigningKey } from "../../engine/proof/key.ts";
import { proveSale } from "../../engine/proof/prove.ts";
import { verifyProof } from "../../engine/proof/verify.ts";
import { reconcilePartition } from "../../engine/reconciliation/reconcile.ts";
import { honourOrder } from "../../engine/recovery/honour.ts";
import { keptAnswer } from "../../engine/recovery/kept-answer.ts";
import { redisNowMs } from "../../engine/redis/clock.ts";
import { rebuildPartition } from "../../persister/recovery/rebuild.ts";
import { openTestSale, startEngine, startPersister, startTestWorker } from "../support/assembly.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startTestRedis, type TestRedis } from "../support/redis.ts";
import { scratchFolder } from "../support/scratch.ts";
import { makeCoupon } from "./coupon-shop.ts";

const PRICE = 5_000;
const SECRET = "r".repeat(32);
const database = await createTestDatabase();
const key = loadSigningKey({ dataDir: scratchFolder("coupons-recovery") });
let redis: TestRedis;
let shop: Awaited<ReturnType<typeof startEngine>>;
let outbox: Outbox;
const servers = () => ({ databaseUrl: database.url, redisUrl: redis.url });

beforeAll(async () => {
  redis = await startTestRedis();
  shop = await startEngine(servers());
  outbox = await openOutbox(database.url, () => undefined);
});
afterAll(async () => {
  await shop.stop();
  await outbox.close();
  await redis.stop();
});

/** Persisters and workers of the test at hand. */
const running: { stop(): Promise<void> }[] = [];
const startPersisting = async () => void running.push(await startPersister(servers()));
const startWorking = async () =>
  void running.push(await startTestWorker(servers(), { sweepIntervalMs: 100, unsettledAfterMs: 200 }));
async function stopAll() {
  for (const service of running.splice(0).toReversed()) await service.stop();
}
afterEach(stopAll);

interface TestSale {
  readonly saleId: string;
  readonly productId: string;
}

const at = (sale: TestSale) => ({ saleId: sale.saleId, partition: 0 });
const until = (assertion: () => Promise<void>) => vi.waitFor(assertion, { timeout: 20_000, interval: 20 });
const expectSound = async () => expect((await checkCoupons(shop.pool)).findings).toEqual([]);
const isStatus = (orderId: string, status: string) =>
  until(async () => expect((await findOrder(shop.pool, orderId))?.status).toBe(status));

async function place(sale: TestSale, { code }: Coupon, request: Partial<OrderRequest> = {}): Promise<PlacedOrder> {
  const items = [{ productId: sale.productId, quantity: 1 }];
  const placed = await shop.engine.place({
    ...{ saleId: sale.saleId, customerId: makeCustomerId(), items, couponCode: code },
    payment: { method: "later" },
    ...request,
  });
  if (placed.type !== "placed") throw new Error(placed.type);
  return placed;
}

async function openSale(coupon: Record<string, unknown>) {
  const sale = await openTestSale(shop, { stock: 20, price: PRICE });
  const of = await makeCoupon(shop, [sale.saleId], coupon);
  const uses = async () => (await readCouponUses(shop.pool, [of.code])).get(of.code);
  const available = async () => (await shop.engine.stock.availableOf([at(sale)], of.id))[0];
  return { sale, of, uses, available };
}

/** Wipes Redis, and has the operator rebuild the sale. */
async function loseAndRebuild(sale: TestSale) {
  await shop.redis.flushall();
  const report = await rebuildPartition({ pool: shop.pool, redis: shop.redis, outbox }, at(sale), "test");
  await shop.engine.catalogue.refresh();
  return report;
}

/** What the reconciler and a proof find wrong with the sale. */
async function findings(sale: TestSale) {
  const deps = { pool: shop.pool, redis: shop.redis, stock: shop.engine.stock };
  const options = { apply: false, actor: "cli:test", patience: { waitMs: 20_000 } };
  const report = await reconcilePartition(deps, at(sale), options);
  const { text } = await proveSale({ ...deps, key, version: "0.0.0-test" }, sale.saleId);
  const proof = await verifyProof(Buffer.from(text), key.publicKey);
  return { reconciled: report.verdict.type, disproved: proof.findings.filter(({ holds }) => !holds) };
}
const SOUND = { reconciled: "CLEAN", disproved: [] };

describe("a rebuild", () => {
  it("restores a coupon's uses, and what each member has used", async () => {
    await startPersisting();
    const { sale, of, uses, available } = await openSale({ limit: 3, perMemberLimit: 1 });
    const customerId = makeCustomerId();
    const { orderId } = await place(sale, of, { customerId, idempotencyKey: "k" });
    await isStatus(orderId, "RESERVED");
    await loseAndRebuild(sale);
    expect(await available()).toBe(2);
    await expect(place(sale, of, { customerId })).rejects.toMatchObject({ code: "COUPON_LIMIT_EXCEEDED" });
    await expect(place(sale, of, { customerId, idempotencyKey: "k" })).rejects.toThrow("replayed");
    for (const _ of [1, 2]) await place(sale, of);
    await expect(place(sale, of)).rejects.toMatchObject({ code: "COUPON_EXHAUSTED" });
    await until(async () => expect(await uses()).toMatchObject({ left: 0, reserved: 3 }));
    expect(await findings(sale)).toEqual(SOUND);
    await expectSound();
  });
});

describe("an order with a coupon that was lost with Redis", () => {
  async function lose() {
    const opened = await openSale({ limit: 2 });
    const { sale, of, uses } = opened;
    await startPersisting();
    await until(async () => {
      const sql = "SELECT FROM allocations WHERE sale_id = $1 AND applied_seq IS NULL";
      expect((await shop.pool.query(sql, [sale.saleId])).rowCount).toBe(0);
    });
    await stopAll();
    const placed = await place(sale, of);
    await until(async () => {
      const sql = "SELECT FROM acknowledgements WHERE sale_id = $1 AND seq = 3";
      expect((await shop.pool.query(sql, [sale.saleId])).rowCount).toBe(1);
    });
    await loseAndRebuild(sale);
    const { orderId, items, ...rest } = placed;
    const lines = items.map(({ productId, quantity, unitPrice }) => ({ productId, quantity, price: unitPrice }));
    const answer = { ...JSON.parse(JSON.stringify(rest)), orderTrackingId: orderId, items: lines };
    const honour = (more: object = {}) =>
      honourOrder(
        {
          ...{ pool: shop.pool, stock: shop.engine.stock, receiptSecrets: [SECRET] },
          nowMs: () => redisNowMs(shop.redis),
        },
        keptAnswer.parse({ ...answer, ...more }),
        "test",
      );
    return { ...opened, uses, orderId, honour };
  }

  it("has its use held back, and is honoured with its discount", async () => {
    const { sale, of, orderId, honour, available, uses } = await lose();
    expect(await available()).toBe(1);
    await startPersisting();
    await startWorking();
    expect(await honour({ payment: { method: "card", token: "tok_ok" } })).toEqual({ orderId, honoured: "now" });
    await isStatus(orderId, "CONFIRMED");
    const order = await findOrder(shop.pool, orderId);
    expect(order).toMatchObject({ price: PRICE, payable: PRICE - 1_000 });
    expect(order?.discounts).toEqual({ coupon: { id: of.id, code: of.code, amount: 1_000 } });
    expect(order?.lines.map(({ productId }) => productId)).toEqual([sale.productId]);
    await until(async () => expect(await uses()).toMatchObject({ left: 1, used: 1 }));
    expect(await findings(sale)).toEqual(SOUND);
    await expectSound();
  });

  it("is not honoured with another coupon or discount than its receipt has signed", async () => {
    const { sale, honour } = await lose();
    const { code } = await makeCoupon(shop, [sale.saleId]);
    for (const more of [{ couponCode: code }, { couponCode: undefined }, { discount: 999 }, { points: 1_000 }]) {
      await expect(honour(more)).rejects.toMatchObject({ code: "VALIDATION" });
    }
  });
});

describe("the books of orders with coupons", () => {
  it("are sound whatever became of the orders, and a row that is removed comes back as it was", async () => {
    await startPersisting();
    await startWorking();
    const { sale, of } = await openSale({ limit: 10, percent: 33 });
    const card = (token: string) => ({ payment: { method: "card" as const, token } });
    const paid = await place(sale, of, card("tok_ok"));
    const declined = await place(sale, of, card("tok_declined"));
    const held = await place(sale, of);
    await isStatus(paid.orderId, "CONFIRMED");
    await isStatus(declined.orderId, "CANCELLED");
    await isStatus(held.orderId, "RESERVED");
    expect(await findings(sale)).toEqual(SOUND);

    const before = await findOrder(shop.pool, held.orderId);
    for (const table of ["order_discounts", "order_lines", "order_timeline"]) {
      await shop.pool.query(`DELETE FROM ${table} WHERE order_id = $1`, [held.orderId]);
    }
    await shop.pool.query("DELETE FROM orders WHERE id = $1", [held.orderId]);
    const deps = { pool: shop.pool, redis: shop.redis, stock: shop.engine.stock };
    const options = { apply: true, actor: "cli:test", patience: { waitMs: 20_000 } };
    expect((await reconcilePartition(deps, at(sale), options)).verdict.type).toBe("CLEAN");
    expect(await findOrder(shop.pool, held.orderId)).toEqual(before);
    await expectSound();
    expect(await findings(sale)).toEqual(SOUND);
  });

  it("name what does not add up", async () => {
    await startPersisting();
    const { sale, of } = await openSale({ limit: 10 });
    const { orderId } = await place(sale, of);
    await isStatus(orderId, "RESERVED");
    const found = async (sql: string, back: string) => {
      await shop.pool.query(sql, [of.id]);
      const said = await checkCoupons(shop.pool);
      await shop.pool.query(back, [of.id]);
      return said.findings.map((finding) => finding.replace(`${of.code} `, ""));
    };
    expect(
      await found(
        "UPDATE coupons SET uses = uses + 1 WHERE id = $1",
        "UPDATE coupons SET uses = uses - 1 WHERE id = $1",
      ),
    ).toEqual(["has 11 uses; 10 are allocated or in transit and 0 retired."]);
    expect(
      await found(
        "UPDATE stock SET reserved = 0 WHERE product_id = $1",
        "UPDATE stock SET reserved = 1 WHERE product_id = $1",
      ),
    ).toEqual(["has 0 uses reserved; orders hold 1."]);
    expect(
      await found(
        "UPDATE order_discounts SET coupon_id = NULL, coupon_code = NULL WHERE coupon_id = $1",
        `UPDATE order_discounts SET coupon_id = $1, coupon_code = 'X' WHERE order_id = '${orderId}'`,
      ),
    ).toEqual(["is in 1 order(s) as a line or as a discount, and not as both."]);
    await expectSound();
  });
});
