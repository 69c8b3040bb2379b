// The HTTP adapter's circuits: when they open, what they keep back, who they do not concern, and how they are seen.
import { randomUUID } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { openPool } from "../../engine/ledger/database.ts";
import { listBroken } from "../../engine/ledger/payment-circuits.ts";
import { createLogger } from "../../engine/log.ts";
import { CIRCUIT_TIMING } from "../../persister/jobs/gateway/circuit.ts";
import { openCircuitRecord } from "../../persister/jobs/gateway/circuit-record.ts";
import { type HttpGatewayOptions, httpGateway } from "../../persister/jobs/gateway/http.ts";
import { createTestDatabase } from "../support/postgres.ts";

type Answer = (call: IncomingMessage, body: string, response: ServerResponse) => void;

const { failuresMax } = CIRCUIT_TIMING;
/** Trials as soon as anybody asks. */
const AT_ONCE = { trialDelayMs: 0, trialDelayMsMax: 0 };
/** None within a test. */
const NEVER = { trialDelayMs: 3_600_000, trialDelayMsMax: 3_600_000 };
const KEPT_BACK = { type: "unsent", code: "circuit_open" };

const patience = () => AbortSignal.timeout(10_000);
const request = (token = "tok_ok") => ({ key: `${randomUUID()}:1`, amount: 1_000, currency: "KRW", token });
const refund = () => ({ key: randomUUID(), chargeKey: "charge", amount: 1 });

const away: Answer = (_call, _body, response) => json(response, 502, {});
const hangsUp: Answer = (call) => call.socket.destroy();
const succeeds: Answer = (_call, body, response) => {
  const { charges } = JSON.parse(body) as { charges?: readonly { key: string }[] };
  const charge = { id: "ch_1", status: "succeeded" };
  json(response, 200, charges ? { results: charges.map(({ key }) => ({ ...charge, key })) } : charge);
};

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

