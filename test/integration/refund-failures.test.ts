// Refunds that the provider refuses or cannot make: tried again, then a dead letter and an alarm, and a replay that works. And
// workers and providers that are killed in the middle of one.
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { listAudit } from "../../engine/ledger/audit.ts";
import { findRefund } from "../../engine/ledger/refunds.ts";
import { httpGateway } from "../../persister/jobs/gateway/http.ts";
import { REFUSED_TRIES_MAX, TRIES_MAX } from "../../persister/jobs/refunds/give-back.ts";
import { Refunds } from "../../persister/jobs/refunds/refunds.ts";
import { JWT_SECRET, RECEIPT_SECRET } from "./api-shop.ts";
import { type Run, runCli } from "./cli-shop.ts";
import { API_KEY } from "./gateway-process.ts";
import { silent } from "./jobs-shop.ts";
import { openRefundShop, WAIT } from "./refund-shop.ts";

vi.setConfig({ testTimeout: 60_000 });
const shop = await openRefundShop();
const { pool, servers } = shop;
afterEach(() => shop.setRefundMode("accept"));

const onrush = (...args: string[]): Promise<Run> =>
  runCli(args, { REDIS_URL: servers.redisUrl, DATABASE_URL: servers.databaseUrl });

async function buy(
  units = 1,
  price = 1_000,
  token?: string,
): Promise<{ orderId: string; productId: string; saleId: string }> {
  const sale = await shop.openSale({ stock: 10, price });
  const items = [{ productId: sale.productId, quantity: units }];
  const payment = token === undefined ? undefined : { method: "card" as const, token };
  return { orderId: await shop.confirmed(sale.saleId, items, payment && { payment }), ...sale };
}

describe.each([
  ["refuse", "refund_refused", REFUSED_TRIES_MAX],
  ["unavailable", "provider_unavailable", TRIES_MAX],
] as const)("a provider that says %s", (mode, code, tries) => {
  test("a whole refund ends as a dead letter, its order REFUND_PENDING; a replay gives the money back, once", async () => {
    const { orderId, productId, saleId } = await buy(2);
    await shop.setRefundMode(mode);
    const { refund } = await shop.refund(orderId, { restock: true });
    await shop.untilRefund(refund.id, { state: "failed" });
    const asked = await pool.query("SELECT calls, tries, error FROM refunds WHERE id = $1", [refund.id]);
    expect(asked.rows).toEqual([{ calls: tries, tries, error: code }]);
    expect(await shop.read(orderId)).toMatchObject({ status: "REFUND_PENDING", refundedAmount: 0 });
    expect(await shop.units(saleId, productId)).toMatchObject({ sold: 2 });
    const [letter, ...others] = await shop.openLetters(orderId);
    expect(others).toEqual([]);
    expect(letter).toMatchObject({ kind: "refund", error: code, refundId: refund.id });
    expect(shop.alarms.filter((line) => line.includes(refund.id)).map((line) => JSON.parse(line))).toMatchObject([
      { alarm: "refund_failed", orderId, letterId: letter?.id },
    ]);

    const id = String(letter?.id);
    const listed = await onrush("dead", "list");
    expect(listed).toMatchObject({ code: 1, out: expect.stringMatching(/refund/) });
    const shown = JSON.parse((await onrush("dead", "show", id, "--json")).out);
    expect(shown).toMatchObject({ kind: "refund", orderId, refundId: refund.id, epoch: null });
    expect(JSON.parse(shown.payload)).toMatchObject({ chargeKey: `${orderId}:1`, amount: 2_000 });
    const status = JSON.parse((await onrush("status", "--json")).out);
    expect(status.refunds).toMatchObject({ failed: 1 });
    expect(status.findings.join()).toMatch(/1 refund\(s\) failed: the money is owed/);

    const discard = await onrush("dead", "discard", id, "--reason", "never mind", "--yes", "--json");
    expect(discard.code).toBe(1);
    expect(JSON.parse(discard.err).error).toMatchObject({ code: "INVALID_STATE" });
    // Replayed while nothing has changed, it is a dead letter again.
    expect(await onrush("dead", "replay", id, "--yes")).toMatchObject({ code: 0 });
    await vi.waitFor(async () => expect(await shop.openLetters(orderId)).toMatchObject([{ error: code }]), WAIT);
    expect(await shop.booked(orderId)).toEqual([]);

    await shop.setRefundMode("accept");
    const [again] = await shop.openLetters(orderId);
    expect(again?.id).not.toBe(letter?.id);
    expect(await onrush("dead", "replay", "--all", "--yes", "--reason", "they take refunds again")).toMatchObject({
      code: 0,
    });
    await shop.until(orderId, { status: "REFUNDED", refundedAmount: 2_000 });
    expect(await shop.booked(orderId)).toEqual([{ key: refund.id, chargeKey: `${orderId}:1`, amount: 2_000 }]);
    expect(await shop.openLetters(orderId)).toEqual([]);
    await vi.waitFor(async () => {
      expect(await shop.units(saleId, productId)).toEqual({ available: 10, reserved: 0, sold: 0 });
    }, WAIT);
    const [audited] = await listAudit(pool, { subject: `dead-letter:${again?.id}`, limit: 1 });
    expect(audited).toMatchObject({ action: "dead_letter.replay", reason: "they take refunds again" });
  });

  test("of a part the order stays CONFIRMED, and its amount reserved until the replay", async () => {
    const { orderId } = await buy(1);
    await shop.setRefundMode(mode);
    const { refund } = await shop.refund(orderId, { amount: 700 });
    await shop.untilRefund(refund.id, { state: "failed" });
    const { version } = await shop.read(orderId);
    expect(await shop.read(orderId)).toMatchObject({ status: "CONFIRMED", refundedAmount: 0 });
    await expect(shop.refund(orderId, { amount: 301 })).rejects.toMatchObject({ facts: { refundableAmount: 300 } });
    await shop.setRefundMode("accept");
    // All that is left does not complete the order while the first part is owed.
    const { refund: rest } = await shop.refund(orderId);
    expect(rest).toMatchObject({ scope: "whole", amount: 300 });
    await shop.untilRefund(rest.id, { state: "succeeded" });
    expect(await shop.read(orderId)).toMatchObject({
      status: "REFUND_PENDING",
      refundedAmount: 300,
      version: version + 2,
    });
    expect(await onrush("dead", "replay", "--all", "--yes")).toMatchObject({ code: 0 });
    await shop.until(orderId, { status: "REFUNDED", refundedAmount: 1_000, version: version + 3 });
  });
});

