// Redis' own load generator against the same server: a command with as many bytes as a full batch of orders sends, appended to a
// stream and synced. No script runs: it is what receiving, logging and syncing cost. A pipeline of small commands would be
// synced every 16 KB, as Redis reads it, where a batch is one command.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";

export interface RedisLoad {
  readonly redisUrl: string;
  readonly key: string;
  /** Bytes of one order. */
  readonly bytes: number;
  readonly ordersPerCommand: number;
  readonly orders: number;
}

/** As the batcher has calls in flight. */
const CONNECTIONS = 2;

/** Orders a second; undefined where no redis-benchmark is installed. */
export async function redisBenchmark(load: RedisLoad): Promise<number | undefined> {
  const { hostname, port, username, password } = new URL(load.redisUrl);
  const commands = Math.ceil(load.orders / load.ordersPerCommand);
  const args = [
    ...["-h", hostname, "-p", port || "6379"],
    ...(username ? ["--user", decodeURIComponent(username)] : []),
    ...(password ? ["-a", decodeURIComponent(password)] : []),
    ...["-c", String(CONNECTIONS), "-n", String(commands), "--csv", "-x", "XADD", load.key, "*", "e"],
  ];
  const child = spawn("redis-benchmark", args, { stdio: ["pipe", "pipe", "ignore"] });
  const failed = once(child, "error").then(([error]) => error as NodeJS.ErrnoException);
  child.stdin.on("error", () => undefined); // its exit tells
  child.stdin.end("x".repeat(load.bytes * load.ordersPerCommand));
  const said = await Promise.race([text(child.stdout), failed]);
  if (typeof said !== "string") {
    if (said.code === "ENOENT") return undefined;
    throw said;
  }
  // "the command","its rate", and then latencies
  const [, rate] = /","([\d.]+)","[\d.]+","/.exec(said.trim().split("\n").at(-1) ?? "") ?? [];
  if (rate === undefined) throw new Error(`redis-benchmark said: ${said.slice(-400)}`);
  return Number(rate) * load.ordersPerCommand;
}
