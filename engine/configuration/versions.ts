// The SQL of the runtime configuration's versions. The highest one holds; whoever adds one has locked them before, so that
// they follow each other without a gap. A new one is told by NOTIFY, with its commit or not at all.
import type { Queryable } from "../ledger/database.ts";
import type { StoredSettings } from "./settings.ts";

/** A version as it was stored. */
export interface ConfigurationVersion {
  readonly version: number;
  readonly settings: StoredSettings;
  /** A member's id, or `cli:` and the account on the machine. */
  readonly actor: string;
  readonly reason: string | null;
  readonly at: Date;
}

/** Processes that follow the configuration listen here. The payload is the version. */
export const CONFIGURATION_CHANNEL = "onrush_configuration";

const COLUMNS = "version, settings, actor, reason, at";

/** Lets nobody else add a version before the transaction ends. */
export async function lockConfiguration(db: Queryable): Promise<void> {
  await db.query("SELECT pg_advisory_xact_lock(hashtextextended('onrush configuration', 0))");
}

/** The one that holds; `undefined`: nothing was ever stored. */
export async function latestVersion(db: Queryable): Promise<ConfigurationVersion | undefined> {
  const result = await db.query<ConfigurationVersion>(
    `SELECT ${COLUMNS} FROM configuration_versions ORDER BY version DESC LIMIT 1`,
  );
  return result.rows[0];
}

export async function findVersion(db: Queryable, version: number): Promise<ConfigurationVersion | undefined> {
  const result = await db.query<ConfigurationVersion>(
    `SELECT ${COLUMNS} FROM configuration_versions WHERE version = $1`,
    [version],
  );
  return result.rows[0];
}

/** Versions, newest first. `before`: the one after which the page starts. */
export async function listVersions(
  db: Queryable,
  page: { readonly limit: number; readonly before?: number | undefined },
): Promise<ConfigurationVersion[]> {
  const result = await db.query<ConfigurationVersion>(
    `SELECT ${COLUMNS} FROM configuration_versions WHERE $1::int IS NULL OR version < $1 ORDER BY version DESC LIMIT $2`,
    [page.before ?? null, page.limit],
  );
  return result.rows;
}

/** Adds a version. */
export async function insertVersion(
  db: Queryable,
  { version, settings, actor, reason }: Omit<ConfigurationVersion, "at">,
): Promise<ConfigurationVersion> {
  const result = await db.query<ConfigurationVersion>(
    `INSERT INTO configuration_versions (version, settings, actor, reason) VALUES ($1, $2::jsonb, $3, $4)
     RETURNING ${COLUMNS}`,
    [version, JSON.stringify(settings), actor, reason],
  );
  return result.rows[0] as ConfigurationVersion;
}

/** Tells the processes that follow, once the transaction commits. */
export async function notifyVersion(db: Queryable, version: number): Promise<void> {
  await db.query("SELECT pg_notify($1, $2)", [CONFIGURATION_CHANNEL, String(version)]);
}

/** The version that holds, and what is stored of it unless it is the known one. One statement, asked twice a second. */
export async function readNewer(
  db: Queryable,
  known: number,
): Promise<{ readonly version: number; readonly settings: unknown }> {
  const result = await db.query<{ version: number; settings: unknown }>(
    `SELECT version, CASE WHEN version <> $1 THEN settings END AS settings FROM configuration_versions
     ORDER BY version DESC LIMIT 1`,
    [known],
  );
  return result.rows[0] ?? { version: 0, settings: {} };
}
