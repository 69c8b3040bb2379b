// Reading a partition's stream: from a position on (catching up), or as new entries come (the consumer group).
// All persisters read under one consumer name: the lease decides who acts under it, so the pending entries never have to
// be claimed from anybody, and no consumer is ever deleted with entries pending.
import type { Redis } from "ioredis";
import { CONSUMER_GROUP, type Partition, partitionKeys } from "../engine/keys.ts";
import {
  comparePositions,
  formatPosition,
  type Movement,
  type Position,
  parseMovement,
  parsePosition,
} from "../engine/movement.ts";
import { runScript } from "../engine/redis/scripts.ts";

const CONSUMER = "persister";
/** Entries per read; an entry holds up to 256 orders. */
export const ENTRIES_PER_READ = 64;
/** acknowledge.lua takes at most 1,000 ids. */
const ACKNOWLEDGE_MAX = 1_000;

type RawEntry = [id: string, fields: string[]];

/** Entries after a position, in order, whether or not the group has seen them. */
export async function readAfter(redis: Redis, at: Partition, position: Position): Promise<Movement[]> {
  const entries = await redis.xrange(
    partitionKeys(at).stream,
    `(${formatPosition(position)}`,
    "+",
    "COUNT",
    ENTRIES_PER_READ,
  );
  return entries.map(([id, fields]) => parseMovement(id, fields));
}

/** Redis `TIME` of the first entry after a position, in ms; `undefined` when the log has none or it cannot be read. */
export async function timeOfNext(redis: Redis, at: Partition, position: Position): Promise<number | undefined> {
  const [entry] = await redis.xrange(partitionKeys(at).stream, `(${formatPosition(position)}`, "+", "COUNT", 1);
  const fields = entry?.[1] ?? [];
  const atMs = Number(fields[fields.indexOf("at") + 1]);
  return entry && Number.isSafeInteger(atMs) ? atMs : undefined;
}

/** Waits up to `blockMs` for new entries of any of the partitions. */
export async function readNew(
  blocking: Redis,
  partitions: readonly Partition[],
  blockMs: number,
): Promise<Map<Partition, Movement[]>> {
  const keys = partitions.map((at) => partitionKeys(at).stream);
  const reply = (await blocking.xreadgroup(
    "GROUP",
    CONSUMER_GROUP,
    CONSUMER,
    "COUNT",
    ENTRIES_PER_READ,
    "BLOCK",
    blockMs,
    "STREAMS",
    ...keys,
    ...keys.map(() => ">"),
  )) as [key: string, entries: RawEntry[]][] | null;
  const found = new Map<Partition, Movement[]>();
  for (const [key, entries] of reply ?? []) {
    const at = partitions[keys.indexOf(key)];
    if (at)
      found.set(
        at,
        entries.map(([id, fields]) => parseMovement(id, fields)),
      );
  }
  return found;
}

/** Whether an error says that a stream or its group is not there: wiped, or never made. */
export function isMissingGroup(error: unknown): boolean {
  return error instanceof Error && /^(NOGROUP|UNBLOCKED)/.test(error.message);
}

/** Whether Redis has the partition at all. */
export async function isLoaded(redis: Redis, at: Partition): Promise<boolean> {
  return (await redis.exists(partitionKeys(at).meta)) === 1;
}

/** Acknowledges entries that Postgres has, trims the log below the position, and tells admission how far Postgres is. */
export async function acknowledge(
  redis: Redis,
  at: Partition,
  position: Position,
  reservation: number,
  entries: readonly Position[],
): Promise<void> {
  const keys = partitionKeys(at);
  const ids = entries.map(formatPosition);
  for (let from = 0; from === 0 || from < ids.length; from += ACKNOWLEDGE_MAX) {
    await runScript(
      redis,
      "acknowledge",
      [keys.meta, keys.stream],
      [CONSUMER_GROUP, formatPosition(position), reservation, ...ids.slice(from, from + ACKNOWLEDGE_MAX)],
    );
  }
}

/** Entries that were delivered, committed and never acknowledged: a persister died between its commit and XACK. */
export async function pendingUpTo(redis: Redis, at: Partition, position: Position): Promise<Position[]> {
  const rows = (await redis.xpending(
    partitionKeys(at).stream,
    CONSUMER_GROUP,
    "-",
    formatPosition(position),
    ACKNOWLEDGE_MAX,
  )) as [id: string, ...rest: unknown[]][];
  return rows.map(([id]) => parsePosition(id)).filter((pending) => comparePositions(pending, position) <= 0);
}
