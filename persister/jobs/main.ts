// The worker role's process.
import path from "node:path";
import { ConfigError, type RoleConfig } from "../../engine/config.ts";
import { openPool } from "../../engine/ledger/database.ts";
import type { Logger } from "../../engine/log.ts";
import { runService } from "../../engine/service.ts";
import type { PaymentProvider } from "./gateway/gateway.ts";
import { httpGateway } from "./gateway/http.ts";
import type { ProviderOptions } from "./gateway/provider/provider.ts";
import { openSimulatedGateway } from "./gateway/simulated.ts";
import { folderTransport, type MailTransport, smtpTransport } from "./mail/transport.ts";
import { startWorker } from "./worker.ts";

await runService({ role: "worker" }, async (config, log) => {
  const { databaseUrl, redisUrl, publicUrl } = config;
  const mail = { transport: openMailTransport(config), publicUrl };
  return startWorker({ databaseUrl, redisUrl, gateway: openGateway(config, log), mail, log });
});

function openMailTransport({ smtpUrl, mailFrom, dataDir }: RoleConfig): MailTransport {
  return smtpUrl === undefined
    ? folderTransport(path.join(dataDir, "mail"), mailFrom)
    : smtpTransport(smtpUrl, mailFrom);
}

function openGateway(config: RoleConfig, log: Logger): PaymentProvider {
  const { paymentGateway, paymentGatewayUrl: url, paymentGatewayKey: apiKey } = config;
  switch (paymentGateway) {
    case "http":
    case "simulated": {
      if (url && apiKey) return httpGateway({ url, apiKey });
      if (paymentGateway === "http") throw new ConfigError(["PAYMENT_GATEWAY_URL, PAYMENT_GATEWAY_KEY: are required"]);
      const options = { connectionsMax: 4, applicationName: "simulated gateway", statementTimeoutMs: 10_000 };
      const onError = (error: Error) => log.warn({ err: error }, "a connection of the simulated gateway broke");
      return openSimulatedGateway(openPool(config.databaseUrl, options, onError), simulatedOptions(config, log));
    }
    case "stripe":
      throw new Error('PAYMENT_GATEWAY=stripe is not available in this version; use "simulated" or "http"');
  }
}

/** Within the worker it sends webhooks only where it is told where to: it knows of no API. */
function simulatedOptions(config: RoleConfig, log: Logger): Partial<ProviderOptions> {
  const { pendingMs, latencyMs, latencyJitterMs, webhooks, webhookUrl } = config.simulatedPayments;
  const [secret] = config.paymentWebhookSecrets;
  const target = webhooks && webhookUrl && secret ? { url: webhookUrl, secret } : undefined;
  return { pendingMs, latencyMs, latencyJitterMs, webhooks: target, log };
}
