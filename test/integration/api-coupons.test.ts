// Coupons over HTTP: made, read, ordered with, guessed at, closed.
import { describe, expect, test } from "vitest";
import { CouponView } from "../../engine/coupons/view.ts";
import { makeCustomerId } from "../../engine/members/users.ts";
import { accessToken, type CallOptions, openApiShop } from "./api-shop.ts";

const shop = await openApiShop();
const { admin } = shop;
const COUPONS = "/api/v1/coupons";
const ORDERS = "/api/v1/orders";
let codes = 0;
const newCode = () => {
  codes += 1;
  return `API-${codes}`;
};
const memberToken = () => accessToken(makeCustomerId());
type Body = Record<string, unknown>;
const call = async (method: string, path: string, options: CallOptions = {}) => {
  const { status, body, headers } = await shop.call(method, path, options);
  return { status, headers, body: body as unknown as Body };
};

async function coupon(more: Body = {}, sale?: { saleId: string; productId: string }) {
  const of = sale ?? (await shop.sale({ stock: 100 }));
  const code = newCode();
  const body = { code, amount: 1_000, limit: 5, saleIds: [of.saleId], ...more };
  return { ...of, code, made: await call("POST", COUPONS, { token: admin, body }) };
}
const order = async (of: { saleId: string; productId: string }, more: Body, options: CallOptions = {}) =>
  call("POST", ORDERS, {
    token: await memberToken(),
    body: { saleId: of.saleId, items: [{ productId: of.productId, quantity: 1 }], ...more },
    ...options,
  });

