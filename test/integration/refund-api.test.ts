// POST and GET /orders/{id}/refunds, by a shop with a persister and a worker; and what subscribers are told.
import { randomUUID } from "node:crypto";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { type Answer, accessToken } from "./api-shop.ts";
import { dropClients, open, openStatusShop, type Served } from "./ws-shop.ts";

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });
const WAIT = { timeout: 30_000, interval: 20 };
const shop = await openStatusShop();
const { admin } = shop;
let server: Served;
let sale: { saleId: string; productId: string };

beforeAll(async () => {
  server = await shop.serve();
  await shop.process();
  sale = await shop.sale({ stock: 1_000, price: 1_000 });
});
afterEach(dropClients);

const refund = (orderId: string, body?: unknown, options: { token?: string | undefined; key?: string } = {}) =>
  shop.call("POST", `/api/v1/orders/${orderId}/refunds`, {
    body,
    token: "token" in options ? options.token : admin,
    ...(options.key !== undefined && { headers: { "idempotency-key": options.key } }),
  });
const list = async (orderId: string, token?: string, query = "") =>
  JSON.parse((await shop.call("GET", `/api/v1/orders/${orderId}/refunds${query}`, { token })).text) as {
    items: Record<string, unknown>[];
    nextCursor?: string;
  };
const read = async (orderId: string): Promise<Record<string, unknown>> =>
  JSON.parse((await shop.call("GET", `/api/v1/orders/${orderId}`, { token: admin })).text);
const until = (orderId: string, expected: object) =>
  vi.waitFor(async () => expect(await read(orderId)).toMatchObject(expected), WAIT);
const isCreated = (answer: Answer) => expect(answer, answer.text).toMatchObject({ status: 201 });

async function confirmed(units = 4, token?: string): Promise<string> {
  const items = [{ productId: sale.productId, quantity: units }];
  const body = { saleId: sale.saleId, items, payment: { method: "card", token: "tok_ok" } };
  const placed = await shop.call("POST", "/api/v1/orders", {
    token,
    body: { ...body, ...(token === undefined && { customerId: randomUUID() }) },
  });
  expect(placed, placed.text).toMatchObject({ status: 202 });
  await until(placed.body.orderTrackingId, { status: "CONFIRMED" });
  return placed.body.orderTrackingId;
}

