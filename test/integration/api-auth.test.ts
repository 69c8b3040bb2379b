import { describe, expect, test } from "vitest";
import { ensureAdministrator } from "../../api/auth/administrator.ts";
import { makeCustomerId } from "../../engine/members/users.ts";
import { accessToken, openApiShop } from "./api-shop.ts";

const shop = await openApiShop();
const EMAIL = "Admin@onrush.local";
const PASSWORD = "correct horse battery";
await ensureAdministrator(shop.pool, EMAIL, PASSWORD);

const me = (token: string) => shop.call("GET", "/api/v1/auth/me", { token });
const login = (email: string, password: string) =>
  shop.call("POST", "/api/v1/auth/login", { body: { email, password } });
const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

describe("signing in", () => {
  test("gives tokens that work, each for its own purpose", async () => {
    const { status, body } = await login(EMAIL.toUpperCase(), PASSWORD);
    expect(status).toBe(200);
    expect(body).toEqual({
      accessToken: expect.any(String),
      refreshToken: expect.any(String),
      expiresIn: 900,
      customerId: expect.stringMatching(/^cus_[0-9a-z]{24}$/),
    });
    expect((await me(body.accessToken)).body).toMatchObject({ customerId: body.customerId, roles: ["admin"] });
    expect((await me(body.refreshToken)).status).toBe(401);
    const refresh = (refreshToken: string) => shop.call("POST", "/api/v1/auth/refresh", { body: { refreshToken } });
    expect((await me((await refresh(body.refreshToken)).body.accessToken)).status).toBe(200);
    expect((await refresh(body.accessToken)).status).toBe(401);
  });

  test("with a wrong password or an unknown e-mail gives one answer", async () => {
    const wrong = await login(EMAIL, "wrong");
    const unknown = await login("nobody@onrush.local", PASSWORD);
    expect([wrong.status, unknown.status]).toEqual([401, 401]);
    expect(wrong.body.detail).toBe(unknown.body.detail);
  });

  test.each([{}, { email: "a@b.c" }, { email: 1, password: "x" }, { email: "a\0", password: "x" }])(
    "with %j: 400",
    async (body) => {
      expect((await shop.call("POST", "/api/v1/auth/login", { body })).body.code).toBe("VALIDATION");
    },
  );

  test("the administrator is made once, and follows the configuration", async () => {
    await Promise.all([
      ensureAdministrator(shop.pool, EMAIL, "another one"),
      ensureAdministrator(shop.pool, EMAIL, "another one"),
    ]);
    expect((await login(EMAIL, PASSWORD)).status).toBe(401);
    expect((await login(EMAIL, "another one")).status).toBe(200);
    await ensureAdministrator(shop.pool, EMAIL, PASSWORD);
    const users = await shop.pool.query("SELECT count(*) AS count FROM users");
    expect(users.rows).toEqual([{ count: 1 }]);
  });
});

describe("a token", () => {
  const id = makeCustomerId();
  const now = Math.floor(Date.now() / 1_000);
  const claims = { sub: id, iss: "onrush", aud: "onrush-api", iat: now, exp: now + 600, roles: ["admin"] };
  const cases: [string, () => string | Promise<string>][] = [
    ["of algorithm none", () => `${base64url({ alg: "none" })}.${base64url(claims)}.`],
    ["of another algorithm", () => accessToken(id, ["admin"], { alg: "HS512" })],
    ["of another secret", () => accessToken(id, ["admin"], { secret: "x".repeat(64) })],
    ["of another issuer", () => accessToken(id, ["admin"], { issuer: "other" })],
    ["of another audience", () => accessToken(id, ["admin"], { audience: "other" })],
    ["that expired", () => accessToken(id, ["admin"], { exp: now - 1 })],
    ["whose exp is no number", () => accessToken(id, ["admin"], { exp: "9999999999" })],
    ["without exp", () => accessToken(id, ["admin"], { exp: undefined })],
    ["with a role that is none", () => accessToken(id, ["root"])],
    ["for no customer", () => accessToken("admin", ["admin"])],
    ["that is no JWT", () => "a.b.c"],
    ["that was changed", async () => `${(await accessToken(id, ["admin"])).slice(0, -4)}AAAA`],
    ["that is huge", () => "a".repeat(5_000)],
  ];
  test.each(cases)("%s is refused", async (_name, make) => {
    const answer = await shop.call("POST", "/api/v1/products", { token: await make(), body: {} });
    expect([answer.status, answer.body.code]).toEqual([401, "UNAUTHENTICATED"]);
  });

  test("that was seen before is refused once it has expired", async () => {
    const token = await accessToken(id, ["admin"], { exp: Math.floor(Date.now() / 1_000) + 2 });
    const status = async () => (await shop.call("POST", "/api/v1/products", { token, body: {} })).status;
    expect(await status()).toBe(400);
    await expect.poll(status, { timeout: 5_000 }).toBe(401);
  });

  test.each(["Basic YTpi", "Bearer", "Bearer ", "Bearer a b"])(
    "as %j is refused, on public routes too",
    async (authorization) => {
      expect((await shop.call("GET", "/api/v1/products", { headers: { authorization } })).status).toBe(401);
    },
  );
});

describe("authorisation comes before validation", () => {
  test.each([
    ["POST", "/api/v1/products"],
    ["PUT", "/api/v1/products/x"],
    ["DELETE", "/api/v1/products/x"],
    ["POST", "/api/v1/sales"],
    ["PATCH", "/api/v1/sales/catalog"],
    ["POST", "/api/v1/sales/catalog/open"],
    ["POST", "/api/v1/sales/catalog/pause"],
    ["POST", "/api/v1/sales/catalog/close"],
    ["POST", "/api/v1/sales/catalog/restock"],
  ])("%s %s", async (method, path) => {
    const customer = await accessToken(makeCustomerId());
    const support = await accessToken(makeCustomerId(), ["support", "customer"]);
    expect((await shop.call(method, path, { body: "{" })).status).toBe(401);
    for (const token of [customer, support]) {
      expect((await shop.call(method, path, { body: "{", token })).status).toBe(403);
    }
  });
});