describe("a coupon over HTTP", () => {
  test("is made, told to everybody by its code, and its uses to operators", async () => {
    const { code, saleId, made } = await coupon({
      code: undefined,
      amount: undefined,
      percent: 10,
      maximum: 300,
      perMemberLimit: 1,
    });
    expect(made.status).toBe(400);
    const whole = await coupon({ code: "sumMer", amount: undefined, percent: 10, maximum: 300, perMemberLimit: 1 });
    expect([whole.made.status, whole.made.headers.get("location")]).toEqual([201, `${COUPONS}/SUMMER`]);
    expect(whole.made.body).toMatchObject({
      ...{
        code: "SUMMER",
        amount: null,
        percent: 10,
        maximum: 300,
        currency: "KRW",
        perMemberLimit: 1,
        closedAt: null,
      },
      ...{ saleIds: [whole.saleId], uses: { limit: 5, left: 5, reserved: 0, used: 0, inTransit: 0, retired: 0 } },
    });
    const seen = await call("GET", `${COUPONS}/summer`);
    expect(seen.status).toBe(200);
    expect(seen.body).toMatchObject({ code: "SUMMER", percent: 10 });
    for (const hidden of ["uses", "id", "limit"]) expect(seen.body).not.toHaveProperty(hidden);
    expect((await call("GET", `${COUPONS}/summer`, { token: admin })).body["uses"]).toMatchObject({ left: 5 });
    expect((await call("GET", `${COUPONS}/none`)).body["code"]).toBe("NOT_FOUND");
    expect((await call("GET", `${COUPONS}/${encodeURIComponent("a b\0")}`)).status).toBe(404);
    expect(code).not.toBe(saleId);
  });

  test.each([
    ["neither an amount nor a percentage", { amount: undefined }, "amount"],
    ["both", { percent: 5 }, "amount"],
    ["a maximum of an amount", { maximum: 5 }, "maximum"],
    ["a percentage above 100", { amount: undefined, percent: 101 }, "percent"],
    ["part of a percentage", { amount: undefined, percent: 1.5 }, "percent"],
    ["no uses", { limit: 0 }, "limit"],
    ["a code with a space", { code: "A B" }, "code"],
    ["a code that is too long", { code: "A".repeat(41) }, "code"],
    ["an unknown sale", { saleIds: ["nowhere"] }, "saleIds.0"],
    ["a sale twice", { saleIds: ["catalog", "catalog"] }, "saleIds"],
    ["no sale", { saleIds: [] }, "saleIds"],
    [
      "an end before its beginning",
      { validFrom: "2030-01-02T00:00:00Z", validUntil: "2030-01-01T00:00:00Z" },
      "validUntil",
    ],
  ])("is not made of %s", async (_what, more, path) => {
    const { made } = await coupon(more);
    expect([made.status, made.body["code"]]).toEqual([400, "VALIDATION"]);
    expect((made.body["errors"] as { path: string }[])[0]?.path).toBe(path);
  });

  test("is made once a code, and of amounts for sales in one currency alone", async () => {
    const first = await coupon();
    const again = await coupon({ code: first.code.toLowerCase() });
    expect([again.made.status, again.made.body["code"]]).toEqual([409, "INVALID_STATE"]);
    const dollars = await call("POST", "/api/v1/products", {
      token: admin,
      body: { name: "Tea", price: 5, currency: "USD" },
    });
    const items = [{ productId: dollars.body["id"], stock: 1 }];
    const sale = await call("POST", "/api/v1/sales", { token: admin, body: { name: "Dollars", items } });
    const saleIds = [first.saleId, sale.body["id"]];
    expect((await coupon({ saleIds })).made.body["code"]).toBe("VALIDATION");
    expect((await coupon({ saleIds, amount: undefined, percent: 5 })).made.body["currency"]).toBeNull();
  });

  test("is listed in pages, in the order they were made", async () => {
    const made = [await coupon(), await coupon(), await coupon()].map(({ code }) => code);
    const listed: unknown[] = [];
    for (let cursor: unknown; ; ) {
      const page = await call("GET", `${COUPONS}?limit=2${cursor ? `&cursor=${cursor}` : ""}`, { token: admin });
      listed.push(...(page.body["items"] as Body[]).map(({ code }) => code));
      cursor = page.body["nextCursor"];
      if (cursor === undefined) break;
    }
    expect(listed.slice(-3)).toEqual(made);
    expect(new Set(listed).size).toBe(listed.length);
  });

  test("is no product, and nothing that a sale shows", async () => {
    const of = await coupon();
    const rows = await shop.pool.query<{ id: string }>("SELECT id FROM coupons WHERE code = $1", [of.code]);
    const id = rows.rows[0]?.id ?? "";
    expect((await call("GET", `/api/v1/products/${id}`)).status).toBe(404);
    expect((await shop.call("GET", `/api/v1/products?query=${of.code}`)).body.items).toEqual([]);
    expect((await shop.call("GET", `/api/v1/sales/${of.saleId}`)).body.items).toHaveLength(1);
    expect((await order({ saleId: of.saleId, productId: id }, {})).body["code"]).toBe("NOT_FOUND");
    const body = { productId: id, quantity: 1, reason: "counted wrongly" };
    for (const way of ["restock", "write-off"]) {
      const changed = await call("POST", `/api/v1/sales/${of.saleId}/${way}`, { token: admin, body });
      expect([way, changed.body["code"]]).toEqual([way, "NOT_FOUND"]);
    }
    const overview = await shop.call("GET", "/api/v1/admin/overview", { token: admin });
    const sale = (overview.body as unknown as { sales: { id: string; available: number }[] }).sales.find(
      (each) => each.id === of.saleId,
    );
    expect(sale?.available).toBe(100);
  });

  test("is closed for new orders, and its uses are taken out; again, and nothing happens", async () => {
    const of = await coupon();
    expect((await order(of, { couponCode: of.code })).status).toBe(202);
    const closed = await call("POST", `${COUPONS}/${of.code.toLowerCase()}/close`, { token: admin });
    expect(closed.body).toMatchObject({ code: of.code, withdrawn: 4, closedAt: expect.any(String) });
    expect((await order(of, { couponCode: of.code })).body).toMatchObject({ code: "COUPON_INVALID", reason: "closed" });
    const again = await call("POST", `${COUPONS}/${of.code}/close`, { token: admin });
    expect(again.body).toMatchObject({ withdrawn: 0, closedAt: closed.body["closedAt"] });
    expect((await call("POST", `${COUPONS}/none/close`, { token: admin })).status).toBe(404);
    const audit = await shop.pool.query("SELECT action FROM audit_log WHERE subject = $1 ORDER BY id", [
      `coupon:${of.code}`,
    ]);
    expect(audit.rows.map(({ action }) => action)).toEqual(["coupon.create", "coupon.close"]);
  });
});

