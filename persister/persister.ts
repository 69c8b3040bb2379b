// The persister: carries every partition's movement log into Postgres. It takes leases on partitions, reads their new
// entries together on one blocking connection, and lets one applier a partition work through them.
import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import type pg from "pg";
import { publishOrders } from "../engine/events.ts";
import { CHANNELS, type Partition, partitionName } from "../engine/keys.ts";
import { listPartitions } from "../engine/ledger/partitions.ts";
import type { Logger } from "../engine/log.ts";
import type { Outbox } from "../engine/outbox/outbox.ts";
import type { PointsTiers } from "../engine/points/tiers.ts";
import { holderName } from "../engine/process-identity.ts";
import { BLOCKING_GRACE_MS } from "../engine/redis/connection.ts";
import { loadScripts } from "../engine/redis/scripts.ts";
import type { ApplyOutcome } from "./apply.ts";
import { giveUpLease, holdLease } from "./lease.ts";
import { readNew } from "./log-stream.ts";
import { PartitionApplier } from "./partition-applier.ts";

export interface PersisterTimings {
  /** How long a lease lasts without being renewed: the longest pause before another persister takes over. */
  readonly leaseMs: number;
  /** How often leases are renewed and new partitions looked for. */
  readonly renewMs: number;
  /** Longest wait of one blocking read. */
  readonly blockMs: number;
  /**
   * The same while some partition has more than enough to do: how soon it is read again after that. Redis may take it for up
   * to a turn of its timers (100 ms), in which the partition works on what it took beforehand.
   */
  readonly busyBlockMs: number;
}

export const PERSISTER_TIMINGS: PersisterTimings = { leaseMs: 5_000, renewMs: 1_000, blockMs: 500, busyBlockMs: 10 };

const READ_RETRY_MS = 100;

export interface PersisterDependencies {
  readonly pool: pg.Pool;
  readonly outbox: Outbox;
  readonly redis: Redis;
  readonly blocking: Redis;
  readonly log: Logger;
  /** By which confirmed orders earn points, as they are now. */
  readonly tiers?: () => PointsTiers;
  readonly timings?: Partial<PersisterTimings>;
}

export class Persister {
  readonly #deps: PersisterDependencies;
  readonly #timings: PersisterTimings;
  readonly #owner = holderName();
  readonly #appliers = new Map<string, PartitionApplier>();
  /** Partitions, by name, of which entries may have been handed out and not taken. */
  readonly #untaken = new Set<string>();
  readonly #applied = { batches: 0, orders: 0 };
  #stopping = false;
  #ready = Promise.withResolvers<void>();
  #loops: Promise<void>[] = [];

  constructor(deps: PersisterDependencies) {
    this.#deps = deps;
    this.#timings = { ...PERSISTER_TIMINGS, ...deps.timings };
  }

