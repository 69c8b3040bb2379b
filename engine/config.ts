// The environment, read and validated once per process. Everything wrong is reported together.
import { z } from "zod";
import { isWebhookSecret } from "./webhooks/signature.ts";

export const ROLES = ["api", "persister", "worker"] as const;
export type Role = (typeof ROLES)[number];
export const ACK_MODES = ["fast", "fsync", "replicated", "postgres"] as const;
export type AckMode = (typeof ACK_MODES)[number];
export const PAYMENT_GATEWAYS = ["simulated", "http", "stripe"] as const;
export type PaymentGatewayName = (typeof PAYMENT_GATEWAYS)[number];
export const LOG_LEVELS = ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export class ConfigError extends Error {
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`Invalid configuration:\n${problems.map((problem) => `  ${problem}`).join("\n")}`);
    this.name = "ConfigError";
    this.problems = problems;
  }
}

const flag = z
  .enum(["true", "false", "1", "0", "on", "off"])
  .transform((value) => value === "true" || value === "1" || value === "on");
const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d+$/, `must be a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((value) => value >= min && value <= max, `must be a whole number from ${min} to ${max}`);
const url = (...protocols: string[]) =>
  z.string().refine(
    (value) => {
      const parsed = URL.parse(value);
      return parsed !== null && protocols.includes(parsed.protocol);
    },
    `must be a URL that starts with ${protocols.map((protocol) => `${protocol}//`).join(" or ")}`,
  );
const webhookSecret = z.string().regex(/^whsec_[\x21-\x7e]{32,}$/, "must be a secret that starts with whsec_");
const list = z.string().transform((value) =>
  value
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== ""),
);

const environment = z.object({
  PORT: wholeNumber(0, 65_535).default(3_000),
  HOST: z.string().min(1).default("127.0.0.1"),
  DATA_DIR: z.string().min(1).default(".data"),
  REDIS_URL: url("redis:", "rediss:").optional(),
  CACHE_REDIS_URL: url("redis:", "rediss:").optional(),
  DATABASE_URL: url("postgres:", "postgresql:").optional(),
  ROLES: list
    .pipe(z.array(z.enum(ROLES, `may name ${ROLES.join(", ")}`)).min(1, "must name at least one role"))
    .default([...ROLES]),
  API_WORKERS: wholeNumber(1, 64).default(1),
  ACK_MODE: z.enum(ACK_MODES, `must be one of ${ACK_MODES.join(", ")}`).default("fsync"),
  REPLICAS_REQUIRED: wholeNumber(1, 16).default(1),
  // Below the time after which a call counts as unanswered.
  REPLICATION_WAIT_MS: wholeNumber(10, 1_500).default(1_000),
  POSTGRES_WAIT_MS: wholeNumber(10, 30_000).default(5_000),
  RESERVATION_TTL_SECONDS: wholeNumber(1, 86_400).default(300),
  BACKLOG_MAX_ORDERS: wholeNumber(1, 10_000_000).default(200_000),
  JWT_SECRET: z.string().min(32, "must have at least 32 characters").optional(),
  JWT_SECRET_PREVIOUS: z.string().min(32, "must have at least 32 characters").optional(),
  RECEIPT_SECRET: z.string().min(32, "must have at least 32 characters").optional(),
  PROOF_SIGNING_KEY: z.string().min(1).optional(),
  RECEIPT_SECRET_PREVIOUS: z.string().min(32, "must have at least 32 characters").optional(),
  ADMIN_EMAIL: z.email("must be an e-mail address").default("admin@onrush.local"),
  ADMIN_PASSWORD: z.string().min(8, "must have at least 8 characters").max(128).optional(),
  PUBLIC_URL: url("http:", "https:").optional(),
  SMTP_URL: url("smtp:", "smtps:").optional(),
  MAIL_FROM: z.string().min(3).max(320).default("Onrush <no-reply@onrush.local>"),
  GUEST_ORDERS: flag.optional(),
  RATE_LIMIT_ENABLED: flag.default(true),
  RATE_LIMIT_ORDERS_PER_SECOND: wholeNumber(1, 1_000_000).default(200),
  RATE_LIMIT_REQUESTS_PER_SECOND: wholeNumber(1, 1_000_000).default(500),
  RATE_LIMIT_LOGINS_PER_MINUTE: wholeNumber(1, 100_000).default(30),
  TRUSTED_PROXIES: list.default([]),
  PAYMENT_GATEWAY: z.enum(PAYMENT_GATEWAYS).default("simulated"),
  PAYMENT_GATEWAY_URL: url("http:", "https:").optional(),
  PAYMENT_GATEWAY_KEY: z.string().min(16, "must have at least 16 characters").optional(),
  STRIPE_SECRET_KEY: z
    .string()
    .regex(/^(sk|rk)_(test|live)_[A-Za-z0-9]{8,}$/, "must be a secret or restricted key of Stripe")
    .optional(),
  PAYMENT_GATEWAY_IN_PROCESS: flag.default(false),
  PAYMENT_PENDING_MS: wholeNumber(0, 86_400_000).default(3_000),
  PAYMENT_LATENCY_MS: wholeNumber(0, 60_000).default(0),
  PAYMENT_LATENCY_JITTER_MS: wholeNumber(0, 60_000).default(0),
  PAYMENT_WEBHOOKS: flag.default(true),
  PAYMENT_WEBHOOK_URL: url("http:", "https:").optional(),
  PAYMENT_WEBHOOK_SECRET: webhookSecret.optional(),
  PAYMENT_WEBHOOK_SECRET_PREVIOUS: webhookSecret.optional(),
  WEBHOOK_ALLOW_PRIVATE: flag.default(false),
  CORS_ORIGINS: list.default([]),
  LOG_LEVEL: z.enum(LOG_LEVELS).default("info"),
  OTEL_EXPORTER_OTLP_ENDPOINT: url("http:", "https:").optional(),
});

export interface Config {
  readonly port: number;
  readonly host: string;
  readonly dataDir: string;
  readonly redisUrl: string | undefined;
  readonly cacheRedisUrl: string | undefined;
  readonly databaseUrl: string | undefined;
  readonly roles: readonly Role[];
  readonly apiWorkers: number;
  readonly ackMode: AckMode;
  /** Under `replicated`: replicas that must have an order, and how long they are waited for. */
  readonly replicasRequired: number;
  readonly replicationWaitMs: number;
  /** Under `postgres`: how long an order's commit is waited for. */
  readonly postgresWaitMs: number;
  readonly reservationTtlMs: number;
  /** Accepted orders of one partition that Postgres does not have yet, at most; further ones are refused. */
  readonly backlogMax: number;
  readonly jwtSecret: string | undefined;
  /** Tokens signed with it are still good; set while the secret is being replaced. */
  readonly jwtSecretPrevious: string | undefined;
  readonly receiptSecret: string | undefined;
  /** The one before: receipts that it signed still count. */
  readonly receiptSecretPrevious: string | undefined;
  /** Signs conservation proofs: an Ed25519 private key as PEM, or the path of one. */
  readonly proofSigningKey: string | undefined;
  readonly adminEmail: string;
  readonly adminPassword: string | undefined;
  /** Where people reach the shop: what links in e-mails start with. */
  readonly publicUrl: string;
  /** Where e-mails are handed in; without it they are written to a folder under `dataDir`. */
  readonly smtpUrl: string | undefined;
  readonly mailFrom: string;
  /** Whether orders without a token are taken; on in embedded mode, off in production, unless set. */
  readonly guestOrders: boolean;
  readonly rateLimit: {
    readonly enabled: boolean;
    readonly ordersPerSecond: number;
    readonly requestsPerSecond: number;
    readonly loginsPerMinute: number;
  };
  readonly trustedProxies: readonly string[];
  readonly paymentGateway: PaymentGatewayName;
  /** Those that this process knows how to reach: the one above, and what else it was given a key for, or told to run. */
  readonly paymentGateways: readonly PaymentGatewayName[];
  /** Where the provider is asked; without it the simulated one runs within the worker's process, and Stripe is at Stripe's. */
  readonly paymentGatewayUrl: string | undefined;
  /** Stripe's secret key, or what the provider at the URL knows us by; set where this process has the worker's role. */
  readonly paymentGatewayKey: string | undefined;
  /** Stripe's secret key, whichever provider is named. */
  readonly stripeSecretKey: string | undefined;
  /** Whether the simulated provider runs within the worker's process, without the network between them. */
  readonly paymentGatewayInProcess: boolean;
  /** How the simulated provider behaves. */
  readonly simulatedPayments: {
    /** Until `tok_pending` succeeds. */
    readonly pendingMs: number;
    /** What the answer to a charge or a refund takes: this, and up to the jitter more. */
    readonly latencyMs: number;
    readonly latencyJitterMs: number;
    /** Whether it sends webhooks. */
    readonly webhooks: boolean;
    /** Where to; else to the API of its own instance. */
    readonly webhookUrl: string | undefined;
  };
  /** One of them signs what the payment provider tells the API: the present one, then the one before. None: nothing is taken. */
  readonly paymentWebhookSecrets: readonly string[];
  /** Whether webhooks may go to private addresses, and without TLS. */
  readonly webhookAllowPrivate: boolean;
  readonly corsOrigins: readonly string[];
  readonly logLevel: LogLevel;
  readonly otlpEndpoint: string | undefined;
}

/**
 * Reads the configuration from environment variables; empty ones count as unset.
 *
 * @throws ConfigError that lists every problem, one line each
 */
export function loadConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const given = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ""));
  const parsed = environment.safeParse(given);
  const problems = [
    ...(parsed.error?.issues ?? []).map((issue) => `${issue.path[0]?.toString() ?? "?"}: ${issue.message}`),
    ...gatewayProblems(given),
    ...webhookProblems(given),
  ];
  if (!parsed.success || problems.length > 0) throw new ConfigError(problems);
  const e = parsed.data;
  const embedded = e.REDIS_URL === undefined && e.DATABASE_URL === undefined;
  return {
    port: e.PORT,
    host: e.HOST,
    dataDir: e.DATA_DIR,
    redisUrl: e.REDIS_URL,
    cacheRedisUrl: e.CACHE_REDIS_URL ?? e.REDIS_URL,
    databaseUrl: e.DATABASE_URL,
    roles: [...new Set(e.ROLES)],
    apiWorkers: e.API_WORKERS,
    ackMode: e.ACK_MODE,
    replicasRequired: e.REPLICAS_REQUIRED,
    replicationWaitMs: e.REPLICATION_WAIT_MS,
    postgresWaitMs: e.POSTGRES_WAIT_MS,
    reservationTtlMs: e.RESERVATION_TTL_SECONDS * 1_000,
    backlogMax: e.BACKLOG_MAX_ORDERS,
    jwtSecret: e.JWT_SECRET,
    jwtSecretPrevious: e.JWT_SECRET_PREVIOUS,
    receiptSecret: e.RECEIPT_SECRET,
    receiptSecretPrevious: e.RECEIPT_SECRET_PREVIOUS,
    proofSigningKey: e.PROOF_SIGNING_KEY,
    adminEmail: e.ADMIN_EMAIL.toLowerCase(),
    adminPassword: e.ADMIN_PASSWORD,
    publicUrl: e.PUBLIC_URL?.replace(/\/+$/, "") ?? `http://${e.HOST}:${e.PORT}`,
    smtpUrl: e.SMTP_URL,
    mailFrom: e.MAIL_FROM,
    guestOrders: e.GUEST_ORDERS ?? embedded,
    rateLimit: {
      enabled: e.RATE_LIMIT_ENABLED,
      ordersPerSecond: e.RATE_LIMIT_ORDERS_PER_SECOND,
      requestsPerSecond: e.RATE_LIMIT_REQUESTS_PER_SECOND,
      loginsPerMinute: e.RATE_LIMIT_LOGINS_PER_MINUTE,
    },
    trustedProxies: e.TRUSTED_PROXIES,
    paymentGateway: e.PAYMENT_GATEWAY,
    paymentGateways: PAYMENT_GATEWAYS.filter(
      (name) =>
        name === e.PAYMENT_GATEWAY ||
        (name === "stripe" && e.STRIPE_SECRET_KEY !== undefined) ||
        (name === "simulated" && e.PAYMENT_GATEWAY_IN_PROCESS),
    ),
    paymentGatewayUrl: e.PAYMENT_GATEWAY_URL,
    paymentGatewayKey: e.PAYMENT_GATEWAY === "stripe" ? e.STRIPE_SECRET_KEY : e.PAYMENT_GATEWAY_KEY,
    stripeSecretKey: e.STRIPE_SECRET_KEY,
    paymentGatewayInProcess: e.PAYMENT_GATEWAY_IN_PROCESS,
    simulatedPayments: {
      pendingMs: e.PAYMENT_PENDING_MS,
      latencyMs: e.PAYMENT_LATENCY_MS,
      latencyJitterMs: e.PAYMENT_LATENCY_JITTER_MS,
      webhooks: e.PAYMENT_WEBHOOKS,
      webhookUrl: e.PAYMENT_WEBHOOK_URL,
    },
    paymentWebhookSecrets: [e.PAYMENT_WEBHOOK_SECRET, e.PAYMENT_WEBHOOK_SECRET_PREVIOUS].filter((s) => s !== undefined),
    webhookAllowPrivate: e.WEBHOOK_ALLOW_PRIVATE,
    corsOrigins: e.CORS_ORIGINS,
    logLevel: e.LOG_LEVEL,
    otlpEndpoint: e.OTEL_EXPORTER_OTLP_ENDPOINT,
  };
}