describe("an order with a coupon over HTTP", () => {
  test("says what was taken off, again under its key, while it is in Redis alone, and in the cart", async () => {
    const of = await coupon();
    const customerId = makeCustomerId();
    const token = await accessToken(customerId);
    const facts = { price: 5_000, discount: 1_000, payable: 4_000, couponCode: of.code };
    const options = { token, headers: { "idempotency-key": "k" } };
    const first = await order(of, { couponCode: of.code }, options);
    expect([first.status, first.body]).toEqual([202, expect.objectContaining(facts)]);
    expect(first.body).not.toHaveProperty("points");
    const again = await order(of, { couponCode: of.code }, options);
    expect([again.status, again.body]).toEqual([
      200,
      expect.objectContaining({ ...facts, receipt: first.body["receipt"] }),
    ]);
    expect((await order(of, { couponCode: of.code.toLowerCase() }, options)).status).toBe(200);
    expect((await order(of, {}, options)).body["code"]).toBe("IDEMPOTENCY_CONFLICT");
    const read = await call("GET", `${ORDERS}/${first.body["orderTrackingId"]}`, { token });
    expect(read.body).toMatchObject(facts);
    expect(read.body["items"]).toHaveLength(1);

    await call("PUT", `/api/v1/cart/items/${of.productId}`, { token, body: { saleId: of.saleId, quantity: 2 } });
    const checkout = await call("POST", "/api/v1/cart/checkout", { token, body: { couponCode: of.code } });
    expect([checkout.status, checkout.body]).toEqual([202, expect.objectContaining({ price: 10_000, payable: 9_000 })]);
  });

  test("is for members: not for guests, nor for a guest whom a server orders for", async () => {
    const of = await coupon();
    expect((await order(of, { couponCode: of.code }, { token: undefined })).body["code"]).toBe("UNAUTHENTICATED");
    for (const couponCode of [5, "", "a b", "x".repeat(41), null, {}]) {
      expect([couponCode, (await order(of, { couponCode })).body["code"]]).toEqual([couponCode, "VALIDATION"]);
    }
  });

  test("cannot find codes by trying: too many wrong ones, and good ones are refused too", async () => {
    const of = await coupon({ limit: 100 });
    const app = shop.appWith({
      rateLimit: { enabled: true, ordersPerSecond: 1_000, requestsPerSecond: 1_000, loginsPerMinute: 1 },
    });
    const token = await memberToken();
    const attempt = async (couponCode: string) => (await order(of, { couponCode }, { app, token })).body["code"];
    for (let i = 0; i < 60; i += 1) expect((await order(of, { couponCode: of.code }, { app, token })).status).toBe(202);
    for (let i = 0; i < 20; i += 1) expect(await attempt(`WRONG-${i}`)).toBe("COUPON_INVALID");
    expect([await attempt("WRONG"), await attempt(of.code)]).toEqual(["RATE_LIMITED", "RATE_LIMITED"]);
    expect((await order(of, {}, { app, token })).status).toBe(202);
    expect((await order(of, { couponCode: of.code }, { app })).status).toBe(202); // somebody else
    const looked = [];
    for (let i = 0; i < 22; i += 1) looked.push((await call("GET", `${COUPONS}/WRONG-${i}`, { app })).status);
    expect(looked.filter((status) => status === 429).length).toBeGreaterThan(0);
    expect((await call("GET", `${COUPONS}/${of.code}`, { app })).status).toBe(429);
  });
});

describe("what a process knows of coupons", () => {
  test("is asked for once by however many, known again when the catalogue has moved, and kept while Postgres is away", async () => {
    const of = await coupon();
    let asked = 0;
    let isAway = false;
    const db = {
      query: (...call: unknown[]) => {
        asked += 1;
        return isAway
          ? Promise.reject(new Error("away"))
          : (shop.pool.query as (...args: unknown[]) => unknown)(...call);
      },
    };
    let version = shop.deps.engine.catalogue.version;
    const view = new CouponView(db as never, () => version);
    const found = await Promise.all(Array.from({ length: 50 }, () => view.find(of.code)));
    expect([asked, new Set(found.map((each) => each?.code))]).toEqual([1, new Set([of.code])]);
    expect([await view.find("none"), await view.find("NONE"), asked]).toEqual([undefined, undefined, 2]);
    version += 1_000_000; // newer than what was read, and than all that Postgres has
    expect([(await view.find(of.code))?.code, asked]).toEqual([of.code, 3]);
    isAway = true;
    expect((await view.find(of.code))?.code).toBe(of.code);
    const before = asked;
    expect([(await view.find(of.code))?.code, asked]).toEqual([of.code, before]);
    await expect(view.find("OTHER")).rejects.toThrow("away");
  });
});
