// What the provider's service promises to anybody who speaks its protocol.
import { randomUUID } from "node:crypto";
import { afterAll, afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { createTestDatabase } from "../support/postgres.ts";
import { API_KEY, startGatewayProcess } from "./gateway-process.ts";

const database = await createTestDatabase();
const gateway = await startGatewayProcess(database.url);
afterAll(() => gateway.stop());

const CHARGE = { amount: 1_000, currency: "KRW", token: "tok_ok" };
const newKey = () => `${randomUUID()}:1`;
const charge = (key: string, change: Record<string, unknown> = {}) =>
  gateway.ask("POST", "/charges", { ...CHARGE, ...change }, { "idempotency-key": key });
const refund = (key: string, chargeKey: string, amount: number) =>
  gateway.ask("POST", "/refunds", { chargeKey, amount }, { "idempotency-key": key });
const found = (key: string) => gateway.ask("GET", `/charges/${encodeURIComponent(key)}`);
async function charged(amount = 1_000): Promise<string> {
  const key = newKey();
  expect(await charge(key, { amount })).toMatchObject({ status: 200 });
  return key;
}

describe("a charge", () => {
  test("is made once under a key, however often and in however many calls at once it is asked for", async () => {
    const key = newKey();
    const answers = await Promise.all(Array.from({ length: 20 }, () => charge(key)));
    expect(new Set(answers.map(({ body }) => body["id"])).size).toBe(1);
    expect(await charge(key)).toEqual(answers[0]);
    expect(await gateway.ask("GET", `/charges/${encodeURIComponent(key)}`)).toEqual(answers[0]);
    expect(answers[0]).toEqual({ status: 200, body: { id: expect.stringMatching(/^ch_/), status: "succeeded" } });
  });

  test.for([
    ["tok_declined", "card_declined"],
    ["tok_insufficient", "insufficient_funds"],
    ["nobody's token", "invalid_token"],
  ])("of %s is declined: %s", async ([token, code]) => {
    expect(await charge(newKey(), { token })).toMatchObject({ status: 200, body: { status: "declined", code } });
  });

  test("of tok_flaky succeeds at the third call, and stays so", async () => {
    const key = newKey();
    for (const status of [503, 503, 200, 200])
      expect(await charge(key, { token: "tok_flaky" })).toMatchObject({ status });
  });

  test("of tok_error never succeeds, and moved no money", async () => {
    const key = newKey();
    for (let call = 0; call < 4; call += 1) expect((await charge(key, { token: "tok_error" })).status).toBe(503);
    expect((await gateway.ask("GET", `/charges/${key}`)).status).toBe(404);
  });

  test("of tok_pending is processed, under one name, and succeeds by itself, over a kill too", async () => {
    const key = newKey();
    const processing = { status: 200, body: { id: expect.stringMatching(/^ch_/), status: "processing" } };
    const first = await charge(key, { token: "tok_pending" });
    expect(first).toEqual(processing);
    expect(await charge(key, { token: "tok_pending" })).toEqual(first);
    expect(await refund(newKey(), key, 100)).toMatchObject({ status: 404, body: { code: "charge_not_found" } });
    await gateway.kill();
    await gateway.restart();
    await vi.waitFor(async () => expect(await found(key)).toMatchObject({ body: { status: "succeeded" } }), {
      timeout: 10_000,
      interval: 50,
    });
    expect((await found(key)).body["id"]).toBe(first.body["id"]);
    expect(await charge(key, { token: "tok_pending" })).toEqual(await found(key));
  });

  describe("in another mode", () => {
    const mode = (name: string) => gateway.ask("PUT", "/charge-mode", { mode: name });
    afterEach(() => mode("accept"));

    test.for([
      ["flaky", [503, 503, 200, 200], "succeeded"],
      ["refuse", [200, 200, 200, 200], "declined"],
    ] as const)("%s: new ones answer %o", async ([name, statuses, status]) => {
      const before = await charged();
      await mode(name);
      const key = newKey();
      for (const expected of statuses) expect((await charge(key)).status).toBe(expected);
      expect(await found(key)).toMatchObject({ body: { status } });
      expect(await charge(before)).toMatchObject({ status: 200, body: { status: "succeeded" } });
      await mode("accept");
      expect(await found(key)).toMatchObject({ body: { status } });
    });

    test("unavailable: nothing is charged while it lasts, over a kill too, and what was asked for is charged afterwards", async () => {
      await mode("unavailable");
      const [key, pending] = [newKey(), newKey()];
      expect((await charge(key)).status).toBe(503);
      await gateway.kill();
      await gateway.restart();
      for (let call = 0; call < 4; call += 1) expect((await charge(key)).status).toBe(503);
      expect((await charge(pending, { token: "tok_pending" })).status).toBe(503);
      expect((await found(key)).status).toBe(404);
      await mode("accept");
      expect(await charge(key)).toMatchObject({ status: 200, body: { status: "succeeded" } });
      expect(await charge(pending, { token: "tok_pending" })).toMatchObject({ body: { status: "processing" } });
    });
  });

  test.for([{ amount: 1_001 }, { currency: "USD" }, { token: "tok_declined" }, { reference: "another order" }])(
    "with other parameters under the same key is refused: %o",
    async (change) => {
      const key = await charged();
      expect(await charge(key, change)).toMatchObject({ status: 422, body: { code: "idempotency_key_reused" } });
      expect(await charge(key)).toMatchObject({ status: 200, body: { status: "succeeded" } });
    },
  );

  test("that was not made is not found", async () => {
    expect(await gateway.ask("GET", "/charges/none")).toMatchObject({
      status: 404,
      body: { code: "charge_not_found" },
    });
  });
});

test("a batch answers each of its charges, and those that take their time as pending, with nothing done", async () => {
  const reused = await charged();
  const tokens = ["tok_ok", "tok_slow", "tok_declined", "tok_timeout", "tok_error", "tok_ok", "tok_pending"];
  const charges = tokens.map((token) => ({ ...CHARGE, key: newKey(), token }));
  const asked = [...charges, { ...CHARGE, key: reused, amount: 2_000 }];
  const { status, body } = await gateway.ask("POST", "/charges/batch", { charges: asked });
  expect(status).toBe(200);
  const results = body["results"] as { key: string; status: string }[];
  expect(results.map(({ key }) => key)).toEqual(asked.map(({ key }) => key));
  expect(results.map((result) => result.status)).toEqual([
    "succeeded",
    "pending",
    "declined",
    "pending",
    "unavailable",
    "succeeded",
    "processing",
    "rejected",
  ]);
  expect((await gateway.ask("GET", `/charges/${charges[3]?.key}`)).status).toBe(404);
});

describe("a refund", () => {
  test("is made once under a key, and partial ones add up to the charge and never exceed it", async () => {
    const chargeKey = await charged(1_000);
    const first = await refund("first", chargeKey, 600);
    expect(first).toEqual({ status: 200, body: { id: expect.stringMatching(/^re_/), status: "succeeded" } });
    expect(await refund("first", chargeKey, 600)).toEqual(first);
    expect(await gateway.ask("GET", "/refunds/first")).toEqual(first);
    expect(await refund("second", chargeKey, 401)).toMatchObject({
      status: 409,
      body: { code: "refund_exceeds_charge" },
    });
    expect((await refund("second", chargeKey, 400)).status).toBe(200);
    expect((await refund("third", chargeKey, 1)).status).toBe(409);
  });

  test("of many at once moves no more than was charged", async () => {
    const chargeKey = await charged(1_000);
    const keys = Array.from({ length: 20 }, newKey);
    const answers = await Promise.all(
      keys.flatMap((key) => [refund(key, chargeKey, 300), refund(key, chargeKey, 300)]),
    );
    const made = new Set(answers.filter(({ status }) => status === 200).map(({ body }) => body["id"]));
    expect(made.size).toBe(3);
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, 409]));
  });

  test("with other parameters under the same key, or of what was not charged, is refused", async () => {
    const chargeKey = await charged();
    const other = await charged();
    const key = newKey();
    expect((await refund(key, chargeKey, 100)).status).toBe(200);
    expect((await refund(key, chargeKey, 101)).status).toBe(422);
    expect((await refund(key, other, 100)).status).toBe(422);
    expect((await refund(newKey(), "nothing", 100)).status).toBe(404);
    const declined = newKey();
    await charge(declined, { token: "tok_declined" });
    expect((await refund(newKey(), declined, 100)).status).toBe(404);
  });

  test("of tok_refund_refused is refused, whatever the mode", async () => {
    const key = newKey();
    expect(await charge(key, { token: "tok_refund_refused" })).toMatchObject({ body: { status: "succeeded" } });
    expect(await refund(newKey(), key, 100)).toMatchObject({ status: 409, body: { code: "refund_refused" } });
  });

  test("fails twice in the flaky mode, and is made once then", async () => {
    const chargeKey = await charged();
    await gateway.ask("PUT", "/refund-mode", { mode: "flaky" });
    const key = newKey();
    for (const status of [503, 503, 200, 200]) expect((await refund(key, chargeKey, 400)).status).toBe(status);
    await gateway.ask("PUT", "/refund-mode", { mode: "accept" });
    expect((await refund(newKey(), chargeKey, 601)).status).toBe(409);
  });

  test("is refused in the refusing mode, over a kill too, and made under the same key afterwards", async () => {
    const chargeKey = await charged();
    const key = newKey();
    const mode = (name: string) => gateway.ask("PUT", "/refund-mode", { mode: name });
    await mode("refuse");
    await gateway.kill();
    await gateway.restart();
    expect(await refund(key, chargeKey, 100)).toMatchObject({ status: 409, body: { code: "refund_refused" } });
    await mode("unavailable");
    expect((await refund(key, chargeKey, 100)).status).toBe(503);
    await mode("accept");
    expect((await refund(key, chargeKey, 100)).status).toBe(200);
    await mode("refuse");
    expect((await refund(key, chargeKey, 100)).status).toBe(200); // made already
    await mode("accept");
  });
});

