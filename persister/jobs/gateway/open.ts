// The payment provider that the configuration names.
import { ConfigError, type RoleConfig } from "../../../engine/config.ts";
import { openPool } from "../../../engine/ledger/database.ts";
import type { Logger } from "../../../engine/log.ts";
import { openCircuitRecord } from "./circuit-record.ts";
import type { PaymentProvider } from "./gateway.ts";
import { httpGateway } from "./http.ts";
import type { ProviderOptions } from "./provider/provider.ts";
import { openSimulatedGateway } from "./simulated.ts";

const STATEMENT_TIMEOUT_MS = 10_000;

/** @throws ConfigError naming what is missing to reach it */
export function openGateway(config: RoleConfig, log: Logger): PaymentProvider {
  const { paymentGateway, paymentGatewayUrl: url, paymentGatewayKey: apiKey } = config;
  switch (paymentGateway) {
    case "http":
    case "simulated":
      if (url && apiKey) return openHttpGateway(url, apiKey, config, log);
      if (paymentGateway === "http") throw new ConfigError(["PAYMENT_GATEWAY_URL, PAYMENT_GATEWAY_KEY: are required"]);
      return openSimulatedGateway(openOwnPool("simulated gateway", 4, config, log), simulatedOptions(config, log));
    case "stripe":
      throw new Error('PAYMENT_GATEWAY=stripe is not available in this version; use "simulated" or "http"');
  }
}

function openHttpGateway(url: string, apiKey: string, config: RoleConfig, log: Logger): PaymentProvider {
  const record = openCircuitRecord(openOwnPool("onrush payment circuits", 1, config, log), log);
  const gateway = httpGateway({ url, apiKey, onCircuit: record.listener });
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
