// Applies a batch of one partition's movements in one Postgres transaction: orders, lines, timelines, stock under its
// guard, the movement rows, the work that becomes due, and the position. All of it commits or none, and the position is
// checked under a lock first, so applying a batch again (redelivery, a lost answer to COMMIT, a second persister) is
// harmless.

import pg from "pg";
import type { OrderChange } from "../engine/events.ts";
import { type Partition, partitionName } from "../engine/keys.ts";
import { recordAudit } from "../engine/ledger/audit.ts";
import { transaction } from "../engine/ledger/database.ts";
import { listDiscarded } from "../engine/ledger/dead-letters.ts";
import { type MovedOrder, transition } from "../engine/ledger/fates.ts";
import { completeHonours } from "../engine/ledger/honours.ts";
import { takeIntents } from "../engine/ledger/intents.ts";
import { applyReturns, applyRevivals, listKnownReturns, readLockedLines } from "../engine/ledger/late-units.ts";
import {
  advancePosition,
  insertDeadLetters,
  insertMovements,
  insertOrders,
  lockOrders,
  lockPartition,
  lockStock,
  markAllocationApplied,
  type OwnedOrder,
  readMovementTimes,
  setStockState,
  updateStock,
} from "../engine/ledger/log.ts";
import { isMemberId } from "../engine/members/member-id.ts";
import { comparePositions, type Movement, type Position, type UnreadableLine } from "../engine/movement.ts";
import type { Outbox } from "../engine/outbox/outbox.ts";
import { bookEntries, lockPoints } from "../engine/points/accounts.ts";
import { followFates, spendEntry } from "../engine/points/order-points.ts";
import type { PointsTiers } from "../engine/points/tiers.ts";
import { type LedgerPlan, type LedgerState, planBatch } from "./plan.ts";
import { isMovementId } from "./planned-returns.ts";
import { orderIdsOf, skusOf } from "./touched-rows.ts";

export type ApplyOutcome =
  /** Everything up to `position` is in Postgres. `reservation`: the highest number among the orders applied now. */
  | {
      readonly type: "applied";
      readonly position: Position;
      readonly reservation: number;
      readonly orders: number;
      readonly deadLetters: number;
      readonly changes: readonly OrderChange[];
    }
  /** The batch does not start where Postgres stands: numbers in between are not here. Nothing was written. */
  | { readonly type: "gap"; readonly position: Position }
  /**
   * The log says something else at a number than what was applied under it: Redis went back in time and gave the number
   * again, after a persister had read the first entry and before Postgres had it. Nothing was written.
   */
  | { readonly type: "forked"; readonly position: Position }
  | { readonly type: "unknown partition" };

export interface ApplyDependencies {
  readonly pool: pg.Pool;
  readonly outbox: Outbox;
  /** By which confirmed orders earn points, as they are now. Left out: as they are stored. */
  readonly tiers?: () => PointsTiers;
}

/**
 * Applies movements of one partition in their order, up to the first whose number does not follow. Those that were applied
 * before are passed over.
 */
export async function applyMovements(
  deps: ApplyDependencies,
  at: Partition,
  movements: readonly Movement[],
): Promise<ApplyOutcome> {
  try {
    return await applyOnce(deps, at, movements);
  } catch (error) {
    if (!isPoison(error)) throw error;
    return await applyIsolated(deps, at, movements, error);
  }
}

async function applyOnce(
  deps: ApplyDependencies,
  at: Partition,
  movements: readonly Movement[],
): Promise<ApplyOutcome> {
  return await transaction(deps.pool, async (client) => {
    const head = await lockPartition(client, at);
    if (!head) return { type: "unknown partition" };
    const forked = await findForked(client, at, head, movements);
    if (forked) return { type: "forked", position: forked };
    const ahead = movements.filter((movement) => comparePositions(movement.position, head) > 0);
    const fresh = consecutive(head, ahead);
    const last = fresh[fresh.length - 1];
    if (!last && ahead.length > 0) return { type: "gap", position: head };
    if (!last) return { type: "applied", position: head, reservation: 0, orders: 0, deadLetters: 0, changes: [] };

    const { placed, moved } = orderIdsOf(fresh);
    const skus = skusOf(fresh);
    const stock = skus.length > 0 ? await lockStock(client, at, skus) : [];
    const orders = await lockOrders(client, [...placed, ...moved]);
    const plan = planBatch(fresh, {
      stock,
      orders,
      discarded: await discardedAmong(client, moved, orders),
      intents: placed.length > 0 ? await takeIntents(client, placed) : [],
      ...(await returningIn(client, fresh)),
      ...(await spendingIn(client, fresh, orders)),
    });
    const changes = await writePlan(client, deps, at, plan);
    await advancePosition(client, at, last.position, plan.reservation);
    return {
      type: "applied",
      position: last.position,
      reservation: plan.reservation,
      orders: plan.newOrders.length,
      deadLetters: plan.deadLetters.length,
      changes,
    };
  });
}

