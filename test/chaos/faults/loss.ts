// Faults by which Redis loses what it acknowledged: wiped, restored from an older append-only file, failed over to a
// replica that lags, cut short by a power loss; and a rebuild where nothing was lost at all.
import { cpSync, readdirSync, readFileSync, renameSync, rmSync, statSync, truncateSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Violation } from "../checker/books.ts";
import { rebuild } from "../operator.ts";
import type { System } from "../system.ts";
import { type Fault, type Pace, pause, type Stage, type Strike, unmet, until, untilMoreAccepted } from "./fault.ts";
import { keysOf, recover } from "./recovery.ts";

/** How old the append-only file is that Redis is restored from. */
const AGE_MS: Record<Pace, number> = { short: 1_500, full: 30_000 };
const SURVIVING = 10;
const LOST = 20;
/** An API process reports what it has acknowledged four times a second. */
const REPORTED_WITHIN_MS = 1_500;
const HEAD_START_MS = 3_000;
const KILLS = 2;
const REBUILDS = 3;
/** `everysec` may hold a write back for up to 2 s while a sync is under way. */
const WINDOW_MS = 2_000;
const GOES_ON_WITHIN_MS = 20_000;

export const redisWiped: Fault = {
  name: "redis-wiped",
  title: "FLUSHALL under load: nothing but 503, nothing sold from nothing; the operator's rebuild restores",
  quick: true,
  async strike(stage) {
    const sinceMs = stage.history.now;
    await stage.system.redis.flushall();
    return await recover(stage, sinceMs);
  },
};

export const oldAof: Fault = {
  name: "old-aof",
  title: "Redis restored from an older append-only file: noticed before any acceptance; what is lost is declared",
  quick: true,
  async strike(stage) {
    const { system } = stage;
    const persister = system.process("persister");
    await persister.stop(); // so that something is acknowledged that nobody but Redis has
    await untilMoreAccepted(stage, SURVIVING);
    const copy = copyAof(system);
    await sleep(AGE_MS[stage.pace]);
    await untilMoreAccepted(stage, LOST);
    const sinceMs = await restartFrom(stage, () => swapAof(system, copy));
    await persister.start();
    const strike = await recover(stage, sinceMs);
    return { ...strike, fired: strike.lost };
  },
};

export const oldAofPersisted: Fault = {
  name: "old-aof-persisted",
  title: "the same while Postgres has everything: noticed, and nothing is lost by the rebuild",
  async strike(stage) {
    const { system, sale } = stage;
    const copy = copyAof(system);
    await sleep(AGE_MS[stage.pace] / 10);
    await untilMoreAccepted(stage, LOST);
    const api = system.process("api");
    api.freeze(); // nothing new for a moment, so that Postgres can have it all
    await until(async () => {
      const sql = "SELECT seq FROM sale_partitions WHERE sale_id = $1 AND partition = 0";
      const [row] = (await system.pool.query<{ seq: number }>(sql, [sale.id])).rows;
      return row?.seq === Number(await system.redis.hget(keysOf(stage).meta, "seq"));
    }, GOES_ON_WITHIN_MS);
    const sinceMs = await restartFrom(stage, () => {
      swapAof(system, copy);
      api.thaw();
    });
    const strike = await recover(stage, sinceMs);
    if (strike.lost === 0) return strike;
    return { ...strike, broken: [...(strike.broken ?? []), unmet("nothing is lost", `${strike.lost} orders were`, 4)] };
  },
};

export const oldAofCold: Fault = {
  name: "old-aof-cold",
  title: "every process restarted, on an older append-only file: none of them moves stock on it, the worker neither",
  async strike(stage) {
    const { system } = stage;
    const persister = system.process("persister");
    await persister.stop();
    await untilMoreAccepted(stage, SURVIVING);
    const copy = copyAof(system);
    await untilMoreAccepted(stage, LOST);
    // What an API process has not reported when it dies, nobody can declare: it gets the time that a report takes.
    system.path("api>redis").setMode("refuse");
    await sleep(REPORTED_WITHIN_MS);
    for (const name of ["api", "worker"] as const) await system.process(name).down("SIGKILL");
    system.path("api>redis").heal();
    const sinceMs = await restartFrom(stage, () => swapAof(system, copy));
    await until(() => system.redis.status === "ready", GOES_ON_WITHIN_MS);
    const found = await system.redis.hget(keysOf(stage).meta, "seq");
    await system.process("worker").start();
    await sleep(HEAD_START_MS); // the worker alone, with everything that is due
    await Promise.all([system.process("api").start(), persister.start()]);
    const strike = await recover(stage, sinceMs, Number(found));
    return { ...strike, fired: strike.lost };
  },
};