test("20 refunds that a provider cannot make all end as dead letters, and one command makes all of them go again", async () => {
  const sale = await shop.openSale({ stock: 20, price: 1_000 });
  const items = [{ productId: sale.productId, quantity: 1 }];
  const orders = await Promise.all(Array.from({ length: 20 }, () => shop.confirmed(sale.saleId, items)));
  await shop.setRefundMode("unavailable");
  await Promise.all(orders.map((orderId) => shop.refund(orderId)));
  const count = async (state: string) => {
    const refunds = await pool.query("SELECT FROM refunds WHERE order_id = ANY($1::uuid[]) AND state = $2", [
      orders,
      state,
    ]);
    return refunds.rowCount;
  };
  await vi.waitFor(async () => expect(await count("failed")).toBe(20), WAIT);
  await shop.setRefundMode("accept");
  expect(await onrush("dead", "replay", "--all", "--yes")).toMatchObject({ code: 0 });
  await vi.waitFor(async () => expect(await count("succeeded")).toBe(20), WAIT);
  expect((await Promise.all(orders.map(shop.booked))).flat()).toHaveLength(20);
});

test("a refusal that passes is outlived by the tries", async () => {
  const { orderId } = await buy();
  await shop.setRefundMode("refuse");
  const { refund } = await shop.refund(orderId);
  await vi.waitFor(
    async () => {
      const tried = await pool.query("SELECT FROM refunds WHERE id = $1 AND error IS NOT NULL", [refund.id]);
      expect(tried.rowCount).toBe(1);
    },
    { ...WAIT, interval: 1 },
  );
  await shop.setRefundMode("accept");
  const letters = await shop.openLetters(orderId);
  if (letters.length > 0) await onrush("dead", "replay", "--all", "--yes");
  await shop.until(orderId, { status: "REFUNDED" });
});

test("a card whose refunds are refused ends as a dead letter", async () => {
  const { orderId } = await buy(1, 1_000, "tok_refund_refused");
  const { refund } = await shop.refund(orderId);
  await shop.untilRefund(refund.id, { state: "failed" });
  expect(await shop.openLetters(orderId)).toMatchObject([{ error: "refund_refused" }]);
});

