// Returns the units of refunds whose money is back: to sale, or written off, as was asked. Only Redis moves here; the ledger
// follows when the movement comes back through the log. Called directly after the commit that recorded the money; what was
// lost on the way is found in the refund's row by the sweep, which repeats it until the ledger has applied it.
import type pg from "pg";
import { type Partition, partitionName } from "../../../engine/keys.ts";
import { findPartition } from "../../../engine/ledger/partitions.ts";
import { type DueReturn, findDueReturns } from "../../../engine/ledger/refund-returns.ts";
import type { Logger } from "../../../engine/log.ts";
import type { KnownPositions } from "../../../engine/stock/known-positions.ts";
import { LATE_UNITS_PER_CALL_MAX } from "../../../engine/stock/late-units.ts";
import type { PartitionStock } from "../../../engine/stock/partition-stock.ts";

export class Returns {
  readonly #db: pg.Pool;
  readonly #stock: PartitionStock;
  readonly #positions: KnownPositions;
  readonly #log: Logger;

  constructor(db: pg.Pool, stock: PartitionStock, positions: KnownPositions, log: Logger) {
    this.#db = db;
    this.#stock = stock;
    this.#positions = positions;
    this.#log = log;
  }

  /** Returns what is due of these refunds. Never rejects: what did not work is logged and left to the sweep. */
  async carryOf(refundIds: readonly string[]): Promise<void> {
    if (refundIds.length === 0) return;
    try {
      await this.carry(await findDueReturns(this.#db, refundIds));
    } catch (error) {
      this.#log.warn({ err: error, refunds: refundIds.length }, "units of refunds not returned yet");
    }
  }

  /** Carries returns to Redis. Repeatable. Never rejects. @returns how many moved */
  async carry(due: readonly DueReturn[]): Promise<number> {
    let moved = 0;
    for (const group of Map.groupBy(due, partitionName).values()) {
      for (let from = 0; from < group.length; from += LATE_UNITS_PER_CALL_MAX) {
        moved += await this.#carrySome(group.slice(from, from + LATE_UNITS_PER_CALL_MAX));
      }
    }
    return moved;
  }

  async #carrySome(due: readonly DueReturn[]): Promise<number> {
    const [first] = due;
    if (!first) return 0;
    const at: Partition = { saleId: first.saleId, partition: first.partition };
    const about = { partition: partitionName(at), count: due.length };
    try {
      const row = await findPartition(this.#db, at);
      if (row?.state !== "live") {
        this.#log.warn(about, "units of refunds not returned: the partition is not live");
        return 0;
      }
      // What Postgres has applied, Redis must have: one that was restored from the past is noticed by that.
      this.#positions.learn(at, { epoch: row.epoch, seq: row.seq });
      const returns = due.map(({ refundId, orderId, buyer, restock, units }) => {
        return { movementId: refundId, orderId, buyer, restock, units };
      });
      const outcome = await this.#stock.takeBack(at, row.epoch, returns);
      if (outcome.type !== "OK") {
        this.#log.warn({ ...about, refusal: outcome }, "units of refunds not returned: refused");
        return 0;
      }
      const without = due.filter((_, i) => outcome.verdicts[i] === "INSUFFICIENT").map(({ refundId }) => refundId);
      if (without.length > 0) {
        this.#log.error({ ...about, refunds: without }, "Redis has not sold the units that refunds return");
      }
      return outcome.verdicts.filter((verdict) => verdict === "MOVED").length;
    } catch (error) {
      // Redis is away or did not answer in time. If the call ran all the same, the next one answers REPEATED.
      this.#log.warn({ ...about, err: error }, "units of refunds not returned: no answer");
      return 0;
    }
  }
}
