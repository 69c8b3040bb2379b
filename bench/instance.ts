// A private instance of Onrush, as `npm start` makes one, on a temporary DATA_DIR: real Redis with `appendfsync always`,
// real Postgres with fsync. Rate limits are off, as all load comes from one address.
import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, openSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { endChild, track } from "./children.ts";

export interface Instance {
  readonly apiUrl: string | null;
  readonly redisUrl: string;
  readonly databaseUrl: string;
  /** Processes by name: api, persister, worker, redis, postgres. */
  readonly pids: Readonly<Record<string, number>>;
  /** Stops it and removes what it kept. */
  stop(): Promise<void>;
}

export type AckMode = "fast" | "fsync" | "replicated" | "postgres";

export interface InstanceOptions {
  readonly roles: string;
  /** `fsync` when absent. */
  readonly ackMode?: AckMode;
  /** The payment provider runs within the worker's process. */
  readonly gatewayInProcess?: boolean;
  /** The servers of another instance instead of its own. */
  readonly servers?: { readonly redisUrl: string; readonly databaseUrl: string };
}

export const ADMIN = { email: "bench@onrush.local", password: "benchmark-only" } as const;

/** What access tokens are signed with, so that a crowd of members needs no hour of passwords. */
export const JWT_SECRET = "benchmark-only, and of a length that is taken";

export const ROOT = fileURLToPath(new URL("..", import.meta.url));
const READY_TIMEOUT_MS = 60_000;
const POLL_MS = 50;

export async function startInstance(options: InstanceOptions): Promise<Instance> {
  const { roles, ackMode = "fsync", servers, gatewayInProcess = false } = options;
  const dataDir = mkdtempSync(path.join(tmpdir(), "onrush-bench-"));
  chmodSync(dataDir, 0o711); // Postgres runs as another account when this is root
  const logFile = path.join(dataDir, "instance.log");
  const log = openSync(logFile, "a");
  const child = track(
    spawn(process.execPath, ["--import", path.join(ROOT, "bench/lifeline.ts"), path.join(ROOT, "runtime/start.ts")], {
      stdio: ["ignore", log, log, "ipc"],
      env: {
        ...instanceEnvironment(dataDir, roles),
        ACK_MODE: ackMode,
        PAYMENT_GATEWAY_IN_PROCESS: String(gatewayInProcess),
        ...(servers && serverSettings(servers)),
      },
    }),
  );
  const stop = async () => {
    await endChild(child);
    removeData(dataDir);
  };
  const runtimeFile = path.join(dataDir, "runtime.json");
  const deadline = performance.now() + READY_TIMEOUT_MS;
  while (!existsSync(runtimeFile)) {
    if (child.exitCode !== null || performance.now() > deadline) {
      const said = readFileSync(logFile, "utf8").trim();
      await stop();
      throw new Error(`An instance with ROLES=${roles} did not start:\n${said}`);
    }
    await delay(POLL_MS);
  }
  return { ...(JSON.parse(readFileSync(runtimeFile, "utf8")) as Omit<Instance, "stop">), stop };
}

/** For an instance of these roles. */
export function instanceEnvironment(dataDir: string, roles: string): Record<string, string | undefined> {
  return { ...ownEnvironment(), ...settings(dataDir, roles) };
}

/** What a process needs from ours, and none of the settings that happen to be set here. */
function ownEnvironment(): Record<string, string | undefined> {
  const { PATH, HOME, TMPDIR, LANG, BENCH_NODE_OPTIONS } = process.env;
  return { PATH, HOME, TMPDIR, LANG, NODE_OPTIONS: BENCH_NODE_OPTIONS };
}

function settings(dataDir: string, roles: string): Record<string, string> {
  return {
    DATA_DIR: dataDir,
    PORT: "0",
    HOST: "127.0.0.1",
    ROLES: roles,
    ACK_MODE: "fsync",
    ADMIN_EMAIL: ADMIN.email,
    ADMIN_PASSWORD: ADMIN.password,
    JWT_SECRET,
    GUEST_ORDERS: "true",
    RATE_LIMIT_ENABLED: "false",
    BACKLOG_MAX_ORDERS: "10000000",
    RESERVATION_TTL_SECONDS: "86400",
    LOG_LEVEL: "warn",
  };
}

function serverSettings({ redisUrl, databaseUrl }: { redisUrl: string; databaseUrl: string }): Record<string, string> {
  return { REDIS_URL: redisUrl, DATABASE_URL: databaseUrl };
}

/** With the data of a Postgres whose account cannot reach a temporary folder: DATA_DIR/postgres is then a link to it. */
export function removeData(dataDir: string): void {
  const postgres = path.join(dataDir, "postgres");
  if (existsSync(postgres)) rmSync(realpathSync(postgres), { recursive: true, force: true });
  rmSync(dataDir, { recursive: true, force: true });
}
