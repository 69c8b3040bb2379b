// The stock-moving scripts other than place, typed: open, settle, release, restock, honour, revive, take-back, snapshot. Each call names the
// partition's epoch and the highest seq known, and learns the position that its answer tells.
import type { Redis } from "ioredis";
import { CHANNELS, CONSUMER_GROUP, type Partition, partitionKeys, partitionName } from "../keys.ts";
import type { Position } from "../movement.ts";
import { runScript } from "../redis/scripts.ts";
import type { KnownPositions } from "./known-positions.ts";
import {
  encodeUnits,
  LATE_UNITS_PER_CALL_MAX,
  parseReviveVerdict,
  type ReturnRequest,
  type ReturnVerdict,
  type ReviveOutcome,
  type ReviveRequest,
  type TakeBackOutcome,
} from "./late-units.ts";
import { type PartitionRefusal, parseRefusal } from "./reply.ts";

/** A hold by the order and the reservation number under which it was taken. */
export interface HoldReference {
  readonly orderId: string;
  readonly reservation: number;
}

/**
 * What became of a hold. `ALREADY`: moved by an earlier call. `MISMATCH`: the order holds under another number.
 * `ABSENT`: Redis knows nothing of it.
 */
export type HoldVerdict = "MOVED" | "ALREADY" | "MISMATCH" | "ABSENT";

export type MoveHoldsOutcome =
  | { readonly type: "OK"; readonly position: Position; readonly verdicts: readonly HoldVerdict[] }
  | PartitionRefusal;

export type RestockOutcome =
  | { readonly type: "OK"; readonly repeated: false; readonly position: Position }
  | { readonly type: "OK"; readonly repeated: true }
  | { readonly type: "INSUFFICIENT"; readonly available: number }
  | { readonly type: "UNKNOWN_SKU" }
  | PartitionRefusal;

/** An order that is placed anew. */
export interface HonourRequest {
  readonly orderId: string;
  readonly buyer: string;
  /** {@link OrderPayload} as JSON. */
  readonly payload: string;
  /** Each product once; `fromHoldback`: units that Postgres has set aside for this order. */
  readonly items: readonly { readonly sku: string; readonly units: number; readonly fromHoldback: number }[];
}

export type HonourOutcome = { readonly type: "HONOURED" | "KNOWN"; readonly position: Position } | HonourRefusal;

export type HonourRefusal =
  | { readonly type: "LIMIT_EXCEEDED"; readonly productId: string; readonly limit: number; readonly used: number }
  | { readonly type: "SOLD_OUT"; readonly productId: string; readonly available: number }
  | { readonly type: "UNKNOWN_PRODUCT"; readonly productId: string }
  | PartitionRefusal;

export interface PartitionSettings {
  readonly opensAtMs: number;
  /** 0: never closes. */
  readonly closesAtMs: number;
  readonly admission: "open" | "paused" | "closed";
  readonly reservationTtlMs: number;
  /** `limit` 0: none. */
  readonly items: readonly { readonly sku: string; readonly limit: number }[];
}

export type OpenOutcome = { readonly type: "OK"; readonly position: Position } | PartitionRefusal;

export interface SkuStock {
  readonly available: number;
  readonly reserved: number;
  readonly sold: number;
}

export interface PartitionSnapshot {
  readonly type: "OK";
  readonly atMs: number;
  readonly position: Position;
  readonly reservation: number;
  /** Highest reservation number that Postgres has. */
  readonly persisted: number;
  readonly admission: string;
  readonly stock: ReadonlyMap<string, SkuStock>;
  readonly holds: number;
  readonly streamLength: number;
}

/** The most holds one settle or release call carries. */
export const HOLDS_PER_CALL_MAX = 1_000;

export class PartitionStock {
  readonly #redis: Redis;
  readonly #positions: KnownPositions;
  readonly #beforeMove: () => Promise<void>;

