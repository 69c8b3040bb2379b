// Steps that move holds and units, change the sale, and do to Redis what happens to servers.
import assert from "node:assert/strict";
import { configureSale, deliverAllocations } from "../../engine/catalogue/lifecycle.ts";
import { updateSale } from "../../engine/catalogue/sales.ts";
import { recordIncrease } from "../../engine/ledger/allocations.ts";
import { startReturns } from "../../engine/ledger/recovery.ts";
import { listUnsettled } from "../../engine/ledger/sweeps.ts";
import type { MoveHoldsOutcome, RestockOutcome } from "../../engine/stock/partition-stock.ts";
import { TTL_MS } from "./lane.ts";
import type { LedgerOrder } from "./ledger-rows.ts";
import type { StepOf } from "./steps.ts";
import type { OldMove, RedisModel, World } from "./world.ts";

/** Settles the paid and releases the cancelling orders, as their fate's commit is followed by. */
export async function moveHolds(world: World, step: StepOf<"move holds">): Promise<void> {
  if (world.ledger.state !== "live") return;
  const orders = await unsettled(world, step.kind);
  if (orders.length === 0) return;
  const holds = orders.map(({ id, reservation }) => ({
    orderId: id,
    reservation: Math.max(0, reservation + step.off),
  }));
  const move = { kind: step.kind, epoch: world.ledger.epoch, holds: step.reversed ? holds.toReversed() : holds };
  world.oldMoves.push(move);
  await callMove(world, move);
  if (step.twice) await callMove(world, move);
  world.note(step.kind);
}

async function unsettled({ ledger, lane }: World, kind: "settle" | "release"): Promise<LedgerOrder[]> {
  if (kind === "settle") return ledger.unsettled("PAID");
  const beyond = ledger.unsettled("held beyond");
  const found = await listUnsettled(lane.pool, "held beyond", 0, undefined, 1_000);
  assert.deepEqual(
    found.map(({ id }) => id).sort(),
    beyond.map(({ id }) => id).sort(),
    "orders that hold beyond their end",
  );
  return [...ledger.unsettled("CANCELLING"), ...beyond];
}

export async function repeatMove(world: World, { which }: StepOf<"repeat an old move">): Promise<void> {
  const move = world.oldMoves[which % Math.max(world.oldMoves.length, 1)];
  if (move) await callMove(world, move);
}

async function callMove(world: World, { kind, epoch, holds }: OldMove): Promise<void> {
  const outcome: MoveHoldsOutcome = await world.stock[kind](world.at, epoch, holds);
  const refusal = world.refusal(epoch, world.minSeq(epoch));
  if (refusal || !world.redis) {
    assert.equal(outcome.type, refusal, kind);
    return;
  }
  const { partition } = world.redis;
  const verdicts = partition[kind](holds.map(({ orderId, reservation }) => [orderId, reservation] as const));
  assert.deepEqual(outcome, { type: "OK", position: { epoch, seq: partition.seq }, verdicts }, kind);
  world.learn({ epoch, seq: partition.seq });
  for (const verdict of verdicts) world.note(`${kind}: ${verdict}`);
}

/** Postgres first, then Redis, as often as it is delivered. */
export async function restock(world: World, step: StepOf<"restock">): Promise<void> {
  const { ledger, lane, at } = world;
  const movementId = world.id("movement", 0, step.movement);
  const known = ledger.allocations.get(movementId);
  const { sku, quantity } = known ?? step;
  if (!known) {
    await recordIncrease(lane.pool, { movementId, ...at, productId: sku, quantity, reason: "restock", actor: "model" });
    ledger.increase(movementId, sku, quantity);
  }
  for (let n = 0; n < step.deliveries; n += 1) await callRestock(world, { movementId, sku, quantity });
}

/** Redis first; Postgres hears of it by the log. */
export async function writeOff(world: World, step: StepOf<"write off">): Promise<void> {
  const movementId = world.id("write-off", 0, step.movement);
  const { sku, quantity } = world.ledger.allocations.get(movementId) ?? { sku: step.sku, quantity: -step.quantity };
  for (let n = 0; n < step.deliveries; n += 1) await callRestock(world, { movementId, sku, quantity });
}

async function callRestock(
  world: World,
  movement: { movementId: string; sku: string; quantity: number },
): Promise<void> {
  const { epoch } = world.ledger;
  const outcome = await world.stock.restock(world.at, epoch, movement);
  assert.deepEqual(restocked(outcome), expectRestock(world, epoch, movement), "restock");
}

function restocked(outcome: RestockOutcome): unknown {
  if (outcome.type !== "OK") return outcome.type;
  return outcome.repeated ? "REPEATED" : { seq: outcome.position.seq };
}

