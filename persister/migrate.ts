// Brings a database to the schema of this version: our own migrations (append-only SQL files, each run once, in order),
// then pg-boss' schema and queues. Safe when several processes start at once: an advisory lock makes the others wait.
// A database that is newer than this code is refused, so that an old process never works on tables it does not know.
import { readdir } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { runner } from "node-pg-migrate";
import pg from "pg";
import { prepareQueues } from "./jobs/queues.ts";

// Asked for by the package's name, as the way there is not the same from the sources and from dist/.
const PACKAGE_JSON = createRequire(import.meta.url).resolve("onrush/package.json");
const MIGRATIONS_DIR = path.join(path.dirname(PACKAGE_JSON), "persister/migrations");
const MIGRATIONS_TABLE = "schema_migrations";

export class SchemaTooNewError extends Error {
  constructor(unknown: string[]) {
    super(`The database was migrated by a newer Onrush (it has ${unknown.join(", ")}); start that version instead.`);
    this.name = "SchemaTooNewError";
  }
}

/**
 * Migrates the database to this version's schema. Repeatable.
 *
 * @throws SchemaTooNewError when the database holds migrations that this version does not have.
 */
export async function migrate(databaseUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await refuseNewerSchema(client);
    await runner({
      dbClient: client,
      dir: MIGRATIONS_DIR,
      direction: "up",
      migrationsTable: MIGRATIONS_TABLE,
      advisoryLockMode: "wait",
      checkOrder: true,
      log: () => undefined,
    });
  } finally {
    await client.end();
  }
  await prepareQueues(databaseUrl);
}

async function refuseNewerSchema(client: pg.Client): Promise<void> {
  const present = await client.query<{ present: boolean }>("SELECT to_regclass($1) IS NOT NULL AS present", [
    MIGRATIONS_TABLE,
  ]);
  if (!present.rows[0]?.present) return;
  const files = new Set((await readdir(MIGRATIONS_DIR)).map((file) => file.replace(/\.sql$/, "")));
  const applied = await client.query<{ name: string }>(`SELECT name FROM ${MIGRATIONS_TABLE} ORDER BY id`);
  const unknown = applied.rows.map((row) => row.name).filter((name) => !files.has(name));
  if (unknown.length > 0) throw new SchemaTooNewError(unknown);
}
