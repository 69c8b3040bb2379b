// The simulated payment provider as a process of an instance: started before the worker that asks it, stopped after it. To
// the instance it is somebody else's service, which is told nothing of the shop but where its own books are.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import type { Config } from "../engine/config.ts";
import { localUrl } from "./address.ts";
import { type ProcessSpec, untilChildSaysReady } from "./supervisor.ts";

/** Where the worker finds its provider, and where that tells what became of payments, with what it signs it. */
export type PaymentGatewayAccess = { url: string; key: string; webhooks?: { url: string; secret: string } };

export const PAYMENT_GATEWAY = "gateway";

const HOST = "127.0.0.1";
const KEY_BYTES = 32;
const WEBHOOK_PATH = "/api/v1/webhooks/payments";
const READY_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 12_000;
/** What any Node process may need of its surroundings. */
const PASSED_ON = ["PATH", "HOME", "TMPDIR", "TZ", "NODE_OPTIONS", "NODE_EXTRA_CA_CERTS", "LOG_LEVEL"];
/** How it is to behave. */
const BEHAVIOUR = ["PAYMENT_PENDING_MS", "PAYMENT_LATENCY_MS", "PAYMENT_LATENCY_JITTER_MS"];

/**
 * The access of a provider that this instance is to run; undefined when it runs none.
 *
 * @param made the secret made for its webhooks, where none is given
 */
export function ownPaymentGateway(config: Config, port: number, made: string): PaymentGatewayAccess | undefined {
  const { roles, paymentGateway, paymentGatewayUrl, paymentGatewayInProcess } = config;
  const runs = roles.includes("worker") && paymentGateway === "simulated" && !paymentGatewayUrl;
  if (!runs || paymentGatewayInProcess) return undefined;
  const key = config.paymentGatewayKey ?? randomBytes(KEY_BYTES).toString("base64url");
  const webhooks = webhooksOf(config, made);
  return { url: `http://${HOST}:${port}`, key, ...(webhooks && { webhooks }) };
}

/** An API that picks its port when it starts cannot be told of before. */
function webhooksOf(config: Config, made: string): PaymentGatewayAccess["webhooks"] {
  const { roles, host, port, simulatedPayments, paymentWebhookSecrets } = config;
  const own = roles.includes("api") && port !== 0 ? `${localUrl(host, port)}${WEBHOOK_PATH}` : undefined;
  const url = simulatedPayments.webhookUrl ?? own;
  return simulatedPayments.webhooks && url ? { url, secret: paymentWebhookSecrets[0] ?? made } : undefined;
}

export function paymentGatewayProcess(
  entry: string,
  access: PaymentGatewayAccess,
  databaseUrl: string,
  env: Readonly<Record<string, string | undefined>>,
): ProcessSpec {
  const environment = {
    ...Object.fromEntries([...PASSED_ON, ...BEHAVIOUR].map((name) => [name, env[name]])),
    DATABASE_URL: databaseUrl,
    HOST,
    PORT: new URL(access.url).port,
    PAYMENT_GATEWAY_KEY: access.key,
    PAYMENT_WEBHOOK_URL: access.webhooks?.url,
    PAYMENT_WEBHOOK_SECRET: access.webhooks?.secret,
  };
  return {
    name: PAYMENT_GATEWAY,
    spawn: () =>
      spawn(process.execPath, [entry], {
        env: environment,
        detached: true,
        stdio: ["ignore", "inherit", "inherit", "ipc"],
      }),
    ready: (child) => untilChildSaysReady(child, "The payment gateway", READY_TIMEOUT_MS, () => undefined),
    stopSignal: "SIGTERM",
    stopTimeoutMs: STOP_TIMEOUT_MS,
  };
}
