// The cart, from the first line to the order, by members and guests.
import { randomUUID } from "node:crypto";
import { describe, expect, it, test } from "vitest";
import { CartCache } from "../../engine/cart/cart-cache.ts";
import { changeCart, deleteOldCarts, findCart } from "../../engine/cart/carts.ts";
import { makeCustomerId } from "../../engine/members/users.ts";
import { accessToken, type CallOptions, openApiShop } from "./api-shop.ts";

const shop = await openApiShop();
const PASSWORD = "correct horse battery";
const carts = new CartCache(shop.deps.cacheRedis, shop.pool, (error) => {
  throw error;
});

interface Owner {
  readonly id: string;
  readonly token?: string;
}
const member = async (id = makeCustomerId()): Promise<Owner> => ({ id, token: await accessToken(id) });
const guest = (): Owner => ({ id: randomUUID() });

interface CartBody {
  readonly version: number;
  readonly items: readonly {
    readonly saleId: string;
    readonly productId: string;
    readonly quantity: number;
    readonly problem?: string;
  }[];
  readonly totals: readonly { readonly price: number }[];
}

async function cart(owner: Owner, method: string, path = "", options: CallOptions = {}) {
  const query = owner.token === undefined ? `?customerId=${owner.id}` : "";
  const answer = await shop.call(method, `/api/v1/cart${path}${query}`, { token: owner.token, ...options });
  return { ...answer, cart: answer.body as unknown as CartBody };
}
const put = (owner: Owner, productId: string, body: unknown) => cart(owner, "PUT", `/items/${productId}`, { body });
const checkout = (owner: Owner, body?: unknown, key?: string) =>
  cart(owner, "POST", "/checkout", { body, ...(key !== undefined && { headers: { "idempotency-key": key } }) });
const linesOf = async (owner: Owner) => (await cart(owner, "GET")).cart.items;

describe.each([
  ["a member's", member],
  ["a guest's", async () => guest()],
] as const)("%s cart", (_whose, make) => {
  it("holds what is put in, with the price and stock of now", async () => {
    const owner = await make();
    expect((await cart(owner, "GET")).cart).toMatchObject({ version: 0, items: [], totals: [] });
    const { saleId, productId } = await shop.sale({ stock: 5, price: 700, perCustomerLimit: 3 });
    const { status, cart: filled } = await put(owner, productId, { quantity: 2, saleId });
    expect(status).toBe(200);
    expect(filled).toMatchObject({
      version: 1,
      items: [
        {
          saleId,
          productId,
          name: "커피",
          quantity: 2,
          price: 700,
          currency: "KRW",
          remaining: 5,
          perCustomerLimit: 3,
        },
      ],
      totals: [{ saleId, price: 1_400, currency: "KRW" }],
    });
    expect((await put(owner, productId, { quantity: 3, saleId })).cart.items).toMatchObject([{ quantity: 3 }]);
    expect((await put(owner, productId, { quantity: 4, saleId })).cart.items).toMatchObject([
      { problem: "LIMIT_EXCEEDED" },
    ]);
    expect((await cart(owner, "DELETE", `/items/${productId}`)).cart.items).toEqual([]);
    await put(owner, productId, { quantity: 1, saleId });
    expect((await cart(owner, "DELETE")).cart.items).toEqual([]);
    expect(await linesOf(owner)).toEqual([]);
  });

  it("is ordered by one call, once however often it is sent", async () => {
    const owner = await make();
    const { saleId, productId } = await shop.sale({ stock: 100, price: 700 });
    await put(owner, productId, { quantity: 2, saleId });
    const answers = await Promise.all(Array.from({ length: 20 }, () => checkout(owner)));
    const made = answers.filter(({ status }) => status === 202);
    expect(made).toHaveLength(1);
    // The others found that order, or the cart empty already.
    for (const { status, body } of answers.filter((answer) => answer.status !== 202)) {
      if (status === 200) expect(body.orderTrackingId).toBe(made[0]?.body.orderTrackingId);
      else expect([status, body.code]).toEqual([409, "INVALID_STATE"]);
    }
    expect(made[0]?.body).toMatchObject({ price: 1_400, customerId: owner.id, saleId });
    expect(await linesOf(owner)).toEqual([]);
    const snapshot = await shop.deps.engine.stock.snapshot({ saleId, partition: 0 });
    expect(snapshot.type === "OK" && snapshot.stock.get(productId)).toMatchObject({ available: 98, reserved: 2 });
  });

  it("gives the same order for the same key, also when it is empty by then", async () => {
    const owner = await make();
    const { saleId, productId } = await shop.sale({ stock: 10 });
    await put(owner, productId, { quantity: 1, saleId });
    const key = randomUUID();
    const [first, again] = [await checkout(owner, undefined, key), await checkout(owner, undefined, key)];
    expect([first.status, again.status]).toEqual([202, 200]);
    expect(again.body.orderTrackingId).toBe(first.body.orderTrackingId);
    expect(again.headers.get("idempotent-replayed")).toBe("true");
    await put(owner, productId, { quantity: 1, saleId });
    const other = await checkout(owner, undefined, randomUUID());
    expect(other.status).toBe(202);
    expect(other.body.orderTrackingId).not.toBe(first.body.orderTrackingId);
  });

  it("stays as it is when its order is refused", async () => {
    const owner = await make();
    const { saleId, productId } = await shop.sale({ stock: 1, price: 700 });
    await put(owner, productId, { quantity: 2, saleId });
    const refused = await checkout(owner);
    expect([refused.status, refused.body.code]).toEqual([409, "SOLD_OUT"]);
    const wrongPrice = await checkout(owner, { price: 1 });
    expect([wrongPrice.status, wrongPrice.body.code]).toEqual([409, "PRICE_MISMATCH"]);
    expect(await linesOf(owner)).toMatchObject([{ productId, quantity: 2, problem: "SOLD_OUT" }]);
  });
});

