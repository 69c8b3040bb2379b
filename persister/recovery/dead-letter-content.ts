// What a dead letter holds, read again by the reader of the log: it may have been written by another version, or be
// readable without the characters that Postgres does not take. And the holds in Redis that belong to it.
import type { Redis } from "ioredis";
import { type Partition, partitionKeys } from "../../engine/keys.ts";
import type { Queryable } from "../../engine/ledger/database.ts";
import { findMovementTime, type LogLetter } from "../../engine/ledger/dead-letters.ts";
import {
  formatPosition,
  type HeldUnits,
  type Movement,
  type Position,
  parseHeldUnits,
  parseMovement,
  parsePosition,
} from "../../engine/movement.ts";

/** It cannot be read, or Redis does not hold what it took. */
export class UnreadableLetterError extends Error {}

/** An order's units as Redis holds them. */
export interface Hold {
  readonly orderId: string;
  readonly reservation: number;
  readonly deadlineMs: number;
  readonly position: Position;
  readonly units: readonly HeldUnits[];
}

/**
 * The letter as the movement that it was. Orders are among it only while Redis holds their units as it did then.
 *
 * @throws UnreadableLetterError
 */
export async function movementOf(db: Queryable, redis: Redis, letter: LogLetter): Promise<Movement> {
  const fields = await fieldsOf(db, redis, letter);
  const movement = withoutNul(parseMovement(formatPosition(letter), fields));
  if (movement.kind === "unreadable") throw new UnreadableLetterError("the entry cannot be read");
  const [line] = movement.unreadable;
  if (line) throw new UnreadableLetterError(line.error);
  if (movement.kind === "place") await checkHolds(redis, letter, movement);
  return movement;
}

/** The entry of the log that holds the letter and nothing else. */
async function fieldsOf(db: Queryable, redis: Redis, letter: LogLetter): Promise<string[]> {
  const { kind, payload } = letter;
  if (kind === "unreadable") return entryFields(parseJson(payload));
  const line = payload.startsWith("{") ? lineOf(parseJson(payload)) : payload;
  const orderId = letter.orderId ?? /^([0-9a-f-]{36})\|/.exec(line)?.[1];
  const recordedAt = (await findMovementTime(db, letter, letter)) ?? letter.createdAt;
  const fields = ["kind", kind, "at", String(recordedAt.getTime())];
  if (kind === "place") {
    const [hold] = orderId === undefined ? [] : await findHolds(redis, letter, [orderId]);
    if (!hold) throw new UnreadableLetterError("Redis holds nothing for it any more");
    fields.push("deadline", String(hold.deadlineMs));
  }
  return [...fields, "lines", line];
}

/** A whole entry was kept as its fields, or, when it was the data that failed, as the movement that was read of it. */
function entryFields(content: unknown): string[] {
  if (Array.isArray(content) && content.every((field) => typeof field === "string")) return content;
  const { kind, atMs, holds, returns, movementId, sku, quantity } = (content ?? {}) as Record<string, unknown>;
  const several = holds ?? returns;
  const lines = Array.isArray(several) ? several.map(lineOf).join("\n") : `${movementId}|${sku}|${quantity}`;
  return ["kind", String(kind), "at", String(atMs), "lines", lines];
}

/** An order, a hold or a return as a line of the log. */
function lineOf(content: unknown): string {
  const { movementId, orderId, reservation, buyer, restock, payload, units } = (content ?? {}) as Record<
    string,
    unknown
  >;
  if (!Array.isArray(units)) return `${orderId}|${reservation}|${JSON.stringify(payload)}`;
  const parts = (units as HeldUnits[]).map((unit) => `${unit.sku}=${unit.units}`).join(",");
  if (movementId !== undefined) return `${movementId}|${orderId}|${buyer}|${restock === true ? 1 : 0}|${parts}`;
  return buyer === undefined ? `${orderId}|${reservation}|${parts}` : `${orderId}|${reservation}|${buyer}|${parts}`;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new UnreadableLetterError("its content is not what the log holds");
  }
}

/** Postgres holds no NUL in a text; nothing that a buyer means has one. */
function withoutNul<T>(value: T): T {
  const text = JSON.stringify(value, (_name, part: unknown) =>
    typeof part === "string" ? part.replaceAll("\0", "").toWellFormed() : part,
  );
  return JSON.parse(text) as T;
}

async function checkHolds(redis: Redis, at: Partition, movement: Movement & { kind: "place" }): Promise<void> {
  const ids = movement.orders.map(({ orderId }) => orderId);
  const holds = new Map((await findHolds(redis, at, ids)).map((hold) => [hold.orderId, hold]));
  for (const { orderId, reservation } of movement.orders) {
    if (holds.get(orderId)?.reservation === reservation) continue;
    throw new UnreadableLetterError(`Redis holds nothing for the order ${orderId} any more`);
  }
}

/** Holds of these orders, as far as there are any. */
export async function findHolds(redis: Redis, at: Partition, orderIds: readonly string[]): Promise<Hold[]> {
  if (orderIds.length === 0) return [];
  const values = await redis.hmget(partitionKeys(at).held, ...orderIds);
  return orderIds.flatMap((orderId, i) => parseHold(orderId, values[i]));
}

const FIELDS_PER_SCAN = 1_000;

/** All holds that an entry took. */
export async function holdsOfEntry(redis: Redis, letter: LogLetter): Promise<Hold[]> {
  const found: Hold[] = [];
  const position = `|${letter.epoch}-${letter.seq}|`;
  let cursor = "0";
  do {
    const [next, pairs] = await redis.hscan(partitionKeys(letter).held, cursor, "COUNT", FIELDS_PER_SCAN);
    for (let i = 0; i + 1 < pairs.length; i += 2) {
      if (pairs[i + 1]?.includes(position)) found.push(...parseHold(pairs[i] ?? "", pairs[i + 1]));
    }
    cursor = next;
  } while (cursor !== "0");
  // A field may be scanned twice.
  return [...new Map(found.map((hold) => [hold.orderId, hold])).values()];
}

function parseHold(orderId: string, value: string | null | undefined): Hold[] {
  const [reservation, deadline, position, , units] = value?.split("|") ?? [];
  if (!reservation || !deadline || !position || !units) return [];
  return [
    {
      orderId,
      reservation: Number(reservation),
      deadlineMs: Number(deadline),
      position: parsePosition(position),
      units: parseHeldUnits(units),
    },
  ];
}
