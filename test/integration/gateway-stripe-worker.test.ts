// Payments by Stripe, by a worker, while answers are lost at every step: each order is paid, and each is charged once.
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { transaction } from "../../engine/ledger/database.ts";
import { type Outbox, openOutbox } from "../../engine/outbox/outbox.ts";
import { stripeGateway } from "../../persister/jobs/gateway/stripe/stripe.ts";
import { startWorker, type Worker } from "../../persister/jobs/worker.ts";
import { STRIPE_KEY, startStripeServer } from "../support/stripe/server.ts";
import { openShop, silent } from "./jobs-shop.ts";

const shop = await openShop();
const stripe = await startStripeServer();
let outbox: Outbox;
let worker: Worker;

beforeAll(async () => {
  outbox = await openOutbox(shop.databaseUrl, () => undefined);
  worker = await startWorker({
    databaseUrl: shop.databaseUrl,
    redisUrl: shop.redisUrl,
    // Faults are as likely as answers here: no circuit is to be opened by them.
    gateway: stripeGateway({ apiKey: STRIPE_KEY, url: stripe.url, circuit: { failuresMax: 1_000_000 } }),
    log: silent,
    timing: { sweepIntervalMs: 50, payment: { retryDelayMs: 50, lastDelayMs: 200 } },
  });
});
afterAll(async () => {
  await worker.stop();
  await Promise.all([outbox.close(), stripe.stop()]);
});

async function pay(count: number, token: string): Promise<string[]> {
  const orders = await shop.reserve(count, { token });
  await transaction(shop.pool, (client) => outbox.enqueue(client, "payment", orders));
  return orders;
}
const eventually = (check: () => Promise<void>) => vi.waitFor(check, { timeout: 25_000, interval: 20 });
const capturedBy = (order: string) =>
  [1, 2, 3].flatMap((attempt) =>
    stripe.books.intentsOf(`${order}:${attempt}`).filter(({ status }) => status === "succeeded"),
  );

test.for([
  ["pm_card_visa", "PAID", null],
  ["pm_card_chargeDeclined", "CANCELLING", "PAYMENT_DECLINED"],
  ["pm_konbini", "CANCELLING", "PAYMENT_DECLINED"],
] as const)("%s: %s %s", async ([token, status, reason]) => {
  const [order = ""] = await pay(1, token);
  await eventually(async () => expect(await shop.stateOf(order)).toMatchObject({ status, reason, token: null }));
});

test("a bank debit is PAYING until the bank has decided, and paid then", async () => {
  const [order = ""] = await pay(1, "pm_usBankAccount");
  await eventually(async () => expect(stripe.books.intentsOf(`${order}:1`)).toMatchObject([{ status: "processing" }]));
  expect(await shop.stateOf(order)).toMatchObject({ status: "PAYING" });
  stripe.books.settle();
  await eventually(async () => {
    await shop.passTime([order]);
    expect(await shop.stateOf(order)).toMatchObject({ status: "PAID", attempts: 1 });
  });
});

test("a hundred orders whose calls are cut before and after they did their work are paid, each once", async () => {
  const met = new Set<string>();
  stripe.fault = ({ method, route, idempotencyKey = "" }) => {
    // Every third call or so goes wrong, each under its key in each way once at most.
    const name = `${method} ${route} ${idempotencyKey}`;
    const faults = ["unheard", "lost", "limited"] as const;
    const next = faults.find((fault) => !met.has(`${name} ${fault}`));
    const meets = [...name].reduce((sum, letter) => sum + letter.charCodeAt(0), met.size) % 3 === 0;
    if (method !== "POST" || !next || !meets) return undefined;
    met.add(`${name} ${next}`);
    return next;
  };
  const orders = await pay(100, "pm_card_visa");
  await eventually(async () => {
    const { PAID = 0, CANCELLING = 0 } = await shop.statuses(orders);
    expect(PAID + CANCELLING).toBe(100);
  });
  stripe.fault = () => undefined;
  const paid = await shop.statuses(orders);
  expect(paid["PAID"]).toBeGreaterThan(50);
  for (const order of orders) {
    const { status } = await shop.stateOf(order);
    expect(capturedBy(order), order).toHaveLength(status === "PAID" ? 1 : 0);
  }
});