test("a slow provider has charged and given back before it says so", async () => {
  const slow = await startGatewayProcess(database.url, {
    PAYMENT_LATENCY_MS: "600000",
    PAYMENT_LATENCY_JITTER_MS: "10",
  });
  onTestFinished(() => slow.stop());
  const [single, together, back] = [newKey(), newKey(), newKey()];
  const hangUp = new AbortController();
  const post = (path: string, body: unknown, key?: string) =>
    fetch(`${slow.url}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${API_KEY}`, ...(key !== undefined && { "idempotency-key": key }) },
      body: JSON.stringify(body),
      signal: hangUp.signal,
    }).catch(() => "nobody waits");
  const calls = [
    post("/charges", CHARGE, single),
    post("/charges/batch", { charges: [{ ...CHARGE, key: together }] }),
    post("/refunds", { chargeKey: await charged(), amount: 100 }, back),
  ];
  for (const path of [`/charges/${single}`, `/charges/${together}`, `/refunds/${back}`]) {
    await vi.waitFor(async () => expect(await slow.ask("GET", path)).toMatchObject({ body: { status: "succeeded" } }), {
      timeout: 10_000,
      interval: 20,
    });
  }
  hangUp.abort();
  expect(await Promise.all(calls)).toEqual(Array(3).fill("nobody waits"));
});

