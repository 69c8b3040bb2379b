// One partition twice: the real one in Redis and Postgres, and the models that judge it; with what its callers know.
import assert from "node:assert/strict";
import { CONSUMER_GROUP, partitionKeys } from "../../engine/keys.ts";
import type { Movement, Position } from "../../engine/movement.ts";
import type { Outbox } from "../../engine/outbox/outbox.ts";
import { AcknowledgedLog } from "../../engine/recovery/acknowledged.ts";
import { runScript } from "../../engine/redis/scripts.ts";
import { KnownPositions } from "../../engine/stock/known-positions.ts";
import { PartitionStock } from "../../engine/stock/partition-stock.ts";
import { type ModelEntry, type ModelReturn, type ModelUnits, PartitionModel } from "../support/partition-model.ts";
import { AcknowledgedModel } from "./acknowledged-model.ts";
import { type Lane, LIMITS, SKUS, TTL_MS, UNITS } from "./lane.ts";
import { LedgerModel } from "./ledger-model.ts";
import type { SystemOrder } from "./ledger-rows.ts";
import type { PlaceMode } from "./steps.ts";

/** What Redis holds of the partition, by the model. */
export interface RedisModel {
  readonly partition: PartitionModel<SystemOrder>;
  /** The last number delivered to the consumer group. */
  delivered: number;
  /** Delivered and not acknowledged. */
  readonly pending: Set<number>;
  /** Somebody wrote units into Redis that were never allocated. */
  corrupt: boolean;
}

/** A call of place.lua, as it was sent. */
export interface SentCall {
  readonly keys: readonly string[];
  readonly args: readonly (string | number)[];
  readonly epoch: number;
  readonly minSeq: number;
  readonly backlogMax: number;
  readonly orders: readonly SystemOrder[];
}

export interface OldMove {
  readonly kind: "settle" | "release";
  readonly epoch: number;
  readonly holds: readonly { readonly orderId: string; readonly reservation: number }[];
}

/** A call of revive.lua, as it was sent. */
export interface OldRevival {
  readonly epoch: number;
  readonly orders: readonly ModelUnits[];
}

export interface WantedReturn extends ModelReturn {
  readonly restock: boolean;
}

export type ScriptRefusal = "NOT_LOADED" | "STALE_EPOCH" | "REGRESSED";

export class World {
  readonly lane: Lane;
  readonly at: { readonly saleId: string; readonly partition: 0 };
  readonly no: number;
  readonly keys: ReturnType<typeof partitionKeys>;
  readonly positions = new KnownPositions();
  readonly stock: PartitionStock;
  readonly acknowledged: AcknowledgedLog;

  redis: RedisModel | undefined;
  copy: RedisModel | undefined;
  readonly ledger = new LedgerModel();
  readonly acknowledgedModel = new AcknowledgedModel();
  #known: Position = { epoch: 0, seq: 0 };

  readonly lateCalls: SentCall[] = [];
  readonly oldMoves: OldMove[] = [];
  readonly oldRevivals: OldRevival[] = [];
  /** Units that refunds take back, by movement. */
  readonly returns = new Map<string, WantedReturn>();
  zombie: { readonly movements: readonly Movement[]; readonly entries: readonly ModelEntry<SystemOrder>[] } | undefined;
  /** Ids in the order in which they were first accepted, heard or not. */
  readonly accepted: string[] = [];
  /** Where a buyer was told that the order stands. */
  readonly promised = new Map<string, Position>();
  /** Orders whose buyer was told no, and of which no other call is about. */
  readonly refused = new Set<string>();
  /** The last number applied of each epoch that a rebuild ended, and the highest that was reported of it. */
  readonly pastEpochs = new Map<number, { readonly applied: number; readonly reported: number }>();
  /** How often each thing happened, to show that a run was about something. */
  readonly seen = new Map<string, number>();

  private constructor(lane: Lane, sale: { no: number; saleId: string }) {
    this.lane = lane;
    this.no = sale.no;
    this.at = { saleId: sale.saleId, partition: 0 };
    this.keys = partitionKeys(this.at);
    this.stock = new PartitionStock(lane.redis, this.positions);
    this.acknowledged = new AcknowledgedLog(`api of ${sale.saleId}`, lane.pool, (error) => {
      throw error;
    });
  }

