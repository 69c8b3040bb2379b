// Steps of persisters: applying the log, crashes around the commit, redelivery, a zombie, and an operator's rebuild.
import assert from "node:assert/strict";
import { CONSUMER_GROUP } from "../../engine/keys.ts";
import { suspendPartition } from "../../engine/ledger/log.ts";
import { findPartition } from "../../engine/ledger/partitions.ts";
import { comparePositions, type Movement, parseMovement } from "../../engine/movement.ts";
import { type ApplyOutcome, applyMovements } from "../../persister/apply.ts";
import { acknowledge, isMissingGroup, pendingUpTo, readAfter } from "../../persister/log-stream.ts";
import { rebuildPartition } from "../../persister/recovery/rebuild.ts";
import type { ModelEntry } from "../support/partition-model.ts";
import { SKUS } from "./lane.ts";
import type { SystemOrder } from "./ledger-rows.ts";
import type { StepOf } from "./steps.ts";
import { Crash, outbox, type World } from "./world.ts";

type Entry = ModelEntry<SystemOrder>;
type Crashes = StepOf<"persist">["crash"];

export async function persist(world: World, { via, entries, crash }: StepOf<"persist">): Promise<void> {
  if (via === "group") await persistDelivered(world, entries, crash);
  else await catchUp(world, entries, crash);
  world.note(`persist: crash ${crash}`);
}

/** Takes what the consumer group delivers next. */
async function persistDelivered(world: World, count: number, crash: Crashes): Promise<void> {
  const { redis: model } = world;
  const read = world.lane.redis.xreadgroup(
    "GROUP",
    CONSUMER_GROUP,
    "persister",
    "COUNT",
    count,
    "STREAMS",
    world.keys.stream,
    ">",
  );
  if (!model) {
    await assert.rejects(read, isMissingGroup);
    return;
  }
  const reply = (await read) as [string, [string, string[]][]][] | null;
  const movements = (reply?.[0]?.[1] ?? []).map(([id, fields]) => parseMovement(id, fields));
  const entries = model.partition.log.filter(({ seq }) => seq > model.delivered).slice(0, count);
  assert.deepEqual(
    movements.map(({ position }) => position.seq),
    entries.map(({ seq }) => seq),
    "delivered entries",
  );
  for (const { seq } of entries) model.pending.add(seq);
  model.delivered = entries.at(-1)?.seq ?? model.delivered;
  await apply(world, movements, entries, crash);
}

/** As a persister begins that has just taken the lease: from where Postgres stands. */
export async function catchUp(world: World, count: number, crash: Crashes = "no"): Promise<void> {
  if (!(await acknowledgeLeft(world))) return;
  const { movements, entries } = await readNext(world, count);
  if (entries.length === 0) return;
  if ((await apply(world, movements, entries, crash)) !== "gap") return;
  await suspendPartition(world.lane.pool, world.at, "the log does not continue", world.ledger.epoch);
  world.ledger.state = "suspended";
}

/** Acknowledges what was committed before somebody died. @returns whether Redis has the partition */
export async function acknowledgeLeft(world: World): Promise<boolean> {
  const { redis: model, ledger, lane, at } = world;
  const row = await findPartition(lane.pool, at);
  assert.deepEqual(
    [row?.epoch, row?.seq, row?.reservation, row?.state],
    [ledger.epoch, ledger.seq, ledger.reservation, ledger.state],
    "where Postgres stands",
  );
  if (!row) return false;
  if (!model) {
    await assert.rejects(pendingUpTo(lane.redis, at, row), isMissingGroup);
    await suspendPartition(lane.pool, at, "Redis has lost the partition's keys", row.epoch);
    ledger.state = "suspended";
    return false;
  }
  const left = await pendingUpTo(lane.redis, at, row);
  const { epoch } = model.partition;
  const expected = [...model.pending].filter((seq) => comparePositions({ epoch, seq }, row) <= 0).sort((a, b) => a - b);
  assert.deepEqual(
    left,
    expected.map((seq) => ({ epoch, seq })),
    "entries left to acknowledge",
  );
  if (left.length > 0) await acknowledge(lane.redis, at, row, row.reservation, left);
  for (const seq of expected) model.pending.delete(seq);
  if (left.length > 0) confirm(world, ledger.epoch, ledger.reservation);
  return true;
}

export async function zombieReads(world: World, { entries: count }: StepOf<"zombie reads">): Promise<void> {
  const { movements, entries } = await readNext(world, count);
  if (entries.length > 0) world.zombie = { movements, entries };
}

export async function zombieApplies(world: World): Promise<void> {
  const { zombie } = world;
  if (!zombie) return;
  world.zombie = undefined;
  await apply(world, zombie.movements, zombie.entries, "no");
  world.note("zombie applied");
}

export async function twoPersisters(world: World, { entries: count }: StepOf<"two persisters">): Promise<void> {
  const { movements, entries } = await readNext(world, count);
  const deps = { pool: world.lane.pool, outbox: outbox(false) };
  const outcomes = await Promise.all([movements, movements].map((batch) => applyMovements(deps, world.at, batch)));
  const orders = outcomes.reduce((sum, outcome) => sum + (outcome.type === "applied" ? outcome.orders : 0), 0);
  const before = world.ledger.orders.size;
  world.ledger.apply(entries);
  assert.equal(orders, world.ledger.orders.size - before, "two persisters apply every order once");
}

