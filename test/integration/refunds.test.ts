// Refunds by a worker and the provider's real process: the money goes back once, the order and its units with it.
import { expect, test, vi } from "vitest";
import { OnrushError } from "../../engine/errors.ts";
import { transaction } from "../../engine/ledger/database.ts";
import { listRefunds, refundCharges } from "../../engine/ledger/refunds.ts";
import { openRefundShop, WAIT } from "./refund-shop.ts";

vi.setConfig({ testTimeout: 60_000 });
const shop = await openRefundShop();
const { pool } = shop;

const refusalOf = async (attempt: Promise<unknown>): Promise<string> => {
  const error = await attempt.then(() => undefined).catch((thrown: unknown) => thrown);
  return error instanceof OnrushError ? error.code : String(error);
};

test("a whole refund: REFUND_PENDING, the money once, REFUNDED, and each step a version", async () => {
  const sale = await shop.openSale({ stock: 10, price: 3_000 });
  const orderId = await shop.confirmed(sale.saleId, [{ productId: sale.productId, quantity: 2 }]);
  const before = await shop.read(orderId);
  const { refund, moved } = await shop.refund(orderId, { restock: true, reason: "broken" });
  expect(refund).toMatchObject({ scope: "whole", amount: 6_000, state: "pending", restock: true });
  expect(refund.items).toEqual([{ productId: sale.productId, quantity: 2 }]);
  expect(moved).toMatchObject({ status: "REFUND_PENDING", version: before.version + 1 });

  const order = await shop.until(orderId, { status: "REFUNDED", refundedAmount: 6_000, version: before.version + 2 });
  expect(order.timeline.slice(-2)).toMatchObject([
    { status: "REFUND_PENDING", version: before.version + 1 },
    { status: "REFUNDED", version: before.version + 2 },
  ]);
  expect(await shop.booked(orderId)).toEqual([{ key: refund.id, chargeKey: `${orderId}:1`, amount: 6_000 }]);
  await vi.waitFor(async () => {
    expect(await shop.units(sale.saleId, sale.productId)).toEqual({ available: 10, reserved: 0, sold: 0 });
  }, WAIT);
  expect(await refusalOf(shop.refund(orderId))).toBe("INVALID_STATE");
});

test("50 refunds at once: never more than was captured, and exactly as many as fit", async () => {
  const sale = await shop.openSale({ stock: 10, price: 1_000 });
  const orderId = await shop.confirmed(sale.saleId, [{ productId: sale.productId, quantity: 1 }]);
  const attempts = await Promise.all(
    Array.from({ length: 50 }, () => refusalOf(shop.refund(orderId, { amount: 150 }))),
  );
  expect(attempts.filter((code) => code === "undefined")).toHaveLength(6);
  expect(attempts.filter((code) => code === "INVALID_STATE")).toHaveLength(44);
  await shop.until(orderId, { status: "CONFIRMED", refundedAmount: 900 });
  const last = await Promise.all(Array.from({ length: 50 }, () => refusalOf(shop.refund(orderId))));
  expect(last.filter((code) => code === "undefined")).toHaveLength(1);
  await shop.until(orderId, { status: "REFUNDED", refundedAmount: 1_000 });
  const booked = await shop.booked(orderId);
  expect(booked.map(({ amount }) => amount).toSorted()).toEqual([100, 150, 150, 150, 150, 150, 150]);
});

test("doubled jobs: one refund at the provider, one step of the order", async () => {
  const sale = await shop.openSale({ stock: 10, price: 1_000 });
  const orderId = await shop.confirmed(sale.saleId, [{ productId: sale.productId, quantity: 1 }]);
  const { version } = await shop.read(orderId);
  await shop.refund(orderId);
  await transaction(pool, async (client) => {
    for (let i = 0; i < 30; i += 1) await shop.outbox.enqueue(client, "refund", [orderId]);
  });
  await shop.until(orderId, { status: "REFUNDED", version: version + 2 });
  await vi.waitFor(async () => {
    const open = await pool.query("SELECT FROM pgboss.job WHERE name = 'refund' AND state <> 'completed'");
    expect(open.rowCount).toBe(0);
  }, WAIT);
  expect(await shop.booked(orderId)).toHaveLength(1);
  expect(await shop.read(orderId)).toMatchObject({ status: "REFUNDED", version: version + 2, refundedAmount: 1_000 });
});

