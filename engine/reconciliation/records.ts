// The comparison of records, one by one: holds with orders, and what counts to limits with what buyers have. It needs no
// standstill. A sweep over both sides only gathers suspects; each suspect is then judged exactly:
//
//   1. t0 = Postgres' clock
//   2. Redis' record and the position at which it was read, in one transaction
//   3. wait until Postgres has applied that position
//   4. the order as Postgres has it; one that changed after t0 is not judged
//
// What Redis did before 2 is in Postgres by 3. What it does after 2 reaches Postgres in a transaction that begins after t0,
// and marks the order as changed. So what differs then differs, and is not in flight.
import type { Redis } from "ioredis";
import type pg from "pg";
import type { Partition } from "../keys.ts";
import { formatPosition, type Position } from "../movement.ts";
import type { Drift } from "./drift.ts";
import { onSnapshot, readHead } from "./ledger-side.ts";
import {
  isOrderId,
  type OrderHold,
  readBuriedUse,
  readLimitUse,
  readOrderHolds,
  readThinned,
  readTraces,
  scanHeldOrders,
  scanLimitUse,
  splitField,
} from "./orders-side.ts";
import { parseHeldRecord, RECORDS_PER_PAGE, readRecords, scanRecords } from "./redis-side.ts";
import { type Patience, untilApplied } from "./waiting.ts";

/** Products with a limit per buyer: whether they had none at some time, so that orders of that time do not count. */
export type LimitedProducts = ReadonlyMap<string, { readonly wasUnlimited: boolean }>;

export interface Servers {
  readonly pool: pg.Pool;
  readonly redis: Redis;
}

/** Suspects that one sweep judges; with more, those that were found first. */
const SUSPECTS_MAX = 5_000;

/** All differences between holds and orders. @throws Uncertain when they cannot be told */
export async function compareHolds(servers: Servers, at: Partition, patience: Patience): Promise<Drift[]> {
  const suspects = new Set<string>();
  await onSnapshot(servers.pool, async (db) => {
    for await (const page of scanHeldOrders(db, at)) {
      const ids = page.map(({ id }) => id);
      const { records } = await readRecords(servers.redis, at, "held", ids);
      for (const { id, reservation } of page) {
        if (!records.get(id)?.startsWith(`${reservation}|`)) suspects.add(id);
      }
      if (isEnough(suspects, patience)) return;
    }
  });
  const longAgo = new Date(0);
  for await (const page of scanRecords(servers.redis, at, "held")) {
    const head = await readHead(servers.pool, at);
    for (const part of partsOf([...page.keys()])) {
      const orders = await readOrderHolds(servers.pool, at, part, longAgo);
      for (const id of part) {
        const record = page.get(id) as string;
        if (!agrees(record, orders.get(id)) && !isAhead(record, head)) suspects.add(id);
      }
    }
    if (isEnough(suspects, patience)) break;
  }
  return await judgeHolds(servers, at, [...suspects].slice(0, SUSPECTS_MAX), patience);
}

/** Whether the hold is younger than what the ledger had before it was asked: its order is on its way. */
function isAhead(record: string, head: Position | undefined): boolean {
  const position = parseHeldRecord(record)?.position;
  return position !== undefined && head !== undefined && position.epoch === head.epoch && position.seq > head.seq;
}

/** All differences between what counts to limits and what buyers have. @throws Uncertain when they cannot be told */
export async function compareLimitUse(
  servers: Servers,
  at: Partition,
  limited: LimitedProducts,
  patience: Patience,
): Promise<Drift[]> {
  if (limited.size === 0) return [];
  const suspects = new Set<string>();
  await onSnapshot(servers.pool, async (db) => {
    for await (const page of scanLimitUse(db, at)) {
      const fields = page.map(({ field }) => field);
      const { records } = await readRecords(servers.redis, at, "limits", fields);
      for (const { field, units } of page) if (records.get(field) !== String(units)) suspects.add(field);
      if (isEnough(suspects, patience)) return;
    }
  });
  const longAgo = new Date(0);
  for await (const page of scanRecords(servers.redis, at, "limits")) {
    for (const part of partsOf([...page.keys()])) {
      const use = await readLimitUse(servers.pool, at, part, longAgo);
      for (const field of part) if (page.get(field) !== String(use.get(field)?.units ?? 0)) suspects.add(field);
    }
    if (isEnough(suspects, patience)) break;
  }
  const fields = [...suspects].filter((field) => limited.has(splitField(field).sku)).slice(0, SUSPECTS_MAX);
  return await judgeLimitUse(servers, at, fields, limited, patience);
}

/** Judges holds by their order ids. @throws Uncertain when they cannot be told */
export async function judgeHolds(
  { pool, redis }: Servers,
  at: Partition,
  ids: readonly string[],
  patience: Patience,
): Promise<Drift[]> {
  const drifts: Drift[] = [];
  const { t0, records } = await readSettled({ pool, redis }, at, "held", ids, patience);
  for (const part of partsOf(ids)) {
    const orders = await readOrderHolds(pool, at, part, t0);
    const ownerless = part.filter((id) => !orders.has(id));
    const { traces, deadLetters } = await readTraces(pool, at, ownerless);
    for (const id of await placedHere(pool, at, ownerless, records)) traces.add(id);
    for (const id of part) {
      const drift = judgeHold(id, records.get(id) ?? null, orders.get(id), traces, deadLetters);
      if (drift) drifts.push(drift);
    }
  }
  return drifts;
}

