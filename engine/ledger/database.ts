// Postgres pools and the one way to run a transaction. What Postgres calls a conflict (deadlock, serialization failure)
// runs again as a whole; a transaction that is passed here must be safe to repeat.
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";

/** Anything that runs a query: a pool or a client within a transaction. */
export type Queryable = Pick<pg.Pool, "query"> | pg.ClientBase;

export interface PoolOptions {
  readonly connectionsMax: number;
  readonly applicationName: string;
  /** A statement that runs longer is ended by the server. */
  readonly statementTimeoutMs: number;
}

// int8 columns are money, units and log numbers: all below 2^53, so that a JavaScript number holds them exactly.
const INT8_OID = 20;
const types: pg.CustomTypesConfig = {
  getTypeParser: ((oid: number, format?: "text" | "binary") =>
    oid === INT8_OID && format !== "binary"
      ? (text: string) => Number(text)
      : pg.types.getTypeParser(oid, format as "text")) as pg.CustomTypesConfig["getTypeParser"],
};

/** Opens a pool; `onError` hears of idle connections that broke (without a listener they would end the process). */
export function openPool(databaseUrl: string, options: PoolOptions, onError: (error: Error) => void): pg.Pool {
  const pool = new pg.Pool({
    connectionString: databaseUrl,
    max: options.connectionsMax,
    application_name: options.applicationName,
    statement_timeout: options.statementTimeoutMs,
    idle_in_transaction_session_timeout: options.statementTimeoutMs * 2,
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
    types,
  });
  pool.on("error", onError);
  return pool;
}

const CONFLICTS = new Set(["40001", "40P01"]);
const ATTEMPTS_MAX = 5;
const BACKOFF_MS = 10;

/** Runs `work` in a transaction and commits it. A conflict is tried again, at most five times in all. */
export async function transaction<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    const client = await pool.connect();
    let broken = false;
    // The pool listens to idle clients only: without a listener here, a connection that breaks would end the process.
    const onBroken = () => {
      broken = true; // the query under way, or the next one, rejects with the same
    };
    client.on("error", onBroken);
    try {
      await client.query("BEGIN");
      const result = await work(client);
      await client.query("COMMIT");
      return result;
    } catch (error) {
      await client.query("ROLLBACK").catch(() => {
        broken = true; // the connection itself is gone; the pool replaces it
      });
      if (!isConflict(error) || attempt === ATTEMPTS_MAX) throw error;
    } finally {
      client.off("error", onBroken);
      client.release(broken);
    }
    await sleep(BACKOFF_MS * 2 ** attempt * Math.random());
  }
}

function isConflict(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code !== undefined && CONFLICTS.has(error.code);
}
