// A redis-server of its own for a test file: the same configuration and users as in production, in a temporary folder.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { redisServer } from "../../runtime/embedded/redis.ts";
import { REDIS_ROLES, type RedisPasswords, type RedisRole } from "../../runtime/embedded/redis-acl.ts";
import { onFreePort } from "../../runtime/embedded/server.ts";
import { launch, type RunningServer } from "./launch.ts";

export type TestRedisOptions = {
  /** Default `always`. */
  appendfsync?: "always" | "everysec" | "no";
  /** Further lines of redis.conf. */
  settings?: string[];
};

export type TestRedis = {
  /** As administrator, who may do everything. */
  url: string;
  /** As one of the roles, with that role's rights. */
  urlOf(role: RedisRole): string;
  port: number;
  pid(): number;
  /** Holds the append-only file, in `appendonlydir`. */
  directory: string;
  /** kill -9. */
  kill(): Promise<void>;
  /** Starts it again, on the same port and data, after `kill`; running, it is stopped cleanly first. */
  restart(): Promise<void>;
  freeze(): void;
  thaw(): void;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
};

export async function startTestRedis(options: TestRedisOptions = {}): Promise<TestRedis> {
  const directory = mkdtempSync(path.join(tmpdir(), "onrush-test-redis-"));
  const passwords = Object.fromEntries(REDIS_ROLES.map((role) => [role, `${role}_password`])) as RedisPasswords;
  const logFile = path.join(directory, "redis.log");
  const first = await onFreePort(async (port) => {
    const server = redisServer({ ...options, directory, logFile, port, passwords });
    return { server, running: await launch(server) };
  });
  const { server } = first;
  let running: RunningServer | undefined = first.running;
  const end = async (how: "stop" | "kill") => {
    const ending = running;
    running = undefined;
    await ending?.[how]();
  };
  return {
    url: server.urlOf("onrush_admin"),
    urlOf: server.urlOf,
    port: server.port,
    directory,
    pid: () => running?.pid ?? 0,
    kill: () => end("kill"),
    restart: async () => {
      await end("stop");
      running = await launch(server);
    },
    freeze: () => running?.freeze(),
    thaw: () => running?.thaw(),
    stop: async () => {
      await end("stop");
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
