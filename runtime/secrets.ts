// Passwords and signing keys of an embedded instance: made once, kept in DATA_DIR/secrets.json (mode 0600), so that
// tokens, receipts and the servers' state survive a restart.
import { randomBytes, randomUUID } from "node:crypto";
import { z } from "zod";
import { isWebhookSecret, newWebhookSecret } from "../engine/webhooks/signature.ts";
import type { DataDirectory } from "./data-directory.ts";
import { REDIS_ROLES } from "./embedded/redis-acl.ts";
import { StartFailure } from "./failure.ts";

const FILE = "secrets.json";
/** 256 bits; base64url, so that it stands in URLs and ACL files as it is. */
const SECRET_BYTES = 32;
/** 96 bits: what a person has to type still. */
const ADMIN_PASSWORD_BYTES = 12;

const secret = z.string().min(16);
const Secrets = z.object({
  /** Names this instance's data where it cannot lie in DATA_DIR (embedded/postgres-account.ts). */
  instanceId: z.uuid(),
  jwt: secret,
  receipt: secret,
  /** Signs what this instance's own payment provider tells its API. */
  paymentWebhook: z.string().refine(isWebhookSecret),
  adminPassword: secret,
  adminPasswordShown: z.boolean(),
  postgres: secret,
  redis: z.record(z.enum(REDIS_ROLES), secret),
});
export type Secrets = z.infer<typeof Secrets>;
/** Files of earlier versions lack what was added later. */
const Kept = Secrets.partial({ paymentWebhook: true });

/** The kept secrets, or new ones. */
export function loadSecrets(directory: DataDirectory): Secrets {
  const file = directory.readJson(FILE);
  const kept = file === undefined ? undefined : Kept.safeParse(file);
  if (kept?.success === false) throw new StartFailure(`${directory.file(FILE)} is damaged; restore it from a backup.`);
  const secrets: Secrets = kept
    ? { ...kept.data, paymentWebhook: kept.data.paymentWebhook ?? newWebhookSecret() }
    : createSecrets();
  if (kept?.data.paymentWebhook === undefined) directory.writeJson(FILE, secrets);
  return secrets;
}

export function markAdminPasswordShown(directory: DataDirectory, secrets: Secrets): void {
  directory.writeJson(FILE, { ...secrets, adminPasswordShown: true });
}

function createSecrets(): Secrets {
  const passwords = REDIS_ROLES.map((role) => [role, newSecret(SECRET_BYTES)] as const);
  return {
    instanceId: randomUUID(),
    jwt: newSecret(SECRET_BYTES),
    receipt: newSecret(SECRET_BYTES),
    paymentWebhook: newWebhookSecret(),
    adminPassword: newSecret(ADMIN_PASSWORD_BYTES),
    adminPasswordShown: false,
    postgres: newSecret(SECRET_BYTES),
    redis: Object.fromEntries(passwords) as Secrets["redis"],
  };
}

function newSecret(bytes: number): string {
  return randomBytes(bytes).toString("base64url");
}
