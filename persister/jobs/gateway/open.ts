// The payment provider that the configuration names.
import { ConfigError, type RoleConfig } from "../../../engine/config.ts";
import { openPool } from "../../../engine/ledger/database.ts";
import type { Logger } from "../../../engine/log.ts";
import type { CircuitListener } from "./circuit.ts";
import { openCircuitRecord } from "./circuit-record.ts";
import type { PaymentProvider } from "./gateway.ts";
import { httpGateway } from "./http.ts";
import type { ProviderOptions } from "./provider/provider.ts";
import { openSimulatedGateway } from "./simulated.ts";

const STATEMENT_TIMEOUT_MS = 10_000;

/** @throws ConfigError naming what is missing to reach it */
export async function openGateway(config: RoleConfig, log: Logger): Promise<PaymentProvider> {
  const { paymentGateway, paymentGatewayUrl: url, paymentGatewayKey: apiKey } = config;
  switch (paymentGateway) {
    case "http":
    case "simulated":
      if (url && apiKey) {
        return withCircuitRecord((onCircuit) => httpGateway({ url, apiKey, onCircuit }), config, log);
      }
      if (paymentGateway === "http") throw new ConfigError(["PAYMENT_GATEWAY_URL, PAYMENT_GATEWAY_KEY: are required"]);
      return openSimulatedGateway(openOwnPool("simulated gateway", 4, config, log), simulatedOptions(config, log));
    case "stripe": {
      if (!apiKey) throw new ConfigError(["STRIPE_SECRET_KEY: is required with PAYMENT_GATEWAY=stripe"]);
      // Stripe's client is large: it is loaded where it is wanted.
      const { stripeGateway } = await import("./stripe/stripe.ts");
      return withCircuitRecord((onCircuit) => stripeGateway({ url, apiKey, onCircuit }), config, log);
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
