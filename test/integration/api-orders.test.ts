import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { makeCustomerId } from "../../engine/members/users.ts";
import { verifyReceipt } from "../../engine/receipt.ts";
import { accessToken, guest, openApiShop, RECEIPT_SECRET } from "./api-shop.ts";

const shop = await openApiShop();
const order = (body: unknown, options: { token?: string; headers?: Record<string, string> } = {}) =>
  shop.call("POST", "/api/v1/orders", { body, ...options });
const counts = (statuses: readonly number[]) =>
  Object.fromEntries([...new Set(statuses)].sort().map((s) => [s, statuses.filter((other) => other === s).length]));

describe("placing an order", () => {
  test("answers 202 with what was reserved, where to look, and a receipt that verifies", async () => {
    const { saleId, productId } = await shop.sale({ stock: 10, price: 5_000 });
    const customerId = guest();
    const answer = await order({
      saleId,
      customerId,
      items: [{ productId, quantity: 2, price: 5_000 }],
      price: 10_000,
    });
    expect(answer.status).toBe(202);
    expect(answer.body).toEqual({
      orderTrackingId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      status: "PENDING",
      saleId,
      customerId,
      items: [{ productId, name: "커피", quantity: 2, price: 5_000 }],
      price: 10_000,
      payable: 10_000,
      currency: "KRW",
      reservedUntil: expect.stringMatching(/^\d{4}-.*Z$/),
      acknowledged: "fsync",
      receipt: expect.any(String),
    });
    expect(answer.headers.get("location")).toBe(`/api/v1/orders/${answer.body.orderTrackingId}`);
    const contents = {
      customerId,
      items: [{ productId, quantity: 2, unitPrice: 5_000 }],
      price: 10_000,
      payable: 10_000,
      currency: "KRW",
    };
    expect(verifyReceipt(answer.body.receipt, contents, RECEIPT_SECRET)).toMatchObject({
      orderId: answer.body.orderTrackingId,
      saleId,
    });

    const read = await shop.call("GET", answer.headers.get("location") ?? "");
    expect(read.status).toBe(200);
    expect(read.body).toEqual({
      orderTrackingId: answer.body.orderTrackingId,
      status: "PENDING",
      version: 1,
      saleId,
      customerId,
      items: answer.body.items,
      price: 10_000,
      payable: 10_000,
      refundedAmount: 0,
      currency: "KRW",
      payment: { method: "card" },
      fulfilment: null,
      reservedUntil: answer.body.reservedUntil,
      placedAt: expect.any(String),
      updatedAt: expect.any(String),
      timeline: [{ status: "PENDING", at: expect.any(String), version: 1 }],
    });
  });

  test("without saleId it is the sale catalog's, once a product was put there", async () => {
    const { productId } = await shop.sale({ stock: 1 });
    expect((await order({ items: [{ productId, quantity: 1 }] })).body.code).toBe("NOT_FOUND");
    const restocked = await shop.call("POST", "/api/v1/sales/catalog/restock", {
      token: shop.admin,
      body: { productId, quantity: 3 },
    });
    expect(restocked.status).toBe(200);
    expect(restocked.body.items).toContainEqual(expect.objectContaining({ productId, remaining: 3 }));
    const placed = await order({ items: [{ productId, quantity: 1 }] });
    expect([placed.status, placed.body.saleId]).toEqual([202, "catalog"]);
  });

  test("lines of one product count together, and stay two lines", async () => {
    const { saleId, productId } = await shop.sale({ stock: 3 });
    const lines = (a: number, b: number) => [
      { productId, quantity: a },
      { productId, quantity: b },
    ];
    expect((await order({ saleId, items: lines(2, 2) })).body.code).toBe("SOLD_OUT");
    const placed = await order({ saleId, items: lines(2, 1) });
    expect(placed.status).toBe(202);
    expect(placed.body.items).toHaveLength(2);
  });

  test("of 60 buyers at once for 20 units, 20 are accepted and 40 are told it is sold out", async () => {
    const { saleId, productId } = await shop.sale({ stock: 20 });
    const answers = await Promise.all(
      Array.from({ length: 60 }, () => order({ saleId, customerId: guest(), items: [{ productId, quantity: 1 }] })),
    );
    expect(counts(answers.map(({ status }) => status))).toEqual({ 202: 20, 409: 40 });
    expect(answers.filter(({ body }) => body.code === "SOLD_OUT")).toHaveLength(40);
    const sale = await shop.call("GET", `/api/v1/sales/${saleId}`);
    await expect.poll(async () => (await shop.call("GET", `/api/v1/sales/${saleId}`)).body.state).toBe("sold_out");
    expect(sale.status).toBe(200);
  });

  test("one buyer's parallel orders stay within the limit", async () => {
    const { saleId, productId } = await shop.sale({ stock: 100, perCustomerLimit: 3 });
    const customerId = guest();
    const answers = await Promise.all(
      Array.from({ length: 30 }, () => order({ saleId, customerId, items: [{ productId, quantity: 1 }] })),
    );
    expect(answers.filter(({ status }) => status === 202)).toHaveLength(3);
    expect(answers.filter(({ body }) => body.code === "LIMIT_EXCEEDED")).toHaveLength(27);
  });

  test("a price that is not the sale's is a mismatch, of a line or in total", async () => {
    const { saleId, productId } = await shop.sale({ stock: 5, price: 5_000 });
    for (const body of [
      { saleId, items: [{ productId, quantity: 1, price: 4_999 }] },
      { saleId, items: [{ productId, quantity: 2 }], price: 5_000 },
    ]) {
      const answer = await order(body);
      expect([answer.status, answer.body.code]).toEqual([409, "PRICE_MISMATCH"]);
    }
  });

  test("a sale that is not open says so", async () => {
    const { saleId, productId } = await shop.sale({ stock: 5, sale: { opensAt: "2099-01-01T00:00:00Z" } });
    const buy = () => order({ saleId, items: [{ productId, quantity: 1 }] });
    const act = (name: string) => shop.call("POST", `/api/v1/sales/${saleId}/${name}`, { token: shop.admin });
    expect((await buy()).body).toMatchObject({
      code: "SALE_NOT_OPEN",
      status: 409,
      opensAt: "2099-01-01T00:00:00.000Z",
    });
    expect((await act("open")).body.state).toBe("open");
    expect((await buy()).status).toBe(202);
    expect((await act("pause")).body.state).toBe("paused");
    expect((await buy()).body.code).toBe("SALE_NOT_OPEN");
    expect((await act("close")).body.state).toBe("closed");
    expect((await buy()).body.code).toBe("SALE_NOT_OPEN");
    expect((await act("pause")).body.code).toBe("INVALID_STATE");
  });
});

