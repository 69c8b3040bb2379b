// Payments that succeed when their order no longer waits for them: the refund is opened once, with the order's step.
import { afterAll, expect, test } from "vitest";
import { transaction } from "../../engine/ledger/database.ts";
import { transition } from "../../engine/ledger/fates.ts";
import { endAttempts, startPayments } from "../../engine/ledger/payments.ts";
import { listRefunds, refundCharges, refundLatePayments } from "../../engine/ledger/refunds.ts";
import { openOutbox } from "../../engine/outbox/outbox.ts";
import { openShop, PRICE } from "./jobs-shop.ts";

const shop = await openShop();
const outbox = await openOutbox(shop.databaseUrl, () => undefined);
afterAll(() => outbox.close());

const late = (orderId: string, attempt = 1) => ({ orderId, attempt, amount: PRICE, currency: "KRW" });
const jobs = async () => (await shop.pool.query("SELECT data FROM pgboss.job WHERE name = 'refund'")).rows;

async function cancelled(): Promise<string> {
  const [order = ""] = await shop.reserve(1);
  await transition(shop.pool, "cancel", [order], "EXPIRED");
  await transition(shop.pool, "release", [order]);
  return order;
}

test("the whole charge of a cancelled order goes back: once, however many say so at once", async () => {
  const order = await cancelled();
  const before = (await jobs()).length;
  const open = () => transaction(shop.pool, (client) => refundLatePayments(client, outbox, [late(order)], "paid late"));
  const moved = (await Promise.all([open(), open(), open()])).flat();
  expect(moved).toMatchObject([{ id: order, status: "REFUND_PENDING", reason: "EXPIRED", version: 5, payable: PRICE }]);
  expect(await listRefunds(shop.pool, order)).toMatchObject([
    {
      orderId: order,
      scope: "whole",
      amount: PRICE,
      currency: "KRW",
      state: "pending",
      reason: "paid late",
      items: [],
    },
  ]);
  expect((await jobs()).slice(before)).toEqual([{ data: { orderIds: [order] } }]);
});

test.for(["PAID", "CANCELLING", "RESERVED"] as const)("an order that is %s stays as it is", async (status) => {
  const [order = ""] = await shop.reserve(1, { status });
  const moved = await transaction(shop.pool, (client) => refundLatePayments(client, outbox, [late(order)], "late"));
  expect(moved).toEqual([]);
  expect(await shop.stateOf(order)).toMatchObject({ status, version: 2 });
  expect(await listRefunds(shop.pool, order)).toEqual([]);
});

test("a second capture goes back alone, once, and its order stays as it is", async () => {
  const [order = ""] = await shop.reserve(1);
  await startPayments(shop.pool, [order], 1_000);
  await endAttempts(shop.pool, [{ orderId: order, attempt: 1, state: "succeeded", reference: "ch_1" }]);
  const open = () => transaction(shop.pool, (client) => refundCharges(client, outbox, [late(order)], "paid twice"));
  await Promise.all([open(), open()]);
  await open();
  expect(await listRefunds(shop.pool, order)).toMatchObject([{ scope: "charge", amount: PRICE, state: "pending" }]);
  expect(await shop.stateOf(order)).toMatchObject({ status: "PAID", version: 4 });
});
