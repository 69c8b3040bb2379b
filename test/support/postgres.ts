// A database of its own for a test file: a clone of the migrated template, dropped after the file unless a test failed.
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { afterAll, inject, type RunnerTask } from "vitest";

export type TestDatabase = {
  name: string;
  url: string;
  /** A pool on it that is closed with the file. */
  pool: pg.Pool;
};

const POOL_CONNECTIONS_MAX = 10;
/** How long a connection that was just closed may still be seen by the server. */
const LINGER_MS = 2_000;
const POLL_MS = 25;

/**
 * Call it at the top level of a test file: `const database = await createTestDatabase();`. After the file's tests it is
 * dropped; it fails the file when a pool or client on it was left open, and stays when a test failed.
 */
export async function createTestDatabase(): Promise<TestDatabase> {
  const name = `test_${randomBytes(6).toString("hex")}`;
  const url = new URL(inject("postgresUrl"));
  await administer(`CREATE DATABASE ${name} TEMPLATE ${inject("postgresTemplate")}`);
  url.pathname = `/${name}`;
  const pool = new pg.Pool({ connectionString: url.href, max: POOL_CONNECTIONS_MAX, application_name: "test" });
  pool.on("error", () => undefined); // idle connections of a server that a test stopped
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads the pattern, and the suite comes second
  afterAll(async ({}, suite) => {
    await pool.end();
    if (suite.tasks.some(hasFailed)) {
      process.stderr.write(`A test failed; its database was ${name}.\n`);
      return;
    }
    await dropUnlessUsed(name);
  });
  return { name, url: url.href, pool };
}

async function dropUnlessUsed(name: string): Promise<void> {
  const deadline = performance.now() + LINGER_MS;
  let left = await connectionsOf(name);
  while (left.length > 0 && performance.now() < deadline) {
    await delay(POLL_MS);
    left = await connectionsOf(name);
  }
  await administer(`DROP DATABASE ${name} WITH (FORCE)`);
  if (left.length > 0) throw new Error(`Connections were left open: ${left.join("; ")}`);
}

async function connectionsOf(name: string): Promise<string[]> {
  const rows = await administer(
    "SELECT application_name, left(query, 100) AS query FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend'",
    [name],
  );
  return rows.map((row) => `${row.application_name || "(unnamed)"}: ${row.query}`);
}

async function administer(sql: string, values: unknown[] = []): Promise<{ application_name: string; query: string }[]> {
  const client = new pg.Client({ connectionString: inject("postgresUrl") });
  await client.connect();
  try {
    return (await client.query<{ application_name: string; query: string }>(sql, values)).rows;
  } finally {
    await client.end();
  }
}

function hasFailed(task: RunnerTask): boolean {
  if (task.result?.state === "fail") return true;
  return task.type === "suite" && task.tasks.some(hasFailed);
}
