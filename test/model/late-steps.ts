// Steps after an order's end: a payment that succeeds when the order is cancelled, money that goes back, units that return.
import assert from "node:assert/strict";
import { transition } from "../../engine/ledger/fates.ts";
import { comparePositions } from "../../engine/movement.ts";
import type { ReviveVerdict } from "../../engine/stock/late-units.ts";
import { type ModelRevival, unitsBySku } from "../support/partition-model.ts";
import type { LedgerOrder } from "./ledger-rows.ts";
import type { StepOf } from "./steps.ts";
import type { OldRevival, WantedReturn, World } from "./world.ts";

/** What becomes of the decision about a payment that was late. */
export const HEARINGS = [
  "heard",
  /** The answer is lost: nothing is decided. */
  "not heard",
  /** The answer is lost, and the money goes back without it. */
  "given up",
] as const;

export async function lateSuccess(world: World, step: StepOf<"late success">): Promise<void> {
  const order = world.ledger.orders.get(world.order(step.order) ?? "");
  if (order?.status !== "CANCELLED") return;
  order.isPaidLate = true;
  await decide(world, order, step.hearing);
}

/** Asks for the units again; when they are not to be had, the money goes back. */
export async function decide(world: World, order: LedgerOrder, hearing: (typeof HEARINGS)[number]): Promise<void> {
  const { ledger } = world;
  const verdict = ledger.state === "live" ? await askAgain(world, order) : undefined;
  if (hearing === "given up") await refundOne(world, order.id);
  if (hearing !== "heard" || !verdict) return;
  const isTaken = verdict.type === "REVIVED" || verdict.type === "KNOWN";
  // Units that were taken and are in the ledger by now, with the order still cancelled: the guard refused them.
  if (!isTaken || comparePositions(verdict, ledger) <= 0) await refundOne(world, order.id);
}

async function askAgain(world: World, { id, order }: LedgerOrder): Promise<ModelRevival | undefined> {
  const lines = [...unitsBySku(order.lines)].map(([sku, units]) => ({ sku, units }));
  const revival = { epoch: world.ledger.epoch, orders: [{ id, buyer: order.buyer, lines }] };
  world.oldRevivals.push(revival);
  return (await callRevive(world, revival))?.[0];
}

export async function repeatRevival(world: World, { which }: StepOf<"repeat an old revival">): Promise<void> {
  const revival = world.oldRevivals[which % Math.max(world.oldRevivals.length, 1)];
  if (revival) await callRevive(world, revival);
}

async function callRevive(world: World, { epoch, orders }: OldRevival): Promise<ModelRevival[] | undefined> {
  const requests = orders.map(({ id, buyer, lines }) => ({ orderId: id, buyer, units: lines }));
  const outcome = await world.stock.revive(world.at, epoch, requests);
  const refusal = world.refusal(epoch, world.minSeq(epoch));
  if (refusal || !world.redis) {
    assert.equal(outcome.type, refusal, "revive");
    return undefined;
  }
  const { partition } = world.redis;
  const verdicts = partition.revive(orders);
  const position = { epoch, seq: partition.seq };
  assert.deepEqual(outcome, { type: "OK", position, verdicts: verdicts.map(asVerdict) }, "revive");
  world.learn(position);
  for (const { type } of verdicts) world.note(`revive: ${type}`);
  return verdicts;
}

function asVerdict(verdict: ModelRevival): ReviveVerdict {
  switch (verdict.type) {
    case "REVIVED":
    case "KNOWN": {
      const { reservation, epoch, seq } = verdict;
      return { type: verdict.type === "REVIVED" ? "revived" : "known", reservation, position: { epoch, seq } };
    }
    default:
      return { type: "refused", why: verdict.type, productId: verdict.sku };
  }
}

/** All of the money of a confirmed order goes back. Its units return by steps of their own. */
export async function refund(world: World, step: StepOf<"refund">): Promise<void> {
  const id = world.order(step.order);
  if (!id || world.ledger.orders.get(id)?.status !== "CONFIRMED") return;
  await refundOne(world, id);
  if (step.ends) await endRefunds(world, [id]);
}

async function refundOne(world: World, id: string): Promise<void> {
  const moved = await transition(world.lane.pool, "refund", [id]);
  assert.equal(moved.length === 1, world.ledger.refund(id), "refund");
  world.note("refund");
}

export async function endRefunds(world: World, ids: readonly string[]): Promise<void> {
  const moved = await transition(world.lane.pool, "refunded", ids);
  const expected = ids.filter((id) => world.ledger.refunded(id));
  assert.deepEqual(
    moved.map(({ id }) => id),
    expected.toSorted(),
    "refunded",
  );
}

/** Units of a sold order come back, as often as it is carried to Redis. */
export async function returnUnits(world: World, step: StepOf<"return units">): Promise<void> {
  const movementId = world.id("return", 0, step.movement);
  const wanted = world.returns.get(movementId) ?? newReturn(world, movementId, step);
  if (!wanted) return;
  world.returns.set(movementId, wanted);
  for (let n = 0; n < step.deliveries; n += 1) await callTakeBack(world, wanted);
}

function newReturn(world: World, movementId: string, step: StepOf<"return units">): WantedReturn | undefined {
  const row = world.ledger.orders.get(world.order(step.order) ?? "");
  if (row?.stockState !== "sold") return undefined;
  const bought = [...unitsBySku(row.order.lines)];
  const [sku, units] = bought[step.line % bought.length] ?? ["", 0];
  const before = [...world.returns.values()].filter((of) => of.id === row.id).flatMap(({ lines }) => lines);
  const left = units - (unitsBySku(before).get(sku) ?? 0);
  if (left < 1) return undefined;
  const lines = [{ sku, units: Math.min(step.units, left) }];
  return { movementId, id: row.id, buyer: row.order.buyer, lines, restock: step.restock };
}

/** The sweep's pass over returns that the ledger does not have. */
export async function carryReturns(world: World): Promise<void> {
  for (const [id, wanted] of world.returns) if (!world.ledger.returns.has(id)) await callTakeBack(world, wanted);
}

async function callTakeBack(world: World, wanted: WantedReturn): Promise<void> {
  const { ledger } = world;
  if (ledger.state !== "live") return;
  const { epoch } = ledger;
  const { movementId, id, buyer, lines, restock } = wanted;
  const request = { movementId, orderId: id, buyer, restock, units: lines };
  const outcome = await world.stock.takeBack(world.at, epoch, [request]);
  const refusal = world.refusal(epoch, world.minSeq(epoch));
  if (refusal || !world.redis) {
    assert.equal(outcome.type, refusal, "take back");
    return;
  }
  const { partition } = world.redis;
  const verdicts = partition.takeBack(restock, [wanted]);
  const position = { epoch, seq: partition.seq };
  assert.deepEqual(outcome, { type: "OK", position, verdicts }, "take back");
  world.learn(position);
  for (const verdict of verdicts) world.note(`return: ${verdict}`);
}