describe("an idempotency key", () => {
  test("gives the same order again, and refuses another body", async () => {
    const { saleId, productId } = await shop.sale({ stock: 10 });
    const headers = { "idempotency-key": randomUUID() };
    const body = { saleId, customerId: guest(), items: [{ productId, quantity: 1 }] };
    const first = await order(body, { headers });
    const again = await order(body, { headers });
    expect([first.status, again.status]).toEqual([202, 200]);
    expect(again.headers.get("idempotent-replayed")).toBe("true");
    expect(again.body).toEqual(first.body);
    const other = await order({ ...body, items: [{ productId, quantity: 2 }] }, { headers });
    expect([other.status, other.body.code]).toEqual([422, "IDEMPOTENCY_CONFLICT"]);
  });

  test("is the buyer's own: another buyer's same key leads to another order", async () => {
    const { saleId, productId } = await shop.sale({ stock: 10 });
    const headers = { "idempotency-key": "1" };
    const [a, b] = await Promise.all(
      [guest(), guest()].map((customerId) =>
        order({ saleId, customerId, items: [{ productId, quantity: 1 }] }, { headers }),
      ),
    );
    expect([a?.status, b?.status]).toEqual([202, 202]);
    expect(a?.body.orderTrackingId).not.toBe(b?.body.orderTrackingId);
  });

  test("holds for a guest who names nobody, too", async () => {
    const { saleId, productId } = await shop.sale({ stock: 10 });
    const headers = { "idempotency-key": randomUUID() };
    const body = { saleId, items: [{ productId, quantity: 1 }] };
    const first = await order(body, { headers });
    const again = await order(body, { headers });
    expect(first.body.customerId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect([again.status, again.body]).toEqual([200, first.body]);
  });

  test("of twenty tries at once leads to one order", async () => {
    const { saleId, productId } = await shop.sale({ stock: 10 });
    const headers = { "idempotency-key": randomUUID() };
    const body = { saleId, customerId: guest(), items: [{ productId, quantity: 1 }] };
    const answers = await Promise.all(Array.from({ length: 20 }, () => order(body, { headers })));
    expect(counts(answers.map(({ status }) => status))).toEqual({ 200: 19, 202: 1 });
    expect(new Set(answers.map((answer) => answer.body.orderTrackingId)).size).toBe(1);
  });

  test.each(["", "ключ".normalize(), "a".repeat(256), "a\tb"])("%j is none", async (key) => {
    const { saleId, productId } = await shop.sale({ stock: 1 });
    const latin1 = Buffer.from(key).toString("latin1");
    const answer = await order(
      { saleId, items: [{ productId, quantity: 1 }] },
      { headers: { "idempotency-key": latin1 } },
    );
    expect([answer.status, answer.body.code]).toEqual([400, "VALIDATION"]);
  });
});

describe("a body that is not an order", () => {
  const productId = randomUUID();
  const item = { productId, quantity: 1 };
  const bad: [string, unknown, string?][] = [
    ["nothing", ""],
    ["no JSON", "{"],
    ["null", "null"],
    ["an array", "[]"],
    ["no items", {}],
    ["items empty", { items: [] }, "items"],
    ["items no array", { items: "x" }, "items"],
    ["101 lines", { items: Array(101).fill(item) }, "items"],
    ["quantity 0", { items: [{ productId, quantity: 0 }] }, "items.0.quantity"],
    ["quantity -1", { items: [{ productId, quantity: -1 }] }, "items.0.quantity"],
    ["quantity 1.5", { items: [{ productId, quantity: 1.5 }] }, "items.0.quantity"],
    ["quantity as text", { items: [{ productId, quantity: "1" }] }, "items.0.quantity"],
    ["quantity 1e309", `{"items":[{"productId":"${productId}","quantity":1e309}]}`, "items.0.quantity"],
    ["quantity 2^53", { items: [{ productId, quantity: 2 ** 53 }] }, "items.0.quantity"],
    ["quantity true", { items: [{ productId, quantity: true }] }, "items.0.quantity"],
    ["no quantity", { items: [{ productId }] }, "items.0.quantity"],
    ["no productId", { items: [{ quantity: 1 }] }, "items.0.productId"],
    ["price -1", { items: [item], price: -1 }, "price"],
    ["price 1.5", { items: [item], price: 1.5 }, "price"],
    ["saleId a number", { saleId: 1, items: [item] }, "saleId"],
    ["customerId a number", { customerId: 1, items: [item] }, "customerId"],
    ["customerId no UUID", { customerId: "me", items: [item] }, "customerId"],
    ["an unknown method", { items: [item], payment: { method: "cash" } }, "payment.method"],
    ["a token too long", { items: [item], payment: { method: "card", token: "a".repeat(256) } }, "payment.token"],
    ["a token with NUL", { items: [item], payment: { method: "card", token: "a\0" } }, "payment.token"],
    ["NUL in the address", { items: [item], address: { street: "a\0", postalCode: "1", city: "b" } }, "address.street"],
    [
      "half a surrogate pair",
      `{"items":[${JSON.stringify(item)}],"address":{"street":"\\ud800","postalCode":"1","city":"b"}}`,
    ],
    ["half an address", { items: [item], address: { street: "a" } }, "address.postalCode"],
    ["items nested deep", `{"items":${"[".repeat(50_000)}${"]".repeat(50_000)}}`],
  ];
  test.each(bad)("%s: 400", async (_name, body, path) => {
    const answer = await order(body);
    expect([answer.status, answer.body.code]).toEqual([400, "VALIDATION"]);
    expect(answer.headers.get("content-type")).toBe("application/problem+json");
    if (path) expect(answer.body.errors.map((error: { path: string }) => error.path)).toContain(path);
  });

  test("bad UTF-8, or another content type: 400", async () => {
    const raw = await shop.app.request("/api/v1/orders", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: Buffer.from([0x7b, 0xff, 0x7d]),
    });
    expect(raw.status).toBe(400);
    const form = await shop.call("POST", "/api/v1/orders", { body: "a=b", headers: { "content-type": "text/plain" } });
    expect([form.status, form.body.code]).toEqual([400, "VALIDATION"]);
  });

  test("members that an order does not have are ignored, also __proto__", async () => {
    const { saleId, productId } = await shop.sale({ stock: 1 });
    const body = `{"__proto__":{"saleId":"x"},"constructor":1,"saleId":"${saleId}","items":[{"productId":"${productId}","quantity":1}]}`;
    expect((await order(body)).status).toBe(202);
  });

  test("what names a sale or a product that is not there: 404", async () => {
    const { saleId } = await shop.sale({ stock: 1 });
    for (const body of [
      { saleId: "no-such", items: [item] },
      { saleId: "__proto__", items: [item] },
      { saleId, items: [item] },
      { saleId, items: [{ productId: "constructor", quantity: 1 }] },
    ]) {
      expect((await order(body)).body).toMatchObject({ status: 404, code: "NOT_FOUND" });
    }
  });

  test("a total that no amount can hold: 400", async () => {
    const { saleId, productId } = await shop.sale({ stock: 1, price: 1_000_000_000_000 });
    const answer = await order({ saleId, items: [{ productId, quantity: 1_000_000 }] });
    expect([answer.status, answer.body.code]).toEqual([400, "VALIDATION"]);
  });
});

