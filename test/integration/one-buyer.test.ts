// One buyer against a whole crowd of the same buyer: a thousand requests at once, over HTTP and two API processes' worth of
// engines, leave what one patient buyer would have left.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createApp } from "../../api/app.ts";
import { type ApiServer, startServer } from "../../api/server.ts";
import { startEngine } from "../support/assembly.ts";
import { type AnswerBody, openApiShop } from "./api-shop.ts";

const shop = await openApiShop();
const PARALLEL = 1_000;
let servers: ApiServer[];
let second: Awaited<ReturnType<typeof startEngine>>;

beforeAll(async () => {
  second = await startEngine({ databaseUrl: shop.databaseUrl, redisUrl: shop.redis.url });
  const apps = [shop.app, createApp({ ...shop.deps, engine: second.engine })];
  servers = await Promise.all(apps.map((app) => startServer(app, { host: "127.0.0.1", port: 0 })));
});
afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  await second.stop();
});

/** A sale that both processes know. */
async function openSale(options: { stock: number; perCustomerLimit?: number }) {
  const sale = await shop.sale(options);
  await second.engine.catalogue.refresh();
  return sale;
}

interface OneAnswer {
  readonly status: number;
  readonly body: AnswerBody;
}

async function order(n: number, body: object, key?: string): Promise<OneAnswer> {
  const headers = { "content-type": "application/json", ...(key !== undefined && { "idempotency-key": key }) };
  const url = `${servers[n % servers.length]?.url}/api/v1/orders`;
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  return { status: response.status, body: (await response.json()) as AnswerBody };
}

const crowd = (send: (n: number) => Promise<OneAnswer>) =>
  Promise.all(Array.from({ length: PARALLEL }, (_, n) => send(n)));
const count = (answers: readonly OneAnswer[], status: number) =>
  answers.filter((answer) => answer.status === status).length;

async function stockOf(saleId: string, productId: string) {
  const snapshot = await shop.deps.engine.stock.snapshot({ saleId, partition: 0 });
  return snapshot.type === "OK" ? snapshot.stock.get(productId) : snapshot;
}

describe("a thousand requests of one buyer at once", () => {
  it("leave exactly the units of the limit", async () => {
    const { saleId, productId } = await openSale({ stock: 5_000, perCustomerLimit: 2 });
    const customerId = randomUUID();
    const later = { method: "later" };
    const answers = await crowd((n) =>
      order(n, { saleId, customerId, items: [{ productId, quantity: 1 }], payment: later }),
    );
    expect(count(answers, 202)).toBe(2);
    expect(count(answers, 409)).toBe(PARALLEL - 2);
    const refusals = answers.filter((answer) => answer.status === 409);
    expect(new Set(refusals.map((answer) => answer.body.code))).toEqual(new Set(["LIMIT_EXCEEDED"]));
    expect(await stockOf(saleId, productId)).toEqual({ available: 4_998, reserved: 2, sold: 0 });
  });

  it("with one key leave one order; another body is refused, another buyer has an order of its own", async () => {
    const { saleId, productId } = await openSale({ stock: 5_000 });
    const key = `key-${randomUUID()}`;
    const customerId = randomUUID();
    const payment = { method: "later" };
    const body = { saleId, customerId, items: [{ productId, quantity: 1 }], payment };
    const answers = await crowd((n) => order(n, body, key));
    expect(count(answers, 202)).toBe(1);
    expect(count(answers, 200)).toBe(PARALLEL - 1);
    expect(new Set(answers.map((answer) => answer.body.orderTrackingId)).size).toBe(1);

    const others = await crowd((n) => order(n, { ...body, items: [{ productId, quantity: 2 }] }, key));
    expect(count(others, 422)).toBe(PARALLEL);
    const stranger = await order(0, { ...body, customerId: randomUUID() }, key);
    expect(stranger.status).toBe(202);
    expect(stranger.body.orderTrackingId).not.toBe(answers[0]?.body.orderTrackingId);
    expect(await stockOf(saleId, productId)).toEqual({ available: 4_998, reserved: 2, sold: 0 });
  });
});
