// What the reconciler reads from Redis. Figures, numbers and settings come as one consistent picture; records come in
// bounded pages, each with the position at which it was read, so that no call keeps Redis from selling.
import type { Redis } from "ioredis";
import { type Partition, partitionKeys } from "../keys.ts";
import type { Position } from "../movement.ts";
import { runScript } from "../redis/scripts.ts";
import type { RedisProduct } from "./figures.ts";

/** Records that one read carries. */
export const RECORDS_PER_PAGE = 1_000;

export interface RedisPicture {
  readonly position: Position;
  readonly nowMs: number;
  readonly products: ReadonlyMap<string, RedisProduct>;
  /** The fields of `meta` as they stand. */
  readonly meta: ReadonlyMap<string, string>;
  /** Number of held records. */
  readonly holds: number;
}

/** One picture of the partition, or `undefined` when Redis does not have it. */
export async function readPicture(redis: Redis, at: Partition): Promise<RedisPicture | undefined> {
  const keys = partitionKeys(at);
  const reply = await runScript(redis, "snapshot", [keys.meta, keys.stock, keys.held, keys.stream], []);
  const [head, nowMs, metaFlat, stockFlat, holds] = reply as [string, number, string[], string[], number];
  if (head !== "OK") return undefined;
  const meta = pairsOf(metaFlat);
  const position = positionOf(meta.get("epoch"), meta.get("seq"));
  return position && { position, nowMs, products: productsOf(pairsOf(stockFlat)), meta, holds };
}

/** Fields of a hash with the position at which they were read; `null`: not there. */
export interface RecordPage {
  readonly position: Position | undefined;
  readonly records: ReadonlyMap<string, string | null>;
}

/** Reads records of one of the partition's hashes, at most {@link RECORDS_PER_PAGE}, in one transaction. */
export async function readRecords(
  redis: Redis,
  at: Partition,
  hash: "held" | "limits",
  fields: readonly string[],
): Promise<RecordPage> {
  const keys = partitionKeys(at);
  const replies = await redis
    .multi()
    .hmget(keys.meta, "epoch", "seq")
    .hmget(keys[hash], ...fields)
    .exec();
  const [meta, values] = (replies ?? []).map(([error, value]) => {
    if (error) throw error;
    return value as (string | null)[];
  });
  if (!meta || !values) throw new Error("the transaction was not run");
  return {
    position: positionOf(meta[0], meta[1]),
    records: new Map(fields.map((field, i) => [field, values[i] ?? null])),
  };
}

/** All records of one of the partition's hashes, page by page; what changes meanwhile may be missed or come twice. */
export async function* scanRecords(
  redis: Redis,
  at: Partition,
  hash: "held" | "limits",
): AsyncGenerator<ReadonlyMap<string, string>> {
  const key = partitionKeys(at)[hash];
  let cursor = "0";
  do {
    const [next, flat] = await redis.hscan(key, cursor, "COUNT", RECORDS_PER_PAGE);
    cursor = next;
    if (flat.length > 0) yield pairsOf(flat);
  } while (cursor !== "0");
}

/** What a held record says, or `undefined` when a hand has made it unreadable. */
export interface HeldRecord {
  readonly reservation: number;
  readonly deadlineMs: number;
  readonly position: Position;
  readonly buyer: string;
  /** Units by product. */
  readonly units: ReadonlyMap<string, number>;
}

export function parseHeldRecord(record: string): HeldRecord | undefined {
  const match = /^(\d+)\|(\d+)\|(\d+)-(\d+)\|([^|]*)\|(.+)$/.exec(record);
  if (!match) return undefined;
  const [, reservation, deadline, epoch, seq, buyer = "", lines = ""] = match;
  const units = new Map<string, number>();
  for (const part of lines.split(",")) {
    const [, sku, count] = /^([^=]+)=(\d+)!?$/.exec(part) ?? [];
    if (!sku || !count) return undefined;
    units.set(sku, (units.get(sku) ?? 0) + Number(count));
  }
  const position = { epoch: Number(epoch), seq: Number(seq) };
  return { reservation: Number(reservation), deadlineMs: Number(deadline), position, buyer, units };
}

function positionOf(epoch: string | null | undefined, seq: string | null | undefined): Position | undefined {
  if (!epoch || !seq || !/^\d+$/.test(epoch) || !/^\d+$/.test(seq)) return undefined;
  return { epoch: Number(epoch), seq: Number(seq) };
}

function productsOf(fields: ReadonlyMap<string, string>): Map<string, RedisProduct> {
  const skus = new Set([...fields.keys()].map((field) => field.slice(0, field.lastIndexOf("|"))));
  return new Map(
    [...skus].map((sku) => {
      const value = (suffix: string) => fields.get(`${sku}|${suffix}`) ?? "";
      return [sku, { available: value("a"), reserved: value("r"), sold: value("s"), limit: value("l") }];
    }),
  );
}

function pairsOf(flat: readonly string[]): Map<string, string> {
  const pairs = new Map<string, string>();
  for (let i = 0; i + 1 < flat.length; i += 2) pairs.set(flat[i] as string, flat[i + 1] as string);
  return pairs;
}