  /** @param beforeMove runs before each call that moves stock, and keeps it from Redis by a rejection */
  constructor(redis: Redis, positions: KnownPositions, beforeMove: () => Promise<void> = async () => undefined) {
    this.#redis = redis;
    this.#positions = positions;
    this.#beforeMove = beforeMove;
  }

  /** Lays the settings over the partition; creates it when absent and `create` allows it (Postgres has it as new). */
  async open(partition: Partition, epoch: number, create: boolean, settings: PartitionSettings): Promise<OpenOutcome> {
    const keys = partitionKeys(partition);
    const reply = await runScript(
      this.#redis,
      "open",
      [keys.meta, keys.stock, keys.stream],
      [
        epoch,
        create ? 1 : 0,
        settings.opensAtMs,
        settings.closesAtMs,
        settings.admission,
        settings.reservationTtlMs,
        CONSUMER_GROUP,
        settings.items.length,
        ...settings.items.flatMap((item) => [item.sku, item.limit]),
      ],
    );
    return parseRefusal(reply) ?? { type: "OK", position: this.#learnFrom(partition, reply) };
  }

  /** Reserved to sold, for paid orders; at most 1,000 holds. */
  settle(partition: Partition, epoch: number, holds: readonly HoldReference[]): Promise<MoveHoldsOutcome> {
    return this.#moveHolds("settle", partition, epoch, holds);
  }

  /** Reserved back to available, limits included, for cancelled orders; at most 1,000 holds. */
  release(partition: Partition, epoch: number, holds: readonly HoldReference[]): Promise<MoveHoldsOutcome> {
    return this.#moveHolds("release", partition, epoch, holds);
  }

  /** Adds units, or takes unsold ones away (negative). Repeatable under one movement id. */
  async restock(
    partition: Partition,
    epoch: number,
    movement: { movementId: string; sku: string; quantity: number },
  ): Promise<RestockOutcome> {
    await this.#beforeMove();
    const keys = partitionKeys(partition);
    const reply = await runScript(
      this.#redis,
      "restock",
      [keys.meta, keys.stock, keys.movements, keys.stream],
      [epoch, this.#minSeq(partition, epoch), movement.movementId, movement.sku, movement.quantity],
    );
    const refusal = parseRefusal(reply);
    if (refusal) return refusal;
    const [head, second, , fourth] = reply as unknown[];
    if (head === "INSUFFICIENT") return { type: "INSUFFICIENT", available: Number(second) };
    if (head === "UNKNOWN_SKU") return { type: "UNKNOWN_SKU" };
    // The number told is the first call's. After a rebuild that is one of an earlier epoch, ahead of all that the partition
    // has now: learnt, it would make a sound Redis look like one that went back in time.
    if (fourth === "REPEATED") return { type: "OK", repeated: true };
    if (movement.quantity > 0) await this.#announce(partition);
    return { type: "OK", repeated: false, position: this.#learnFrom(partition, reply) };
  }

  /** Holds the units of an order that was lost and is honoured; one that is known keeps what it has. */
  async honour(partition: Partition, epoch: number, order: HonourRequest): Promise<HonourOutcome> {
    const keys = partitionKeys(partition);
    const { orderId, buyer, payload, items } = order;
    const reply = await runScript(
      this.#redis,
      "honour",
      [keys.meta, keys.stock, keys.held, keys.limits, keys.recentEven, keys.recentOdd, keys.stream],
      [
        epoch,
        this.#minSeq(partition, epoch),
        orderId,
        buyer,
        payload,
        items.length,
        ...items.flatMap((item) => [item.sku, item.units, item.fromHoldback]),
      ],
    );
    const refusal = parseRefusal(reply);
    if (refusal) return refusal;
    const position = this.#learnFrom(partition, reply);
    const [word, a = "", b = "", c = ""] = String((reply as unknown[])[3]).split("|");
    switch (word) {
      case "HONOURED":
      case "KNOWN":
        return { type: word, position };
      case "LIMIT":
        return { type: "LIMIT_EXCEEDED", productId: a, limit: Number(b), used: Number(c) };
      case "SOLD_OUT":
        return { type: "SOLD_OUT", productId: a, available: Number(b) };
      case "UNKNOWN_SKU":
        return { type: "UNKNOWN_PRODUCT", productId: a };
      default:
        throw new Error(`honour.lua answered an unknown verdict: ${word}`);
    }
  }

  /** Available to reserved again, limits included, for cancelled orders that are paid; at most 100. */
  async revive(partition: Partition, epoch: number, orders: readonly ReviveRequest[]): Promise<ReviveOutcome> {
    checkCount(orders.length, LATE_UNITS_PER_CALL_MAX);
    await this.#beforeMove();
    const keys = partitionKeys(partition);
    const reply = await runScript(
      this.#redis,
      "revive",
      [keys.meta, keys.stock, keys.held, keys.limits, keys.movements, keys.stream],
      [epoch, this.#minSeq(partition, epoch), orders.length, ...orders.flatMap(encodeUnits)],
    );
    const refusal = parseRefusal(reply);
    if (refusal) return refusal;
    const verdicts = (reply as unknown[]).slice(3).map((verdict) => parseReviveVerdict(String(verdict)));
    return { type: "OK", position: this.#learnFrom(partition, reply), verdicts };
  }

  /** Sold units of refunded orders back to available, limits included, or written off; at most 100 returns. */
  async takeBack(partition: Partition, epoch: number, returns: readonly ReturnRequest[]): Promise<TakeBackOutcome> {
    checkCount(returns.length, LATE_UNITS_PER_CALL_MAX);
    const verdicts = new Map<ReturnRequest, ReturnVerdict>();
    let position: Position = { epoch, seq: 0 };
    // An entry of the log is of one sort.
    for (const [restock, group] of Map.groupBy(returns, (of) => of.restock)) {
      const outcome = await this.#takeBackGroup(partition, epoch, restock, group);
      if (outcome.type !== "OK") return outcome;
      for (const [i, of] of group.entries()) verdicts.set(of, outcome.verdicts[i] as ReturnVerdict);
      position = outcome.position;
    }
    return { type: "OK", position, verdicts: returns.map((of) => verdicts.get(of) as ReturnVerdict) };
  }

  async #takeBackGroup(
    partition: Partition,
    epoch: number,
    restock: boolean,
    returns: readonly ReturnRequest[],
  ): Promise<TakeBackOutcome> {
    await this.#beforeMove();
    const keys = partitionKeys(partition);
    const reply = await runScript(
      this.#redis,
      "take-back",
      [keys.meta, keys.stock, keys.limits, keys.movements, keys.stream],
      [
        epoch,
        this.#minSeq(partition, epoch),
        restock ? 1 : 0,
        returns.length,
        ...returns.flatMap((of) => [of.movementId, ...encodeUnits(of)]),
      ],
    );
    const refusal = parseRefusal(reply);
    if (refusal) return refusal;
    const verdicts = (reply as unknown[]).slice(3) as ReturnVerdict[];
    if (verdicts.length !== returns.length)
      throw new Error(`take-back: ${verdicts.length} verdicts for ${returns.length}`);
    if (restock && verdicts.includes("MOVED")) await this.#announce(partition);
    return { type: "OK", position: this.#learnFrom(partition, reply), verdicts };
  }

  /** One consistent picture of the partition. */
  async snapshot(partition: Partition): Promise<PartitionSnapshot | PartitionRefusal> {
    const keys = partitionKeys(partition);
    const reply = await runScript(this.#redis, "snapshot", [keys.meta, keys.stock, keys.held, keys.stream], []);
    const refusal = parseRefusal(reply);
    if (refusal) return refusal;
    const [, atMs, meta, stock, holds, streamLength] = reply as [string, number, string[], string[], number, number];
    const numbers = pairsOf(meta);
    const position = { epoch: Number(numbers.get("epoch")), seq: Number(numbers.get("seq")) };
    this.#positions.learn(partition, position);
    return {
      type: "OK",
      atMs,
      position,
      reservation: Number(numbers.get("reservation")),
      persisted: Number(numbers.get("persisted")),
      admission: numbers.get("state") ?? "closed",
      stock: stockOf(pairsOf(stock)),
      holds,
      streamLength,
    };
  }

  /** Units of one SKU that can be had, by partition; `undefined` where Redis has none of it, or not the partition. */
  async availableOf(partitions: readonly Partition[], sku: string): Promise<(number | undefined)[]> {
    const figures = await Promise.all(
      partitions.map((partition) => this.#redis.hget(partitionKeys(partition).stock, `${sku}|a`)),
    );
    return figures.map((figure) => (figure === null ? undefined : Number(figure)));
  }

  /** Units of one SKU, as of one instant; 0 where Redis has none of it, or not the partition. */
  async unitsOf(partition: Partition, sku: string): Promise<SkuStock> {
    const figures = await this.#redis.hmget(partitionKeys(partition).stock, `${sku}|a`, `${sku}|r`, `${sku}|s`);
    const [available = 0, reserved = 0, sold = 0] = figures.map((figure) => Number(figure ?? 0));
    return { available, reserved, sold };
  }

  /** Whether Redis has taken a movement of restock.lua or take-back.lua. */
  async hasMoved(partition: Partition, movementId: string): Promise<boolean> {
    return (await this.#redis.hexists(partitionKeys(partition).movements, movementId)) === 1;
  }

  async #moveHolds(
    script: "settle" | "release",
    partition: Partition,
    epoch: number,
    holds: readonly HoldReference[],
  ): Promise<MoveHoldsOutcome> {
    checkCount(holds.length, HOLDS_PER_CALL_MAX);
    await this.#beforeMove();
    const keys = partitionKeys(partition);
    const names = [keys.meta, keys.stock, keys.held, keys.recentEven, keys.recentOdd, keys.stream];
    if (script === "release") names.push(keys.limits);
    const reply = await runScript(this.#redis, script, names, [
      epoch,
      this.#minSeq(partition, epoch),
      ...holds.flatMap((hold) => [hold.orderId, hold.reservation]),
    ]);
    const refusal = parseRefusal(reply);
    if (refusal) return refusal;
    const verdicts = (reply as unknown[]).slice(3) as HoldVerdict[];
    if (verdicts.length !== holds.length) throw new Error(`${script}: ${verdicts.length} verdicts for ${holds.length}`);
    if (script === "release" && verdicts.includes("MOVED")) await this.#announce(partition);
    return { type: "OK", position: this.#learnFrom(partition, reply), verdicts };
  }

  // Stock is back: processes that remember it as sold out ask again. A lost announcement costs them their lease's length.
  async #announce(partition: Partition): Promise<void> {
    await this.#redis.publish(CHANNELS.stock, partitionName(partition)).catch(() => undefined);
  }

  #minSeq(partition: Partition, epoch: number): number {
    const known = this.#positions.get(partition);
    return known?.epoch === epoch ? known.seq : 0;
  }

  #learnFrom(partition: Partition, reply: unknown): Position {
    const [, epoch, seq] = reply as unknown[];
    const position = { epoch: Number(epoch), seq: Number(seq) };
    this.#positions.learn(partition, position);
    return position;
  }
}

function checkCount(count: number, max: number): void {
  if (count < 1 || count > max) throw new RangeError(`${count} in one call, which takes 1 to ${max}`);
}

function pairsOf(flat: readonly string[]): Map<string, string> {
  const pairs = new Map<string, string>();
  for (let i = 0; i + 1 < flat.length; i += 2) pairs.set(flat[i] as string, flat[i + 1] as string);
  return pairs;
}

function stockOf(fields: ReadonlyMap<string, string>): Map<string, SkuStock> {
  const stock = new Map<string, SkuStock>();
  for (const field of fields.keys()) {
    if (!field.endsWith("|a")) continue;
    const sku = field.slice(0, -2);
    const units = (suffix: string) => Number(fields.get(`${sku}|${suffix}`) ?? 0);
    stock.set(sku, { available: units("a"), reserved: units("r"), sold: units("s") });
  }
  return stock;
}