describe("a cart", () => {
  it("with products of two sales is ordered sale by sale", async () => {
    const owner = await member();
    const [one, two] = [await shop.sale({ stock: 5 }), await shop.sale({ stock: 5 })];
    for (const { productId, saleId } of [one, two]) await put(owner, productId, { quantity: 1, saleId });
    expect((await checkout(owner)).body.code).toBe("VALIDATION");
    expect((await checkout(owner, { saleId: two.saleId })).body.saleId).toBe(two.saleId);
    expect(await linesOf(owner)).toMatchObject([{ productId: one.productId }]);
    expect((await checkout(owner)).body.saleId).toBe(one.saleId);
    expect((await checkout(owner)).body.code).toBe("INVALID_STATE");
  });

  it("is seen by its owner alone", async () => {
    const [mine, yours] = [await member(), await member()];
    const { saleId, productId } = await shop.sale({ stock: 5 });
    await put(mine, productId, { quantity: 1, saleId });
    expect(await linesOf(yours)).toEqual([]);
    const named = await shop.call("GET", `/api/v1/cart?customerId=${mine.id}`, { token: yours.token });
    expect(named.status).toBe(400); // no UUID
    const other = await shop.call("GET", `/api/v1/cart?customerId=${randomUUID()}`, { token: yours.token });
    expect([other.status, other.body.code]).toEqual([403, "FORBIDDEN"]);
    expect((await shop.call("GET", "/api/v1/cart")).status).toBe(401);
    const closed = shop.appWith({ guestOrders: false });
    expect((await shop.call("GET", `/api/v1/cart?customerId=${randomUUID()}`, { app: closed })).status).toBe(401);
  });

  it("of a guest is taken over by signing in, added to the member's", async () => {
    const visitor = guest();
    const [one, two] = [await shop.sale({ stock: 5 }), await shop.sale({ stock: 5 })];
    await put(visitor, one.productId, { quantity: 1, saleId: one.saleId });
    const account = { email: "cart@example.com", password: PASSWORD };
    const made = await shop.call("POST", "/api/v1/auth/signup", {
      body: { ...account, name: "x", guestId: visitor.id },
    });
    const owner = { id: made.body.customerId, token: made.body.accessToken };
    expect(await linesOf(owner)).toMatchObject([{ productId: one.productId, quantity: 1 }]);
    expect(await linesOf(visitor)).toEqual([]);
    await put(visitor, one.productId, { quantity: 2, saleId: one.saleId });
    await put(visitor, two.productId, { quantity: 4, saleId: two.saleId });
    await shop.call("POST", "/api/v1/auth/login", { body: { ...account, guestId: visitor.id } });
    expect(await linesOf(owner)).toMatchObject([
      { productId: one.productId, quantity: 3 },
      { productId: two.productId, quantity: 4 },
    ]);
  });

  it("is filled again from an order, by whoever may see it", async () => {
    const owner = await member();
    const { saleId, productId } = await shop.sale({ stock: 9 });
    await put(owner, productId, { quantity: 2, saleId });
    const placed = await checkout(owner);
    await put(owner, productId, { quantity: 1, saleId });
    const path = `/api/v1/orders/${placed.body.orderTrackingId}/reorder`;
    expect((await shop.call("POST", path, { token: owner.token })).status).toBe(200);
    expect(await linesOf(owner)).toMatchObject([{ productId, quantity: 3 }]);
    const stranger = await member();
    expect((await shop.call("POST", path, { token: stranger.token })).status).toBe(404);
    expect(await linesOf(stranger)).toEqual([]);
  });

  it("says what is no longer offered", async () => {
    const owner = await member();
    await carts.keep(
      await changeCart(shop.pool, owner.id, () => [{ saleId: "gone", productId: randomUUID(), quantity: 1 }]),
    );
    expect(await linesOf(owner)).toMatchObject([{ problem: "NOT_OFFERED" }]);
    expect((await checkout(owner)).body.code).toBe("NOT_FOUND");
  });

  test.each([
    [{}],
    [{ quantity: 0 }],
    [{ quantity: -1 }],
    [{ quantity: 1.5 }],
    [{ quantity: "1" }],
    [{ quantity: 1e12 }],
    [{ quantity: 1, saleId: "NO SALE" }],
  ])("refuses %j and changes nothing", async (body) => {
    const owner = await member();
    const { productId } = await shop.sale({ stock: 5 });
    expect((await put(owner, productId, body)).body.code).toBe("VALIDATION");
    expect(await findCart(shop.pool, owner.id)).toMatchObject({ version: 0 });
  });

  it("refuses a product that the sale does not offer, and one more than a hundred products", async () => {
    const owner = await member();
    const { saleId, productId } = await shop.sale({ stock: 5 });
    expect((await put(owner, randomUUID(), { quantity: 1, saleId })).status).toBe(404);
    expect((await put(owner, "x", { quantity: 1, saleId })).status).toBe(404);
    const full = Array.from({ length: 100 }, () => ({ saleId, productId: randomUUID(), quantity: 1 }));
    await carts.keep(await changeCart(shop.pool, owner.id, () => full));
    expect((await put(owner, productId, { quantity: 1, saleId })).body.code).toBe("VALIDATION");
  });
});