test("the ledger shows every charge with its refunds, page by page", async () => {
  const chargeKey = await charged(1_000);
  await refund("of the ledger", chargeKey, 250);
  const keys: string[] = [];
  let found: unknown;
  for (let after = ""; ; ) {
    const { status, body } = await gateway.ask("GET", `/ledger?limit=7&after=${encodeURIComponent(after)}`);
    expect(status).toBe(200);
    const page = body["charges"] as { key: string }[];
    keys.push(...page.map(({ key }) => key));
    found ??= page.find(({ key }) => key === chargeKey);
    if (body["next"] === null) break;
    after = body["next"] as string;
  }
  const rows = await database.pool.query<{ key: string }>("SELECT key FROM simulated_gateway.charges");
  expect(keys.toSorted()).toEqual(rows.rows.map(({ key }) => key).toSorted());
  expect(found).toMatchObject({
    state: "succeeded",
    amount: 1_000,
    currency: "KRW",
    refunded: 250,
    calls: 1,
    refunds: [{ key: "of the ledger", amount: 250, id: expect.stringMatching(/^re_/) }],
  });
});

describe("a request that cannot be taken", () => {
  test.for(["", "Bearer", "Bearer wrong", "Basic abc"])("without the API key gets 401: %o", async (authorization) => {
    for (const [method, path] of [
      ["POST", "/charges"],
      ["POST", "/charges/batch"],
      ["GET", "/charges/x"],
      ["POST", "/refunds"],
      ["PUT", "/charge-mode"],
      ["PUT", "/refund-mode"],
      ["GET", "/ledger"],
    ] as const) {
      const body = method === "GET" ? undefined : CHARGE;
      expect((await gateway.ask(method, path, body, { authorization })).status, path).toBe(401);
    }
  });

  test.for([
    ["not JSON", "{"],
    ["not an object", "[]"],
    ["null", "null"],
    ["no amount", { ...CHARGE, amount: undefined }],
    ["a fraction", { ...CHARGE, amount: 1.5 }],
    ["nothing", { ...CHARGE, amount: 0 }],
    ["a negative amount", { ...CHARGE, amount: -1 }],
    ["an amount that no number holds", '{"amount":99999999999999999999,"currency":"KRW","token":"tok_ok"}'],
    ["an amount in words", { ...CHARGE, amount: "1000" }],
    ["no such currency", { ...CHARGE, currency: "won" }],
    ["an empty token", { ...CHARGE, token: "" }],
    ["a NUL", { ...CHARGE, token: "tok_\0" }],
    ["half a character", '{"amount":1000,"currency":"KRW","token":"\\ud800"}'],
    ["a long token", { ...CHARGE, token: "t".repeat(501) }],
  ] as const)("%s gets 400", async ([, body]) => {
    expect((await gateway.ask("POST", "/charges", body, { "idempotency-key": newKey() })).status).toBe(400);
    const batch = typeof body === "string" ? body : { charges: [{ ...body, key: newKey() }] };
    expect((await gateway.ask("POST", "/charges/batch", batch)).status).toBe(400);
  });

  test("a key that is missing, too long or not ASCII gets 400; in a path, NUL too", async () => {
    expect((await gateway.ask("POST", "/charges", CHARGE)).status).toBe(400);
    for (const key of ["k".repeat(256), "caf\u00e9"]) expect((await charge(key)).status).toBe(400);
    for (const path of ["/charges/%00", "/refunds/%00", "/ledger?after=%00", "/ledger?limit=0"]) {
      expect((await gateway.ask("GET", path)).status, path).toBe(400);
    }
  });

  test("too much at once gets 400 or 413", async () => {
    const charges = Array.from({ length: 65 }, () => ({ ...CHARGE, key: newKey() }));
    expect((await gateway.ask("POST", "/charges/batch", { charges })).status).toBe(400);
    expect((await gateway.ask("POST", "/charges/batch", { charges: [] })).status).toBe(400);
    expect((await charge(newKey(), { token: "t".repeat(200_000) })).status).toBe(413);
  });

  test("an unknown path gets 404", async () => {
    expect(await gateway.ask("GET", "/nothing")).toMatchObject({ status: 404, body: { code: "not_found" } });
  });
});
