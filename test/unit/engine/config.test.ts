import { describe, expect, it } from "vitest";
import { ConfigError, loadConfig, requireRoleConfig } from "../../../engine/config.ts";

function problemsOf(load: () => unknown): readonly string[] {
  try {
    load();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe("the configuration", () => {
  it("has a default for everything", () => {
    expect(loadConfig({})).toMatchObject({
      port: 3_000,
      host: "127.0.0.1",
      dataDir: ".data",
      redisUrl: undefined,
      cacheRedisUrl: undefined,
      databaseUrl: undefined,
      roles: ["api", "persister", "worker"],
      apiWorkers: 1,
      ackMode: "fsync",
      replicasRequired: 1,
      replicationWaitMs: 1_000,
      postgresWaitMs: 5_000,
      reservationTtlMs: 300_000,
      jwtSecret: undefined,
      receiptSecret: undefined,
      receiptSecretPrevious: undefined,
      adminEmail: "admin@onrush.local",
      adminPassword: undefined,
      guestOrders: true,
      rateLimit: { enabled: true, ordersPerSecond: 200, requestsPerSecond: 500, loginsPerMinute: 30 },
      trustedProxies: [],
      backlogMax: 200_000,
      paymentGateway: "simulated",
      paymentGatewayUrl: undefined,
      corsOrigins: [],
      logLevel: "info",
      otlpEndpoint: undefined,
    });
  });

  it("reads what is set", () => {
    const config = loadConfig({
      PORT: "8080",
      REDIS_URL: "rediss://redis.example:6379",
      DATABASE_URL: "postgres://postgres.example/onrush",
      ROLES: "api, worker,api",
      ACK_MODE: "postgres",
      RESERVATION_TTL_SECONDS: "60",
      ADMIN_EMAIL: "Owner@Shop.Example",
      RATE_LIMIT_ENABLED: "off",
      CORS_ORIGINS: "https://a.example, https://b.example,",
    });
    expect(config).toMatchObject({
      port: 8_080,
      cacheRedisUrl: "rediss://redis.example:6379",
      roles: ["api", "worker"],
      ackMode: "postgres",
      reservationTtlMs: 60_000,
      adminEmail: "owner@shop.example",
      rateLimit: { enabled: false },
      corsOrigins: ["https://a.example", "https://b.example"],
    });
  });

  it("takes an empty variable as unset", () => {
    expect(loadConfig({ PORT: "", REDIS_URL: "", ROLES: "" })).toEqual(loadConfig({}));
  });

  it("takes guests' orders in embedded mode, and elsewhere only when told to", () => {
    expect(loadConfig({}).guestOrders).toBe(true);
    expect(loadConfig({ REDIS_URL: "redis://r" }).guestOrders).toBe(false);
    expect(loadConfig({ DATABASE_URL: "postgres://p/o" }).guestOrders).toBe(false);
    expect(loadConfig({ DATABASE_URL: "postgres://p/o", GUEST_ORDERS: "on" }).guestOrders).toBe(true);
    expect(loadConfig({ GUEST_ORDERS: "false" }).guestOrders).toBe(false);
  });

  it("lists everything that is wrong at once, by name", () => {
    const problems = problemsOf(() =>
      loadConfig({
        PORT: "65536",
        REDIS_URL: "http://redis",
        DATABASE_URL: "not a url",
        ROLES: "api,cook",
        ACK_MODE: "maybe",
        RESERVATION_TTL_SECONDS: "1.5",
        JWT_SECRET: "short",
        ADMIN_EMAIL: "nobody",
        GUEST_ORDERS: "perhaps",
      }),
    );
    expect(problems.map((problem) => problem.split(":")[0])).toEqual([
      "PORT",
      "REDIS_URL",
      "DATABASE_URL",
      "ROLES",
      "ACK_MODE",
      "RESERVATION_TTL_SECONDS",
      "JWT_SECRET",
      "ADMIN_EMAIL",
      "GUEST_ORDERS",
    ]);
  });

  it("wants the address and the key of a provider that is asked over HTTP, where there is a worker", () => {
    const named = { PAYMENT_GATEWAY: "http" };
    expect(problemsOf(() => loadConfig(named)).map((problem) => problem.split(":")[0])).toEqual([
      "PAYMENT_GATEWAY_URL",
      "PAYMENT_GATEWAY_KEY",
    ]);
    expect(problemsOf(() => loadConfig({ ...named, ROLES: "api" }))).toEqual([]);
    const reachable = { ...named, PAYMENT_GATEWAY_URL: "https://pay.example", PAYMENT_GATEWAY_KEY: "k".repeat(16) };
    expect(loadConfig(reachable)).toMatchObject({ paymentGateway: "http", paymentGatewayUrl: "https://pay.example" });
  });

  it("knows which providers it could reach: its own, and what else it has a key for or is told to run", () => {
    const own = (PAYMENT_GATEWAY: string, more = {}) =>
      loadConfig({ PAYMENT_GATEWAY, ROLES: "api", ...more }).paymentGateways;
    expect(own("simulated")).toEqual(["simulated"]);
    expect(own("http")).toEqual(["http"]);
    expect(own("simulated", { STRIPE_SECRET_KEY: "sk_test_12345678" })).toEqual(["simulated", "stripe"]);
    expect(own("stripe", { PAYMENT_GATEWAY_IN_PROCESS: "true" })).toEqual(["simulated", "stripe"]);
  });

  it.each(["-1", "1e3", "0x10", " 80", "80a", "NaN"])("does not take %j for a port", (PORT) => {
    expect(problemsOf(() => loadConfig({ PORT }))).toEqual([expect.stringMatching(/^PORT: must be a whole number/)]);
  });

  it("never repeats a secret in what it says is wrong", () => {
    const secret = "hunter2";
    const problems = problemsOf(() =>
      loadConfig({ JWT_SECRET: secret, RECEIPT_SECRET: secret, ADMIN_PASSWORD: secret }),
    );
    expect(problems).toHaveLength(3);
    expect(problems.join("\n")).not.toContain(secret);
  });

  it("for a role names everything that is missing", () => {
    expect(problemsOf(() => requireRoleConfig(loadConfig({ REDIS_URL: "redis://r" })))).toEqual([
      "DATABASE_URL: is required",
      "JWT_SECRET: is required",
      "RECEIPT_SECRET: is required",
    ]);
    const env = {
      REDIS_URL: "redis://r",
      DATABASE_URL: "postgres://p/o",
      JWT_SECRET: "j".repeat(32),
      RECEIPT_SECRET: "r".repeat(32),
    };
    expect(requireRoleConfig(loadConfig(env))).toEqual(loadConfig(env));
  });
});
