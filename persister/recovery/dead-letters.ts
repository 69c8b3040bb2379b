// What becomes of dead letters when an operator decides.
//
// Replay: the letter is applied to the ledger under the number that it had, with the partition's log standing still: an
// order is let in while it fits, its payment becomes due, its movement is added to those of its number. An order is only
// taken while Redis still holds its units under the same reservation; after a rebuild it does not, and they are on sale.
//
// Discard: an order that can be read enters the ledger the same way, as cancelled by an operator: its units come back and
// its buyer is told, as with any cancelled order. One that cannot be read or that Postgres refuses is never in the ledger:
// its hold is released in Redis, and the movement that this makes is recorded as one of units that the ledger never took.
//
// A refund that failed is no entry of a log: a replay makes it go again (refund-letters.ts), and nothing discards it.
import type { Redis } from "ioredis";
import pg from "pg";
import { OnrushError } from "../../engine/errors.ts";
import { type OrderChange, publishOrders } from "../../engine/events.ts";
import type { Partition } from "../../engine/keys.ts";
import { transaction } from "../../engine/ledger/database.ts";
import {
  addMovements,
  decideDeadLetter,
  findDeadLetter,
  isOfLog,
  type LogLetter,
  lockDeadLetter,
  recordDecision,
  recordDiscarded,
} from "../../engine/ledger/dead-letters.ts";
import type { OrderIntent } from "../../engine/ledger/intents.ts";
import { advancePosition, lockOrders, lockPartition, lockStock, type StockMovement } from "../../engine/ledger/log.ts";
import type { Outbox } from "../../engine/outbox/outbox.ts";
import { HOLDS_PER_CALL_MAX, type PartitionStock } from "../../engine/stock/partition-stock.ts";
import { returningIn, spendingIn, writePlan } from "../apply.ts";
import { planBatch } from "../plan.ts";
import { orderIdsOf, skusOf } from "../touched-rows.ts";
import { findHolds, type Hold, holdsOfEntry, movementOf, UnreadableLetterError } from "./dead-letter-content.ts";
import { refuseRefundDiscard, replayRefundLetter } from "./refund-letters.ts";

export interface DeadLetterDependencies {
  readonly pool: pg.Pool;
  readonly outbox: Outbox;
  readonly redis: Redis;
  readonly stock: PartitionStock;
}

export interface Decider {
  readonly actor: string;
  readonly reason?: string | null | undefined;
}

/** What a decision came to. */
export interface Decided {
  readonly id: number;
  readonly state: "replayed" | "discarded";
  /** Orders that are in the ledger by it, or moved on there. */
  readonly orders: readonly OrderChange[];
  /** Orders whose holds were given back without their ever being in the ledger. */
  readonly released: readonly string[];
}

/**
 * Applies the letter to the ledger.
 *
 * @throws OnrushError with `NOT_FOUND`; `INVALID_STATE` when it was decided before, or can still not be applied
 */
export async function replayDeadLetter(deps: DeadLetterDependencies, id: number, by: Decider): Promise<Decided> {
  if (await isRefund(deps.pool, id)) {
    await replayRefundLetter(deps, id, by);
    return { id, state: "replayed", orders: [], released: [] };
  }
  try {
    const orders = await applyLetter(deps, id, by, "replay");
    await publishOrders(deps.redis, orders).catch(() => undefined); // whoever watches compares versions
    return { id, state: "replayed", orders, released: [] };
  } catch (error) {
    const why = whyNot(error);
    if (why === undefined) throw error;
    throw new OnrushError("INVALID_STATE", `It can still not be applied: ${why}.`, { id }, { cause: error });
  }
}

/**
 * Gives up on the letter; what it holds goes back on sale.
 *
 * @throws OnrushError with `NOT_FOUND`; `INVALID_STATE` when it was decided before or is a refund; `STOCK_UNAVAILABLE` when Redis does not
 * release now
 */
export async function discardDeadLetter(deps: DeadLetterDependencies, id: number, by: Decider): Promise<Decided> {
  if (await isRefund(deps.pool, id)) throw refuseRefundDiscard(id);
  try {
    const orders = await applyLetter(deps, id, by, "discard");
    await publishOrders(deps.redis, orders).catch(() => undefined);
    return { id, state: "discarded", orders, released: [] };
  } catch (error) {
    if (whyNot(error) === undefined) throw error;
    return { id, state: "discarded", orders: [], released: await releaseLetter(deps, id, by) };
  }
}

/** The letter as it is, its partition's log standing still until the transaction ends. */
async function lockOpen(client: pg.PoolClient, id: number, at: Partition) {
  const head = await lockPartition(client, at);
  const letter = await lockDeadLetter(client, id);
  if (!head || !letter || !isOfLog(letter)) throw notFound(id);
  if (letter.state !== "open") {
    throw new OnrushError("INVALID_STATE", `The dead letter was ${letter.state} before.`, { id, state: letter.state });
  }
  return { head, letter };
}

/** Cannot be applied, for a reason that lies in the letter. */
class InapplicableError extends Error {}

