// Who may call which route: every route of the API by every kind of caller, in one table. A route that is not in it fails.
import { describe, expect, it } from "vitest";
import { describeApi } from "../../api/operations/describe.ts";
import { createApiKey } from "../../engine/members/api-keys.ts";
import { makeCustomerId } from "../../engine/members/users.ts";
import { accessToken, openApiShop } from "./api-shop.ts";

const shop = await openApiShop();
const callers = {
  nobody: undefined,
  member: await accessToken(makeCustomerId()),
  support: await accessToken(makeCustomerId(), ["support"]),
  admin: shop.admin,
  server: (await createApiKey(shop.pool, { name: "x", roles: ["support"], createdBy: "test", expiresAt: null })).secret,
} as const;
type Caller = keyof typeof callers;

/** Open to all; what a caller then sees is the routes' own matter, and tested with them. */
const PUBLIC = [
  "GET /docs",
  "GET /healthz",
  "GET /metrics",
  "GET /openapi.json",
  "GET /readyz",
  "GET /api/v1/cart",
  "DELETE /api/v1/cart",
  "PUT /api/v1/cart/items/{productId}",
  "DELETE /api/v1/cart/items/{productId}",
  "POST /api/v1/cart/checkout",
  "POST /api/v1/auth/login",
  "POST /api/v1/auth/logout",
  "POST /api/v1/auth/password-resets",
  "POST /api/v1/auth/password-resets/confirm",
  "POST /api/v1/auth/refresh",
  "POST /api/v1/auth/signup",
  "POST /api/v1/auth/verify-email",
  "POST /api/v1/orders",
  "GET /api/v1/coupons/{code}",
  "GET /api/v1/orders/{id}",
  "POST /api/v1/orders/{id}/cancel",
  "POST /api/v1/orders/{id}/payments",
  "GET /api/v1/orders/{id}/refunds",
  "POST /api/v1/orders/{id}/reorder",
  "GET /api/v1/products",
  "GET /api/v1/products/{id}",
  "GET /api/v1/proof-key",
  "GET /api/v1/sales",
  "GET /api/v1/sales/{id}",
];
/** With any valid token. */
const MEMBERS = [
  "GET /api/v1/auth/me",
  "PATCH /api/v1/auth/me",
  "DELETE /api/v1/auth/me",
  "POST /api/v1/auth/password",
  "POST /api/v1/auth/verification-mails",
  "GET /api/v1/orders",
  "GET /api/v1/notifications",
  "POST /api/v1/notifications/read",
  "POST /api/v1/notifications/{id}/read",
  "GET /api/v1/support/threads",
  "POST /api/v1/support/threads",
  "GET /api/v1/support/threads/{id}",
  "PATCH /api/v1/support/threads/{id}",
  "GET /api/v1/support/threads/{id}/messages",
  "POST /api/v1/support/threads/{id}/messages",
  "POST /api/v1/support/threads/{id}/read",
  "GET /api/v1/points",
  "GET /api/v1/points/entries",
  "GET /api/v1/wallet",
  "GET /api/v1/wallet/transactions",
  "POST /api/v1/ws-tickets",
];
/** For support and administrators. */
const OPERATORS = [
  "GET /api/v1/admin/dead-letters",
  "GET /api/v1/admin/dead-letters/{id}",
  "GET /api/v1/admin/instances",
  "GET /api/v1/admin/orders",
  "GET /api/v1/admin/orders/export",
  "GET /api/v1/admin/orders/{id}/explanation",
  "GET /api/v1/admin/overview",
  "GET /api/v1/points/{customerId}",
  "GET /api/v1/points/{customerId}/entries",
  "GET /api/v1/wallets/{customerId}",
  "GET /api/v1/wallets/{customerId}/transactions",
];
/** For whoever signs what they send; no token opens them. */
const SIGNED = ["POST /api/v1/webhooks/payments"];

const allowed = (route: string): readonly Caller[] => {
  if (PUBLIC.includes(route)) return ["nobody", "member", "support", "admin", "server"];
  if (MEMBERS.includes(route)) return ["member", "support", "admin", "server"];
  if (OPERATORS.includes(route)) return ["support", "admin", "server"];
  if (SIGNED.includes(route)) return [];
  return ["admin"];
};

const document = await describeApi();
const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.keys(methods).map((method) => ({
    method: method.toUpperCase(),
    path,
    name: `${method.toUpperCase()} ${path}`,
  })),
);

describe("every route", () => {
  it.each(routes)("$name", async ({ method, path, name }) => {
    const may = allowed(name);
    // An id of nothing and a body that is none: whoever is let in gets no further than this.
    const target = path.replaceAll(/\{\w+\}/g, "00000000-0000-4000-8000-000000000000");
    const body = ["POST", "PUT", "PATCH", "DELETE"].includes(method) ? "{" : undefined;
    for (const caller of Object.keys(callers) as Caller[]) {
      const token = callers[caller];
      const { status } = await shop.call(method, target, { token, ...(body !== undefined && { body }) });
      const barred = token === undefined || SIGNED.includes(name) ? 401 : 403;
      if (!may.includes(caller)) expect([caller, status]).toEqual([caller, barred]);
      // A cart or an order may still be somebody else's.
      else if (!PUBLIC.includes(name)) expect([caller, status]).not.toEqual([caller, barred]);
    }
  });

  it("is refused to whoever sends a token that is none, public or not", async () => {
    for (const { method, path, name } of routes) {
      if (["GET /docs", "GET /healthz", "GET /metrics", "GET /openapi.json", "GET /readyz"].includes(name)) continue;
      const { status } = await shop.call(method, path.replaceAll(/\{\w+\}/g, "x"), { token: "none" });
      expect([name, status]).toEqual([name, 401]);
    }
  });

  it("of the table exists", () => {
    const names = new Set(routes.map(({ name }) => name));
    expect([...PUBLIC, ...MEMBERS, ...OPERATORS, ...SIGNED].filter((name) => !names.has(name))).toEqual([]);
  });
});