/** The first of the movements applied before that is not the one that was applied under its number. */
async function findForked(
  client: pg.PoolClient,
  at: Partition,
  head: Position,
  movements: readonly Movement[],
): Promise<Position | undefined> {
  const before = movements.filter(
    ({ kind, position }) => kind !== "unreadable" && position.epoch === head.epoch && position.seq <= head.seq,
  );
  if (before.length === 0) return undefined;
  const seqs = before.map(({ position }) => position.seq);
  const applied = await readMovementTimes(client, at, head.epoch, seqs);
  return before.find(({ position, atMs }) => (applied.get(position.seq) ?? atMs) !== atMs)?.position;
}

/** Orders that moved, are not in the ledger, and are known to be missing: an operator gave them up. */
async function discardedAmong(client: pg.PoolClient, moved: readonly string[], orders: readonly { id: string }[]) {
  const known = new Set(orders.map(({ id }) => id));
  const missing = moved.filter((id) => !known.has(id));
  return missing.length > 0 ? await listDiscarded(client, missing) : [];
}

/** What returns are planned by, of the orders that the movements give units back of. */
export async function returningIn(
  client: pg.PoolClient,
  movements: readonly Movement[],
): Promise<Pick<LedgerState, "lines" | "knownReturns">> {
  const returns = movements.flatMap((movement) => (movement.kind === "return" ? movement.returns : []));
  if (returns.length === 0) return {};
  return {
    lines: await readLockedLines(
      client,
      returns.map(({ orderId }) => orderId),
    ),
    knownReturns: await listKnownReturns(client, returns.map(({ movementId }) => movementId).filter(isMovementId)),
  };
}

/**
 * The points that the orders of the movements spend from. Accounts are locked once, in the order of their ids, so those on
 * which the ends of other orders may book come with them; where nothing is spent, they are locked when that is known.
 */
export async function spendingIn(
  client: pg.PoolClient,
  movements: readonly Movement[],
  orders: readonly OwnedOrder[],
): Promise<Pick<LedgerState, "points">> {
  const placed = movements.flatMap((movement) => (movement.kind === "place" ? movement.orders : []));
  const spenders = placed.flatMap(({ payload }) =>
    payload.discounts?.points && isMemberId(payload.customerId) ? [payload.customerId] : [],
  );
  if (spenders.length === 0) return {};
  const others = orders.map(({ customerId }) => customerId).filter(isMemberId);
  return { points: await lockPoints(client, [...spenders, ...others]) };
}

/** Writes what was planned, but for the position. */
export async function writePlan(
  client: pg.PoolClient,
  { outbox, tiers }: Pick<ApplyDependencies, "outbox" | "tiers">,
  at: Partition,
  plan: LedgerPlan,
): Promise<OrderChange[]> {
  await insertOrders(client, at, plan.newOrders);
  await bookEntries(
    client,
    plan.pointsSpent.map((wanted) => spendEntry(wanted)),
  );
  const changes: OrderChange[] = plan.newOrders.map(({ id, version, status, customerId }) => ({
    id,
    version,
    status,
    // Nobody else has an inbox.
    customerId: isMemberId(customerId) ? customerId : undefined,
  }));
  // Before the ends: a revived order's hold may have ended in the same batch.
  changes.push(...(await applyRevivals(client, at, plan.revivals)).map(changeOf));
  const ended = [
    ...(await finish(client, "settle", "sold", plan.settled, plan.endedAt)),
    ...(await finish(client, "release", "released", plan.released, plan.endedAt)),
  ];
  changes.push(...ended.map(changeOf));
  await followFates(client, ended, tiers?.());
  await applyReturns(client, at, plan.returns, plan.returnedLines);
  await updateStock(client, at, plan.stock);
  await insertMovements(client, at, plan.movements);
  for (const applied of plan.applied) await markAllocationApplied(client, at, applied);
  for (const adjusted of plan.adjustments) await recordAdjustment(client, at, adjusted);
  if (plan.honoured.length > 0) await completeHonours(client, plan.honoured);
  await insertDeadLetters(client, at, plan.deadLetters);
  await outbox.enqueue(client, "payment", plan.paymentsDue);
  await outbox.enqueue(client, "compensation", plan.compensationsDue);
  await outbox.enqueue(client, "settlement", plan.settlementsDue);
  return changes;
}