  async start(): Promise<void> {
    await loadScripts(this.#deps.redis);
    await this.#renew();
    this.#loops = [this.#renewLoop(), this.#readLoop()];
  }

  /** Finishes the batches under way and gives the leases up, so that another persister goes on at once. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#deps.blocking.disconnect();
    await Promise.all(this.#loops);
    await Promise.all([...this.#appliers.values()].map((applier) => this.#drop(applier)));
  }

  /** What was committed since the start. */
  get applied(): { readonly batches: number; readonly orders: number } {
    return this.#applied;
  }

  /** Names of the partitions that it has the lease of. */
  get partitions(): string[] {
    return [...this.#appliers.keys()].sort();
  }

  /** Looks for partitions to work now instead of at the next round, e.g. after a sale was made. */
  async refresh(): Promise<void> {
    if (!this.#stopping) await this.#renew();
  }

  async #renewLoop(): Promise<void> {
    while (!this.#stopping) {
      await sleep(this.#timings.renewMs);
      if (!this.#stopping) await this.#renew().catch((error) => this.#warn(error, "renewing leases failed"));
    }
  }

  async #renew(): Promise<void> {
    const live = (await listPartitions(this.#deps.pool)).filter((row) => row.state === "live");
    await Promise.all(
      live.map(async (at) => {
        const held = await holdLease(this.#deps.redis, at, this.#owner, this.#timings.leaseMs);
        let applier = this.#appliers.get(partitionName(at));
        if (applier?.ended) {
          this.#appliers.delete(partitionName(at));
          applier = undefined;
        }
        if (held && !applier) this.#add(at);
        if (!held && applier) await this.#forget(applier);
      }),
    );
    const names = new Set(live.map(partitionName));
    for (const applier of this.#appliers.values()) {
      if (!names.has(partitionName(applier.at))) await this.#drop(applier);
    }
  }

  #add({ saleId, partition }: Partition): void {
    if (this.#stopping) return;
    const applier = new PartitionApplier(
      { saleId, partition },
      {
        ...this.#deps,
        onApplied: (at, applied) => this.#announce(at, applied),
        onReady: () => {
          this.#ready.resolve();
          this.#ready = Promise.withResolvers();
        },
      },
    );
    this.#appliers.set(partitionName(applier.at), applier);
    this.#deps.log.info({ partition: partitionName(applier.at) }, "lease taken");
    applier.catchUp();
  }

  async #forget(applier: PartitionApplier): Promise<void> {
    this.#appliers.delete(partitionName(applier.at));
    this.#deps.log.info({ partition: partitionName(applier.at) }, "lease lost");
    await applier.stop();
  }

  async #drop(applier: PartitionApplier): Promise<void> {
    this.#appliers.delete(partitionName(applier.at));
    await applier.stop();
    await giveUpLease(this.#deps.redis, applier.at, this.#owner).catch((error) =>
      this.#warn(error, "the lease was not given up; it runs out by itself"),
    );
  }

  async #readLoop(): Promise<void> {
    while (!this.#stopping) {
      if (this.#deps.blocking.status === "ready") this.#catchUpUntaken();
      const ready = [...this.#appliers.values()].filter((applier) => applier.ready);
      if (ready.length === 0) {
        // Go on the moment an applier can take more; the timer is for new leases and for stopping.
        await Promise.race([this.#ready.promise, sleep(this.#timings.renewMs / 10)]);
        continue;
      }
      const blockMs = ready.length < this.#appliers.size ? this.#timings.busyBlockMs : this.#timings.blockMs;
      const startedAt = performance.now();
      try {
        const found = await readNew(
          this.#deps.blocking,
          ready.map((applier) => applier.at),
          blockMs,
        );
        // Nothing, and late: that was the client's own word, and what the server answered is lost.
        if (found.size === 0 && performance.now() - startedAt > blockMs + BLOCKING_GRACE_MS / 2) this.#missed(ready);
        for (const applier of ready) {
          const movements = found.get(applier.at);
          if (!movements) continue;
          // Not ready any more: stopped while the read was out. The entries stay pending for whoever has the lease.
          if (applier.ready) applier.take(movements);
          else this.#missed([applier]);
        }
      } catch (error) {
        if (this.#stopping) return;
        this.#warn(error, "reading the log failed");
        // The answer may be lost with the connection, or one of the streams be gone: each applier looks for itself.
        this.#missed(ready);
        await sleep(READ_RETRY_MS);
      }
    }
  }

  // What a read has handed out is not handed out again: entries that nobody took are found by catching up only.
  #missed(appliers: readonly PartitionApplier[]): void {
    for (const { at } of appliers) this.#untaken.add(partitionName(at));
  }

  #catchUpUntaken(): void {
    for (const name of this.#untaken) {
      const applier = this.#appliers.get(name);
      if (applier && !applier.ready) continue; // when it is done
      this.#untaken.delete(name); // without an applier: whoever takes the lease begins by catching up
      applier?.catchUp();
    }
  }

  #announce(at: Partition, { changes, orders, deadLetters }: ApplyOutcome & { type: "applied" }): void {
    this.#applied.batches += 1;
    this.#applied.orders += orders;
    if (deadLetters > 0) this.#deps.log.error({ partition: partitionName(at), deadLetters }, "dead letters written");
    this.#deps.log.debug({ partition: partitionName(at), orders, changes: changes.length }, "applied");
    if (changes.length === 0) return;
    publishOrders(this.#deps.redis, changes).catch((error) =>
      this.#warn(error, `publishing on ${CHANNELS.orders} failed`),
    );
  }

  #warn(error: unknown, message: string): void {
    this.#deps.log.warn({ err: error }, message);
  }
}