  /** A partition with its first units, as load.lua leaves it. */
  static async open(lane: Lane): Promise<World> {
    const world = new World(lane, await lane.takeSale());
    const items = SKUS.flatMap((sku, i) => [sku, LIMITS[i] ?? 0, UNITS[i] ?? 0, 0, 0]);
    const { meta, stock, stream } = world.keys;
    const args = [
      1,
      0,
      0,
      0,
      "open",
      TTL_MS,
      CONSUMER_GROUP,
      Math.floor(Date.now() / 86_400_000),
      SKUS.length,
      ...items,
    ];
    assert.deepEqual(await runScript(lane.redis, "load", [meta, stock, stream], args), ["OK", "1", 0]);
    for (const [i, sku] of SKUS.entries())
      world.ledger.stock.set(sku, { allocated: UNITS[i] ?? 0, reserved: 0, sold: 0 });
    world.redis = world.rebuilt();
    return world;
  }

  /** What a rebuild makes of the ledger. */
  rebuilt(): RedisModel {
    const { ledger } = this;
    const partition = new PartitionModel<SystemOrder>();
    Object.assign(partition, { epoch: ledger.epoch, open: ledger.admission === "open" });
    Object.assign(partition, { reservation: ledger.reservation, persisted: ledger.reservation });
    for (const [i, sku] of SKUS.entries()) {
      const { reserved, sold } = ledger.stock.get(sku) ?? { reserved: 0, sold: 0 };
      const available = ledger.available(sku);
      partition.stock.set(sku, {
        allocated: available + reserved + sold,
        available,
        reserved,
        sold,
        limit: LIMITS[i] ?? 0,
      });
    }
    for (const row of ledger.orders.values()) partition.adopt(row);
    for (const [id, { seq }] of ledger.returns) partition.movements.set(id, seq);
    for (const [id, { applied }] of ledger.allocations) if (applied) partition.movements.set(id, applied.seq);
    return { partition, delivered: 0, pending: new Set(), corrupt: false };
  }

  /** Why a script would refuse a whole call. */
  refusal(epoch: number, minSeq: number): ScriptRefusal | undefined {
    if (!this.redis) return "NOT_LOADED";
    if (this.redis.partition.epoch !== epoch) return "STALE_EPOCH";
    return this.redis.partition.seq < minSeq ? "REGRESSED" : undefined;
  }

  /** The callers, which share what they know, have heard of a position. */
  learn(position: Position): void {
    const { epoch, seq } = this.#known;
    if (position.epoch > epoch || (position.epoch === epoch && position.seq > seq)) this.#known = position;
  }

  minSeq(epoch: number): number {
    return this.#known.epoch === epoch ? this.#known.seq : 0;
  }

  /** The n-th of the orders that were ever accepted, counted round. */
  order(n: number): string | undefined {
    return this.accepted[n % Math.max(this.accepted.length, 1)];
  }

  note(what: string): void {
    this.seen.set(what, (this.seen.get(what) ?? 0) + 1);
  }

  id(kind: "order" | "movement" | "write-off" | "return", epoch: number, n: number): string {
    const variant = { order: "8000", movement: "9000", "write-off": "a000", return: "b000" }[kind];
    return `${hex(this.no, 8)}-${hex(epoch, 4)}-4000-${variant}-${hex(n, 12)}`;
  }
}

function hex(n: number, digits: number): string {
  return n.toString(16).padStart(digits, "0");
}

export class Crash extends Error {}

/** Jobs are not this test's matter; a crash here is one before the commit. */
export function outbox(crash: boolean): Outbox {
  return {
    enqueue: async (_client: unknown) => {
      if (crash) throw new Crash("before the commit");
    },
    send: async () => undefined,
    close: async () => undefined,
  };
}

/** Whether the caller of place.lua hears of it in the end. */
export function givesUp(mode: PlaceMode): boolean {
  return mode.endsWith("given up");
}