function expectRestock(
  world: World,
  epoch: number,
  { movementId, sku, quantity }: { movementId: string; sku: string; quantity: number },
): unknown {
  const refusal = world.refusal(epoch, world.minSeq(epoch));
  if (refusal || !world.redis) return refusal;
  const verdict = world.redis.partition.restock(movementId, sku, quantity);
  if (verdict.type !== "MOVED" && verdict.type !== "REPEATED") return verdict.type;
  world.note(`restock: ${verdict.type}`);
  if (verdict.type === "REPEATED") return "REPEATED";
  world.learn({ epoch, seq: verdict.seq });
  return { seq: verdict.seq };
}

/** The sweep's pass over increases that have not come back through the log. */
export async function deliver(world: World): Promise<void> {
  const { ledger } = world;
  const delivered = await deliverAllocations(world.lane.pool, world.stock);
  let expected = 0;
  for (const [movementId, { sku, quantity }] of ledger.state === "live" ? ledger.unapplied() : []) {
    if (typeof expectRestock(world, ledger.epoch, { movementId, sku, quantity }) === "object") expected += 1;
  }
  assert.equal(delivered, expected, "allocations delivered");
}

/** The sweep's pass over units whose time of being held back is over. */
export async function returnHoldbacks(world: World): Promise<void> {
  const { ledger, at } = world;
  const due = await startReturns(world.lane.pool, Date.now() + 2 * TTL_MS, 100);
  const mine = ledger.state === "live" ? [...ledger.holdbacks].filter(([, { returned }]) => !returned) : [];
  assert.deepEqual(due.map(({ movementId }) => movementId).sort(), mine.map(([id]) => id).sort(), "expired holdbacks");
  for (const { epoch, movementId, productId: sku, quantity } of due) {
    const outcome = await world.stock.restock(at, epoch, { movementId, sku, quantity });
    assert.deepEqual(restocked(outcome), expectRestock(world, epoch, { movementId, sku, quantity }), "holdback");
    world.note("holdback returned");
  }
}

export async function admission(world: World, { state }: StepOf<"admission">): Promise<void> {
  const { ledger, lane, at } = world;
  await updateSale(lane.pool, at.saleId, { admission: state });
  const isComplete = await configureSale(lane.pool, world.stock, at.saleId);
  ledger.admission = state;
  const partition = world.redis?.partition;
  const isThere = partition?.epoch === ledger.epoch;
  assert.equal(isComplete, isThere, "the sale is configured");
  if (!partition || !isThere) return;
  partition.open = state === "open";
  world.learn({ epoch: partition.epoch, seq: partition.seq });
}

export async function oversell(world: World, { sku, units }: StepOf<"redis oversells">): Promise<void> {
  if (!world.redis) return;
  const stock = world.redis.partition.stock.get(sku);
  if (!stock) return;
  await world.lane.redis.hincrby(world.keys.stock, `${sku}|a`, units);
  stock.available += units;
  stock.allocated += units;
  world.redis.corrupt = true;
}

export async function wipe(world: World): Promise<void> {
  await world.lane.redis.unlink(...Object.values(world.keys));
  world.redis = undefined;
}

export async function copyRedis(world: World): Promise<void> {
  await copyKeys(world, (key) => [key, copyOf(key)]);
  world.copy = world.redis && cloned(world.redis);
}

/** The server comes back with the data of an earlier moment, and whoever connects to it compares what is known. */
export async function restore(world: World): Promise<void> {
  if (!world.copy) return;
  await copyKeys(world, (key) => [copyOf(key), key]);
  world.redis = cloned(world.copy);
  const { ledger } = world;
  const reported = ledger.reported?.epoch === ledger.epoch ? ledger.reported.seq : 0;
  const known = { epoch: ledger.epoch, seq: Math.max(ledger.seq, reported) };
  world.positions.learn(world.at, known);
  world.learn(known);
  // Connections break with the server: what a persister had read goes with its own, and so do calls that were on their way.
  world.zombie = undefined;
  world.lateCalls.length = 0;
  world.note("restored from the past");
}

async function copyKeys(world: World, ways: (key: string) => [from: string, to: string]): Promise<void> {
  const pipeline = world.lane.redis.pipeline();
  for (const key of Object.values(world.keys)) {
    const [from, to] = ways(key);
    pipeline.del(to);
    pipeline.copy(from, to);
  }
  await pipeline.exec();
}

function copyOf(key: string): string {
  return `${key}:copy`;
}

function cloned({ partition, delivered, pending, corrupt }: RedisModel): RedisModel {
  return { partition: partition.clone(), delivered, pending: new Set(pending), corrupt };
}
