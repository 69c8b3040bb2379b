// The whole system as real processes: Redis, Postgres, payment provider, persister, worker, API, each role reaching each
// server through a proxy of its own. What an instance's launcher does, except that every path can be cut and every process
// be hit, alone.
import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { closeSync, openSync, rmSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Redis } from "ioredis";
import type pg from "pg";
import { openPool } from "../../engine/ledger/database.ts";
import { commandConnection, connect } from "../../engine/redis/connection.ts";
import { newWebhookSecret } from "../../engine/webhooks/signature.ts";
import { migrate } from "../../persister/migrate.ts";
import { ensureDatabase, postgresServer } from "../../runtime/embedded/postgres.ts";
import { redisServer } from "../../runtime/embedded/redis.ts";
import { REDIS_ROLES, type RedisPasswords, type RedisRole } from "../../runtime/embedded/redis-acl.ts";
import { freePort, type ServerSpec, untilReady } from "../../runtime/embedded/server.ts";
import { type ProcessSpec, untilChildSaysReady } from "../../runtime/supervisor.ts";
import { Lifeline } from "../support/faults/lifeline.ts";
import { FaultProcess } from "../support/faults/process.ts";
import { FaultProxy } from "../support/faults/proxy.ts";
import { WebhookRelay } from "../support/faults/webhook-relay.ts";
import { scratchFolder } from "../support/scratch.ts";
import { type Replica, startReplica } from "./replica.ts";

export type ProcessName = "redis" | "postgres" | "gateway" | "persister" | "persister2" | "worker" | "api";
export type RoleName = "persister" | "persister2" | "worker" | "api" | "gateway";
export type PathName =
  | `${"api" | "persister" | "worker" | "cli" | "admin"}>redis`
  | `${"api" | "persister" | "worker" | "gateway" | "cli"}>postgres`
  | "worker>gateway"
  | "replica>redis";

export type Settings = Readonly<Record<string, string>>;

export const ADMIN = { email: "chaos@onrush.local", password: "only for chaos" } as const;

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const ENTRIES: Record<"persister" | "worker" | "api" | "gateway", string> = {
  persister: "persister/main.ts",
  worker: "persister/jobs/main.ts",
  api: "api/main.ts",
  gateway: "persister/jobs/gateway/provider/main.ts",
};
const READY_TIMEOUT_MS = 120_000;
/** The 10 s that a role has to drain, and a little for the exit itself. */
const STOP_TIMEOUT_MS = 12_000;
/** What a child needs of our environment; settings that happen to stand in it would make another system. */
const PASSED_ON = ["PATH", "HOME", "TMPDIR", "LANG", "TZ"];

export interface System {
  readonly apiUrl: string;
  readonly gateway: { readonly url: string; readonly key: string };
  /** The way of the provider's webhooks, which it takes when its settings name it. */
  readonly webhooks: WebhookRelay;
  /** Administrator's way to the servers; no fault is made on it. */
  readonly redis: Redis;
  readonly pool: pg.Pool;
  /** What the admin CLI is told. */
  readonly cliEnvironment: NodeJS.ProcessEnv;
  readonly folder: string;
  /** Where Redis keeps its configuration and, in `appendonlydir`, its append-only file. */
  readonly redisFolder: string;
  process(name: ProcessName): FaultProcess;
  path(name: PathName): FaultProxy;
  /** Starts a role again with other settings; those of earlier calls are forgotten. */
  restart(role: RoleName, settings: Settings): Promise<void>;
  /** Every proxy passes again. */
  healPaths(): void;
  /** Starts a replica of Redis, behind the path `replica>redis`; resolves when it is in step. */
  startReplica(): Promise<Replica>;
  /** Ends everything. @returns the folder, when it was kept */
  close(options: { keepFolder: boolean }): Promise<string | undefined>;
}

