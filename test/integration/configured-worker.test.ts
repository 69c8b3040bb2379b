// A worker that follows the configuration: where payments begin, where those that began elsewhere are carried on and refunded,
// and queues that stand still.
import { randomUUID } from "node:crypto";
import { readdirSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { pino } from "pino";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { loadConfig, type PaymentGatewayName, requireRoleConfig } from "../../engine/config.ts";
import { ConfigurationFollower } from "../../engine/configuration/follower.ts";
import { patchConfiguration } from "../../engine/configuration/operations.ts";
import { settingsEnvironment } from "../../engine/configuration/settings.ts";
import { transaction } from "../../engine/ledger/database.ts";
import { findOrder } from "../../engine/ledger/orders.ts";
import { openRefund } from "../../engine/ledger/refund-requests.ts";
import { findRefund } from "../../engine/ledger/refunds.ts";
import { makeCustomerId } from "../../engine/members/users.ts";
import { openOutbox } from "../../engine/outbox/outbox.ts";
import { findDelivery } from "../../engine/webhooks/deliveries.ts";
import { createWebhookEndpoint, pingWebhookEndpoint } from "../../engine/webhooks/operations.ts";
import { openCardProviders } from "../../persister/jobs/gateway/card-providers.ts";
import { openGateway } from "../../persister/jobs/gateway/open.ts";
import { folderTransport } from "../../persister/jobs/mail/transport.ts";
import { startWorker, type Worker } from "../../persister/jobs/worker.ts";
import { openTestSale, startEngine, startPersister } from "../support/assembly.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startTestRedis } from "../support/redis.ts";
import { scratchFolder } from "../support/scratch.ts";
import { STRIPE_KEY, startStripeServer } from "../support/stripe/server.ts";

vi.setConfig({ testTimeout: 60_000 });
const database = await createTestDatabase();
const redis = await startTestRedis();
const servers = { databaseUrl: database.url, redisUrl: redis.url };
const stripe = await startStripeServer();
const shop = await startEngine(servers);
const persister = await startPersister(servers);
const outbox = await openOutbox(database.url, () => undefined);
const mails = scratchFolder("mails");
const secret = "0123456789abcdef0123456789abcdef";
const by = { actor: "cli:test" };
const said: { readonly level: number; readonly msg: string }[] = [];
const log = pino({ level: "info" }, { write: (line: string) => void said.push(JSON.parse(line)) });

let sale: { saleId: string; productId: string };
beforeAll(async () => {
  sale = await openTestSale(shop, { stock: 1_000 });
});
let running: { readonly worker: Worker; readonly follower: ConfigurationFollower } | undefined;
const stopWorker = async () => {
  await Promise.all([running?.worker.stop(), running?.follower.stop()]);
  running = undefined;
};
afterEach(stopWorker);
afterAll(async () => {
  await persister.stop();
  await shop.stop();
  await Promise.all([outbox.close(), redis.stop(), stripe.stop()]);
  rmSync(mails, { recursive: true, force: true });
});

/** A worker whose environment names this provider. */
async function start(own: PaymentGatewayName, more: Record<string, string> = {}): Promise<void> {
  const env = {
    ...{ REDIS_URL: redis.url, DATABASE_URL: database.url, JWT_SECRET: secret, RECEIPT_SECRET: secret },
    ...{ PAYMENT_GATEWAY: own, ...more },
  };
  const config = requireRoleConfig(loadConfig(env));
  const environment = settingsEnvironment(env, config);
  const follower = new ConfigurationFollower({ databaseUrl: database.url, environment, log, pollMs: 50 });
  await follower.start();
  const gateway = await openCardProviders({
    own,
    known: config.paymentGateways,
    open: (name, tuning) => openGateway(config, log, name, tuning),
  });
  const worker = await startWorker({
    ...servers,
    gateway,
    configuration: follower,
    mail: { transport: folderTransport(mails, "shop@onrush.local"), publicUrl: "https://shop.example" },
    webhooks: { allowPrivate: true },
    log,
    timing: { sweepIntervalMs: 50, payment: { retryDelayMs: 50 }, refund: { retryDelayMs: 20 } },
  });
  running = { worker, follower };
}
const BOTH = { PAYMENT_GATEWAY_URL: stripe.url, STRIPE_SECRET_KEY: STRIPE_KEY, PAYMENT_GATEWAY_IN_PROCESS: "true" };

const change = async (patch: unknown) => {
  const { version } = await patchConfiguration(shop.pool, patch, by);
  await until(() => expect(running?.follower.current.version).toBe(version));
};
const until = (check: () => void | Promise<void>) => vi.waitFor(check, { timeout: 30_000, interval: 20 });
async function place(token: string): Promise<string> {
  const items = [{ productId: sale.productId, quantity: 1 }];
  const payment = { method: "card" as const, token };
  return (await shop.engine.place({ saleId: sale.saleId, customerId: randomUUID(), items, payment })).orderId;
}
const untilStatus = (orderId: string, status: string) =>
  until(async () => expect(await findOrder(shop.pool, orderId)).toMatchObject({ status }));
const simulated = async (orderId: string) =>
  (await shop.pool.query("SELECT FROM simulated_gateway.charges WHERE key = $1", [`${orderId}:1`])).rowCount;
const charged = (orderId: string) =>
  stripe.books.intentsOf(`${orderId}:1`).filter(({ status }) => status === "succeeded").length;
const openARefund = (orderId: string) =>
  transaction(shop.pool, (client) => openRefund(client, outbox, { orderId, restock: false, actor: "test" }));

test("payments begin at the provider that is chosen; what began at another is carried on and refunded there", async () => {
  await start("stripe", BOTH);
  const before = await place("pm_card_visa");
  await untilStatus(before, "CONFIRMED");

  // Of one the answer is lost, and Stripe does not answer about it either: nobody here knows that it was charged.
  let isAway = false;
  stripe.fault = ({ method, route }) => {
    if (method === "POST" && route === "/payment_intents/:id/confirm" && !isAway) {
      isAway = true;
      return "lost";
    }
    return isAway ? "unheard" : undefined;
  };
  const lost = await place("pm_card_visa");
  await until(() => expect(charged(lost)).toBe(1));
  expect(isAway).toBe(true);

  // Another provider, asked in another way: that opens all of them anew.
  await change({ payments: { gateway: "simulated", chargeTimeoutMs: 5_000 } });
  const after = await place("tok_ok");
  await untilStatus(after, "CONFIRMED");
  expect([await simulated(after), charged(after)]).toEqual([1, 0]);

  stripe.fault = () => undefined;
  await untilStatus(lost, "CONFIRMED");
  expect([charged(lost), await simulated(lost)]).toEqual([1, 0]);

  const {
    refund: { id },
  } = await openARefund(before);
  await until(async () => expect(await findRefund(shop.pool, id)).toMatchObject({ state: "succeeded" }));
  const [intent] = stripe.books.intentsOf(`${before}:1`);
  expect(stripe.books.refundedOf(intent?.id ?? "")).toBe(5_000);

  await change({ payments: null });
  const last = await place("pm_card_visa");
  await untilStatus(last, "CONFIRMED");
  expect([charged(last), await simulated(last)]).toEqual([1, 0]);
});

test("a worker that is not set up for the provider that is chosen takes no payments, and says so", async () => {
  await start("stripe", BOTH);
  await change({ payments: { gateway: "stripe" } });
  await stopWorker();
  await start("simulated");
  expect(said).toContainEqual(expect.objectContaining({ level: 50, gateway: "stripe" }));
  const order = await place("tok_ok");
  await untilStatus(order, "RESERVED");
  await change({ payments: null });
  await untilStatus(order, "CONFIRMED");
  expect(charged(order)).toBe(0);
});

test("what is paused waits in its queue and goes on: refunds, webhooks, e-mails", async () => {
  await start("simulated");
  const order = await place("tok_ok");
  await untilStatus(order, "CONFIRMED");
  let received = 0;
  const receiver = createServer((request, response) => {
    received += 1;
    request.resume();
    response.writeHead(204).end();
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => receiver.once("listening", resolve));
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
  const endpoint = await createWebhookEndpoint(shop.pool, { url }, { ...by, allowPrivate: true });
  const userId = makeCustomerId();
  await shop.pool.query("INSERT INTO users (id, email, name, password_hash) VALUES ($1, 'kim@x.example', 'Kim', '')", [
    userId,
  ]);

  await change({ pauses: { refunds: true, webhooks: true, mails: true } });
  await until(() => expect(said.filter(({ msg }) => msg === "a queue is paused")).toHaveLength(3));
  const {
    refund: { id },
  } = await openARefund(order);
  const ping = await pingWebhookEndpoint(shop.pool, endpoint.id, by);
  await transaction(shop.pool, (client) => outbox.send(client, "mail", { userId, purpose: "verify_email" }));
  // Payments go on, and by the time that one of them is through, the others would be as well.
  await untilStatus(await place("tok_ok"), "CONFIRMED");
  await untilStatus(await place("tok_ok"), "CONFIRMED");
  const { rows } = await shop.pool.query("SELECT state, calls FROM refunds WHERE id = $1", [id]);
  expect(rows).toEqual([{ state: "pending", calls: 0 }]);
  expect(await findDelivery(shop.pool, ping.id)).toMatchObject({ state: "pending", tries: 0 });
  expect([received, readdirSync(mails)]).toEqual([0, []]);

  await change({ pauses: null });
  await until(async () => {
    expect(await findRefund(shop.pool, id)).toMatchObject({ state: "succeeded" });
    expect(await findDelivery(shop.pool, ping.id)).toMatchObject({ state: "delivered" });
    expect(readdirSync(mails)).toHaveLength(1);
  });
  receiver.close();
  receiver.closeAllConnections();
});