describe("POST /orders/{id}/refunds", () => {
  it("answers 201 with the refund, which then succeeds", async () => {
    const orderId = await confirmed();
    const items = [{ productId: sale.productId, quantity: 1 }];
    const answer = await refund(orderId, { items, restock: true, reason: "one was broken" });
    isCreated(answer);
    expect(JSON.parse(answer.text)).toEqual({
      id: expect.any(String),
      orderTrackingId: orderId,
      amount: 1_000,
      currency: "KRW",
      items,
      restock: true,
      state: "pending",
      reason: "one was broken",
      createdAt: expect.any(String),
      endedAt: null,
    });
    await until(orderId, { status: "CONFIRMED", refundedAmount: 1_000 });
    expect((await list(orderId, admin)).items).toMatchObject([
      { id: answer.body.id, state: "succeeded", amount: 1_000 },
    ]);
    const { timeline, version } = (await read(orderId)) as { timeline: object[]; version: number };
    expect(timeline.at(-1)).toMatchObject({ status: "CONFIRMED", version, refundedAmount: 1_000 });
  });

  it("partial refunds add up to the unit: the last one is a whole one, and the order REFUNDED", async () => {
    const orderId = await confirmed(4);
    isCreated(await refund(orderId, { items: [{ productId: sale.productId, quantity: 1 }] }));
    isCreated(await refund(orderId, { amount: 333 }));
    isCreated(await refund(orderId, { items: [{ productId: sale.productId, quantity: 2 }], restock: true }));
    const tooMuch = await refund(orderId, { amount: 668 });
    expect(tooMuch).toMatchObject({ status: 409, body: { code: "INVALID_STATE", refundableAmount: 667 } });
    const last = await refund(orderId, { items: [{ productId: sale.productId, quantity: 1 }] });
    expect(JSON.parse(last.text)).toMatchObject({ amount: 667, items: [{ productId: sale.productId, quantity: 1 }] });
    await until(orderId, { status: "REFUNDED", refundedAmount: 4_000 });
    expect(await refund(orderId)).toMatchObject({
      status: 409,
      body: { code: "INVALID_STATE", orderStatus: "REFUNDED" },
    });
  });

  it("an amount that completes the order takes all units with it that are left", async () => {
    const orderId = await confirmed(3);
    isCreated(await refund(orderId, { items: [{ productId: sale.productId, quantity: 1 }] }));
    const last = await refund(orderId, { amount: 2_000, restock: true });
    expect(JSON.parse(last.text)).toMatchObject({ items: [{ productId: sale.productId, quantity: 2 }], restock: true });
    await until(orderId, { status: "REFUNDED", refundedAmount: 3_000 });
  });

  it("never takes back more units than are left, whoever has them", async () => {
    const orderId = await confirmed(2);
    const one = [{ productId: sale.productId, quantity: 1 }];
    isCreated(await refund(orderId, { items: one }));
    const answer = await refund(orderId, { items: [...one, ...one] });
    expect(answer).toMatchObject({ status: 409, body: { code: "INVALID_STATE", refundableUnits: 1 } });
  });

  it.each([
    ["items and amount", { items: [{ productId: "P", quantity: 1 }], amount: 1 }],
    ["no units", { items: [{ productId: "P", quantity: 0 }] }],
    ["less than none", { items: [{ productId: "P", quantity: -1 }] }],
    ["half a unit", { items: [{ productId: "P", quantity: 1.5 }] }],
    ["units as text", { items: [{ productId: "P", quantity: "1" }] }],
    ["endless units", '{"items":[{"productId":"P","quantity":1e309}]}'],
    ["an unknown product", { items: [{ productId: randomUUID(), quantity: 1 }] }],
    ["what is no product", { items: [{ productId: "x", quantity: 1 }] }],
    ["no items", { items: [] }],
    ["too many items", { items: Array.from({ length: 101 }, () => ({ productId: "P", quantity: 1 })) }],
    ["an amount of nothing", { amount: 0 }],
    ["a negative amount", { amount: -1 }],
    ["a fraction", { amount: 1.5 }],
    ["an amount as text", { amount: "1" }],
    ["more than any amount", { amount: 1e13 }],
    ["null", { items: null }],
    ["restock as text", { restock: "yes" }],
    ["a reason that is none", { reason: "" }],
    ["a list", []],
    ["text", '"all"'],
    ["no JSON", "{"],
  ])("refuses %s with 400, and changes nothing", async (_name, body) => {
    orderOfRefusals ??= confirmed(2);
    const orderId = await orderOfRefusals;
    const sent = JSON.parse(JSON.stringify({ body }).replaceAll('"P"', JSON.stringify(sale.productId))).body;
    const answer = await refund(orderId, typeof body === "string" ? body.replace("P", sale.productId) : sent);
    expect(answer, answer.text).toMatchObject({ status: 400, body: { code: "VALIDATION" } });
    expect((await list(orderId, admin)).items).toEqual([]);
    expect(await read(orderId)).toMatchObject({ status: "CONFIRMED", refundedAmount: 0 });
  });
  let orderOfRefusals: Promise<string> | undefined;

  it("gives the same refund for the same key and body, 422 for another body", async () => {
    const orderId = await confirmed();
    const key = "refund-1";
    const answers = await Promise.all(Array.from({ length: 10 }, () => refund(orderId, { amount: 100 }, { key })));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([...Array<number>(9).fill(200), 201]);
    expect(new Set(answers.map(({ body }) => body.id)).size).toBe(1);
    const replay = answers.find(({ status }) => status === 200);
    expect(replay?.headers.get("idempotent-replayed")).toBe("true");
    expect(await refund(orderId, { amount: 101 }, { key })).toMatchObject({
      status: 422,
      body: { code: "IDEMPOTENCY_CONFLICT" },
    });
    expect(await refund(orderId, {}, { key: "x".repeat(256) })).toMatchObject({ status: 400 });
    expect((await list(orderId, admin)).items).toHaveLength(1);
    // Also once nothing is left to refund.
    const whole = await refund(orderId, {}, { key: "whole" });
    isCreated(whole);
    await until(orderId, { status: "REFUNDED" });
    expect(await refund(orderId, {}, { key: "whole" })).toMatchObject({ status: 200, body: { id: whole.body.id } });
  });

  it("is for administrators, of orders that are CONFIRMED", async () => {
    const orderId = await confirmed();
    expect(await refund(orderId, {}, { token: undefined })).toMatchObject({ status: 401 });
    const support = await accessToken("cus_000000000000000000000000", ["support"]);
    expect(await refund(orderId, {}, { token: support })).toMatchObject({ status: 403 });
    for (const id of [randomUUID(), "nothing", "%00"]) expect(await refund(id, {})).toMatchObject({ status: 404 });
    const declined = await shop.order(sale, { paymentToken: "tok_declined" });
    await until(declined, { status: "CANCELLED" });
    expect(await refund(declined)).toMatchObject({ status: 409, body: { orderStatus: "CANCELLED" } });
  });

  it("is in the audit trail, with who and why", async () => {
    const orderId = await confirmed();
    const { body } = await refund(orderId, { amount: 10, reason: "late" });
    const audit = await shop.call("GET", `/api/v1/admin/audit?subject=order:${orderId}`, { token: admin });
    expect(JSON.parse(audit.text).items).toMatchObject([
      { action: "order.refund", reason: "late", after: { refund: body.id, amount: 10, scope: "part" } },
    ]);
  });
});

