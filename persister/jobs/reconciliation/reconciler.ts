// The reconciler in the background: compares all partitions about once a second, in one worker at a time, and changes
// nothing. What it finds is a row, a figure in /metrics (the API reads the rows), and a line in the log that an alarm can
// be made of. Mending is an operator's: `onrush stock reconcile --apply`.
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import type pg from "pg";
import { type Partition, partitionName } from "../../../engine/keys.ts";
import { openPool } from "../../../engine/ledger/database.ts";
import { listPartitions } from "../../../engine/ledger/partitions.ts";
import type { Logger } from "../../../engine/log.ts";
import { describeDrift, subjectOf } from "../../../engine/reconciliation/drift.ts";
import {
  forgetEndedDrifts,
  listDrifting,
  type PassResult,
  recordDrifts,
  recordPasses,
} from "../../../engine/reconciliation/results.ts";
import { commandConnection, connect } from "../../../engine/redis/connection.ts";
import { loadScripts } from "../../../engine/redis/scripts.ts";
import { PartitionWatch, Turns } from "./watch.ts";

export interface ReconcilerDependencies {
  readonly databaseUrl: string;
  readonly redisUrl: string;
  readonly log: Logger;
  /** From the end of a pass to the next one. */
  readonly intervalMs: number;
}

export interface Reconciler {
  /** Ends the pass under way and lets its connections go. */
  stop(): Promise<void>;
}

/** How long one comparison waits for Postgres to catch up with Redis. */
const WAIT_MS = 2_000;
/** A pass begins with no further partition after this; those that were left are the first of the next one. */
const PASS_MS_MAX = 2_000;
const PARTITIONS_AT_ONCE = 3;
const COMMAND_TIMEOUT_MS = 3_000;
/** A count of the largest table there may be. */
const STATEMENT_TIMEOUT_MS = 30_000;
const STOP_MS_MAX = 3_000;
/** One for the lock, one for each partition under comparison, two for a wide comparison. */
const CONNECTIONS_MAX = PARTITIONS_AT_ONCE + 3;
const LOCK = "onrush reconciliation";
const FORGET_EVERY_PASSES = 3_600;

/** Starts it on connections of its own: its reads are not to wait for the worker's, nor these for it. */
export async function startReconciler(deps: ReconcilerDependencies): Promise<Reconciler> {
  const { databaseUrl, redisUrl, log } = deps;
  const poolOptions = {
    connectionsMax: CONNECTIONS_MAX,
    applicationName: "onrush reconciler",
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
  };
  const pool = openPool(databaseUrl, poolOptions, (error) => log.warn({ err: error }, "a Postgres connection broke"));
  const redis = commandConnection(redisUrl, COMMAND_TIMEOUT_MS);
  redis.on("error", (error) => log.warn({ err: error }, "the reconciler's Redis connection"));
  await connect(redis);
  await loadScripts(redis);
  const stopping = new AbortController();
  const loop = new Passes(pool, redis, log).run(deps.intervalMs, stopping.signal);
  return {
    async stop() {
      stopping.abort();
      // A count that takes longer ends with its connection: it has written nothing.
      await Promise.race([loop, sleep(STOP_MS_MAX, undefined, { ref: false })]);
      redis.disconnect();
      await Promise.race([pool.end(), sleep(STOP_MS_MAX, undefined, { ref: false })]);
    },
  };
}

class Passes {
  readonly #pool: pg.Pool;
  readonly #redis: Redis;
  readonly #log: Logger;
  /** In the order in which their turn comes. */
  readonly #watches = new Map<string, PartitionWatch>();
  readonly #uncertain = new Set<string>();
  /** Partitions with open drifts; `undefined` until they were read. */
  #drifting: Set<string> | undefined;
  readonly #failing = new WeakSet<PartitionWatch>();
  #passes = 0;
  readonly #turns = new Turns();

  constructor(pool: pg.Pool, redis: Redis, log: Logger) {
    this.#pool = pool;
    this.#redis = redis;
    this.#log = log;
  }