describe("the copy in Redis", () => {
  it("is what is read, and never falls back behind what was written", async () => {
    const { saleId, productId } = await shop.sale({ stock: 5 });
    const owner = await member();
    const line = (quantity: number) => [{ saleId, productId, quantity }];
    const first = await changeCart(shop.pool, owner.id, () => line(1));
    const second = await changeCart(shop.pool, owner.id, () => line(2));
    await carts.keep(second);
    await carts.keep(first); // a reader that was slow to fill it
    expect(await linesOf(owner)).toMatchObject([{ quantity: 2 }]);
    await shop.pool.query("DELETE FROM carts WHERE customer_id = $1", [owner.id]);
    expect(await linesOf(owner)).toMatchObject([{ quantity: 2 }]);
    await shop.deps.cacheRedis.del(`onrush:cart:${owner.id}`);
    expect(await linesOf(owner)).toEqual([]);
  });

  it("is filled again from Postgres when it is lost", async () => {
    const owner = await member();
    const { saleId, productId } = await shop.sale({ stock: 5 });
    await put(owner, productId, { quantity: 2, saleId });
    await shop.deps.cacheRedis.del(`onrush:cart:${owner.id}`);
    expect(await linesOf(owner)).toMatchObject([{ quantity: 2 }]);
  });
});

it("carts and checkouts are forgotten after thirty days", async () => {
  const owner = await member();
  const { saleId, productId } = await shop.sale({ stock: 5 });
  await put(owner, productId, { quantity: 1, saleId });
  await checkout(owner, undefined, "k");
  await shop.pool.query("UPDATE carts SET updated_at = now() - interval '31 days' WHERE customer_id = $1", [owner.id]);
  await shop.pool.query("UPDATE cart_checkouts SET at = now() - interval '31 days' WHERE customer_id = $1", [owner.id]);
  expect(await deleteOldCarts(shop.pool, 10)).toBe(1);
  const left = await shop.pool.query("SELECT FROM cart_checkouts WHERE customer_id = $1", [owner.id]);
  expect(left.rowCount).toBe(0);
});
