// What the simulated provider tells its merchant: every end once, signed, and again until it is taken.
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { afterAll, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { openPool } from "../../engine/ledger/database.ts";
import { newWebhookSecret, verifyWebhook } from "../../engine/webhooks/signature.ts";
import { openSimulatedGateway } from "../../persister/jobs/gateway/simulated.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startGatewayProcess } from "./gateway-process.ts";

interface Told {
  readonly id: string;
  readonly genuine: boolean;
  readonly type: string;
  readonly key: string;
}

const SECRET = newWebhookSecret();
const told: Told[] = [];
let answer = 204;
const merchant = createServer(async (request, response) => {
  const header = (name: string) => request.headers[`webhook-${name}`]?.toString();
  const headers = { id: header("id"), timestamp: header("timestamp"), signature: header("signature") };
  const body = await buffer(request);
  const event = JSON.parse(body.toString()) as { type: string; timestamp: string; data: { key: string } };
  const { type, timestamp, data } = event;
  expect(new Date(timestamp).toISOString()).toBe(timestamp);
  const genuine = verifyWebhook([SECRET], headers, body).type === "genuine";
  told.push({ id: headers.id ?? "", genuine, type, key: data.key });
  response.writeHead(answer).end();
}).listen(0, "127.0.0.1");
await new Promise((resolve) => merchant.once("listening", resolve));
const PAYMENT_WEBHOOK_URL = `http://127.0.0.1:${(merchant.address() as AddressInfo).port}/hooks/payments`;

const database = await createTestDatabase();
const provider = await startGatewayProcess(database.url, {
  PAYMENT_WEBHOOK_URL,
  PAYMENT_WEBHOOK_SECRET: SECRET,
  PAYMENT_PENDING_MS: "200",
});
afterAll(async () => {
  await provider.stop();
  merchant.closeAllConnections();
  merchant.close();
});
beforeEach(() => {
  answer = 204;
});

const newKey = () => `${randomUUID()}:1`;
const charge = (key: string, token: string, signal?: AbortSignal) =>
  fetch(`${provider.url}/charges`, {
    method: "POST",
    headers: { authorization: "Bearer a key that only tests have", "idempotency-key": key },
    body: JSON.stringify({ amount: 1_000, currency: "KRW", token }),
    ...(signal && { signal }),
  });
const of = (key: string) => told.filter((event) => event.key === key);
const eventually = (check: () => void | Promise<void>) => vi.waitFor(check, { timeout: 15_000, interval: 20 });
const nothingLeft = async () => {
  const left = await database.pool.query("SELECT FROM simulated_gateway.webhooks");
  expect(left.rowCount).toBe(0);
};

describe("what ended", () => {
  test.for([
    ["tok_ok", 1, "charge.succeeded"],
    ["tok_declined", 1, "charge.declined"],
    ["tok_pending", 1, "charge.succeeded"],
    ["tok_flaky", 3, "charge.succeeded"],
  ] as const)("is told once, however often it is asked for: %s", async ([token, calls, type]) => {
    const key = newKey();
    for (let call = 0; call < calls; call += 1) {
      expect(of(key)).toEqual([]);
      await charge(key, token);
    }
    await eventually(() => expect(of(key)).toHaveLength(1));
    await charge(key, token);
    await eventually(nothingLeft);
    expect(of(key)).toEqual([{ id: expect.stringMatching(/^evt_/), genuine: true, type, key }]);
  });

  test("is told when the call that asked for it is never answered", async () => {
    const key = newKey();
    const patience = new AbortController();
    const call = charge(key, "tok_timeout", patience.signal).catch(() => undefined);
    await eventually(() => expect(of(key)).toMatchObject([{ type: "charge.succeeded" }]));
    patience.abort();
    await call;
  });

  test("is told of a refund, too, and not of what failed", async () => {
    const [chargeKey, failed, key] = [newKey(), newKey(), newKey()];
    await charge(failed, "tok_error");
    await charge(chargeKey, "tok_ok");
    const refund = () => provider.ask("POST", "/refunds", { chargeKey, amount: 400 }, { "idempotency-key": key });
    expect(await refund()).toEqual(await refund());
    await eventually(() => expect(of(key)).toMatchObject([{ type: "refund.succeeded", genuine: true }]));
    await eventually(nothingLeft);
    expect([of(key).length, of(failed).length]).toEqual([1, 0]);
  });
});

test("a webhook that is refused comes again under its id, over a kill of the provider", async () => {
  const key = newKey();
  answer = 503;
  await charge(key, "tok_ok");
  await eventually(() => expect(of(key)).toHaveLength(2));
  await provider.kill();
  answer = 200;
  await provider.restart();
  // One that was under way when the provider was killed waits for its lease of half a minute.
  await vi.waitFor(nothingLeft, { timeout: 45_000, interval: 50 });
  expect(of(key).length).toBeGreaterThanOrEqual(3);
  expect(new Set(of(key).map(({ id }) => id)).size).toBe(1);
  expect(of(key).every(({ genuine }) => genuine)).toBe(true);
}, 90_000);

test("many at once are all told, none of them lost or made up", async () => {
  const charges = Array.from({ length: 640 }, () => ({ key: newKey(), amount: 1, currency: "KRW", token: "tok_ok" }));
  for (let at = 0; at < charges.length; at += 64) {
    await provider.ask("POST", "/charges/batch", { charges: charges.slice(at, at + 64) });
  }
  await eventually(nothingLeft);
  for (const { key } of charges) expect(of(key)).toMatchObject([{ type: "charge.succeeded" }]);
});

test("the provider within the worker tells it as well, and not while it is told nowhere to", async () => {
  const open = (webhooks?: { url: string; secret: string }) => {
    const options = { connectionsMax: 4, applicationName: "simulated", statementTimeoutMs: 10_000 };
    const gateway = openSimulatedGateway(
      openPool(database.url, options, () => undefined),
      { webhooks },
    );
    onTestFinished(() => gateway.close());
    return gateway;
  };
  const request = (key: string) => ({ key, amount: 1_000, currency: "KRW", token: "tok_ok" });
  const [silent, loud] = [newKey(), newKey()];
  await open().charge(request(silent), AbortSignal.timeout(10_000));
  await open({ url: PAYMENT_WEBHOOK_URL, secret: SECRET }).charge(request(loud), AbortSignal.timeout(10_000));
  await eventually(() => expect(of(loud)).toMatchObject([{ type: "charge.succeeded", genuine: true }]));
  expect(of(silent)).toEqual([]);
});
