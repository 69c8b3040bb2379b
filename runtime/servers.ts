// The Redis and the Postgres of an instance: those that REDIS_URL and DATABASE_URL name, else private ones in DATA_DIR.
import type { Config, Role } from "../engine/config.ts";
import type { DataDirectory } from "./data-directory.ts";
import { ensureDatabase, postgresServer } from "./embedded/postgres.ts";
import { redisServer } from "./embedded/redis.ts";
import type { RedisRole } from "./embedded/redis-acl.ts";
import { freePort, onFreePort, type ServerSpec, untilReady } from "./embedded/server.ts";
import type { Secrets } from "./secrets.ts";
import type { ProcessSpec } from "./supervisor.ts";

export type Servers = {
  /** Administrator's access. */
  redisUrl: string;
  /** The access of one role; the same as the administrator's on a server that is not ours. */
  redisUrlOf(role: Role): string;
  databaseUrl: string;
  /** Where this instance's own payment provider may listen. */
  paymentGatewayPort: number;
  /** For the first administrator of a private database; a database that is not ours gets none. */
  generatedAdminPassword: string | undefined;
};

type Ports = { redis: number; postgres: number; gateway: number };

const DATABASE = "onrush";
const PORTS_FILE = "ports.json";
const REDIS_ROLE: Record<Role, RedisRole> = {
  api: "onrush_api",
  persister: "onrush_persister",
  worker: "onrush_worker",
};

/** Starts what the configuration does not name. `run` starts one process and resolves when it serves. */
export async function startServers(
  config: Config,
  directory: DataDirectory,
  secrets: Secrets,
  run: (spec: ProcessSpec) => Promise<void>,
): Promise<Servers> {
  // The ports of the last time when they are free: addresses that somebody noted down stay good.
  const last = (directory.readJson(PORTS_FILE) ?? {}) as Partial<Ports>;
  const start = async <S extends ServerSpec>(server: S) => {
    await run(asProcess(server));
    return server;
  };
  const redis = config.redisUrl
    ? undefined
    : await onFreePort((port) => start(embeddedRedis(directory, secrets, port)), last.redis);
  const postgres = config.databaseUrl
    ? undefined
    : await onFreePort((port) => start(embeddedPostgres(directory, secrets, port)), last.postgres);
  const ports = {
    ...last,
    ...(redis && { redis: redis.port }),
    ...(postgres && { postgres: postgres.port }),
    gateway: await freePort(last.gateway),
  };
  directory.writeJson(PORTS_FILE, ports);
  const redisUrl = config.redisUrl ?? redis?.urlOf("onrush_admin") ?? "";
  return {
    redisUrl,
    redisUrlOf: (role) => redis?.urlOf(REDIS_ROLE[role]) ?? redisUrl,
    databaseUrl: config.databaseUrl ?? (postgres ? await ensureDatabase(postgres, DATABASE) : ""),
    paymentGatewayPort: ports.gateway,
    generatedAdminPassword: config.databaseUrl ? undefined : secrets.adminPassword,
  };
}

function embeddedRedis(directory: DataDirectory, secrets: Secrets, port: number) {
  return redisServer({
    directory: directory.file("redis"),
    logFile: directory.file("redis.log"),
    port,
    passwords: secrets.redis,
  });
}

function embeddedPostgres(directory: DataDirectory, secrets: Secrets, port: number) {
  return postgresServer({
    directory: directory.file("postgres"),
    logFile: directory.file("postgres.log"),
    port,
    password: secrets.postgres,
    instanceId: secrets.instanceId,
  });
}

function asProcess(server: ServerSpec): ProcessSpec {
  return { ...server, ready: (child) => untilReady(server, child) };
}
