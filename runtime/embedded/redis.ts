// A private redis-server: durable (`appendfsync always`), refusing writes rather than evicting when memory is full, on
// a free port of 127.0.0.1, with one ACL user a role and the default user off.
import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Redis } from "ioredis";
import { aclFile, type RedisPasswords, type RedisRole } from "./redis-acl.ts";
import type { ServerSpec } from "./server.ts";

export type RedisServerOptions = {
  /** Where its state lies; created when absent. */
  directory: string;
  logFile: string;
  port: number;
  passwords: RedisPasswords;
  /** Default `always`. */
  appendfsync?: "always" | "everysec" | "no";
  /** Further lines of redis.conf. */
  settings?: string[];
};

export type RedisServer = ServerSpec & { urlOf(role: RedisRole): string };

const PROBE_TIMEOUT_MS = 1_000;
const STOP_TIMEOUT_MS = 20_000;

/** Writes the configuration; the server starts when the result is spawned. */
export function redisServer(options: RedisServerOptions): RedisServer {
  const { port, passwords, directory, logFile } = options;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const config = path.join(directory, "redis.conf");
  writeFileSync(path.join(directory, "users.acl"), aclFile(passwords), { mode: 0o600 });
  writeFileSync(config, configuration(options), { mode: 0o600 });
  const urlOf = (role: RedisRole) => `redis://${role}:${passwords[role]}@127.0.0.1:${port}`;
  return {
    name: "Redis",
    port,
    logFile,
    urlOf,
    spawn: () => {
      const log = openSync(logFile, "a", 0o600);
      const child = spawn("redis-server", [config], { cwd: directory, detached: true, stdio: ["ignore", log, log] });
      closeSync(log);
      return child;
    },
    probe: (pid) => probe(urlOf("onrush_admin"), pid),
    stopSignal: "SIGTERM",
    stopTimeoutMs: STOP_TIMEOUT_MS,
  };
}

function configuration(options: RedisServerOptions): string {
  return `${[
    `port ${options.port}`,
    "bind 127.0.0.1",
    `dir "${options.directory}"`,
    `aclfile "${path.join(options.directory, "users.acl")}"`,
    "daemonize no",
    // The log of orders: synced before a write is answered, and during a rewrite too.
    "appendonly yes",
    `appendfsync ${options.appendfsync ?? "always"}`,
    "no-appendfsync-on-rewrite no",
    "aof-use-rdb-preamble yes",
    // Snapshots add nothing to an append-only file that is always on.
    'save ""',
    // Refuse writes when memory is full: an evicted reservation would be stock that nobody accounts for.
    "maxmemory-policy noeviction",
    // WebSocket fan-out: a slow subscriber is dropped before it takes the server's memory.
    "client-output-buffer-limit pubsub 64mb 16mb 30",
    "tcp-backlog 511",
    ...(options.settings ?? []),
  ].join("\n")}\n`;
}

/** PING is answered with an error while the append-only file is being loaded. */
async function probe(url: string, pid: number | undefined): Promise<void> {
  const client = new Redis(url, {
    lazyConnect: true,
    retryStrategy: () => null,
    enableOfflineQueue: false,
    enableReadyCheck: false,
    connectTimeout: PROBE_TIMEOUT_MS,
    commandTimeout: PROBE_TIMEOUT_MS,
  });
  let problem: Error | undefined;
  client.on("error", (error: Error) => {
    problem = error;
  });
  try {
    await client.connect();
    await client.ping();
    const [, answering] = /^process_id:(\d+)/m.exec(await client.info("server")) ?? [];
    if (Number(answering) !== pid) throw new Error("another Redis answers at this port");
  } catch (error) {
    throw problem ?? error;
  } finally {
    client.disconnect();
  }
}