async function applyLetter(
  { pool, outbox, redis }: DeadLetterDependencies,
  id: number,
  by: Decider,
  decision: "replay" | "discard",
): Promise<OrderChange[]> {
  const at = await partitionOfLetter(pool, id);
  return await transaction(pool, async (client) => {
    const { head, letter } = await lockOpen(client, id, at);
    const movement = await movementOf(client, redis, letter);
    // Only orders become something else by being discarded; a hold that moved has moved.
    if (decision === "discard" && movement.kind !== "place") throw new InapplicableError("nothing to cancel");
    // What these moved in Redis is gone with the epoch, and who wanted it moved has asked again since.
    if ((movement.kind === "revive" || movement.kind === "return") && head.epoch !== letter.epoch) {
      throw new InapplicableError("the partition was rebuilt since");
    }
    const { placed, moved } = orderIdsOf([movement]);
    const stock = await lockStock(client, at, skusOf([movement]));
    const orders = await lockOrders(client, [...placed, ...moved]);
    const plan = planBatch([movement], {
      stock,
      orders,
      intents: decision === "discard" ? placed.map((orderId) => cancelled(orderId, by.actor)) : [],
      ...(await returningIn(client, [movement])),
      ...(await spendingIn(client, [movement], orders)),
    });
    const [again] = plan.deadLetters;
    if (again) throw new InapplicableError(again.error);
    const changes = await writePlan(client, { outbox }, at, { ...plan, movements: [] });
    await addMovements(client, at, notYetLogged(letter, plan.movements));
    await advancePosition(client, at, head, plan.reservation);
    await decideDeadLetter(client, id, decision === "replay" ? "replayed" : "discarded", by.actor);
    await recordDecision(client, letter, decision, by, { orders: changes });
    return changes;
  });
}

function cancelled(orderId: string, actor: string): OrderIntent {
  return { orderId, intent: "cancel", actor, reason: "OPERATOR", method: null, token: null };
}

const LOGGED_AS_REFUSED: ReadonlySet<string> = new Set(["settle", "release", "revive", "return"]);

/** What the ledger did not know was logged as refused when it was buried; orders, and what was not read, not at all. */
function notYetLogged(letter: LogLetter, rows: readonly StockMovement[]): StockMovement[] {
  const wasLogged = LOGGED_AS_REFUSED.has(letter.kind) && letter.payload.startsWith("{");
  if (!wasLogged) return [...rows];
  return rows.map((row) => ({ ...row, quantity: 0, holds: 0, refused: row.refused - row.quantity }));
}

async function releaseLetter(
  { pool, redis, stock }: DeadLetterDependencies,
  id: number,
  by: Decider,
): Promise<string[]> {
  const at = await partitionOfLetter(pool, id);
  return await transaction(pool, async (client) => {
    const { head, letter } = await lockOpen(client, id, at);
    const holds = await unknownHolds(client, redis, letter);
    await recordDiscarded(client, id, holds);
    await addMovements(client, at, placeMovements(letter, holds));
    await decideDeadLetter(client, id, "discarded", by.actor);
    const released = holds.map(({ orderId }) => orderId);
    await recordDecision(client, letter, "discard", by, { released });
    // Last, and within the transaction: what Redis refuses leaves the letter open, and the persister, which waits for the
    // partition, applies the release when it can see that the orders were discarded.
    for (let from = 0; from < holds.length; from += HOLDS_PER_CALL_MAX) {
      const outcome = await stock.release(at, head.epoch, holds.slice(from, from + HOLDS_PER_CALL_MAX));
      if (outcome.type !== "OK") {
        throw new OnrushError("STOCK_UNAVAILABLE", "Redis does not release it now.", { cause: outcome.type });
      }
    }
    return released;
  });
}

/** Holds that the letter's entry took and that belong to no order of the ledger. */
async function unknownHolds(client: pg.PoolClient, redis: Redis, letter: LogLetter): Promise<Hold[]> {
  if (letter.kind !== "place" && letter.kind !== "unreadable") return [];
  const found =
    letter.orderId === null
      ? await holdsOfEntry(redis, letter)
      : (await findHolds(redis, letter, [letter.orderId])).filter((hold) => isOfEntry(hold, letter));
  const known = new Set(
    (
      await lockOrders(
        client,
        found.map(({ orderId }) => orderId),
      )
    ).map((order) => order.id),
  );
  const others = await client.query<{ id: string }>(
    `SELECT order_id AS id FROM dead_letters WHERE state = 'open' AND id <> $1 AND order_id = ANY($2::text[])`,
    [letter.id, found.map(({ orderId }) => orderId)],
  );
  for (const { id } of others.rows) known.add(id);
  return found.filter(({ orderId }) => !known.has(orderId));
}

function isOfEntry(hold: Hold, letter: LogLetter): boolean {
  return hold.position.epoch === letter.epoch && hold.position.seq === letter.seq;
}

/** The taking of the units, which was not logged when it was buried; the ledger refused all of them. */
function placeMovements(letter: LogLetter, holds: readonly Hold[]): StockMovement[] {
  const units = new Map<string, number>();
  for (const { sku, units: count } of holds.flatMap((hold) => hold.units)) {
    units.set(sku, (units.get(sku) ?? 0) + count);
  }
  const { epoch, seq } = letter;
  return [...units].map(([productId, quantity], i) => ({
    ...{ epoch, seq, productId, kind: "place" as const, quantity, refused: quantity },
    holds: i === 0 ? holds.length : 0,
    atMs: letter.createdAt.getTime(),
  }));
}

async function isRefund(pool: pg.Pool, id: number): Promise<boolean> {
  return (await findDeadLetter(pool, id))?.kind === "refund";
}

async function partitionOfLetter(pool: pg.Pool, id: number): Promise<Partition> {
  const letter = await findDeadLetter(pool, id);
  if (!letter) throw notFound(id);
  return { saleId: letter.saleId, partition: letter.partition };
}

function notFound(id: number): OnrushError {
  return new OnrushError("NOT_FOUND", `There is no dead letter ${id}.`, { id });
}

/** Why the letter itself stands in the way; `undefined` when something else does. */
function whyNot(error: unknown): string | undefined {
  if (error instanceof InapplicableError || error instanceof UnreadableLetterError) return error.message;
  // Data that Postgres refuses, as when it was buried.
  if (error instanceof pg.DatabaseError && /^2[23]/.test(error.code ?? "")) return error.message;
  return undefined;
}