test("with nothing paid the whole goes back without a call of the gateway", async () => {
  const sale = await shop.openSale({ stock: 10, price: 0 });
  const orderId = await shop.confirmed(sale.saleId, [{ productId: sale.productId, quantity: 3 }]);
  expect(await refusalOf(shop.refund(orderId, { amount: 1 }))).toBe("INVALID_STATE");
  await shop.refund(orderId, { items: [{ productId: sale.productId, quantity: 1 }], restock: true });
  await shop.until(orderId, { status: "CONFIRMED" });
  await shop.refund(orderId, { restock: true });
  await shop.until(orderId, { status: "REFUNDED", refundedAmount: 0 });
  expect(await shop.booked(orderId)).toEqual([]);
  await vi.waitFor(async () => {
    expect(await shop.units(sale.saleId, sale.productId)).toMatchObject({ available: 10, sold: 0 });
  }, WAIT);
});

test("a capture beside the order's own goes back alone, and leaves the order and what can be refunded of it as they are", async () => {
  const sale = await shop.openSale({ stock: 10, price: 1_000 });
  const orderId = await shop.confirmed(sale.saleId, [{ productId: sale.productId, quantity: 1 }]);
  const before = await shop.read(orderId);
  const charge = { amount: 1_000, currency: "KRW", token: "tok_ok" };
  const charged = await shop.provider.ask("POST", "/charges", charge, { "idempotency-key": `${orderId}:2` });
  expect(charged).toMatchObject({ status: 200 });
  await pool.query(
    `INSERT INTO payment_attempts (order_id, attempt, method, amount, currency, state, reference, surplus)
     VALUES ($1, 2, 'card', 1000, 'KRW', 'succeeded', $2, 'refunding')`,
    [orderId, charged.body["id"]],
  );
  const surplus = [{ orderId, attempt: 2, amount: 1_000, currency: "KRW" }];
  await transaction(pool, (client) => refundCharges(client, shop.outbox, surplus, "paid twice"));
  await vi.waitFor(async () => expect(await shop.booked(orderId)).toMatchObject([{ chargeKey: `${orderId}:2` }]), WAIT);
  await vi.waitFor(async () => {
    expect(await listRefunds(pool, orderId)).toMatchObject([{ scope: "charge", state: "succeeded" }]);
  }, WAIT);
  expect(await shop.read(orderId)).toEqual(before);

  await shop.refund(orderId);
  await shop.until(orderId, { status: "REFUNDED", refundedAmount: 1_000 });
  expect(await shop.booked(orderId)).toMatchObject([{ chargeKey: `${orderId}:2` }, { chargeKey: `${orderId}:1` }]);
});

test("a job that was lost is sent again by the sweep", async () => {
  const sale = await shop.openSale({ stock: 10, price: 1_000 });
  const orderId = await shop.confirmed(sale.saleId, [{ productId: sale.productId, quantity: 1 }]);
  await transaction(pool, async (client) => {
    await client.query(
      `INSERT INTO refunds (id, order_id, attempt, method, scope, amount, currency, actor, woken_at)
       VALUES (gen_random_uuid(), $1, 1, 'card', 'part', 400, 'KRW', 'test', NULL)`,
      [orderId],
    );
  });
  await shop.until(orderId, { status: "CONFIRMED", refundedAmount: 400 });
  expect(await listRefunds(pool, orderId)).toMatchObject([{ state: "succeeded", amount: 400 }]);
});
