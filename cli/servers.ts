// Which servers a command works on: the ones that the environment names, or those of the instance that runs on DATA_DIR.
import { readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import type { Redis } from "ioredis";
import type pg from "pg";
import { openPool } from "../engine/ledger/database.ts";
import type { Outbox } from "../engine/outbox/outbox.ts";
import { commandConnection, connect } from "../engine/redis/connection.ts";
import { loadScripts } from "../engine/redis/scripts.ts";
import { KnownPositions } from "../engine/stock/known-positions.ts";
import { PartitionStock } from "../engine/stock/partition-stock.ts";
import { CommandError } from "./failure.ts";

export interface Servers {
  readonly pool: pg.Pool;
  readonly redis: Redis;
  readonly outbox: Outbox;
  readonly stock: PartitionStock;
  /** Who acts, for the audit trail: `cli:` and the account on this machine. */
  readonly actor: string;
}

const COMMAND_TIMEOUT_MS = 10_000;
const STATEMENT_TIMEOUT_MS = 120_000;
const ignore = () => undefined; // a broken connection also fails the call on it

/** Connects to Redis and Postgres, runs the work, and lets everything go. @throws CommandError when one cannot be reached */
export async function withServers<T>(work: (servers: Servers) => Promise<T>): Promise<T> {
  const { redisUrl, databaseUrl } = locate(process.env);
  return await withPool(databaseUrl, async (pool) => {
    const redis = commandConnection(redisUrl, COMMAND_TIMEOUT_MS);
    redis.on("error", ignore);
    const outbox = openOutboxLater(databaseUrl);
    try {
      await connect(redis).catch((error: Error) => {
        throw new CommandError(`Redis cannot be reached: ${error.message}`, "UNREACHABLE");
      });
      await loadScripts(redis);
      const stock = new PartitionStock(redis, new KnownPositions());
      return await work({ pool, redis, outbox, stock, actor: actor() });
    } finally {
      redis.disconnect();
      await outbox.close().catch(ignore);
    }
  });
}

/** For what asks Postgres alone, and so works while Redis is away. */
export async function withDatabase<T>(work: (db: { pool: pg.Pool; actor: string }) => Promise<T>): Promise<T> {
  return await withPool(locate(process.env).databaseUrl, (pool) => work({ pool, actor: actor() }));
}

async function withPool<T>(databaseUrl: string, work: (pool: pg.Pool) => Promise<T>): Promise<T> {
  const options = { connectionsMax: 4, applicationName: "onrush-cli", statementTimeoutMs: STATEMENT_TIMEOUT_MS };
  const pool = openPool(databaseUrl, options, ignore);
  try {
    await pool.query("SELECT 1").catch((error: Error) => {
      throw new CommandError(`Postgres cannot be reached: ${error.message}`, "UNREACHABLE");
    });
    return await work(pool);
  } finally {
    await pool.end().catch(ignore);
  }
}

/** Few commands enqueue anything, and opening costs a connection and some statements: it happens at the first use. */
function openOutboxLater(databaseUrl: string): Outbox {
  let opened: Promise<Outbox> | undefined;
  const outbox = () => {
    opened ??= import("../engine/outbox/outbox.ts").then(({ openOutbox }) => openOutbox(databaseUrl, ignore));
    return opened;
  };
  return {
    enqueue: async (...call) => (await outbox()).enqueue(...call),
    send: async (...call) => (await outbox()).send(...call),
    close: async () => (await opened)?.close(),
  };
}

function actor(): string {
  return `cli:${os.userInfo().username}`.slice(0, 200);
}

export interface Places {
  readonly redisUrl: string;
  readonly databaseUrl: string;
  /** Known where the instance of DATA_DIR is meant. */
  readonly apiUrl?: string | null | undefined;
}

/** Where the servers are. @throws CommandError when nothing says so */
export function locate(env: NodeJS.ProcessEnv): Places {
  const { REDIS_URL: redisUrl, DATABASE_URL: databaseUrl } = env;
  if (redisUrl && databaseUrl) return { redisUrl, databaseUrl };
  const file = path.join(env["DATA_DIR"] || ".data", "runtime.json");
  try {
    const runtime = JSON.parse(readFileSync(file, "utf8")) as Places;
    return {
      redisUrl: redisUrl || runtime.redisUrl,
      databaseUrl: databaseUrl || runtime.databaseUrl,
      apiUrl: runtime.apiUrl,
    };
  } catch {
    throw new CommandError(
      `No instance runs on ${path.dirname(file)} (no ${file}). Start one with npm start, name its DATA_DIR, or set ` +
        "REDIS_URL and DATABASE_URL.",
      "NOT_RUNNING",
    );
  }
}