test("a refund that failed and came through after all is recorded when the provider says so, and its letter is closed", async () => {
  const { orderId } = await buy();
  await shop.setRefundMode("refuse");
  const { refund } = await shop.refund(orderId);
  await shop.untilRefund(refund.id, { state: "failed" });
  await shop.setRefundMode("accept");
  // As if the answer to a call had been wrong, or somebody had booked it at the provider's console.
  const booking = { chargeKey: `${orderId}:1`, amount: 1_000 };
  const booked = await shop.provider.ask("POST", "/refunds", booking, { "idempotency-key": refund.id });
  expect(booked).toMatchObject({ status: 200 });
  const gateway = httpGateway({ url: shop.provider.url, apiKey: API_KEY });
  const moved: string[] = [];
  const refunds = new Refunds({
    pool,
    gatewayOf: () => gateway,
    onMoved: async (orders) => moved.push(...orders.map(({ status }) => status)),
    onGivenBack: async () => undefined,
    log: silent,
  });
  await Promise.all([refunds.recheck([refund.id]), refunds.recheck([refund.id])]);
  await refunds.recheck([refund.id, "00000000-0000-4000-8000-000000000000"]);
  expect(moved).toEqual(["REFUNDED"]);
  expect(await shop.read(orderId)).toMatchObject({ status: "REFUNDED", refundedAmount: 1_000 });
  expect(await shop.openLetters(orderId)).toEqual([]);
  expect(await shop.booked(orderId)).toHaveLength(1);
  await gateway.close();
});

test("while the provider is away no try is used up; when it is back the money goes back, once", async () => {
  const { orderId } = await buy();
  await shop.provider.kill();
  const { refund } = await shop.refund(orderId);
  await vi.waitFor(async () => {
    const asked = await pool.query<{ calls: number }>("SELECT calls FROM refunds WHERE id = $1", [refund.id]);
    expect(asked.rows[0]?.calls).toBeGreaterThan(2 * TRIES_MAX);
  }, WAIT);
  expect(await findRefund(pool, refund.id)).toMatchObject({ state: "pending" });
  expect(await shop.read(orderId)).toMatchObject({ status: "REFUND_PENDING" });
  await shop.provider.restart();
  await shop.until(orderId, { status: "REFUNDED", refundedAmount: 1_000 });
  expect(await shop.booked(orderId)).toHaveLength(1);
});

/** The worker's process. */
function forkWorker(): ChildProcess {
  const child = fork(fileURLToPath(new URL("../../persister/jobs/main.ts", import.meta.url)), {
    env: {
      PATH: process.env["PATH"],
      REDIS_URL: servers.redisUrl,
      DATABASE_URL: servers.databaseUrl,
      ROLES: "worker",
      PAYMENT_GATEWAY: "http",
      PAYMENT_GATEWAY_URL: shop.provider.url,
      PAYMENT_GATEWAY_KEY: API_KEY,
      JWT_SECRET,
      RECEIPT_SECRET,
      LOG_LEVEL: "error",
    },
  });
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  return child;
}
const gone = (child: ChildProcess) =>
  new Promise<void>((resolve) => {
    child.once("exit", () => resolve());
    child.kill("SIGKILL");
  });

test("a worker killed between the call and the record: taken over, and one refund at the provider", async () => {
  const { orderId } = await buy();
  await shop.stopWorker();
  const child = forkWorker();
  // Holds the record up, and nothing before it: the order's new version cannot be written.
  const client = await pool.connect();
  await client.query("BEGIN");
  await client.query("LOCK TABLE order_timeline IN EXCLUSIVE MODE");
  const { refund } = await shop.refund(orderId, { amount: 400 });
  await vi.waitFor(async () => expect(await shop.booked(orderId)).toHaveLength(1), WAIT);
  await gone(child);
  await client.query("ROLLBACK");
  client.release();
  const left = await pool.query("SELECT state, calls, due_at > now() AS leased FROM refunds WHERE id = $1", [
    refund.id,
  ]);
  expect(left.rows).toEqual([{ state: "pending", calls: 1, leased: true }]);

  await shop.startWorker();
  await shop.until(orderId, { status: "CONFIRMED", refundedAmount: 400 });
  expect(await shop.booked(orderId)).toEqual([{ key: refund.id, chargeKey: `${orderId}:1`, amount: 400 }]);
  expect((await pool.query("SELECT calls FROM refunds WHERE id = $1", [refund.id])).rows).toEqual([{ calls: 2 }]);
});
