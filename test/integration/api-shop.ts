// The API over a test file's own Redis and database, called without sockets; no persister, so that orders stay PENDING.
import { randomUUID } from "node:crypto";
import { SignJWT } from "jose";
import type pg from "pg";
import { afterAll } from "vitest";
import { createApp } from "../../api/app.ts";
import type { ApiConfig, ApiDependencies } from "../../api/dependencies.ts";
import { ensureCatalogSale } from "../../api/sales/catalog-sale.ts";
import { CopiesConnection } from "../../engine/catalogue/read-model/connection.ts";
import { Engine } from "../../engine/engine.ts";
import { openPool } from "../../engine/ledger/database.ts";
import { createLogger } from "../../engine/log.ts";
import { makeCustomerId } from "../../engine/members/users.ts";
import { openOutbox } from "../../engine/outbox/outbox.ts";
import { commandConnection, connect } from "../../engine/redis/connection.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startTestRedis, type TestRedis } from "../support/redis.ts";

export const JWT_SECRET = "j".repeat(32);
export const RECEIPT_SECRET = "r".repeat(32);

export const CONFIG: ApiConfig = {
  corsOrigins: ["https://shop.example"],
  guestOrders: true,
  jwtSecret: JWT_SECRET,
  jwtSecretPrevious: undefined,
  paymentGateway: "simulated",
  paymentWebhookSecrets: [],
  rateLimit: { enabled: false, ordersPerSecond: 200, requestsPerSecond: 500, loginsPerMinute: 30 },
  receiptSecret: RECEIPT_SECRET,
  receiptSecretPrevious: undefined,
  reservationTtlMs: 300_000,
  trustedProxies: [],
  webhookAllowPrivate: false,
};

export type App = ReturnType<typeof createApp>;

/** A response, read. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** The JSON, taken to have whatever members the test then looks at; empty when there is none. */
  readonly body: AnswerBody;
  readonly text: string;
}

export interface AnswerBody {
  readonly id: string;
  readonly code?: string;
  readonly detail: string;
  readonly errors: readonly { readonly path: string }[];
  readonly orderTrackingId: string;
  readonly customerId: string;
  readonly saleId: string;
  readonly status: string | number;
  readonly state: string;
  readonly price: number;
  readonly receipt: string;
  readonly reservedUntil: string;
  readonly items: readonly {
    readonly id: string;
    readonly name: string;
    readonly remaining: number;
    readonly orderTrackingId: string;
  }[];
  readonly nextCursor?: string;
  readonly accessToken: string;
  readonly refreshToken: string;
}

export interface ApiShop {
  readonly app: App;
  readonly deps: ApiDependencies;
  readonly pool: pg.Pool;
  readonly databaseUrl: string;
  readonly redis: TestRedis;
  readonly admin: string;
  /** The app under another configuration, on the same shop. */
  appWith(config: Partial<ApiConfig>): App;
  call(method: string, path: string, options?: CallOptions): Promise<Answer>;
  /** An open sale of one new product, made over the API. */
  sale(options: { stock: number; price?: number; perCustomerLimit?: number; sale?: object }): Promise<{
    saleId: string;
    productId: string;
  }>;
}

export interface CallOptions {
  readonly body?: unknown;
  readonly token?: string | undefined;
  readonly headers?: Record<string, string>;
  readonly app?: App;
}

/** Opens the shop for a test file; closed with it. */
export async function openApiShop(): Promise<ApiShop> {
  const database = await createTestDatabase();
  const server = await startTestRedis();
  const ignore = () => undefined; // broken connections also fail the calls on them
  const pool = openPool(database.url, { connectionsMax: 8, applicationName: "api", statementTimeoutMs: 5_000 }, ignore);
  const redis = commandConnection(server.urlOf("onrush_api"), 1_000);
  redis.on("error", ignore);
  await connect(redis);
  const engine = new Engine({ redis, pool, receiptSecret: RECEIPT_SECRET, ackMode: "fsync" });
  await engine.start();
  const outbox = await openOutbox(database.url, ignore);
  const log = createLogger("test", process.env["TEST_LOG_LEVEL"] ?? "silent");
  const copies = new CopiesConnection(server.urlOf("onrush_api"), { onAway: ignore, onBack: ignore });
  copies.start();
  const deps: ApiDependencies = { config: CONFIG, log, engine, pool, redis, cacheRedis: redis, copies, outbox };
  await ensureCatalogSale(deps);
  afterAll(async () => {
    await engine.stop();
    redis.disconnect();
    await copies.stop();
    await Promise.all([outbox.close(), pool.end(), server.stop()]);
  });

  const app = createApp(deps);
  const admin = await accessToken(makeCustomerId(), ["admin"]);
  const call = (method: string, path: string, options: CallOptions = {}) =>
    callApp(options.app ?? app, method, path, options);
  return {
    app,
    deps,
    pool,
    databaseUrl: database.url,
    redis: server,
    admin,
    call,
    appWith: (config) => createApp({ ...deps, config: { ...CONFIG, ...config } }),
    async sale({ stock, price = 5_000, perCustomerLimit, sale = {} }) {
      const product = await call("POST", "/api/v1/products", { token: admin, body: { name: "커피", price } });
      const item = { productId: product.body.id, stock, ...(perCustomerLimit && { perCustomerLimit }) };
      const made = await call("POST", "/api/v1/sales", {
        token: admin,
        body: { name: "Sale", items: [item], ...sale },
      });
      if (made.status !== 201) throw new Error(JSON.stringify(made.body));
      return { saleId: made.body.id, productId: product.body.id };
    },
  };
}

/** Calls the app; a body that is a string goes as it is, any other as JSON. */
export async function callApp(app: App, method: string, path: string, options: CallOptions = {}): Promise<Answer> {
  const headers = new Headers(options.headers);
  if (options.token !== undefined) headers.set("authorization", `Bearer ${options.token}`);
  const init: RequestInit = { method, headers };
  if (options.body !== undefined) {
    if (!headers.has("content-type")) headers.set("content-type", "application/json");
    init.body = typeof options.body === "string" ? options.body : JSON.stringify(options.body);
  }
  const response = await app.request(path, init);
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.includes("json") ?? false;
  const body = JSON.parse(isJson && text !== "" ? text : "{}") as AnswerBody;
  return { status: response.status, headers: response.headers, body, text };
}

/** A valid access token, or one that is not, by what is overridden. */
export function accessToken(
  customerId: string,
  roles: readonly string[] = ["customer"],
  override: { secret?: string; alg?: string; issuer?: string; audience?: string; exp?: unknown } = {},
): Promise<string> {
  const now = Math.floor(Date.now() / 1_000);
  const claims = {
    sub: customerId,
    iss: override.issuer ?? "onrush",
    aud: override.audience ?? "onrush-api",
    iat: now,
    exp: "exp" in override ? override.exp : now + 600,
    roles,
  };
  return new SignJWT(claims as never)
    .setProtectedHeader({ alg: override.alg ?? "HS256" })
    .sign(new TextEncoder().encode(override.secret ?? JWT_SECRET.padEnd(64, override.alg === "HS512" ? "j" : "")));
}

export function guest(): string {
  return randomUUID();
}