export const replicaPromoted: Fault = {
  name: "replica-promoted",
  title: "failover to a replica that lags: the same as an older append-only file",
  spoils: true,
  async strike(stage) {
    const { system, history } = stage;
    const replica = await system.startReplica();
    const persister = system.process("persister");
    await persister.stop();
    await untilMoreAccepted(stage, SURVIVING);
    const link = system.path("replica>redis");
    const before = link.counts.swallowed;
    // Not by stopping the replica: its socket buffers would keep what is written meanwhile.
    link.setMode("silent");
    await untilMoreAccepted(stage, LOST);
    await system.process("redis").down("SIGKILL");
    const sinceMs = history.now;
    const swallowed = link.counts.swallowed - before;
    await replica.promote();
    await persister.start();
    const strike = await recover(stage, sinceMs);
    return {
      ...strike,
      fired: strike.lost,
      evidence: `${swallowed} writes never reached the replica; ${strike.evidence}`,
    };
  },
};

export const everysecKilled: Fault = {
  name: "everysec-killed",
  title: "Redis killed (`fast`, appendfsync everysec): nothing acknowledged lost but what a rebuild declares",
  settings: { api: { ACK_MODE: "fast" } },
  strike: (stage) =>
    withEverysec(stage, async () => {
      const { system, random, history } = stage;
      const redis = system.process("redis");
      let [kills, recovered] = [0, undefined as Strike | undefined];
      let healedAtMs = history.now;
      for (let n = 0; n < KILLS && !recovered; n += 1) {
        await pause(random, 300);
        const { pid } = redis;
        const sinceMs = await restartFrom(stage, () => undefined);
        healedAtMs = history.now;
        if (redis.pid !== pid) kills += 1;
        const from = history.accepted;
        await until(async () => history.accepted >= from + SURVIVING || (await isSuspended(stage)), GOES_ON_WITHIN_MS);
        if (await isSuspended(stage)) recovered = await recover(stage, sinceMs);
      }
      const evidence = `${kills} kill -9 under everysec`;
      if (!recovered) return { fired: kills, evidence, healedAtMs };
      return { ...recovered, fired: kills, evidence: `${evidence}; ${recovered.evidence}` };
    }),
};

export const aofTailCut: Fault = {
  name: "aof-tail-cut",
  title: "power loss in `fast`: at most the window is lost, declared by the rebuild, and never half an order",
  settings: { api: { ACK_MODE: "fast" } },
  strike: (stage) =>
    withEverysec(stage, async () => {
      const { system, history } = stage;
      const persister = system.process("persister");
      await persister.stop();
      await untilMoreAccepted(stage, SURVIVING);
      const file = aofTail(system);
      const [sizeBefore, markedAtMs] = [statSync(file).size, history.now];
      await untilMoreAccepted(stage, LOST);
      const truncations = () =>
        readFileSync(path.join(system.folder, "redis.log"), "utf8").split("aof-load-truncated").length;
      const truncationsBefore = truncations();
      const sinceMs = await restartFrom(stage, () => cutInside(file, sizeBefore, stage.random));
      const isCut = truncations() > truncationsBefore;
      const broken = await halfOrders(stage);
      await persister.start();
      const strike = await recover(stage, sinceMs);
      for (const { orderId, atMs } of strike.lostOrders) {
        if (atMs >= markedAtMs - WINDOW_MS) continue;
        const detail = `${orderId} was acknowledged ${Math.round(markedAtMs - atMs)} ms before the tail that was cut`;
        broken.push(unmet("at most the window is lost", detail, 4));
      }
      return { ...strike, fired: isCut ? strike.lost : 0, broken: [...(strike.broken ?? []), ...broken] };
    }),
};

export const rebuiltUnderLoad: Fault = {
  name: "rebuilt-under-load",
  title: "an operator rebuilds under load though nothing was lost: nothing is lost by it, nothing oversold",
  quick: true,
  async strike(stage) {
    const { system, sale, random, history } = stage;
    const broken: Violation[] = [];
    let healedAtMs = history.now;
    let rebuilds = 0;
    for (; rebuilds < REBUILDS; rebuilds += 1) {
      await pause(random, 300);
      try {
        for (const { lost } of await rebuild(system, sale.id)) {
          if (!lost) continue;
          const detail = `numbers ${lost.fromSeq} to ${lost.toSeq} were`;
          broken.push(unmet("nothing is declared lost that is there", detail, 4));
        }
      } catch (error) {
        broken.push(unmet("a sale can be rebuilt while it sells", String(error), 1));
      }
      healedAtMs = history.now;
      if (!(await untilMoreAccepted(stage, SURVIVING, GOES_ON_WITHIN_MS))) {
        broken.push(unmet("the rebuild restores selling", "nothing was sold after it", 1));
      }
    }
    return { fired: rebuilds, planned: REBUILDS, evidence: `${rebuilds} rebuilds under load`, healedAtMs, broken };
  },
};