describe("GET /orders/{id}/refunds", () => {
  it("shows them to whoever may see the order, the operator's words to operators only, in pages", async () => {
    const owner = await accessToken("cus_111111111111111111111111");
    const stranger = await accessToken("cus_222222222222222222222222");
    const orderId = await confirmed(1, owner);
    for (const amount of [1, 2, 3]) isCreated(await refund(orderId, { amount, reason: "between us" }));
    const path = `/api/v1/orders/${orderId}/refunds`;
    expect(await shop.call("GET", path, { token: stranger })).toMatchObject({ status: 404 });
    expect(await shop.call("GET", path)).toMatchObject({ status: 404 });
    const mine = await list(orderId, owner, "?limit=2");
    expect(mine.items.map(({ amount }) => amount)).toEqual([1, 2]);
    expect(JSON.stringify(mine)).not.toContain("between us");
    const rest = await list(orderId, owner, `?limit=2&cursor=${mine.nextCursor}`);
    expect(rest.items.map(({ amount }) => amount)).toEqual([3]);
    expect(rest.nextCursor).toBeUndefined();
    expect(await shop.call("GET", `${path}?cursor=x`, { token: owner })).toMatchObject({ status: 400 });
    expect(JSON.stringify(await list(orderId, admin))).toContain("between us");
  });
});

describe("a refund that failed", () => {
  it("is a dead letter, an alarm and a finding; it can be replayed, and not discarded", async () => {
    const orderId = await shop.order(sale, { paymentToken: "tok_refund_refused" });
    await until(orderId, { status: "CONFIRMED" });
    const { body } = await refund(orderId);
    const stateOf = async () => (await list(orderId, admin)).items.map(({ state }) => state);
    await vi.waitFor(async () => expect(await stateOf()).toEqual(["failed"]), WAIT);
    expect(await read(orderId)).toMatchObject({ status: "REFUND_PENDING", refundedAmount: 0 });

    const letters = async (state: string) => {
      const answer = await shop.call("GET", `/api/v1/admin/dead-letters?state=${state}`, { token: admin });
      return JSON.parse(answer.text).items as { id: number; refundId: string }[];
    };
    const [letter] = await letters("open");
    expect(letter).toMatchObject({ kind: "refund", orderId, refundId: body.id, epoch: null, error: "refund_refused" });
    const overview = JSON.parse((await shop.call("GET", "/api/v1/admin/overview", { token: admin })).text);
    expect(overview).toMatchObject({ openDeadLetters: 1, refunds: { pending: 0, failed: 1 } });
    expect(overview.findings.join()).toContain("1 refund(s) failed");
    const metrics = await shop.call("GET", "/metrics");
    expect(metrics.text).toContain('onrush_refunds{state="failed"} 1');
    expect(metrics.text).toContain("onrush_refunds_oldest_pending_seconds 0");

    const decide = (what: string) =>
      shop.call("POST", `/api/v1/admin/dead-letters/${letter?.id}/${what}`, {
        token: admin,
        body: { reason: "enough" },
      });
    expect(await decide("discard")).toMatchObject({ status: 409, body: { code: "INVALID_STATE" } });
    expect(await decide("replay")).toMatchObject({ status: 202 });
    // It is refused again, as another letter.
    await vi.waitFor(async () => {
      expect(await letters("replayed")).toMatchObject([{ id: letter?.id }]);
      expect(await letters("open")).toMatchObject([{ refundId: body.id }]);
    }, WAIT);
    expect(await stateOf()).toEqual(["failed"]);
  });
});

describe("subscribers", () => {
  it("of an order hear of each refund; the versions grow, and end equal to GET", async () => {
    const orderId = await confirmed(2);
    const client = await open(server.url);
    client.subscribe(`orders/${orderId}`);
    await client.until(() => client.states(`orders/${orderId}`)[0]);
    isCreated(await refund(orderId, { amount: 500 }));
    await until(orderId, { refundedAmount: 500 });
    isCreated(await refund(orderId));
    await until(orderId, { status: "REFUNDED", refundedAmount: 2_000 });
    const last = await client.until(() =>
      client.states(`orders/${orderId}`).find(({ data }) => data?.status === "REFUNDED"),
    );
    expect(last.data).toEqual(await read(orderId));
    // Whoever comes back is told what was missed, as it was then.
    const late = await open(server.url);
    late.subscribe(`orders/${orderId}`, (last.version ?? 0) - 3);
    await late.until(() => late.states(`orders/${orderId}`).length === 3);
    expect(late.states(`orders/${orderId}`).map(({ data }) => [data?.status, data?.refundedAmount])).toEqual([
      ["CONFIRMED", 500],
      ["REFUND_PENDING", 500],
      ["REFUNDED", 2_000],
    ]);
    const versions = client.states(`orders/${orderId}`).map(({ version }) => version ?? 0);
    expect(versions).toEqual([...new Set(versions)].toSorted((a, b) => a - b));
  });
});