/** A provider that answers as it is told to at the time, an adapter to it, and what is heard of its circuits. */
async function start(answer: Answer, options: Partial<HttpGatewayOptions> = {}) {
  const provider = { answer, calls: [] as string[] };
  const server = createServer(async (call, response) => {
    provider.calls.push(`${call.method} ${call.url}`);
    provider.answer(call, await text(call), response);
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const heard: string[] = [];
  const gateway = httpGateway({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    apiKey: "a key that only tests have",
    circuit: NEVER,
    onCircuit: (circuit, status) => heard.push(`${circuit} ${status}`),
    ...options,
  });
  onTestFinished(async () => {
    await gateway.close();
    server.closeAllConnections();
    server.close();
  });
  return { provider, gateway, heard };
}

async function times<T>(count: number, call: () => Promise<T>): Promise<T[]> {
  const outcomes: T[] = [];
  for (let at = 0; at < count; at += 1) outcomes.push(await call());
  return outcomes;
}

describe("an open circuit", () => {
  test.for([
    ["no answer", hangsUp],
    ["bad gateways", away],
  ] as const)("after %s in a row keeps charges back, and has the provider left alone", async ([, outage]) => {
    const { provider, gateway, heard } = await start(outage);
    const failed = await times(failuresMax, () => gateway.charge(request(), patience()));
    expect(new Set(failed.map(({ type }) => type))).toEqual(new Set(["unknown"]));
    expect(await times(3, () => gateway.charge(request(), patience()))).toEqual(Array(3).fill(KEPT_BACK));
    expect(provider.calls).toHaveLength(failuresMax);
    expect(heard).toEqual(["batches open"]);
  });

  test("of charges concerns neither look-ups nor refunds, nor they each other", async () => {
    const { provider, gateway, heard } = await start(away);
    await times(failuresMax, () => gateway.charge(request(), patience()));
    provider.answer = (_call, _body, response) => json(response, 200, { id: "re_1", status: "succeeded" });
    expect(await gateway.lookup("x", patience())).toEqual({ type: "succeeded", reference: "re_1" });
    expect(await gateway.refund(refund(), patience())).toEqual({ type: "succeeded", reference: "re_1" });
    provider.answer = away;
    await times(failuresMax, () => gateway.lookup("x", patience()));
    await times(failuresMax, () => gateway.refund(refund(), patience()));
    expect(heard).toEqual(["batches open", "lookups open", "refunds open"]);
    expect(await gateway.lookup("x", patience())).toEqual(KEPT_BACK);
    expect(await gateway.lookupRefund("x", patience())).toMatchObject({ code: "circuit_open" });
    expect(await gateway.refund(refund(), patience())).toEqual(KEPT_BACK);
  });

  test("lets one call through as a trial, whose failure keeps it open, and whose success closes it", async () => {
    const { provider, gateway, heard } = await start(away, { circuit: AT_ONCE });
    await times(failuresMax, () => gateway.charge(request(), patience()));
    expect(await gateway.charge(request(), patience())).toMatchObject({ type: "unknown", code: "http_502" });
    expect(heard).toEqual(["batches open", "batches half-open", "batches open"]);
    provider.answer = succeeds;
    expect(await gateway.charge(request(), patience())).toMatchObject({ type: "succeeded" });
    expect(heard.slice(3)).toEqual(["batches half-open", "batches closed"]);
    // Closed, it takes as many outages again.
    provider.answer = away;
    await times(failuresMax - 1, () => gateway.charge(request(), patience()));
    expect(heard).toHaveLength(5);
  });

  test("does not let others wait for a trial that takes its time", async () => {
    const { provider, gateway } = await start(away, { circuit: AT_ONCE });
    await times(failuresMax, () => gateway.lookup("x", patience()));
    const trial = Promise.withResolvers<ServerResponse>();
    provider.answer = (_call, _body, response) => trial.resolve(response);
    const tried = gateway.lookup("x", patience());
    const response = await trial.promise;
    expect(await gateway.lookup("x", patience())).toEqual(KEPT_BACK);
    json(response, 200, { id: "ch_1", status: "succeeded" });
    expect(await tried).toMatchObject({ type: "succeeded" });
  });
});

describe("a circuit stays closed", () => {
  test("as long as an answer comes in between", async () => {
    const { provider, gateway, heard } = await start(away);
    for (let round = 0; round < 3; round += 1) {
      provider.answer = away;
      await times(failuresMax - 1, () => gateway.charge(request(), patience()));
      provider.answer = succeeds;
      expect(await gateway.charge(request(), patience())).toMatchObject({ type: "succeeded" });
    }
    expect(heard).toEqual([]);
  });

  test("whatever the provider refuses", async () => {
    const { gateway, heard } = await start((_call, _body, response) => json(response, 422, { code: "no" }));
    await times(2 * failuresMax, () => gateway.charge(request(), patience()));
    expect(heard).toEqual([]);
  });

  test("however many customers hesitate", async () => {
    const hesitating: Answer = (call, body, response) => {
      if (call.url !== "/charges/batch") return;
      const { charges } = JSON.parse(body) as { charges: readonly { key: string }[] };
      json(response, 200, { results: charges.map(({ key }) => ({ key, status: "pending" })) });
    };
    const { provider, gateway, heard } = await start(hesitating, { timeoutMs: 30 });
    const outcomes = await times(2 * failuresMax, () => gateway.charge(request("tok_timeout"), patience()));
    expect(outcomes).toEqual(outcomes.map(() => ({ type: "unknown", code: "timeout" })));
    expect(heard).toEqual([]);
    // Their provider going away is another matter.
    provider.answer = (call, body, response) =>
      call.url === "/charges/batch" ? hesitating(call, body, response) : hangsUp(call, body, response);
    await times(failuresMax, () => gateway.charge(request("tok_timeout"), patience()));
    expect(heard).toEqual(["charges open"]);
    expect(await gateway.charge(request("tok_timeout"), patience())).toEqual(KEPT_BACK);
  });
});

test("a worker's circuits are rows while they are not closed, and gone with it", async () => {
  const database = await createTestDatabase();
  const own = () =>
    openPool(
      database.url,
      { connectionsMax: 1, applicationName: "circuits", statementTimeoutMs: 10_000 },
      () => undefined,
    );
  const log = createLogger("test", "silent");
  const [first, second] = [openCircuitRecord(own(), log), openCircuitRecord(own(), log)];
  const shown = (circuits: readonly unknown[]) =>
    vi.waitFor(async () => expect(await listBroken(database.pool)).toEqual(circuits), { timeout: 10_000 });
  first.listener("batches", "open");
  second.listener("batches", "open");
  second.listener("lookups", "half-open");
  await shown([
    { circuit: "batches", status: "open", workers: 2 },
    { circuit: "lookups", status: "half-open", workers: 1 },
  ]);
  first.listener("batches", "closed");
  await shown([
    { circuit: "batches", status: "open", workers: 1 },
    { circuit: "lookups", status: "half-open", workers: 1 },
  ]);
  await Promise.all([first.close(), second.close()]);
  await shown([]);
});