export async function startSystem(): Promise<System> {
  const folder = scratchFolder("chaos");
  const lifeline = new Lifeline();
  const logFile = (name: string) => path.join(folder, `${name}.log`);
  const passwords = Object.fromEntries(REDIS_ROLES.map((role) => [role, secret()])) as RedisPasswords;
  const redisSpec = redisServer({
    directory: path.join(folder, "redis"),
    logFile: logFile("redis"),
    port: await freePort(),
    passwords,
  });
  const postgresSpec = postgresServer({
    directory: path.join(folder, "postgres"),
    logFile: logFile("postgres"),
    port: await freePort(),
    password: secret(),
    instanceId: randomUUID(),
  });
  const gateway = { port: await freePort(), key: secret() };
  const apiPort = await freePort();
  const webhookSecret = newWebhookSecret();
  const webhooks = await WebhookRelay.start(`http://127.0.0.1:${apiPort}/api/v1/webhooks/payments`, webhookSecret);
  const paths = await startPaths({ redis: redisSpec.port, postgres: postgresSpec.port, gateway: gateway.port });
  const environments = environmentsOf({
    folder,
    apiPort,
    gateway,
    webhookSecret,
    paths,
    redisUrlOf: redisSpec.urlOf,
    databaseUrl: postgresSpec.urlOf("onrush"),
  });
  const overrides: Partial<Record<RoleName, Settings>> = {};
  const role = (name: RoleName, kind: keyof typeof ENTRIES) =>
    roleSpec(name, ENTRIES[kind], logFile(name), () => ({
      ...environments[name],
      ...overrides[name],
    }));
  const specs: Record<ProcessName, ProcessSpec> = {
    redis: serverSpec(redisSpec),
    postgres: serverSpec(postgresSpec),
    gateway: role("gateway", "gateway"),
    persister: role("persister", "persister"),
    persister2: role("persister2", "persister"),
    worker: role("worker", "worker"),
    api: role("api", "api"),
  };
  const processes = Object.fromEntries(
    Object.entries(specs).map(([name, spec]) => [name, new FaultProcess(spec, lifeline)]),
  ) as Record<ProcessName, FaultProcess>;

  const databaseUrl = postgresSpec.urlOf("onrush");
  const redis = commandConnection(via(redisSpec.urlOf("onrush_admin"), paths, "admin>redis"), 5_000);
  redis.on("error", () => undefined); // it mends itself; what fails for good is thrown by the command
  const pool = openPool(
    databaseUrl,
    { connectionsMax: 3, applicationName: "onrush-chaos", statementTimeoutMs: 30_000 },
    () => undefined,
  );
  let replica: Replica | undefined;
  const close = async ({ keepFolder }: { keepFolder: boolean }) => {
    redis.disconnect();
    await replica?.process.down("SIGKILL");
    await pool.end().catch(() => undefined);
    for (const name of ["api", "worker", "persister", "persister2", "gateway", "redis", "postgres"] as const) {
      // What was written is judged by now: nothing has to drain.
      await processes[name].down(name === "postgres" ? "SIGINT" : "SIGKILL");
    }
    await Promise.all([webhooks.stop(), ...Object.values(paths).map((proxy) => proxy.stop())]);
    lifeline.end();
    if (keepFolder) return folder;
    rmSync(postgresSpec.dataDirectory, { recursive: true, force: true });
    rmSync(folder, { recursive: true, force: true });
    return undefined;
  };
  try {
    await Promise.all([processes.redis.start(), processes.postgres.start()]);
    await ensureDatabase(postgresSpec, "onrush");
    await migrate(databaseUrl);
    await Promise.all([connect(redis), processes.gateway.start()]);
    await Promise.all([processes.persister.start(), processes.worker.start(), processes.api.start()]);
  } catch (error) {
    await close({ keepFolder: true });
    throw new Error(`The system did not start; its logs are in ${folder}`, { cause: error });
  }
  return {
    apiUrl: `http://127.0.0.1:${apiPort}`,
    gateway: { url: `http://127.0.0.1:${gateway.port}`, key: gateway.key },
    webhooks,
    redis,
    pool,
    cliEnvironment: {
      PATH: process.env["PATH"],
      DATA_DIR: folder,
      REDIS_URL: via(redisSpec.urlOf("onrush_admin"), paths, "cli>redis"),
      DATABASE_URL: via(databaseUrl, paths, "cli>postgres"),
    },
    folder,
    redisFolder: path.join(folder, "redis"),
    process: (name) => processes[name],
    path: (name) => paths[name],
    async restart(name, settings) {
      overrides[name] = settings;
      await processes[name].stop();
      await processes[name].start();
    },
    startReplica: async () => {
      replica = await startReplica({ folder, passwords, lifeline, paths, logFile: logFile("replica") });
      return replica;
    },
    healPaths: () => {
      for (const proxy of Object.values(paths)) proxy.heal();
    },
    close,
  };
}

interface Facts {
  readonly folder: string;
  readonly apiPort: number;
  readonly gateway: { readonly port: number; readonly key: string };
  readonly webhookSecret: string;
  readonly paths: Record<PathName, FaultProxy>;
  redisUrlOf(role: RedisRole): string;
  readonly databaseUrl: string;
}

