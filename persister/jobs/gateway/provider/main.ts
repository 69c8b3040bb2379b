// The simulated provider's process. It stands for somebody else's company: it is told where its books are, where to listen
// and which key its callers have, and nothing else of the shop.
import type { Server } from "node:http";
import { createAdaptorServer } from "@hono/node-server";
import { z } from "zod";
import { ConfigError } from "../../../../engine/config.ts";
import { openPool } from "../../../../engine/ledger/database.ts";
import { createLogger } from "../../../../engine/log.ts";
import { STOP_TIMEOUT_MS } from "../../../../engine/service.ts";
import { isWebhookSecret } from "../../../../engine/webhooks/signature.ts";
import { createProviderApp } from "./app.ts";
import { openProvider } from "./provider.ts";

const Environment = z.object({
  DATABASE_URL: z.string().min(1),
  HOST: z.string().min(1).default("127.0.0.1"),
  PORT: z.coerce.number().int().min(0).max(65_535),
  PAYMENT_GATEWAY_KEY: z.string().min(16, "must have at least 16 characters"),
  PAYMENT_PENDING_MS: z.coerce.number().int().min(0).default(3_000),
  PAYMENT_LATENCY_MS: z.coerce.number().int().min(0).default(0),
  PAYMENT_LATENCY_JITTER_MS: z.coerce.number().int().min(0).default(0),
  // Without both no webhooks are sent.
  PAYMENT_WEBHOOK_URL: z.string().optional(),
  PAYMENT_WEBHOOK_SECRET: z
    .string()
    .refine(isWebhookSecret, "must be whsec_ and the base64 of 24 to 64 bytes")
    .optional(),
  LOG_LEVEL: z.string().default("info"),
});

/** Longer than what callers keep idle connections: they close first, so that no request meets a closing socket. */
const KEEP_ALIVE_MS = 65_000;
const REQUEST_TIMEOUT_MS = 10_000;
/** What is under way gets this long; a call that never answers does not hold the stop. */
const STOP_GRACE_MS = 3_000;

const env = readEnvironment();
const log = createLogger("gateway", env.LOG_LEVEL);
const die = (error: unknown) => {
  log.fatal({ err: error }, "the process ends on an error nobody handled");
  process.exit(1);
};
process.on("uncaughtException", die);
process.on("unhandledRejection", die);

const poolOptions = { connectionsMax: 6, applicationName: "simulated gateway", statementTimeoutMs: 10_000 };
const pool = openPool(env.DATABASE_URL, poolOptions, (error) =>
  log.warn({ err: error }, "a Postgres connection broke"),
);
const { PAYMENT_WEBHOOK_URL: url, PAYMENT_WEBHOOK_SECRET: secret } = env;
const provider = openProvider(pool, {
  pendingMs: env.PAYMENT_PENDING_MS,
  latencyMs: env.PAYMENT_LATENCY_MS,
  latencyJitterMs: env.PAYMENT_LATENCY_JITTER_MS,
  webhooks: url && secret ? { url, secret } : undefined,
  log,
});
await provider.check().catch(die);
const server = createAdaptorServer({
  fetch: createProviderApp(provider, env.PAYMENT_GATEWAY_KEY, log).fetch,
  serverOptions: { keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: REQUEST_TIMEOUT_MS },
}) as Server;
server.on("error", die);
server.listen(env.PORT, env.HOST, () => {
  log.info({ host: env.HOST, port: env.PORT }, "ready");
  process.send?.({ type: "ready" });
});

let stopping = false;
for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, stop);
// The launcher's end of the channel closing means that the launcher is gone.
process.on("disconnect", stop);

function stop(): void {
  if (stopping) return;
  stopping = true;
  setTimeout(() => process.exit(1), STOP_TIMEOUT_MS).unref();
  setTimeout(() => server.closeAllConnections(), STOP_GRACE_MS).unref();
  server.close(() => void provider.close().then(() => process.exit(0), die));
  server.closeIdleConnections();
}

function readEnvironment(): z.infer<typeof Environment> {
  const parsed = Environment.safeParse(process.env);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `${issue.path.join(".")}: ${issue.message}`);
  process.stderr.write(`${new ConfigError(problems).message}\n`);
  process.exit(1);
}
