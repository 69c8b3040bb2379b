// Moves the stock of orders whose fate is decided: PAID turns reserved units into sold ones, CANCELLING gives them back, and
// so does an order that was revived in Redis and had gone another way.
// Only Redis moves here; CONFIRMED and CANCELLED are written when the movement comes back through the log.
//
// It is called directly after the commit that decided, without a job: the fate is in the order's row, so a call that was
// lost is found there by the sweep, and a job a batch would cost the queue as much as the payment itself did.
import type pg from "pg";
import { type Partition, partitionName } from "../../../engine/keys.ts";
import { isHeldBeyond, type MovedOrder } from "../../../engine/ledger/fates.ts";
import { findPartition } from "../../../engine/ledger/partitions.ts";
import type { Logger } from "../../../engine/log.ts";
import type { KnownPositions } from "../../../engine/stock/known-positions.ts";
import type { MoveHoldsOutcome, PartitionStock } from "../../../engine/stock/partition-stock.ts";

/** How long a partition's epoch is believed without asking Postgres again. */
const EPOCH_AGE_MS_MAX = 1_000;
/**
 * Holds that one call moves. The scripts take up to 1,000, but admission waits for Redis meanwhile: a hold costs it about
 * 7 us, so that a call of this size is a millisecond, and orders get in between one call and the next.
 */
const HOLDS_PER_CALL = 128;
/** Order ids that one log line names. */
const IDS_PER_LINE_MAX = 10;

interface Live {
  /** `undefined`: the partition may not be touched now (new, or suspended until its rebuild). */
  readonly epoch: number | undefined;
  readonly readAt: number;
}

interface Group {
  readonly partition: Partition;
  readonly kind: "settle" | "release";
  readonly orders: MovedOrder[];
}

export class Settlement {
  readonly #db: pg.Pool;
  readonly #stock: PartitionStock;
  readonly #positions: KnownPositions;
  readonly #log: Logger;
  readonly #live = new Map<string, Live>();

  constructor(db: pg.Pool, stock: PartitionStock, positions: KnownPositions, log: Logger) {
    this.#db = db;
    this.#stock = stock;
    this.#positions = positions;
    this.#log = log;
  }

  /**
   * Settles the PAID among the orders and releases those that are to give their hold back; others are passed over. Repeatable. Never rejects: what
   * did not work is logged and left to the sweep.
   *
   * @returns how many holds moved
   */
  async move(orders: readonly MovedOrder[]): Promise<number> {
    const moved = await Promise.all([...groupsOf(orders)].map((group) => this.#moveGroup(group)));
    return moved.reduce((sum, count) => sum + count, 0);
  }

  async #moveGroup({ partition, kind, orders }: Group): Promise<number> {
    let moved = 0;
    for (let from = 0; from < orders.length; from += HOLDS_PER_CALL) {
      const chunk = orders.slice(from, from + HOLDS_PER_CALL);
      const about = { partition: partitionName(partition), kind, orders: idsOf(chunk), count: chunk.length };
      try {
        const outcome = await this.#call(partition, kind, chunk);
        if (outcome === undefined) this.#log.warn(about, "stock not moved: the partition is not live");
        else if (outcome.type !== "OK") this.#log.warn({ ...about, refusal: outcome }, "stock not moved: refused");
        else moved += this.#count(outcome.verdicts, chunk, about);
      } catch (error) {
        // Redis is away or did not answer in time. If the call ran all the same, the next one answers ALREADY.
        this.#log.warn({ ...about, err: error }, "stock not moved: no answer");
      }
    }
    return moved;
  }

  async #call(
    partition: Partition,
    kind: "settle" | "release",
    orders: readonly MovedOrder[],
  ): Promise<MoveHoldsOutcome | undefined> {
    const holds = orders.map((order) => ({ orderId: order.id, reservation: order.holdReservation }));
    for (const believed of [true, false]) {
      const epoch = await this.#epochOf(partition, believed);
      if (epoch === undefined) return undefined;
      const outcome = await this.#stock[kind](partition, epoch, holds);
      // A rebuild may have raised the epoch since it was read; once more with what Postgres says now.
      if (outcome.type !== "STALE_EPOCH" || !believed) return outcome;
    }
    return undefined;
  }

  async #epochOf(partition: Partition, believed: boolean): Promise<number | undefined> {
    const name = partitionName(partition);
    const known = this.#live.get(name);
    if (believed && known && performance.now() - known.readAt < EPOCH_AGE_MS_MAX) return known.epoch;
    const readAt = performance.now();
    const row = await findPartition(this.#db, partition);
    const epoch = row?.state === "live" ? row.epoch : undefined;
    // What Postgres has applied, Redis must have: one that was restored from the past is noticed by that.
    if (row) this.#positions.learn(partition, { epoch: row.epoch, seq: row.seq });
    this.#live.set(name, { epoch, readAt });
    return epoch;
  }

  #count(verdicts: readonly string[], orders: readonly MovedOrder[], about: object): number {
    const strange = orders.filter((_, i) => verdicts[i] === "MISMATCH" || verdicts[i] === "ABSENT");
    if (strange.length > 0) {
      this.#log.error({ ...about, orders: idsOf(strange), count: strange.length }, "Redis does not have these holds");
    }
    return verdicts.filter((verdict) => verdict === "MOVED").length;
  }
}

function groupsOf(orders: readonly MovedOrder[]): Iterable<Group> {
  const groups = new Map<string, Group>();
  for (const order of orders) {
    const kind = endOf(order);
    if (!kind) continue;
    const partition = { saleId: order.saleId, partition: order.partition };
    const name = `${kind} ${partitionName(partition)}`;
    const group = groups.get(name) ?? { partition, kind, orders: [] };
    group.orders.push(order);
    groups.set(name, group);
  }
  return groups.values();
}

/** How the order's hold is to end, if it is. */
function endOf(order: MovedOrder): Group["kind"] | undefined {
  if (order.status === "PAID") return "settle";
  return order.status === "CANCELLING" || isHeldBeyond(order) ? "release" : undefined;
}

function idsOf(orders: readonly MovedOrder[]): string[] {
  return orders.slice(0, IDS_PER_LINE_MAX).map(({ id }) => id);
}
