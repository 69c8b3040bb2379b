// Changing the runtime configuration, by the API and the CLI alike: checked as a whole, then stored as the next version with
// its record in the audit trail, in one transaction. What is refused has changed nothing, and neither has what makes no
// difference.
import type pg from "pg";
import type { z } from "zod";
import type { Operator } from "../catalogue/operator.ts";
import { OnrushError } from "../errors.ts";
import { type Issue, issuesOf } from "../issues.ts";
import { type AuditAction, REASON_LENGTH_MAX, recordAudit } from "../ledger/audit.ts";
import { type Queryable, transaction } from "../ledger/database.ts";
import { workersWithout } from "../ledger/payment-gateways.ts";
import {
  checkTogether,
  inOrder,
  mergePatch,
  type StoredSettings,
  settingOf,
  settingsPatch,
  storedSettings,
} from "./settings.ts";
import {
  type ConfigurationVersion,
  findVersion,
  insertVersion,
  latestVersion,
  lockConfiguration,
  notifyVersion,
} from "./versions.ts";

/** What is stored now; version 0: nothing ever was. */
export type StoredConfiguration = Pick<ConfigurationVersion, "version" | "settings"> &
  Partial<Omit<ConfigurationVersion, "version" | "settings">>;

export interface ConfigurationOperator extends Operator {
  /** The version that the change was made of; with another one it is refused. */
  readonly expected?: number | undefined;
}

const NOTHING_STORED: StoredConfiguration = { version: 0, settings: {} };

export async function readConfiguration(db: Queryable): Promise<StoredConfiguration> {
  return (await latestVersion(db)) ?? NOTHING_STORED;
}

/**
 * Merges a JSON merge patch into what is stored: null takes a setting, or a section, back to its default.
 *
 * @throws OnrushError with `VALIDATION` and every finding; `INVALID_STATE`: another version than the expected one holds, or
 *   what is stored has names that are not known here
 */
export async function patchConfiguration(
  pool: pg.Pool,
  patch: unknown,
  by: ConfigurationOperator,
): Promise<StoredConfiguration> {
  const checked = conforming(settingsPatch, patch);
  return await store(pool, "config.change", by, async (_, { settings }) => {
    refuseUnknown(settings);
    return checkDocument(mergePatch(settings, checked));
  });
}

/** Stores a whole document, as `config export` writes it: what is not in it has its default. @throws as a patch does */
export async function replaceConfiguration(
  pool: pg.Pool,
  document: unknown,
  by: ConfigurationOperator,
): Promise<StoredConfiguration> {
  const settings = checkDocument(document);
  return await store(pool, "config.change", by, async () => settings);
}

/** Stores what a version held once more, as a new one; 0: nothing. @throws as a patch does; `NOT_FOUND` */
export async function rollbackConfiguration(
  pool: pg.Pool,
  version: number,
  by: ConfigurationOperator,
): Promise<StoredConfiguration> {
  return await store(pool, "config.rollback", by, async (client) => {
    const found = version === 0 ? NOTHING_STORED : await findVersion(client, version);
    if (!found) throw new OnrushError("NOT_FOUND", "There is no such version of the configuration.", { version });
    return checkDocument(found.settings);
  });
}

/** Checks a whole document, and puts it in order. @throws OnrushError with `VALIDATION` and every finding */
export function checkDocument(document: unknown): StoredSettings {
  return inOrder(conforming(storedSettings, document));
}

async function store(
  pool: pg.Pool,
  action: AuditAction,
  { actor, reason, expected }: ConfigurationOperator,
  next: (client: pg.PoolClient, current: StoredConfiguration) => Promise<StoredSettings>,
): Promise<StoredConfiguration> {
  return await transaction(pool, async (client) => {
    await lockConfiguration(client);
    const current = await readConfiguration(client);
    if (expected !== undefined && expected !== current.version) {
      throw new OnrushError("INVALID_STATE", "The configuration was changed since.", { version: current.version });
    }
    const settings = await next(client, current);
    refuse(checkTogether(settings));
    await checkGateway(client, current.settings, settings);
    if (JSON.stringify(inOrder(current.settings)) === JSON.stringify(settings)) return current;
    const version = current.version + 1;
    const stored = await insertVersion(client, { version, settings, actor, reason: shortened(reason) });
    await recordAudit(client, {
      ...{ actor, reason, action, subject: "config:runtime" },
      before: { version: current.version, settings: current.settings },
      after: { version, settings },
    });
    await notifyVersion(client, version);
    return stored;
  });
}

/** A patch keeps what it does not name, which can only be done with what is known: a later version may have stored more. */
function refuseUnknown(settings: StoredSettings): void {
  const read = storedSettings.safeParse(settings);
  const unknown = (read.error?.issues ?? []).filter(({ code }) => code === "unrecognized_keys");
  if (unknown.length === 0) return;
  throw new OnrushError(
    "INVALID_STATE",
    "What is stored has names that this version does not know; store it as a whole.",
  );
}

/** A provider can be chosen while every worker that runs knows how to reach it; the environment's own needs no asking. */
async function checkGateway(client: pg.PoolClient, before: StoredSettings, after: StoredSettings): Promise<void> {
  const chosen = after.payments?.gateway;
  if (chosen === undefined || chosen === settingOf(before, "payments.gateway")) return;
  const { workers, without } = await workersWithout(client, chosen);
  const message = workers === 0 ? "no worker runs that could reach it" : `${without} worker(s) are not set up for it`;
  if (workers === 0 || without > 0) refuse([{ path: "payments.gateway", message: `${chosen}: ${message}` }]);
}

function conforming<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value);
  if (!result.success) refuse(issuesOf(result.error));
  return result.data as z.output<Schema>;
}

function refuse(errors: readonly Issue[]): void {
  const [first] = errors;
  if (!first) return;
  const where = first.path === "" ? "" : `${first.path}: `;
  throw new OnrushError("VALIDATION", `Not valid: ${where}${first.message}.`, { errors });
}

function shortened(reason: string | undefined): string | null {
  return reason ? reason.slice(0, REASON_LENGTH_MAX) : null;
}
