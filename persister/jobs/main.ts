// The worker role's process.
import path from "node:path";
import type { RoleConfig } from "../../engine/config.ts";
import { runService } from "../../engine/service.ts";
import { openCardProviders } from "./gateway/card-providers.ts";
import { openGateway } from "./gateway/open.ts";
import { folderTransport, type MailTransport, smtpTransport } from "./mail/transport.ts";
import { startWorker } from "./worker.ts";

await runService({ role: "worker" }, async (config, log, configuration) => {
  const { databaseUrl, redisUrl, publicUrl } = config;
  const mail = { transport: openMailTransport(config), publicUrl };
  const webhooks = { allowPrivate: config.webhookAllowPrivate };
  const gateway = await openCardProviders({
    own: config.paymentGateway,
    known: config.paymentGateways,
    open: (name, tuning) => openGateway(config, log, name, tuning),
  });
  return startWorker({ databaseUrl, redisUrl, gateway, configuration, mail, webhooks, log });
});

function openMailTransport({ smtpUrl, mailFrom, dataDir }: RoleConfig): MailTransport {
  return smtpUrl === undefined
    ? folderTransport(path.join(dataDir, "mail"), mailFrom)
    : smtpTransport(smtpUrl, mailFrom);
}