/** What is missing to reach the provider. Only the worker talks to it: nobody else needs to know the key. */
function gatewayProblems(given: Readonly<Record<string, string | undefined>>): string[] {
  const {
    ROLES: roles = "worker",
    PAYMENT_GATEWAY: gateway,
    PAYMENT_GATEWAY_URL: at,
    PAYMENT_GATEWAY_KEY: key,
    STRIPE_SECRET_KEY: stripeKey,
  } = given;
  const isNamed = gateway === "http" || gateway === "stripe";
  if (!roles.includes("worker") || (!isNamed && at === undefined)) return [];
  const why = isNamed ? `PAYMENT_GATEWAY=${gateway}` : "PAYMENT_GATEWAY_URL";
  // Stripe is where Stripe is, unless a URL says otherwise.
  const required =
    gateway === "stripe" ? { STRIPE_SECRET_KEY: stripeKey } : { PAYMENT_GATEWAY_URL: at, PAYMENT_GATEWAY_KEY: key };
  return Object.entries(required)
    .filter(([, value]) => value === undefined)
    .map(([name]) => `${name}: is required with ${why}`);
}

/** Stripe makes up secrets of its own kind; everybody else's are those of the Standard Webhooks convention. */
function webhookProblems(given: Readonly<Record<string, string | undefined>>): string[] {
  if (given["PAYMENT_GATEWAY"] === "stripe") return [];
  return ["PAYMENT_WEBHOOK_SECRET", "PAYMENT_WEBHOOK_SECRET_PREVIOUS"]
    .filter((name) => given[name]?.startsWith("whsec_") && !isWebhookSecret(given[name]))
    .map((name) => `${name}: must be whsec_ and the base64 of 24 to 64 bytes`);
}

/** What a role's process must be told; the launcher passes all of it on. */
export interface RoleConfig extends Config {
  readonly redisUrl: string;
  readonly databaseUrl: string;
  readonly jwtSecret: string;
  readonly receiptSecret: string;
}

/** Narrows a configuration to what a role needs to run. @throws ConfigError naming what is missing */
export function requireRoleConfig(config: Config): RoleConfig {
  const { redisUrl, databaseUrl, jwtSecret, receiptSecret } = config;
  const required = {
    REDIS_URL: redisUrl,
    DATABASE_URL: databaseUrl,
    JWT_SECRET: jwtSecret,
    RECEIPT_SECRET: receiptSecret,
  };
  const missing = Object.entries(required)
    .filter(([, value]) => value === undefined)
    .map(([name]) => `${name}: is required`);
  if (!redisUrl || !databaseUrl || !jwtSecret || !receiptSecret) throw new ConfigError(missing);
  return { ...config, redisUrl, databaseUrl, jwtSecret, receiptSecret };
}