/** Kills Redis, changes what it finds, starts it. @returns when that was, by the history's clock */
async function restartFrom({ system, history }: Stage, change: () => void): Promise<number> {
  const redis = system.process("redis");
  await redis.down("SIGKILL");
  change();
  const sinceMs = history.now;
  await redis.start();
  await until(() => system.redis.status === "ready", GOES_ON_WITHIN_MS);
  return sinceMs;
}

const aofFolder = ({ redisFolder }: System) => path.join(redisFolder, "appendonlydir");

/** Copied while Redis writes: its last entry may be cut short, as in a backup. */
function copyAof(system: System): string {
  const copy = path.join(system.redisFolder, "older");
  rmSync(copy, { recursive: true, force: true });
  cpSync(aofFolder(system), copy, { recursive: true });
  return copy;
}

function swapAof(system: System, copy: string): void {
  rmSync(aofFolder(system), { recursive: true });
  renameSync(copy, aofFolder(system));
}

/** The file that Redis appends to. */
function aofTail(system: System): string {
  const files = readdirSync(aofFolder(system)).filter((name) => name.endsWith(".incr.aof"));
  const last = files.sort((a, b) => Number(a.split(".")[2]) - Number(b.split(".")[2])).at(-1);
  if (last === undefined) throw new Error("Redis has no append-only file");
  return path.join(aofFolder(system), last);
}

/** Cuts the file somewhere behind `from`, in the middle of a command. */
function cutInside(file: string, from: number, random: () => number): void {
  const bytes = readFileSync(file);
  let at = from + Math.floor((bytes.length - from) * (0.2 + 0.5 * random()));
  while (bytes[at - 1] === 0x0a) at -= 1; // right after a line a command may be whole
  truncateSync(file, at);
}

/** Runs with `appendfsync everysec`, which a restart of Redis keeps. */
async function withEverysec(stage: Stage, work: () => Promise<Strike>): Promise<Strike> {
  const { redis } = stage.system;
  const set = async (appendfsync: string) => {
    await redis.config("SET", "appendfsync", appendfsync);
    await redis.config("REWRITE");
  };
  await set("everysec");
  try {
    return await work();
  } finally {
    await set("always");
  }
}

async function isSuspended({ system, sale }: Stage): Promise<boolean> {
  const sql = "SELECT state FROM sale_partitions WHERE sale_id = $1 AND state = 'suspended'";
  return ((await system.pool.query(sql, [sale.id])).rowCount ?? 0) > 0;
}

/** What Redis loaded must be the work of whole scripts: figures, holds and the log say the same. */
async function halfOrders(stage: Stage): Promise<Violation[]> {
  const { redis } = stage.system;
  const keys = keysOf(stage);
  const [meta, stock, held, last] = await Promise.all([
    redis.hgetall(keys.meta),
    redis.hgetall(keys.stock),
    redis.hgetall(keys.held),
    redis.xrevrange(keys.stream, "+", "-", "COUNT", 1),
  ]);
  const broken: Violation[] = [];
  const half = (detail: string) => broken.push(unmet("no order is half there", detail, 1));
  if (last[0] && last[0][0] !== `${meta["epoch"]}-${meta["seq"]}`)
    half(`number ${meta["seq"]}, the log ends at ${last[0][0]}`);
  const holds = new Map<string, number>();
  for (const record of Object.values(held)) {
    for (const [, sku = "", units] of (record.split("|")[4] ?? "").matchAll(/([^=,]+)=(\d+)/g)) {
      holds.set(sku, (holds.get(sku) ?? 0) + Number(units));
    }
  }
  for (const { id, stock: allocated } of stage.sale.products) {
    const [available, reserved, sold] = ["a", "r", "s"].map((figure) => Number(stock[`${id}|${figure}`]));
    if (reserved !== (holds.get(id) ?? 0)) half(`${reserved} units of ${id} reserved, ${holds.get(id) ?? 0} held`);
    if ((available ?? 0) + (reserved ?? 0) + (sold ?? 0) !== allocated) half(`units of ${id} do not add up`);
  }
  return broken;
}
