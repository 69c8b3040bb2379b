// The roles of an instance as processes: what each one runs, is told by its environment, and must do. A role
//   - sends {type: "ready", url?} over its IPC channel when it serves, {type: "waiting"} while it waits for Redis or
//     Postgres, and {type: "starting"} when they are there,
//   - drains and exits on SIGTERM within 10 s,
//   - exits when the IPC channel closes: whoever started it is gone.
import { spawn } from "node:child_process";
import type { Config, Role } from "../engine/config.ts";
import type { PaymentGatewayAccess } from "./payment-gateway.ts";
import type { Secrets } from "./secrets.ts";
import type { Servers } from "./servers.ts";
import { type ProcessSpec, untilChildSaysReady } from "./supervisor.ts";

/** Path of each role's entry. */
export type RoleEntries = Record<Role, string>;
export type RoleEnvironment = Record<string, string | undefined>;

/** What a role's environment is made from. */
export type RoleFacts = {
  /** That of the launcher, passed on where nothing below says otherwise. */
  env: RoleEnvironment;
  config: Config;
  port: number;
  dataDirectory: string;
  secrets: Secrets;
  servers: Servers;
  /** The key of DATA_DIR that signs proofs; an instance on others' servers has none unless it is told one. */
  proofKeyFile: string | undefined;
  /** The instance's own provider, where it runs one. */
  paymentGateway: PaymentGatewayAccess | undefined;
};

/** The API last: it is not reachable before what it hands its orders to. */
export const ROLE_START_ORDER: readonly Role[] = ["persister", "worker", "api"];
/** No new orders first; then what is under way; the persister last, as it applies what the worker caused. */
export const ROLE_STOP_ORDER: readonly Role[] = ["api", "worker", "persister"];

const READY_TIMEOUT_MS = 60_000;
/** The 10 s that a role has to drain, and a little for the exit itself. */
const STOP_TIMEOUT_MS = 12_000;

/**
 * A rush makes garbage that dies young: with room for it, the API's collector runs a tenth as often and copies less
 * (docs/BENCHMARKS.md). Megabytes; three times as much is reserved.
 */
const NODE_OPTIONS: Readonly<Record<Role, readonly string[]>> = {
  api: ["--max-semi-space-size=64"],
  persister: [],
  worker: [],
};

export function roleProcess(
  role: Role,
  entry: string,
  environment: RoleEnvironment,
  onReady: (message: { url?: string }) => void,
): ProcessSpec {
  return {
    name: role,
    spawn: () =>
      spawn(process.execPath, [...NODE_OPTIONS[role], entry], {
        env: environment,
        detached: true,
        stdio: ["ignore", "inherit", "inherit", "ipc"],
      }),
    ready: (child) => untilChildSaysReady(child, `The ${role} role`, READY_TIMEOUT_MS, onReady),
    stopSignal: "SIGTERM",
    stopTimeoutMs: STOP_TIMEOUT_MS,
  };
}

export function roleEnvironment(role: Role, facts: RoleFacts): RoleEnvironment {
  const { env, config, secrets, servers } = facts;
  return {
    ...env,
    ROLES: role,
    HOST: config.host,
    PORT: String(facts.port),
    DATA_DIR: facts.dataDirectory,
    REDIS_URL: servers.redisUrlOf(role),
    CACHE_REDIS_URL: config.cacheRedisUrl ?? servers.redisUrlOf(role),
    DATABASE_URL: servers.databaseUrl,
    JWT_SECRET: config.jwtSecret ?? secrets.jwt,
    RECEIPT_SECRET: config.receiptSecret ?? secrets.receipt,
    PROOF_SIGNING_KEY: role === "api" ? (config.proofSigningKey ?? facts.proofKeyFile) : undefined,
    GUEST_ORDERS: String(config.guestOrders),
    ADMIN_EMAIL: config.adminEmail,
    ...(role === "worker"
      ? paymentGatewayEnvironment(facts)
      : { PAYMENT_GATEWAY_KEY: undefined, STRIPE_SECRET_KEY: undefined }),
    ...webhookEnvironment(role, facts),
    // The API makes the first administrator; nobody else needs to know.
    ADMIN_PASSWORD: role === "api" ? (config.adminPassword ?? servers.generatedAdminPassword) : undefined,
  };
}

/** Only the worker talks to the provider. */
function paymentGatewayEnvironment({ config, paymentGateway }: RoleFacts): RoleEnvironment {
  return {
    PAYMENT_GATEWAY_URL: paymentGateway?.url ?? config.paymentGatewayUrl,
    PAYMENT_GATEWAY_KEY:
      paymentGateway?.key ?? (config.paymentGateway === "stripe" ? undefined : config.paymentGatewayKey),
  };
}

/** The API checks by it what the provider tells; a worker that is its own provider signs by it. */
function webhookEnvironment(role: Role, { env, config, paymentGateway }: RoleFacts): RoleEnvironment {
  const secret = config.paymentWebhookSecrets[0] ?? paymentGateway?.webhooks?.secret;
  const signs = role === "worker" && config.paymentGatewayInProcess;
  return {
    PAYMENT_WEBHOOK_SECRET: role === "api" || signs ? secret : undefined,
    PAYMENT_WEBHOOK_SECRET_PREVIOUS: role === "api" ? env["PAYMENT_WEBHOOK_SECRET_PREVIOUS"] : undefined,
  };
}