async function recordAdjustment(
  client: pg.PoolClient,
  at: Partition,
  { position, movementId, adjustment }: Movement & { kind: "adjust" },
): Promise<void> {
  const { actor, reason, changes } = adjustment;
  const values = (side: 2 | 3) => changes.map((change) => [change[0], change[1], change[side]]);
  await recordAudit(client, {
    actor,
    action: "stock.reconcile",
    subject: `partition:${partitionName(at)}`,
    before: { redis: values(2) },
    after: { redis: values(3), movementId, ...position },
    reason,
  });
}

// An order whose stock moved while its status says otherwise keeps its status: the stock is a fact, the fate is not ours.
async function finish(
  client: pg.PoolClient,
  step: "settle" | "release",
  stockState: "sold" | "released",
  orderIds: readonly string[],
  endedAt: ReadonlyMap<string, Position>,
): Promise<MovedOrder[]> {
  const moved = await transition(client, step, orderIds, null, stockState, endedAt);
  if (moved.length < orderIds.length) {
    const done = new Set(moved.map((order) => order.id));
    const others = orderIds.filter((id) => !done.has(id));
    await setStockState(client, others, stockState);
  }
  return moved;
}

function changeOf({ id, version, status }: MovedOrder): OrderChange {
  return { id, version, status };
}

/** The movements up to the first number that is missing. */
function consecutive(head: Position, movements: readonly Movement[]): readonly Movement[] {
  const hole = movements.findIndex(
    ({ position }, i) => position.epoch !== head.epoch || position.seq !== head.seq + 1 + i,
  );
  return hole === -1 ? movements : movements.slice(0, hole);
}

// SQLSTATE classes that the data itself causes: repeating the same batch would fail for ever.
const DATA_ERROR_CLASSES = new Set(["22", "23"]);

function isPoison(error: unknown): boolean {
  return error instanceof pg.DatabaseError && DATA_ERROR_CLASSES.has((error.code ?? "").slice(0, 2));
}

/** Applies movement by movement; in one that fails by its data, finds the orders that do and sets them aside. */
async function applyIsolated(
  deps: ApplyDependencies,
  at: Partition,
  movements: readonly Movement[],
  cause: unknown,
): Promise<ApplyOutcome> {
  if (movements.length > 1) {
    const changes: OrderChange[] = [];
    let [reservation, orders, deadLetters] = [0, 0, 0];
    let outcome: ApplyOutcome = { type: "unknown partition" };
    for (const movement of movements) {
      outcome = await applyMovements(deps, at, [movement]);
      if (outcome.type !== "applied") return outcome;
      changes.push(...outcome.changes);
      reservation = Math.max(reservation, outcome.reservation);
      orders += outcome.orders;
      deadLetters += outcome.deadLetters;
    }
    return outcome.type === "applied" ? { ...outcome, reservation, orders, deadLetters, changes } : outcome;
  }
  const [movement] = movements;
  if (!movement) throw cause;
  return await applyOnce(deps, at, [await withoutPoison(deps, at, movement, cause)]);
}

async function withoutPoison(
  deps: ApplyDependencies,
  at: Partition,
  movement: Movement,
  cause: unknown,
): Promise<Movement> {
  if (movement.kind !== "place") {
    return {
      kind: "unreadable",
      position: movement.position,
      atMs: movement.atMs,
      payload: JSON.stringify(movement),
      unreadable: [],
    };
  }
  const good = [];
  const unreadable: UnreadableLine[] = [...movement.unreadable];
  for (const order of movement.orders) {
    const error = await failureOf(deps, at, { ...movement, orders: [order], unreadable: [] });
    if (error === undefined) good.push(order);
    else unreadable.push({ line: JSON.stringify(order), orderId: order.orderId, error });
  }
  // Each order passes alone and all of them together do not: that is no poison but a defect, and must not be hidden.
  if (good.length === movement.orders.length) throw cause;
  return { ...movement, orders: good, unreadable };
}

class DryRun extends Error {}

/** Tries an order alone in a transaction that is rolled back. @returns what Postgres says against it */
async function failureOf(
  deps: ApplyDependencies,
  at: Partition,
  movement: Movement & { kind: "place" },
): Promise<string | undefined> {
  try {
    await transaction(deps.pool, async (client) => {
      const stock = await lockStock(client, at, skusOf([movement]));
      const orders = await lockOrders(client, orderIdsOf([movement]).placed);
      const points = await spendingIn(client, [movement], orders);
      const plan = planBatch([movement], { stock, orders, intents: [], ...points });
      await insertOrders(client, at, plan.newOrders);
      throw new DryRun();
    });
    return undefined;
  } catch (error) {
    if (error instanceof DryRun) return undefined;
    if (isPoison(error)) return (error as Error).message;
    throw error;
  }
}
