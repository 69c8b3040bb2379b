// Works one leased partition: catches up from Postgres' position, then takes the batches that the reader hands it. It is
// busy with one batch at a time, and takes one more beforehand: so its partition stays in the reader's wait meanwhile, and
// its next entries are there the moment it is done. An error keeps it busy, with growing pauses, until the batch is in Postgres.
import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import { type Partition, partitionName } from "../engine/keys.ts";
import { suspendPartition } from "../engine/ledger/log.ts";
import { findPartition } from "../engine/ledger/partitions.ts";
import type { Logger } from "../engine/log.ts";
import { comparePositions, formatPosition, type Movement, type Position } from "../engine/movement.ts";
import { type ApplyDependencies, type ApplyOutcome, applyMovements } from "./apply.ts";
import { acknowledge, isLoaded, isMissingGroup, pendingUpTo, readAfter } from "./log-stream.ts";

/** A transaction takes about this many orders at most, so that locks are held briefly and memory is bounded. */
const ORDERS_PER_TRANSACTION = 2_048;
const RETRY_MS_MIN = 50;
const RETRY_MS_MAX = 2_000;

export interface ApplierDependencies extends ApplyDependencies {
  /** A command connection: acknowledgements and catching up. */
  readonly redis: Redis;
  readonly log: Logger;
  /** Told after each commit. */
  readonly onApplied: (at: Partition, applied: ApplyOutcome & { type: "applied" }) => void;
  /** Told when the applier can take new entries again. */
  readonly onReady: () => void;
}

export class PartitionApplier {
  readonly at: Partition;
  readonly #deps: ApplierDependencies;
  #work: Promise<void> | undefined;
  /** What is to be done after the work at hand: a batch that was taken beforehand, or catching up. */
  #next: (() => Promise<void>) | undefined;
  #stopped = false;
  #caughtUp = false;
  #ended = false;
  /** The partition's epoch when it was last read; `undefined` before that. */
  #epoch: number | undefined;

  constructor(at: Partition, deps: ApplierDependencies) {
    this.at = at;
    this.#deps = deps;
  }

  /** True when it can take new entries: it is caught up, and took none beforehand. */
  get ready(): boolean {
    return this.#caughtUp && this.#next === undefined && !this.#stopped && !this.#ended;
  }

