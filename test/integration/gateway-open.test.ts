// The provider that the configuration names: it is charged, its circuits are seen in /metrics while it is away, and it lets go of
// everything when it is closed.
import { randomUUID } from "node:crypto";
import { afterAll, describe, expect, test, vi } from "vitest";
import { loadConfig, requireRoleConfig } from "../../engine/config.ts";
import { createLogger } from "../../engine/log.ts";
import { openGateway } from "../../persister/jobs/gateway/open.ts";
import { freePort } from "../../runtime/embedded/server.ts";
import { STRIPE_KEY, startStripeServer } from "../support/stripe/server.ts";
import { openApiShop } from "./api-shop.ts";
import { API_KEY, startGatewayProcess } from "./gateway-process.ts";

const shop = await openApiShop();
const { databaseUrl } = shop;
const service = await startGatewayProcess(databaseUrl);
const stripe = await startStripeServer();
afterAll(() => Promise.all([service.stop(), stripe.stop()]));

function open(settings: Record<string, string>) {
  const secret = "0123456789abcdef0123456789abcdef";
  const env = { REDIS_URL: "redis://127.0.0.1", DATABASE_URL: databaseUrl, JWT_SECRET: secret, RECEIPT_SECRET: secret };
  return openGateway(requireRoleConfig(loadConfig({ ...env, ...settings })), createLogger("test", "silent"));
}

const charge = (token: string) => ({ key: `${randomUUID()}:1`, amount: 1_000, currency: "KRW", token });
const patience = () => AbortSignal.timeout(10_000);
const recorders = async () =>
  (await shop.pool.query("SELECT FROM pg_stat_activity WHERE application_name = 'onrush payment circuits'")).rowCount;

describe("the provider that is configured", () => {
  test.for([
    ["simulated", {}, "tok_ok"],
    ["simulated", { PAYMENT_GATEWAY_URL: service.url, PAYMENT_GATEWAY_KEY: API_KEY }, "tok_ok"],
    ["http", { PAYMENT_GATEWAY_URL: service.url, PAYMENT_GATEWAY_KEY: API_KEY }, "tok_ok"],
    ["stripe", { PAYMENT_GATEWAY_URL: stripe.url, STRIPE_SECRET_KEY: STRIPE_KEY }, "pm_card_visa"],
  ] as const)("takes payments: %s %o", async ([PAYMENT_GATEWAY, settings, token]) => {
    const gateway = await open({ PAYMENT_GATEWAY, ...settings });
    expect(await gateway.charge(charge(token), patience())).toMatchObject({ type: "succeeded" });
    await gateway.close();
    await vi.waitFor(async () => expect(await recorders()).toBe(0), { timeout: 10_000 });
  });

  test.for([
    ["http", { PAYMENT_GATEWAY_KEY: API_KEY }, "batches"],
    ["stripe", { STRIPE_SECRET_KEY: STRIPE_KEY }, "charges"],
  ] as const)("is seen to be away: %s", async ([PAYMENT_GATEWAY, settings, circuit]) => {
    const PAYMENT_GATEWAY_URL = `http://127.0.0.1:${await freePort()}`;
    const gateway = await open({ PAYMENT_GATEWAY, PAYMENT_GATEWAY_URL, ...settings });
    const shown = `onrush_payment_circuits_broken{circuit="${circuit}",status="open"} 1`;
    const metrics = async () => (await shop.call("GET", "/metrics")).text;
    expect(await metrics()).not.toContain(shown);
    for (let call = 0; call < 5; call += 1) await gateway.charge(charge("tok_ok"), patience());
    await vi.waitFor(async () => expect(await metrics()).toContain(shown), { timeout: 10_000 });
    await gateway.close();
    expect(await metrics()).not.toContain(shown);
  });
});