  async run(intervalMs: number, signal: AbortSignal): Promise<void> {
    let failing = false;
    while (!signal.aborted) {
      try {
        // Whoever was not the one compares nothing: what it remembers has grown old.
        if (!(await this.#alone(() => this.#pass(signal)))) this.#watches.clear();
        if (failing) this.#log.info("reconciliation works again");
        failing = false;
      } catch (error) {
        if (!failing) this.#log.warn({ err: error }, "reconciliation failed; it is tried again");
        failing = true;
      }
      await sleep(intervalMs, undefined, { signal }).catch(() => undefined);
    }
    await this.#turns.end();
  }

  /** Runs the work unless another worker is at it. A transaction's lock: whoever dies frees it. @returns whether it ran */
  async #alone(work: () => Promise<void>): Promise<boolean> {
    const client = await this.#pool.connect();
    let broken: Error | undefined;
    const onError = (error: Error) => {
      broken = error; // cut off while the pass works on other connections
    };
    client.on("error", onError);
    try {
      await client.query("BEGIN");
      const lock = await client.query<{ locked: boolean }>(
        "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS locked",
        [LOCK],
      );
      const locked = lock.rows[0]?.locked === true;
      if (locked) await work();
      return locked;
    } finally {
      await client.query("ROLLBACK").catch((error: Error) => {
        broken = error;
      });
      client.off("error", onError);
      client.release(broken);
    }
  }

  async #pass(signal: AbortSignal): Promise<void> {
    const partitions = (await listPartitions(this.#pool)).filter(({ state }) => state !== "new");
    this.#follow(partitions);
    const startedAt = performance.now();
    const waiting = [...this.#watches];
    const one = async () => {
      for (;;) {
        const next = performance.now() - startedAt < PASS_MS_MAX && !signal.aborted ? waiting.shift() : undefined;
        if (!next) return;
        const [name, watch] = next;
        // To the end of the line.
        this.#watches.delete(name);
        this.#watches.set(name, watch);
        await this.#compare(watch, partitions.length, signal);
      }
    };
    await Promise.all(Array.from({ length: PARTITIONS_AT_ONCE }, one));
    this.#passes += 1;
    if (this.#passes % FORGET_EVERY_PASSES === 0) await forgetEndedDrifts(this.#pool);
  }

  #follow(partitions: readonly Partition[]): void {
    const names = new Map(
      partitions.map(({ saleId, partition }) => [partitionName({ saleId, partition }), { saleId, partition }]),
    );
    for (const name of this.#watches.keys()) if (!names.has(name)) this.#watches.delete(name);
    for (const [name, at] of names)
      if (!this.#watches.has(name)) this.#watches.set(name, new PartitionWatch(at, this.#turns));
  }

  async #compare(watch: PartitionWatch, partitions: number, signal: AbortSignal): Promise<void> {
    const servers = { pool: this.#pool, redis: this.#redis };
    try {
      const result = await watch.pass(servers, { waitMs: WAIT_MS, signal }, partitions);
      if (signal.aborted) return;
      await recordPasses(this.#pool, [result]);
      await this.#record(result);
      this.#failing.delete(watch);
    } catch (error) {
      // Said once an outage, and the others are compared all the same.
      if (!this.#failing.has(watch)) this.#log.warn({ err: error, partition: watch.name }, "a comparison failed");
      this.#failing.add(watch);
    }
  }

  async #record(result: PassResult): Promise<void> {
    const name = partitionName(result);
    this.#tellUncertain(name, result);
    this.#drifting ??= await listDrifting(this.#pool);
    if (result.drifts.length === 0 && !this.#drifting.has(name)) return;
    const { opened, ended } = await recordDrifts(this.#pool, result);
    for (const drift of opened) {
      const about = { partition: name, kind: drift.kind, subject: subjectOf(drift), detail: describeDrift(drift) };
      this.#log.error(about, "drift: Redis and the ledger differ; see `onrush stock reconcile`");
    }
    if (ended > 0) this.#log.info({ partition: name, ended }, "drift ended");
    if (result.open?.size === 0) this.#drifting.delete(name);
    else if (result.drifts.length > 0) this.#drifting.add(name);
  }

  // Said once: it comes back every second.
  #tellUncertain(name: string, { verdict, reason }: PassResult): void {
    const before = this.#uncertain.has(name);
    if (verdict === "UNCERTAIN") {
      this.#uncertain.add(name);
      if (!before) this.#log.warn({ partition: name, reason }, "Redis and the ledger cannot be compared");
    } else if (before) {
      this.#uncertain.delete(name);
      this.#log.info({ partition: name }, "Redis and the ledger can be compared again");
    }
  }
}