/** Of holds without an order: those whose number of the log has placed more orders than there are. */
async function placedHere(
  pool: pg.Pool,
  at: Partition,
  ids: readonly string[],
  records: ReadonlyMap<string, string | null>,
): Promise<string[]> {
  const positions = new Map(
    ids.flatMap((id) => {
      const hold = parseHeldRecord(records.get(id) ?? "");
      return isOrderId(id) && hold ? [[id, hold.position] as const] : [];
    }),
  );
  const thinned = await readThinned(pool, at, [...positions.values()]);
  return [...positions].filter(([, position]) => thinned.has(formatPosition(position))).map(([id]) => id);
}

/** One hold against its order, both settled at one position. Pure. */
export function judgeHold(
  orderId: string,
  record: string | null,
  order: OrderHold | undefined,
  traces: ReadonlySet<string>,
  deadLetters: ReadonlySet<string>,
): Drift | undefined {
  if (!order) {
    if (record === null || deadLetters.has(orderId)) return undefined;
    if (traces.has(orderId)) return { kind: "ORDER_MISSING", orderId, redis: record, count: 1 };
    return { kind: "HOLD_WITHOUT_ORDER", orderId, redis: record, ended: null };
  }
  if (order.isMoving) return undefined;
  if (!order.isHeld) {
    const ended = order.stockState === "sold" ? "sold" : "released";
    return record === null ? undefined : { kind: "HOLD_WITHOUT_ORDER", orderId, redis: record, ended };
  }
  if (record === null) return { kind: "HOLD_MISSING", orderId, expected: order.record };
  return agrees(record, order) ? undefined : { kind: "HOLD_OFF", orderId, redis: record, expected: order.record };
}

/** Whether a hold is what the order says: the same reservation, buyer and units. */
function agrees(record: string, order: OrderHold | undefined): boolean {
  if (!order?.isHeld) return false;
  const [has, should] = [parseHeldRecord(record), parseHeldRecord(order.record)];
  if (!has || !should || has.units.size !== should.units.size) return false;
  if (has.reservation !== should.reservation || has.buyer !== should.buyer) return false;
  return [...should.units].every(([sku, units]) => has.units.get(sku) === units);
}

/** Judges what counts to limits by `buyer|sku`. @throws Uncertain when it cannot be told */
export async function judgeLimitUse(
  { pool, redis }: Servers,
  at: Partition,
  fields: readonly string[],
  limited: LimitedProducts,
  patience: Patience,
): Promise<Drift[]> {
  const drifts: Drift[] = [];
  if (fields.length === 0) return drifts;
  const buried = await readBuriedUse(pool, at);
  const { t0, records } = await readSettled({ pool, redis }, at, "limits", fields, patience);
  for (const part of partsOf(fields)) {
    const used = await readLimitUse(pool, at, part, t0);
    for (const field of part) {
      const { units = 0, counted = 0, isMoving = false } = used.get(field) ?? {};
      const outside = buried.get(field) ?? 0;
      const has = records.get(field) ?? "";
      const wasUnlimited = limited.get(splitField(field).sku)?.wasUnlimited === true;
      const expected = wasUnlimited ? within(Number(has), counted, units + outside) : units + outside;
      if (isMoving || has === String(expected) || (has === "" && expected === 0)) continue;
      drifts.push({ kind: "LIMIT_OFF", ...splitField(field), redis: has, expected });
    }
  }
  return drifts;
}

function within(value: number, min: number, max: number): number {
  return Number.isNaN(value) ? max : Math.min(Math.max(value, min), max);
}

/** Steps 1 to 3 for any number of records. @throws Uncertain when Postgres does not get there in time */
async function readSettled(
  { pool, redis }: Servers,
  at: Partition,
  hash: "held" | "limits",
  fields: readonly string[],
  patience: Patience,
): Promise<{ t0: Date; records: ReadonlyMap<string, string | null> }> {
  const t0 = (await readHead(pool, at))?.now ?? new Date(0);
  const records = new Map<string, string | null>();
  let last: Position | undefined;
  for (const part of partsOf(fields)) {
    const page = await readRecords(redis, at, hash, part);
    last = page.position;
    for (const [field, record] of page.records) records.set(field, record);
  }
  if (fields.length > 0) await untilApplied(pool, at, last, patience);
  return { t0, records };
}

function isEnough(suspects: ReadonlySet<string>, { signal }: Patience): boolean {
  return suspects.size >= SUSPECTS_MAX || signal?.aborted === true;
}

/** HSCAN gives small hashes whole, whatever COUNT says. */
function partsOf(items: readonly string[]): string[][] {
  const parts: string[][] = [];
  for (let from = 0; from < items.length; from += RECORDS_PER_PAGE)
    parts.push(items.slice(from, from + RECORDS_PER_PAGE));
  return parts;
}