/** What each role is told: what an instance's launcher tells it, with every address that of a proxy. */
function environmentsOf({
  folder,
  apiPort,
  gateway,
  webhookSecret,
  paths,
  redisUrlOf,
  databaseUrl,
}: Facts): Record<RoleName, Record<string, string | undefined>> {
  const postgresVia = (name: PathName) => via(databaseUrl, paths, name);
  const redisVia = (role: RedisRole, name: PathName) => via(redisUrlOf(role), paths, name);
  const common = {
    ...Object.fromEntries(PASSED_ON.map((name) => [name, process.env[name]])),
    HOST: "127.0.0.1",
    DATA_DIR: folder,
    JWT_SECRET: secret(),
    RECEIPT_SECRET: secret(),
    GUEST_ORDERS: "true",
    RATE_LIMIT_ENABLED: "false",
    LOG_LEVEL: "info",
    NODE_OPTIONS: "--enable-source-maps",
  };
  const persister = {
    ...common,
    ROLES: "persister",
    REDIS_URL: redisVia("onrush_persister", "persister>redis"),
    DATABASE_URL: postgresVia("persister>postgres"),
  };
  return {
    persister,
    // The second one takes the straight way: what hits the first one's paths must not hit it.
    persister2: {
      ...persister,
      REDIS_URL: redisUrlOf("onrush_persister"),
      DATABASE_URL: databaseUrl,
    },
    worker: {
      ...common,
      ROLES: "worker",
      REDIS_URL: redisVia("onrush_worker", "worker>redis"),
      DATABASE_URL: postgresVia("worker>postgres"),
      PAYMENT_GATEWAY_URL: `http://127.0.0.1:${paths["worker>gateway"].port}`,
      PAYMENT_GATEWAY_KEY: gateway.key,
    },
    api: {
      ...common,
      ROLES: "api",
      PORT: String(apiPort),
      REDIS_URL: redisVia("onrush_api", "api>redis"),
      DATABASE_URL: postgresVia("api>postgres"),
      ADMIN_EMAIL: ADMIN.email,
      ADMIN_PASSWORD: ADMIN.password,
      PAYMENT_WEBHOOK_SECRET: webhookSecret,
    },
    gateway: {
      ...Object.fromEntries(PASSED_ON.map((name) => [name, process.env[name]])),
      PORT: String(gateway.port),
      PAYMENT_GATEWAY_KEY: gateway.key,
      PAYMENT_WEBHOOK_SECRET: webhookSecret,
      DATABASE_URL: postgresVia("gateway>postgres"),
    },
  };
}

async function startPaths(ports: {
  redis: number;
  postgres: number;
  gateway: number;
}): Promise<Record<PathName, FaultProxy>> {
  const targets: Record<PathName, number> = {
    "api>redis": ports.redis,
    "persister>redis": ports.redis,
    "worker>redis": ports.redis,
    "cli>redis": ports.redis,
    "admin>redis": ports.redis,
    "replica>redis": ports.redis,
    "api>postgres": ports.postgres,
    "persister>postgres": ports.postgres,
    "worker>postgres": ports.postgres,
    "gateway>postgres": ports.postgres,
    "cli>postgres": ports.postgres,
    "worker>gateway": ports.gateway,
  };
  const started = Object.entries(targets).map(async ([name, port]) => [name, await FaultProxy.start(port)] as const);
  return Object.fromEntries(await Promise.all(started)) as Record<PathName, FaultProxy>;
}

function via(url: string, paths: Record<PathName, FaultProxy>, name: PathName): string {
  const proxied = new URL(url);
  proxied.port = String(paths[name].port);
  return proxied.href;
}

function serverSpec(server: ServerSpec): ProcessSpec {
  return { ...server, ready: (child) => untilReady(server, child) };
}

function roleSpec(name: string, entry: string, logFile: string, environment: () => NodeJS.ProcessEnv): ProcessSpec {
  return {
    name,
    spawn: (): ChildProcess => {
      const log = openSync(logFile, "a", 0o600);
      const child = spawn(process.execPath, [path.join(ROOT, entry)], {
        env: environment(),
        detached: true,
        stdio: ["ignore", log, log, "ipc"],
      });
      closeSync(log);
      child.channel?.unref();
      return child;
    },
    ready: (child) => untilChildSaysReady(child, name, READY_TIMEOUT_MS, () => undefined),
    stopSignal: "SIGTERM",
    stopTimeoutMs: STOP_TIMEOUT_MS,
  };
}

function secret(): string {
  return randomBytes(32).toString("base64url");
}
