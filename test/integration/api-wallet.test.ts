// The wallet's routes, and who may pay by wallet. What then becomes of the orders: wallet-orders.test.ts.
import { randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import { createApiKey } from "../../engine/members/api-keys.ts";
import { makeCustomerId } from "../../engine/members/users.ts";
import { AMOUNT_MAX } from "../../engine/money.ts";
import { walletGateway } from "../../persister/jobs/gateway/wallet.ts";
import { type Answer, accessToken, guest, openApiShop } from "./api-shop.ts";

const shop = await openApiShop();
const support = await accessToken(makeCustomerId(), ["support"]);
const { secret: serverKey } = await createApiKey(shop.pool, {
  ...{ name: "till", roles: ["support"], createdBy: "test", expiresAt: null },
});

async function member(): Promise<{ id: string; token: string }> {
  const id = makeCustomerId();
  await shop.pool.query(
    "INSERT INTO users (id, email, name, password_hash) VALUES ($1, $1 || '@x.example', 'Kim', '')",
    [id],
  );
  return { id, token: await accessToken(id) };
}
const deposit = (customerId: string, body: unknown, key?: string, token = shop.admin) =>
  shop.call("POST", `/api/v1/wallets/${customerId}/deposits`, {
    token,
    body,
    ...(key !== undefined && { headers: { "idempotency-key": key } }),
  });
const walletOf = async (token: string, query = "") =>
  JSON.parse((await shop.call("GET", `/api/v1/wallet${query}`, { token })).text);
const codeOf = ({ status, body }: Answer) => [status, body.code];

describe("one's own wallet", () => {
  test("is empty before anything was paid in", async () => {
    const { id, token } = await member();
    expect(await walletOf(token)).toEqual({ customerId: id, balance: 0, currency: "KRW", balances: [] });
    expect(JSON.parse((await shop.call("GET", "/api/v1/wallet/transactions", { token })).text)).toEqual({ items: [] });
  });

  test("shows what came and went, page by page", async () => {
    const { id, token } = await member();
    for (const amount of [100, 200, 300]) await deposit(id, { amount });
    await deposit(id, { amount: 7, currency: "USD" });
    const order = randomUUID();
    const wallets = walletGateway(shop.pool);
    const signal = new AbortController().signal;
    await wallets.charge({ key: `${order}:1`, amount: 450, currency: "KRW", token: id }, signal);
    await wallets.refund({ key: randomUUID(), chargeKey: `${order}:1`, amount: 50 }, signal);
    expect(await walletOf(token)).toEqual({
      customerId: id,
      balance: 200,
      currency: "KRW",
      balances: [
        { currency: "KRW", balance: 200 },
        { currency: "USD", balance: 7 },
      ],
    });
    expect(await walletOf(token, "?currency=USD")).toMatchObject({ balance: 7, currency: "USD" });
    expect(await walletOf(token, "?currency=EUR")).toMatchObject({ balance: 0, currency: "EUR" });

    const seen: { type: string; amount: number; balance: number; orderTrackingId?: string }[] = [];
    let cursor: string | undefined;
    do {
      const query = `limit=2&currency=KRW${cursor === undefined ? "" : `&cursor=${cursor}`}`;
      const page = await shop.call("GET", `/api/v1/wallet/transactions?${query}`, { token });
      expect(page.body.items.length).toBeLessThanOrEqual(2);
      seen.push(...(JSON.parse(page.text).items as typeof seen));
      cursor = page.body.nextCursor;
    } while (cursor !== undefined);
    expect(seen.map(({ type, amount, balance }) => [type, amount, balance])).toEqual([
      ["refund", 50, 200],
      ["charge", -450, 150],
      ["deposit", 300, 600],
      ["deposit", 200, 300],
      ["deposit", 100, 100],
    ]);
    expect(seen.map(({ orderTrackingId }) => orderTrackingId)).toEqual([order, order, ...Array(3)]);
    const all = await shop.call("GET", "/api/v1/wallet/transactions", { token });
    expect(all.body.items).toHaveLength(6);
  });

  test("needs a member's token: nobody has none, and a server has nothing of its own", async () => {
    expect(codeOf(await shop.call("GET", "/api/v1/wallet"))).toEqual([401, "UNAUTHENTICATED"]);
    expect(codeOf(await shop.call("GET", "/api/v1/wallet", { token: serverKey }))).toEqual([404, "NOT_FOUND"]);
    const transactions = await shop.call("GET", "/api/v1/wallet/transactions", { token: serverKey });
    expect(codeOf(transactions)).toEqual([404, "NOT_FOUND"]);
  });

  test.for(["?currency=won", "?currency=", "?limit=0", "?cursor=x", "?cursor=MQ", "?cursor=LTE"])(
    "with a query that is none, %s, is refused",
    async (query) => {
      const { token } = await member();
      const path = query.includes("currency") ? "/api/v1/wallet" : "/api/v1/wallet/transactions";
      const answer = await shop.call("GET", path + query, { token });
      // MQ is 1, which is a position like any other.
      expect(answer.status).toBe(query === "?cursor=MQ" ? 200 : 400);
    },
  );
});

describe("a member's wallet, for operators", () => {
  test("is theirs to see, and nobody else's", async () => {
    const { id } = await member();
    await deposit(id, { amount: 5 });
    for (const token of [shop.admin, support, serverKey]) {
      const answer = await shop.call("GET", `/api/v1/wallets/${id}`, { token });
      expect(JSON.parse(answer.text)).toMatchObject({ customerId: id, balance: 5 });
      const list = await shop.call("GET", `/api/v1/wallets/${id}/transactions`, { token });
      expect(list.body.items).toHaveLength(1);
    }
    const { token } = await member();
    for (const path of [`/api/v1/wallets/${id}`, `/api/v1/wallets/${id}/transactions`]) {
      expect(codeOf(await shop.call("GET", path, { token }))).toEqual([403, "FORBIDDEN"]);
    }
  });

  test.for([makeCustomerId(), randomUUID(), "x", "%00", "sales", "deposits", "cus_%F0%9F%92%A9"])(
    "of nobody, %s, is not found, and takes no deposit",
    async (id) => {
      expect((await shop.call("GET", `/api/v1/wallets/${id}`, { token: support })).status).toBe(404);
      expect((await shop.call("GET", `/api/v1/wallets/${id}/transactions`, { token: support })).status).toBe(404);
      expect((await deposit(id, { amount: 1 })).status).toBe(404);
    },
  );

  test("outlives its member: the books stay, and take no more", async () => {
    const password = "a member's password";
    const account = { email: "kim@x.example", password, name: "Kim" };
    const { customerId: id, accessToken: token } = (await shop.call("POST", "/api/v1/auth/signup", { body: account }))
      .body;
    await deposit(id, { amount: 5 }, "before");
    expect((await shop.call("DELETE", "/api/v1/auth/me", { token, body: { password } })).status).toBe(204);
    expect(JSON.parse((await shop.call("GET", `/api/v1/wallets/${id}`, { token: support })).text)).toMatchObject({
      balance: 5,
    });
    expect((await deposit(id, { amount: 5 }, "before")).status).toBe(200);
    expect(codeOf(await deposit(id, { amount: 5 }, "after"))).toEqual([404, "NOT_FOUND"]);
  });
});

describe("a deposit", () => {
  test("under one key is one, and another under it is refused", async () => {
    const { id, token } = await member();
    const first = await deposit(id, { amount: 1_000 }, "monday");
    expect([first.status, first.headers.get("idempotent-replayed")]).toEqual([201, null]);
    expect(JSON.parse(first.text)).toEqual({
      id: expect.stringMatching(/^wt_\d+$/),
      customerId: id,
      amount: 1_000,
      currency: "KRW",
      balance: 1_000,
      at: expect.any(String),
    });
    const again = await deposit(id, { amount: 1_000, currency: "KRW" }, "monday");
    expect([again.status, again.headers.get("idempotent-replayed")]).toEqual([200, "true"]);
    expect(again.text).toBe(first.text);
    for (const other of [{ amount: 1_001 }, { amount: 1_000, currency: "USD" }, { amount: 1_000, reason: "x" }]) {
      expect(codeOf(await deposit(id, other, "monday"))).toEqual([422, "IDEMPOTENCY_CONFLICT"]);
    }
    const another = await member();
    expect((await deposit(another.id, { amount: 1_000 }, "monday")).status).toBe(201);
    expect((await deposit(id, { amount: 1_000 })).status).toBe(201);
    expect((await walletOf(token)).balance).toBe(2_000);
  });

  test("is for administrators, and on the record with why", async () => {
    const { id, token } = await member();
    for (const of of [token, support, serverKey]) {
      expect(codeOf(await deposit(id, { amount: 1 }, undefined, of))).toEqual([403, "FORBIDDEN"]);
    }
    await deposit(id, { amount: 1, reason: "선물" });
    const audit = await shop.call("GET", `/api/v1/admin/audit?subject=wallet:${id}`, { token: shop.admin });
    expect(audit.body.items).toMatchObject([{ action: "wallet.deposit", reason: "선물", after: { amount: 1 } }]);
  });

  test.for([
    [{}],
    [{ amount: 0 }],
    [{ amount: -1 }],
    [{ amount: 1.5 }],
    [{ amount: "1" }],
    [{ amount: AMOUNT_MAX + 1 }],
    [{ amount: 1, currency: "won" }],
    [{ amount: 1, reason: "" }],
    [{ amount: 1, reason: "a\0" }],
    [[]],
    ["{"],
  ])("of %j is refused", async ([body]) => {
    const { id, token } = await member();
    expect(codeOf(await deposit(id, body))).toEqual([400, "VALIDATION"]);
    expect((await walletOf(token)).balances).toEqual([]);
  });

  test("under a key that is none is refused", async () => {
    const { id } = await member();
    for (const key of ["", "x".repeat(256), "ü"]) {
      expect(codeOf(await deposit(id, { amount: 1 }, key))).toEqual([400, "VALIDATION"]);
    }
    expect((await deposit(id, { amount: 1 }, "x".repeat(255))).status).toBe(201);
  });

  test("beyond what a wallet may hold is refused", async () => {
    const { id, token } = await member();
    expect((await deposit(id, { amount: AMOUNT_MAX })).status).toBe(201);
    const answer = await deposit(id, { amount: 1 });
    expect(codeOf(answer)).toEqual([409, "INVALID_STATE"]);
    expect(answer.body).toMatchObject({ balance: AMOUNT_MAX, balanceMax: AMOUNT_MAX });
    expect((await walletOf(token)).balance).toBe(AMOUNT_MAX);
  });
});

describe("paying by wallet", () => {
  const WALLET = { payment: { method: "wallet" } };
  const orderBody = async (more: object = WALLET) => {
    const { saleId, productId } = await shop.sale({ stock: 10 });
    return { saleId, items: [{ productId, quantity: 1 }], ...more };
  };
  const order = (body: unknown, token?: string) => shop.call("POST", "/api/v1/orders", { body, token });

  test("takes a member's token; whether there is enough is seen when it is charged", async () => {
    const body = await orderBody();
    const { id, token } = await member();
    const placed = await order(body, token);
    expect([placed.status, placed.body.customerId]).toEqual([202, id]);
    expect(codeOf(await order(body))).toEqual([401, "UNAUTHENTICATED"]);
    expect(codeOf(await order({ ...body, customerId: guest() }))).toEqual([401, "UNAUTHENTICATED"]);
    expect(codeOf(await order({ ...body, customerId: id }))).toEqual([401, "UNAUTHENTICATED"]);
    // Before anything else of the body is judged.
    expect(codeOf(await order({ ...WALLET, items: [] }))).toEqual([401, "UNAUTHENTICATED"]);
  });

  test("takes no token of the body: whose wallet it is cannot be said there", async () => {
    const [{ token }, victim] = [await member(), await member()];
    const payment = { method: "wallet", token: victim.id };
    expect(codeOf(await order(await orderBody({ payment }), token))).toEqual([400, "VALIDATION"]);
    expect(codeOf(await order({ ...(await orderBody()), customerId: victim.id }, token))).toEqual([403, "FORBIDDEN"]);
  });

  test("a server does for a member, and not for a guest", async () => {
    const body = await orderBody();
    const { id } = await member();
    expect((await order({ ...body, customerId: id }, serverKey)).status).toBe(202);
    expect(codeOf(await order({ ...body, customerId: guest() }, serverKey))).toEqual([400, "VALIDATION"]);
  });

  test("a cart is checked out, by a member", async () => {
    const { saleId, productId } = await shop.sale({ stock: 10 });
    const { token } = await member();
    await shop.call("PUT", `/api/v1/cart/items/${productId}`, { token, body: { quantity: 1, saleId } });
    const checkout = (body: unknown, of?: string) =>
      shop.call("POST", `/api/v1/cart/checkout${of ? "" : `?customerId=${guest()}`}`, { token: of, body });
    expect(codeOf(await checkout(WALLET))).toEqual([401, "UNAUTHENTICATED"]);
    expect(codeOf(await checkout({ payment: { method: "wallet", token: "x" } }, token))).toEqual([400, "VALIDATION"]);
    expect((await checkout(WALLET, token)).status).toBe(202);
  });

  test("for an order that was to be paid later: its buyer may, and nobody else", async () => {
    const { token } = await member();
    const other = await member();
    const placed = await order(await orderBody({ payment: { method: "later" } }), token);
    const pay = (of?: string, more: object = {}) =>
      shop.call("POST", `/api/v1/orders/${placed.body.orderTrackingId}/payments`, {
        token: of,
        body: { method: "wallet", ...more },
      });
    expect(codeOf(await pay())).toEqual([401, "UNAUTHENTICATED"]);
    expect(codeOf(await pay(other.token))).toEqual([404, "NOT_FOUND"]);
    expect(codeOf(await pay(support))).toEqual([403, "FORBIDDEN"]);
    expect(codeOf(await pay(token, { token: other.id }))).toEqual([400, "VALIDATION"]);
    expect((await pay(token)).status).toBe(202);
  });

  test("for a guest's order is refused to everybody", async () => {
    const { token } = await member();
    const placed = await order(await orderBody({ payment: { method: "later" } }));
    const path = `/api/v1/orders/${placed.body.orderTrackingId}/payments`;
    for (const of of [token, support, serverKey]) {
      const answer = await shop.call("POST", path, { token: of, body: { method: "wallet" } });
      expect(codeOf(answer)).toEqual([403, "FORBIDDEN"]);
    }
  });
});
