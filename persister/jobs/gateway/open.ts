// The payment providers that a worker is set up for: the one that its environment names, and what else it was given a key
// for, or told to run.
import { ConfigError, type PaymentGatewayName, type RoleConfig } from "../../../engine/config.ts";
import { PAYMENT_TUNING } from "../../../engine/configuration/sections.ts";
import type { Settings } from "../../../engine/configuration/settings.ts";
import { openPool } from "../../../engine/ledger/database.ts";
import type { Logger } from "../../../engine/log.ts";
import type { CircuitListener } from "./circuit.ts";
import { openCircuitRecord } from "./circuit-record.ts";
import type { PaymentProvider } from "./gateway.ts";
import { httpGateway } from "./http.ts";
import type { ProviderOptions } from "./provider/provider.ts";
import { openSimulatedGateway } from "./simulated.ts";

/** How a provider is asked. */
export type ProviderTuning = Omit<Settings["payments"], "gateway">;

const STATEMENT_TIMEOUT_MS = 10_000;
/** Of the time for a charge: with Stripe it is two calls, of which the second is quick. */
const STRIPE_CALL_SHARE = 0.75;

/** Opens a provider; the one that the environment names unless it says. @throws ConfigError naming what is missing to reach it */
export async function openGateway(
  config: RoleConfig,
  log: Logger,
  name: PaymentGatewayName = config.paymentGateway,
  tuning: ProviderTuning = PAYMENT_TUNING,
): Promise<PaymentProvider> {
  // What names a place names that of the environment's own.
  const isOwn = name === config.paymentGateway;
  const url = isOwn ? config.paymentGatewayUrl : undefined;
  const { circuitFailuresMax: failuresMax, circuitTrialDelayMs: trialDelayMs, chargeTimeoutMs } = tuning;
  const circuit = { failuresMax, trialDelayMs, trialDelayMsMax: tuning.circuitTrialDelayMsMax };
  switch (name) {
    case "http":
    case "simulated": {
      const apiKey = config.paymentGatewayKey;
      if (url && apiKey) {
        const options = { url, apiKey, timeoutMs: chargeTimeoutMs, circuit };
        return withCircuitRecord((onCircuit) => httpGateway({ ...options, onCircuit }), config, log);
      }
      if (name === "http") throw new ConfigError(["PAYMENT_GATEWAY_URL, PAYMENT_GATEWAY_KEY: are required"]);
      return openSimulatedGateway(openOwnPool("simulated gateway", 4, config, log), simulatedOptions(config, log));
    }
    case "stripe": {
      const apiKey = config.stripeSecretKey;
      if (!apiKey) throw new ConfigError(["STRIPE_SECRET_KEY: is required with PAYMENT_GATEWAY=stripe"]);
      // Stripe's client is large: it is loaded where it is wanted.
      const { stripeGateway } = await import("./stripe/stripe.ts");
      const options = { url, apiKey, timeoutMs: Math.floor(chargeTimeoutMs * STRIPE_CALL_SHARE), circuit };
      return withCircuitRecord((onCircuit) => stripeGateway({ ...options, onCircuit }), config, log);
    }
  }
}

function withCircuitRecord(
  open: (onCircuit: CircuitListener) => PaymentProvider,
  config: RoleConfig,
  log: Logger,
): PaymentProvider {
  const record = openCircuitRecord(openOwnPool("onrush payment circuits", 1, config, log), log);
  const gateway = open(record.listener);
  return {
    ...gateway,
    async close() {
      await gateway.close();
      await record.close();
    },
  };
}

/** Within the worker it sends webhooks only where it is told where to: it knows of no API. */
function simulatedOptions(config: RoleConfig, log: Logger): Partial<ProviderOptions> {
  const { pendingMs, latencyMs, latencyJitterMs, webhooks, webhookUrl } = config.simulatedPayments;
  const [secret] = config.paymentWebhookSecrets;
  const target = webhooks && webhookUrl && secret ? { url: webhookUrl, secret } : undefined;
  return { pendingMs, latencyMs, latencyJitterMs, webhooks: target, log };
}

function openOwnPool(applicationName: string, connectionsMax: number, { databaseUrl }: RoleConfig, log: Logger) {
  const options = { connectionsMax, applicationName, statementTimeoutMs: STATEMENT_TIMEOUT_MS };
  return openPool(databaseUrl, options, (error) => log.warn({ err: error }, `${applicationName}: a connection broke`));
}