describe("who orders", () => {
  test("a member orders as himself, and as nobody else", async () => {
    const { saleId, productId } = await shop.sale({ stock: 10 });
    const me = makeCustomerId();
    const token = await accessToken(me);
    const items = [{ productId, quantity: 1 }];
    expect((await order({ saleId, items }, { token })).body.customerId).toBe(me);
    expect((await order({ saleId, customerId: me, items }, { token })).status).toBe(202);
    expect((await order({ saleId, customerId: guest(), items }, { token })).body.code).toBe("FORBIDDEN");
    expect((await order({ saleId, customerId: me, items })).body.code).toBe("FORBIDDEN");
    // Before anything is said of the rest.
    expect((await order({ saleId, customerId: me, items: "x" })).body.code).toBe("FORBIDDEN");
  });

  test("a token that is not valid is refused, not taken for a guest", async () => {
    const { saleId, productId } = await shop.sale({ stock: 1 });
    const answer = await order({ saleId, items: [{ productId, quantity: 1 }] }, { token: "x" });
    expect([answer.status, answer.body.code]).toEqual([401, "UNAUTHENTICATED"]);
    expect(answer.headers.get("www-authenticate")).toMatch(/^Bearer/);
  });

  test("guests are turned away where guest orders are off, before their body is read", async () => {
    const app = shop.appWith({ guestOrders: false });
    const answer = await shop.call("POST", "/api/v1/orders", { app, body: "{" });
    expect([answer.status, answer.body.code]).toEqual([401, "UNAUTHENTICATED"]);
  });

  test("a sale for members is closed to guests", async () => {
    const { saleId, productId } = await shop.sale({ stock: 1, sale: { membersOnly: true } });
    const body = { saleId, items: [{ productId, quantity: 1 }] };
    expect((await order(body)).body.code).toBe("UNAUTHENTICATED");
    expect((await order(body, { token: await accessToken(makeCustomerId()) })).status).toBe(202);
  });

  test("coupons and points need a member, and are not silently dropped for one", async () => {
    const { saleId, productId } = await shop.sale({ stock: 1 });
    const base = { saleId, items: [{ productId, quantity: 1 }] };
    const token = await accessToken(makeCustomerId());
    for (const [extra, code] of [
      [{ couponCode: "TEN" }, "COUPON_INVALID"],
      [{ points: 5 }, "INSUFFICIENT_POINTS"],
    ] as const) {
      expect((await order({ ...base, ...extra })).status).toBe(401);
      expect((await order({ ...base, ...extra }, { token })).body.code).toBe(code);
    }
  });
});