export async function rebuild(world: World): Promise<void> {
  const { ledger, lane, at } = world;
  const result = await rebuildPartition({ pool: lane.pool, redis: lane.redis, outbox: outbox(false) }, at, "model");

  const survivors = next(world, Number.POSITIVE_INFINITY);
  const survived = ledger.fresh(survivors).length;
  ledger.apply(survivors);
  const from = { epoch: ledger.epoch, seq: ledger.seq };
  world.pastEpochs.set(ledger.epoch, {
    applied: ledger.seq,
    reported: ledger.reported?.epoch === ledger.epoch ? ledger.reported.seq : 0,
  });
  const { lost, heldBack } = ledger.raiseEpoch();
  const made = await newHoldbacks(world);
  assert.deepEqual(new Map(made.map(([, sku, quantity]) => [sku, quantity])), heldBack, "what is held back");
  for (const [id, sku, quantity] of made) ledger.holdbacks.set(id, { sku, quantity, returned: false });
  world.redis = world.rebuilt();
  const back = [...ledger.holdbacks.values()].filter(({ returned }) => !returned);
  assert.deepEqual(
    {
      from: result.from,
      survivors: result.survivors,
      lost: result.lost,
      heldBack: result.heldBack,
      holds: result.holds,
      epoch: result.epoch,
      free: SKUS.map((sku) => result.stock.find(({ productId }) => productId === sku)?.available),
    },
    {
      from,
      survivors: survived,
      lost: lost && { fromSeq: lost.from, toSeq: lost.to },
      heldBack,
      holds: world.redis.partition.holds.size,
      epoch: ledger.epoch,
      free: SKUS.map((sku) => ledger.available(sku)),
    },
    "rebuild",
  );
  world.note(lost ? "rebuild with a loss" : "rebuild");
  if (back.length > 0) world.note("rebuild holds back");
}

/** Those that the rebuild just made; their ids are drawn there. */
async function newHoldbacks({ lane, at, ledger }: World): Promise<[id: string, sku: string, quantity: number][]> {
  const { rows } = await lane.pool.query<{ id: string; sku: string; quantity: number }>(
    "SELECT movement_id AS id, product_id AS sku, quantity FROM holdbacks WHERE sale_id = $1",
    [at.saleId],
  );
  return rows.filter(({ id }) => !ledger.holdbacks.has(id)).map(({ id, sku, quantity }) => [id, sku, quantity]);
}

async function readNext(world: World, count: number): Promise<{ movements: Movement[]; entries: Entry[] }> {
  const { epoch, seq } = world.ledger;
  const movements = (await readAfter(world.lane.redis, world.at, { epoch, seq })).slice(0, count);
  const entries = next(world, count);
  assert.deepEqual(
    movements.map(({ position }) => position),
    entries.map((entry) => ({ epoch: entry.epoch, seq: entry.seq })),
    "the log",
  );
  return { movements, entries };
}

function next({ redis, ledger }: World, count: number): Entry[] {
  return ledger.ahead(redis?.partition.log ?? []).slice(0, count);
}

async function apply(
  world: World,
  movements: readonly Movement[],
  entries: readonly Entry[],
  crash: Crashes,
): Promise<"gap" | "done"> {
  const { ledger, lane, at } = world;
  const isCrash = crash === "before commit" && ledger.fresh(entries).length > 0;
  const applying = applyMovements({ pool: lane.pool, outbox: outbox(isCrash) }, at, movements);
  if (isCrash) {
    await assert.rejects(applying, Crash);
    return "done";
  }
  const outcome = await applying;
  const before = ledger.orders.size;
  const reservation = ledger.apply(entries);
  assert.deepEqual(
    essence(outcome),
    {
      type: reservation === "gap" ? "gap" : "applied",
      position: { epoch: ledger.epoch, seq: ledger.seq },
      ...(reservation !== "gap" && { reservation, orders: ledger.orders.size - before }),
    },
    "apply",
  );
  if (reservation === "gap") return "gap";
  if (crash === "before acknowledging" || outcome.type !== "applied") return "done";
  const done = movements
    .map(({ position }) => position)
    .filter((position) => comparePositions(position, outcome.position) <= 0);
  await acknowledge(lane.redis, at, outcome.position, outcome.reservation, done);
  const { redis: model } = world;
  for (const { epoch, seq } of done) if (model?.partition.epoch === epoch) model.pending.delete(seq);
  confirm(world, ledger.epoch, reservation);
  return "done";
}

function essence(outcome: ApplyOutcome): object {
  if (outcome.type === "unknown partition") return outcome;
  const { epoch, seq } = outcome.position;
  const position = { epoch, seq };
  if (outcome.type === "gap" || outcome.type === "forked") return { type: outcome.type, position };
  return { type: outcome.type, position, reservation: outcome.reservation, orders: outcome.orders };
}

/** Admission hears how far the ledger has come. */
function confirm({ redis }: World, epoch: number, reservation: number): void {
  if (redis?.partition.epoch !== epoch) return;
  redis.partition.persisted = Math.max(redis.partition.persisted, reservation);
}
