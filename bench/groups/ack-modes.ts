// What an acknowledgement costs by what it means: accepted orders in each ACK_MODE, as many as come, and their latency at half
// of that rate. The persister runs in all of them, as `postgres` waits for it. `fast` has a Redis that syncs once a second,
// `replicated` a replica on the same disk that syncs as its master does.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Redis } from "ioredis";
import { Books, type Tally } from "../books.ts";
import { endChild, track } from "../children.ts";
import type { Context } from "../context.ts";
import { untilApplied } from "../draining.ts";
import { type AckMode, type Instance, startInstance } from "../instance.ts";
import type { Target } from "../load/burst.ts";
import { Shop } from "../shop.ts";

const MODES: readonly AckMode[] = ["fast", "fsync", "replicated", "postgres"];
const LATENCY_LOAD = 0.5;
const WARM_UP_SECONDS = 2;
const REPLICA_TIMEOUT_MS = 20_000;
const POLL_MS = 50;

export async function measureAckModes(context: Context): Promise<void> {
  for (let round = 1; round <= context.options.longRounds; round += 1) {
    for (const mode of round % 2 === 1 ? MODES : MODES.toReversed()) {
      const instance = await startInstance({ roles: "api,persister", ackMode: mode });
      const replica = mode === "replicated" ? await startReplica(instance.redisUrl) : undefined;
      try {
        if (mode === "fast") await withRedis(instance, (redis) => redis.config("SET", "appendfsync", "everysec"));
        await measureMode(context, instance, mode);
        context.settle();
      } finally {
        await instance.stop();
        await replica?.stop();
      }
    }
  }
}

async function measureMode(context: Context, instance: Instance, mode: AckMode): Promise<void> {
  const shop = await Shop.open(instance);
  const sale = await shop.openSale(`bench ${mode}`);
  const books = new Books(instance);
  const tally: Tally = { answered: 0, sent: 0 };
  const pid = instance.pids["api"] ?? 0;
  const statuses = mode === "postgres" ? { status: 201, otherwise: 202 } : { status: 202 };
  const target: Target = { name: `ack ${mode}`, url: shop.ordersUrl, pid, order: sale, keyed: true, ...statuses };
  const burst = async (shape: { seconds: number; rate?: number }) => {
    const done = await context.burst(target, shape);
    tally.answered += done.answered;
    tally.sent += done.sent;
    return done;
  };
  try {
    const reached = await shop.acknowledgementOf(sale);
    if (reached !== mode) throw new Error(`with ACK_MODE=${mode} an order was acknowledged as ${reached}`);
    await burst({ seconds: WARM_UP_SECONDS });
    const { perSecond } = await burst({ seconds: context.options.seconds });
    await untilApplied(books, [sale]);
    const rate = Math.round(perSecond * LATENCY_LOAD);
    const { pace } = await burst({ rate, seconds: context.options.latencySeconds });
    const { p50Ms = Number.NaN, p99Ms = Number.NaN } = pace?.latencies ?? {};
    context.point("ack", { mode, perSecond, p50Ms, p99Ms });
    await untilApplied(books, [sale]);
    context.audit(`ACK_MODE=${mode}`, await books.auditAdmission(sale, { ...tally, sent: tally.sent + 1 }));
    context.audit(`ACK_MODE=${mode}, in the ledger`, await books.auditLedger(sale, tally));
  } finally {
    await books.close();
  }
}

async function withRedis<Result>({ redisUrl }: Instance, work: (redis: Redis) => Promise<Result>): Promise<Result> {
  const redis = new Redis(redisUrl);
  redis.on("error", () => undefined); // the command on it rejects
  try {
    return await work(redis);
  } finally {
    redis.disconnect();
  }
}

/** A replica that is asked by nobody: it has no port. Resolves when it follows. */
async function startReplica(redisUrl: string): Promise<{ stop(): Promise<void> }> {
  const { hostname, port, username, password } = new URL(redisUrl);
  const folder = mkdtempSync(path.join(tmpdir(), "onrush-bench-replica-"));
  const settings = {
    port: "0",
    unixsocket: path.join(folder, "replica.sock"), // it must listen somewhere
    dir: folder,
    appendonly: "yes",
    appendfsync: "always",
    save: "",
    masteruser: decodeURIComponent(username),
    masterauth: decodeURIComponent(password),
    "repl-diskless-sync-delay": "0",
  };
  const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  const child: ChildProcess = track(
    spawn("redis-server", [...args, "--replicaof", hostname, port], { stdio: "ignore" }),
  );
  const stop = async () => {
    await endChild(child);
    rmSync(folder, { recursive: true, force: true });
  };
  const redis = new Redis(redisUrl);
  redis.on("error", () => undefined); // the command on it rejects
  try {
    const giveUpAt = performance.now() + REPLICA_TIMEOUT_MS;
    while (!/state=online/.test(await redis.info("replication"))) {
      if (performance.now() > giveUpAt) throw new Error("the replica does not follow");
      await delay(POLL_MS);
    }
    return { stop };
  } catch (error) {
    await stop();
    throw error;
  } finally {
    redis.disconnect();
  }
}
