// One sequence: each step on the real partition and on the models, the books compared after it; then everything is healed
// and brought to its end, and the promises are held against what is left.
import assert from "node:assert/strict";
import { compareLedger, compareRedis } from "./books.ts";
import type { Lane } from "./lane.ts";
import { carryReturns, decide, endRefunds, lateSuccess, refund, repeatRevival, returnUnits } from "./late-steps.ts";
import type { LedgerStatus } from "./ledger-rows.ts";
import { cancel, endAll, endPayment, expire, pay, requestPayment, startAll, startPayment } from "./order-steps.ts";
import {
  acknowledgeLeft,
  catchUp,
  persist,
  rebuild,
  twoPersisters,
  zombieApplies,
  zombieReads,
} from "./persister-steps.ts";
import { lateCall, place, report } from "./place-steps.ts";
import { checkPromises } from "./promises.ts";
import type { Step } from "./steps.ts";
import {
  admission,
  copyRedis,
  deliver,
  moveHolds,
  oversell,
  repeatMove,
  restock,
  restore,
  returnHoldbacks,
  wipe,
  writeOff,
} from "./stock-steps.ts";
import { World } from "./world.ts";

const ENTRIES_PER_PASS = 64;
const PASSES_MAX = 10;
/** Steps after which Redis need not be compared: the next comparison sees it if they touched it all the same. */
const LEAVES_REDIS: ReadonlySet<Step["do"]> = new Set([
  "pay",
  "start payment",
  "end payment",
  "cancel",
  "request payment",
  "expire",
  "refund",
  "report acknowledged",
  "zombie reads",
  "two persisters",
  "copy redis",
]);

/** @returns how often each thing happened; @throws when the system and the model disagree, or a promise is broken */
export async function runSequence(lane: Lane, steps: readonly Step[]): Promise<ReadonlyMap<string, number>> {
  const world = await World.open(lane);
  for (const step of steps) {
    await take(world, step);
    if (!LEAVES_REDIS.has(step.do)) await compareRedis(world);
  }
  await bringToEnd(world);
  await compareRedis(world);
  await compareLedger(world);
  checkPromises(world);
  for (const revival of world.ledger.revivals) world.note(`revival: ${revival.split(" ").at(-1)}`);
  return world.seen;
}

function take(world: World, step: Step): Promise<unknown> {
  switch (step.do) {
    case "place":
      return place(world, step);
    case "late call arrives":
      return lateCall(world, step);
    case "report acknowledged":
      return report(world);
    case "persist":
      return persist(world, step);
    case "acknowledge what was left":
      return acknowledgeLeft(world);
    case "zombie reads":
      return zombieReads(world, step);
    case "zombie applies":
      return zombieApplies(world);
    case "two persisters":
      return twoPersisters(world, step);
    case "rebuild":
      return rebuild(world);
    case "pay":
      return pay(world, step);
    case "start payment":
      return startPayment(world, step);
    case "end payment":
      return endPayment(world, step);
    case "cancel":
      return cancel(world, step);
    case "request payment":
      return requestPayment(world, step);
    case "expire":
      return expire(world);
    case "move holds":
      return moveHolds(world, step);
    case "repeat an old move":
      return repeatMove(world, step);
    case "late success":
      return lateSuccess(world, step);
    case "repeat an old revival":
      return repeatRevival(world, step);
    case "refund":
      return refund(world, step);
    case "return units":
      return returnUnits(world, step);
    case "restock":
      return restock(world, step);
    case "write off":
      return writeOff(world, step);
    case "deliver allocations":
      return deliver(world);
    case "return holdbacks":
      return returnHoldbacks(world);
    case "admission":
      return admission(world, step);
    case "redis oversells":
      return oversell(world, step);
    case "copy redis":
      return copyRedis(world);
    case "restore redis":
      return restore(world);
    case "wipe redis":
      return wipe(world);
  }
}

/** Faults are over: what a healed system does by itself, and the rebuild that an operator starts where one is needed. */
async function bringToEnd(world: World): Promise<void> {
  while (world.lateCalls.length > 0) await lateCall(world, { do: "late call arrives", which: 0 });
  if (needsRebuild(world)) await rebuild(world);
  await zombieApplies(world);
  await drain(world);
  const { ledger } = world;
  if (ledger.unapplied().length > 0) await deliver(world);
  if ([...ledger.holdbacks.values()].some(({ returned }) => !returned)) await returnHoldbacks(world);
  const having = (...among: LedgerStatus[]) =>
    [...ledger.orders.values()].filter(({ status }) => among.includes(status));
  const due = having("RESERVED").filter((order) => order.due);
  if (due.length > 0) {
    await startAll(
      world,
      due.map(({ id }) => id),
    );
  }
  const paying = having("PAYING").map(({ id, attempts }) => ({ orderId: id, attempt: attempts }));
  if (paying.length > 0) await endAll(world, paying, "succeeded");
  if (having("RESERVED").length > 0) await expire(world);
  await settleAll(world);
  // Once for those that nobody has decided about, once more for those that the ledger refused then.
  for (const _ of ["ask", "hear"]) {
    for (const order of having("CANCELLED").filter(({ isPaidLate }) => isPaidLate)) await decide(world, order, "heard");
    await drain(world);
    await settleAll(world);
  }
  await carryReturns(world);
  const owed = having("REFUND_PENDING").map(({ id }) => id);
  if (owed.length > 0) await endRefunds(world, owed);
  await drain(world);
}

async function settleAll(world: World): Promise<void> {
  for (const kind of ["settle", "release"] as const) {
    await moveHolds(world, { do: "move holds", kind, off: 0, reversed: false, twice: false });
  }
  await drain(world);
}

async function drain(world: World): Promise<void> {
  for (let passes = 0; passes < PASSES_MAX; passes += 1) {
    const { ledger, redis } = world;
    if (!redis || (redis.pending.size === 0 && ledger.ahead(redis.partition.log).length === 0)) return;
    await catchUp(world, ENTRIES_PER_PASS);
  }
  assert.fail("the log does not drain");
}

/** By what is known: Redis does not have the partition as its callers and Postgres know it. */
function needsRebuild(world: World): boolean {
  const { redis, ledger } = world;
  if (!redis || redis.corrupt || ledger.state === "suspended") return true;
  if (world.refusal(ledger.epoch, Math.max(world.minSeq(ledger.epoch), ledger.seq)) !== undefined) return true;
  const ahead = ledger.ahead(redis.partition.log);
  return ledger.fresh(ahead).length < ahead.length;
}
