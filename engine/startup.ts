// Waiting for Redis and Postgres at the start of a process: servers that are away come back, and whoever needs them need not
// die for that. What waiting does not mend (a wrong password, no such database) is thrown at once.
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import pg from "pg";

export interface ServerAddresses {
  readonly redisUrl: string;
  readonly databaseUrl: string;
}

export interface Waiting {
  /** Told once, when one of them does not answer at first. */
  readonly onAway: (server: "Redis" | "Postgres", problem: unknown) => Promise<void>;
}

const PROBE_TIMEOUT_MS = 3_000;
const PAUSE_MS_MIN = 100;
const PAUSE_MS_MAX = 2_000;

/**
 * Resolves when both have answered, however long that takes.
 *
 * @throws what a server answers when it is there and refuses
 */
export async function untilServersAnswer(at: ServerAddresses, { onAway }: Waiting): Promise<void> {
  let told = false;
  const probes = [
    ["Redis", () => probeRedis(at.redisUrl)],
    ["Postgres", () => probePostgres(at.databaseUrl)],
  ] as const;
  for (const [server, probe] of probes) {
    for (let pauseMs = PAUSE_MS_MIN; ; pauseMs = Math.min(2 * pauseMs, PAUSE_MS_MAX)) {
      try {
        await probe();
        break;
      } catch (error) {
        if (!isAway(error)) throw error;
        if (!told) await onAway(server, error);
        told = true;
        await sleep(pauseMs);
      }
    }
  }
}

const NO_CONNECTION = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ETIMEDOUT",
  "EPIPE",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
]);
/** Starting up, shutting down, out of connections; class 08: connection exceptions. */
const POSTGRES_AWAY = /^(57P0[123]|53300|08...)$/;
const SAID_BY_CLIENTS =
  /^(Connection is closed|Connection terminated|timeout expired|timeout exceeded|Command timed out|Stream isn't writeable|LOADING|connect ETIMEDOUT|The server ended|Connection ended)/;

/** Whether an error says that a server is not there now, rather than that it refuses. */
export function isAway(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.some(isAway);
  if (!(error instanceof Error)) return false;
  const code = "code" in error ? String(error.code) : "";
  return (
    NO_CONNECTION.has(code) ||
    POSTGRES_AWAY.test(code) ||
    SAID_BY_CLIENTS.test(error.message) ||
    (error.cause !== undefined && isAway(error.cause))
  );
}

async function probeRedis(url: string): Promise<void> {
  const client = new Redis(url, {
    lazyConnect: true,
    retryStrategy: () => null,
    enableOfflineQueue: false,
    connectTimeout: PROBE_TIMEOUT_MS,
    commandTimeout: PROBE_TIMEOUT_MS,
    maxLoadingRetryTime: 0,
  });
  let problem: Error | undefined;
  client.on("error", (error: Error) => {
    problem = error;
  });
  try {
    await client.connect();
    await client.ping();
  } catch (error) {
    throw problem ?? error;
  } finally {
    client.disconnect();
  }
}

async function probePostgres(url: string): Promise<void> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: PROBE_TIMEOUT_MS,
    query_timeout: PROBE_TIMEOUT_MS,
  });
  client.on("error", () => undefined); // the call under way rejects with the same
  try {
    await client.connect();
    await client.query("SELECT 1");
  } finally {
    await client.end().catch(() => undefined);
  }
}