  /** True when it has suspended its partition; if that lives again, it was rebuilt, and another applier begins with it. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Applies everything that the log holds after Postgres' position, delivered or not; what was taken beforehand is in it. */
  catchUp(): void {
    this.#caughtUp = false;
    this.#begin(async () => {
      await this.#catchUp();
      this.#caughtUp = true;
    });
  }

  /** Takes new entries; only when {@link ready}. */
  take(movements: readonly Movement[]): void {
    this.#begin(async () => {
      for (const batch of batchesOf(movements)) {
        const outcome = await this.#apply(batch);
        if (outcome.type === "applied" && isWhole(batch, outcome.position)) continue;
        // Somebody else read entries in between (a takeover): the log itself has them.
        await this.#catchUp();
        return;
      }
    });
  }

  /** Ends after the batch under way; one that was taken beforehand stays pending. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#work;
  }

  #begin(work: () => Promise<void>): void {
    if (this.#work) {
      this.#next = work;
      return;
    }
    this.#work = this.#untilDone(work).finally(() => {
      const next = this.#next;
      this.#work = this.#next = undefined;
      if (next && !this.#stopped && !this.#ended) this.#begin(next);
      this.#deps.onReady();
    });
  }

  async #untilDone(work: () => Promise<void>): Promise<void> {
    let pauseMs = RETRY_MS_MIN;
    let attempt: () => Promise<void> = work;
    while (!this.#stopped) {
      try {
        await attempt();
        this.#caughtUp = true;
        return;
      } catch (error) {
        if (isMissingGroup(error) && !(await this.#isLoaded())) {
          await this.#suspend("Redis has lost the partition's keys").catch(() => undefined); // the next round sees it too
          return;
        }
        this.#deps.log.error(
          { err: error, partition: partitionName(this.at) },
          "applying the log failed; trying again",
        );
        await sleep(pauseMs);
        pauseMs = Math.min(pauseMs * 2, RETRY_MS_MAX);
        // Whether the failed batch was committed is open: go on from what Postgres says.
        attempt = () => this.#catchUp();
      }
    }
  }

  async #catchUp(): Promise<void> {
    const row = await findPartition(this.#deps.pool, this.at);
    if (!row || this.#ended) return;
    this.#epoch = row.epoch;
    const left = await pendingUpTo(this.#deps.redis, this.at, row);
    await this.#compare(left, row);
    if (this.#ended) return;
    if (left.length > 0) await acknowledge(this.#deps.redis, this.at, row, row.reservation, left);
    let position: Position = row;
    while (!this.#stopped) {
      const movements = await readAfter(this.#deps.redis, this.at, position);
      if (movements.length === 0) return;
      for (const batch of batchesOf(movements)) {
        const outcome = await this.#apply(batch);
        if (outcome.type !== "applied") {
          if (outcome.type === "gap") {
            await this.#suspend(`the log does not continue after ${formatPosition(outcome.position)}`);
          }
          return;
        }
        position = outcome.position;
        if (!isWhole(batch, position)) break; // read again from there: a hole is at the front then
      }
    }
  }

  /** Looks at entries that Postgres is said to have, before they are acknowledged: they must be the ones it has. */
  async #compare(left: readonly Position[], head: Position): Promise<void> {
    const [first] = left;
    let after: Position | undefined = first && { epoch: first.epoch, seq: first.seq - 1 };
    while (after && !this.#ended) {
      const entries = (await readAfter(this.#deps.redis, this.at, after)).filter(
        ({ position }) => comparePositions(position, head) <= 0,
      );
      if (entries.length > 0) await this.#apply(entries);
      after = entries.at(-1)?.position;
    }
  }

  async #apply(batch: readonly Movement[]): Promise<ApplyOutcome> {
    const outcome = await applyMovements(this.#deps, this.at, batch);
    if (outcome.type === "forked") {
      await this.#suspend(`the log has another entry at ${formatPosition(outcome.position)} than was applied`);
    }
    if (outcome.type === "applied") {
      this.#deps.onApplied(this.at, outcome);
      const entries = batch
        .map((movement) => movement.position)
        .filter((position) => comparePositions(position, outcome.position) <= 0);
      await acknowledge(this.#deps.redis, this.at, outcome.position, outcome.reservation, entries);
    }
    return outcome;
  }

  // Movements are lost: nothing may be admitted or applied over the loss until an operator has rebuilt the partition.
  async #suspend(reason: string): Promise<void> {
    this.#deps.log.error({ partition: partitionName(this.at), reason }, "partition suspended");
    await suspendPartition(this.#deps.pool, this.at, reason, this.#epoch);
    this.#ended = true;
  }

  async #isLoaded(): Promise<boolean> {
    return await isLoaded(this.#deps.redis, this.at).catch(() => true); // not known to be lost
  }
}

function isWhole(batch: readonly Movement[], position: Position): boolean {
  const last = batch[batch.length - 1];
  return last === undefined || comparePositions(last.position, position) <= 0;
}

/** Cuts movements into transactions of about {@link ORDERS_PER_TRANSACTION} orders. */
function* batchesOf(movements: readonly Movement[]): Generator<Movement[]> {
  let batch: Movement[] = [];
  let orders = 0;
  for (const movement of movements) {
    const size = movement.kind === "place" ? movement.orders.length : "holds" in movement ? movement.holds.length : 1;
    if (batch.length > 0 && orders + size > ORDERS_PER_TRANSACTION) {
      yield batch;
      [batch, orders] = [[], 0];
    }
    batch.push(movement);
    orders += size;
  }
  if (batch.length > 0) yield batch;
}
