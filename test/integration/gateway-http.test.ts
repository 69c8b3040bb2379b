// What the HTTP adapter makes of answers, of their absence, and of customers who take their time.
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import { type HttpGatewayOptions, httpGateway } from "../../persister/jobs/gateway/http.ts";
import { freePort } from "../../runtime/embedded/server.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { API_KEY, startGatewayProcess } from "./gateway-process.ts";

const database = await createTestDatabase();
const provider = await startGatewayProcess(database.url);
afterAll(() => provider.stop());

const patience = () => AbortSignal.timeout(10_000);
const request = (change: { key?: string; amount?: number; token?: string } = {}) => ({
  key: `${randomUUID()}:1`,
  amount: 1_000,
  currency: "KRW",
  token: "tok_ok",
  ...change,
});

function open(options: Partial<HttpGatewayOptions> = {}) {
  const gateway = httpGateway({ url: provider.url, apiKey: API_KEY, ...options });
  onTestFinished(() => gateway.close());
  return gateway;
}

/** A provider that answers every call so. */
async function standIn(answer: (call: IncomingMessage, body: string, response: ServerResponse) => void) {
  const calls: string[] = [];
  const server = createServer(async (call, response) => {
    calls.push(`${call.method} ${call.url}`);
    answer(call, await text(call), response);
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, calls };
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

describe("the provider's own answers", () => {
  test("a key with another amount failed for good, and the charge stands", async () => {
    const gateway = open();
    const first = request();
    const made = await gateway.charge(first, patience());
    expect(made).toEqual({ type: "succeeded", reference: expect.stringMatching(/^ch_/) });
    const reused = { type: "failed", code: "idempotency_key_reused", retryable: false };
    expect(await gateway.charge({ ...first, amount: 2 }, patience())).toEqual(reused);
    expect(await open({ batchMax: 1 }).charge({ ...first, amount: 2 }, patience())).toEqual(reused);
    expect(await gateway.lookup(first.key, patience())).toEqual(made);
    expect(await gateway.lookup("nothing", patience())).toBe("none");
  });

  test("a wrong API key fails for now, and never means that there is no charge", async () => {
    const gateway = open({ apiKey: "some other key, not this" });
    expect(await gateway.charge(request(), patience())).toEqual({
      type: "failed",
      code: "unauthorized",
      retryable: true,
    });
    expect(await gateway.lookup("nothing", patience())).toEqual({ type: "unknown", code: "unauthorized" });
  });

  test("a charge that cannot be taken fails alone, not with those it was sent with", async () => {
    const gateway = open();
    const tokens = ["tok_ok", "tok_\0", "tok_declined"];
    const outcomes = await Promise.all(tokens.map((token) => gateway.charge(request({ token }), patience())));
    expect(outcomes).toMatchObject([
      { type: "succeeded" },
      { type: "failed", code: "invalid_request", retryable: false },
      { type: "declined", code: "card_declined" },
    ]);
  });

  test("customers who hesitate hold up nobody who came with them", async () => {
    const gateway = open();
    const slow = ["tok_slow", "tok_timeout"];
    const hanging = new AbortController();
    const waiting = slow.map((token) => gateway.charge(request({ token }), hanging.signal));
    const prompt = await Promise.all(Array.from({ length: 62 }, () => gateway.charge(request(), patience())));
    expect(new Set(prompt.map(({ type }) => type))).toEqual(new Set(["succeeded"]));
    hanging.abort();
    expect(await Promise.all(waiting)).toMatchObject([{ code: "aborted" }, { code: "aborted" }]);
  });

  test("a refund is made once, and not beyond the charge", async () => {
    const gateway = open();
    const { key: chargeKey, ...rest } = request();
    await gateway.charge({ key: chargeKey, ...rest }, patience());
    const refund = { key: "refund-1", chargeKey, amount: 700 };
    expect(await gateway.lookupRefund(refund.key, patience())).toBe("none");
    const made = await gateway.refund(refund, patience());
    expect(made).toMatchObject({ type: "succeeded" });
    expect(await gateway.refund(refund, patience())).toEqual(made);
    expect(await gateway.lookupRefund(refund.key, patience())).toEqual(made);
    expect(await gateway.refund({ ...refund, key: "refund-2" }, patience())).toEqual({
      type: "failed",
      code: "refund_exceeds_charge",
      retryable: false,
    });
  });
});

describe("no answer, or none to go by", () => {
  test("nobody listens: the provider has not heard of the charge, and a look-up says nothing", async () => {
    const gateway = open({ url: `http://127.0.0.1:${await freePort()}` });
    expect(await gateway.charge(request(), patience())).toEqual({
      type: "unsent",
      code: "ECONNREFUSED",
    });
    expect(await gateway.lookup("x", patience())).toEqual({ type: "unsent", code: "ECONNREFUSED" });
  });

  test.for([
    [500, {}, { type: "unknown", code: "http_500" }],
    [502, {}, { type: "unknown", code: "http_502" }],
    [503, { code: "busy" }, { type: "failed", code: "busy", retryable: true }],
    [429, {}, { type: "failed", code: "http_429", retryable: true }],
    [402, {}, { type: "failed", code: "http_402", retryable: false }],
    [302, {}, { type: "unknown", code: "http_302" }],
    [200, { status: "perhaps" }, { type: "unknown", code: "unreadable_answer" }],
    [200, "hello", { type: "unknown", code: "unreadable_answer" }],
  ] as const)("%i %o", async ([status, body, outcome]) => {
    const { url } = await standIn((_call, _body, response) => json(response, status, body));
    expect(await open({ url }).charge(request(), patience())).toEqual(outcome);
    expect(await open({ url, batchMax: 1 }).charge(request(), patience())).toEqual(outcome);
    expect(await open({ url }).lookup("x", patience())).toMatchObject({ type: "unknown" });
  });

  test("a 404 that is not the provider's word does not mean that there is no charge", async () => {
    const { url } = await standIn((_call, _body, response) => json(response, 404, { code: "not_found" }));
    expect(await open({ url }).lookup("x", patience())).toEqual({ type: "unknown", code: "not_found" });
  });

  test("a connection that breaks, and silence, leave it unknown", async () => {
    const broken = await standIn((call) => call.socket.destroy());
    expect(await open({ url: broken.url }).charge(request(), patience())).toEqual({
      type: "unknown",
      code: "ECONNRESET",
    });
    const silent = await standIn(() => undefined);
    const gateway = open({ url: silent.url, timeoutMs: 50 });
    expect(await gateway.charge(request(), patience())).toEqual({ type: "unknown", code: "timeout" });
  });

  test("whoever gave up before the call left is not charged", async () => {
    const { url, calls } = await standIn((_call, _body, response) => json(response, 500, {}));
    const outcome = await open({ url }).charge(request(), AbortSignal.abort());
    expect(outcome).toEqual({ type: "unsent", code: "not_sent_in_time" });
    expect(calls).toEqual([]);
  });
});

test("a provider that knows no batches is asked once, then singly", async () => {
  const { url, calls } = await standIn((call, _body, response) => {
    if (call.url === "/v1/charges") json(response, 200, { id: "ch_1", status: "succeeded" });
    else json(response, 404, {});
  });
  const gateway = open({ url: `${url}/v1/` });
  for (let charge = 0; charge < 3; charge += 1) {
    expect(await gateway.charge(request(), patience())).toEqual({ type: "succeeded", reference: "ch_1" });
  }
  expect(calls).toEqual(["POST /v1/charges/batch", ...Array(3).fill("POST /v1/charges")]);
});
