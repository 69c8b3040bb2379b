// Which servers a command works on: the ones that the environment names, or those of the instance that runs on DATA_DIR.
import { readFileSync } from "node:fs";
import path from "node:path";
import type { Redis } from "ioredis";
import type pg from "pg";
import { openPool } from "../engine/ledger/database.ts";
import { type Outbox, openOutbox } from "../engine/outbox/outbox.ts";
import { commandConnection, connect } from "../engine/redis/connection.ts";
import { loadScripts } from "../engine/redis/scripts.ts";

/** What a command could not do, in one sentence for the person who asked. */
export class CommandError extends Error {}

export interface Servers {
  readonly pool: pg.Pool;
  readonly redis: Redis;
  readonly outbox: Outbox;
}

const COMMAND_TIMEOUT_MS = 10_000;
const STATEMENT_TIMEOUT_MS = 120_000;

/** Connects, runs the work, and lets everything go. @throws CommandError when there is nothing to connect to */
export async function withServers<T>(work: (servers: Servers) => Promise<T>): Promise<T> {
  const { redisUrl, databaseUrl } = locate(process.env);
  const ignore = () => undefined; // a broken connection also fails the call on it
  const options = { connectionsMax: 4, applicationName: "onrush-cli", statementTimeoutMs: STATEMENT_TIMEOUT_MS };
  const pool = openPool(databaseUrl, options, ignore);
  const redis = commandConnection(redisUrl, COMMAND_TIMEOUT_MS);
  redis.on("error", ignore);
  let outbox: Outbox | undefined;
  try {
    await connect(redis).catch((error: Error) => {
      throw new CommandError(`Redis cannot be reached: ${error.message}`);
    });
    await pool.query("SELECT 1").catch((error: Error) => {
      throw new CommandError(`Postgres cannot be reached: ${error.message}`);
    });
    await loadScripts(redis);
    outbox = await openOutbox(databaseUrl, ignore);
    return await work({ pool, redis, outbox });
  } finally {
    redis.disconnect();
    await Promise.allSettled([outbox?.close(), pool.end()]);
  }
}

function locate(env: NodeJS.ProcessEnv): { redisUrl: string; databaseUrl: string } {
  const { REDIS_URL: redisUrl, DATABASE_URL: databaseUrl } = env;
  if (redisUrl && databaseUrl) return { redisUrl, databaseUrl };
  const file = path.join(env["DATA_DIR"] || ".data", "runtime.json");
  try {
    const runtime = JSON.parse(readFileSync(file, "utf8")) as { redisUrl: string; databaseUrl: string };
    return { redisUrl: redisUrl ?? runtime.redisUrl, databaseUrl: databaseUrl ?? runtime.databaseUrl };
  } catch {
    throw new CommandError(
      `No instance runs on ${path.dirname(file)} (no ${file}). Start one with npm start, name its DATA_DIR, or set ` +
        "REDIS_URL and DATABASE_URL.",
    );
  }
}
