// Steps of admission: calls of place.lua through admission/place.ts, with answers that are lost and calls that come late.
import assert from "node:assert/strict";
import { type Placement, type PlaceOutcome, placeBatch } from "../../engine/admission/place.ts";
import type { PlaceCall } from "../../engine/durability/durability.ts";
import type { OrderPayload } from "../../engine/order.ts";
import { runScript } from "../../engine/redis/scripts.ts";
import { type ModelVerdict, unitsBySku } from "../support/partition-model.ts";
import type { SystemOrder } from "./ledger-rows.ts";
import type { StepOf } from "./steps.ts";
import { givesUp, type ScriptRefusal, type SentCall, type World } from "./world.ts";

const RETRY_MS = 20_000;
const UNIT_PRICE = 100;

export async function place(world: World, step: StepOf<"place">): Promise<void> {
  const { mode, backlogMax } = step;
  const epoch = Math.max(1, world.ledger.epoch - (step.staleEpoch ? 1 : 0));
  const orders = step.orders.map(
    (drawn): SystemOrder => ({ ...drawn, id: world.id("order", epoch, drawn.id), key: drawn.key }),
  );
  const minSeq = world.minSeq(epoch);
  const isFirstOfItsIds = !world.lateCalls.some((call) =>
    call.orders.some(({ id }) => orders.some((o) => o.id === id)),
  );
  for (const { id } of orders) world.refused.delete(id);

  const options = { backlogMax, retryForMs: givesUp(mode) ? 0 : RETRY_MS };
  const call = transport(world, mode, { epoch, minSeq, backlogMax, orders });
  const outcomes = await placeBatch(call, world.positions, world.at, epoch, orders.map(placementOf), options);

  // The same by the model.
  if (mode.startsWith("answer lost")) decide(world, { epoch, minSeq, backlogMax, orders }, false);
  let expected: object[] = orders.map(({ id }) => ({ type: "OUTCOME_UNKNOWN", orderId: id }));
  if (!givesUp(mode)) {
    const verdicts = decide(world, { epoch, minSeq, backlogMax, orders }, mode !== "answered");
    if (typeof verdicts !== "string") {
      const position = { epoch, seq: world.redis?.partition.seq ?? 0 };
      world.learn(position);
      expected = verdicts.map((verdict, i) => told(verdict, orders[i] as SystemOrder, position));
    } else if (mode === "answered") {
      expected = orders.map(() => ({ type: "STOCK_UNAVAILABLE", cause: verdicts }));
    }
  }
  assert.deepEqual(outcomes.map(comparable), expected, `place, ${mode}`);

  world.acknowledged.noteOutcomes(world.at, orders.map(placementOf), outcomes);
  remember(world, orders, outcomes, isFirstOfItsIds);
  world.note(`place: ${mode}`);
}

export async function lateCall(world: World, { which }: StepOf<"late call arrives">): Promise<void> {
  const [call] = world.lateCalls.splice(which % Math.max(world.lateCalls.length, 1), 1);
  if (!call) return;
  const [head, , , , , ...verdicts] = (await runScript(world.lane.redis, "place", call.keys, call.args)) as unknown[];
  const expected = decide(world, call, false);
  if (typeof expected === "string") assert.equal(head, expected, "late call");
  else
    assert.deepEqual(
      verdicts.map(wordOf),
      expected.map(({ type }) => type),
      "late call",
    );
  world.note(`late call: ${typeof expected === "string" ? expected : expected.map(({ type }) => type)[0]}`);
}

export async function report(world: World): Promise<void> {
  await world.acknowledged.report();
  world.ledger.reported = world.acknowledgedModel.report(world.ledger);
}

/** The way to Redis: what it was given counts, whatever its caller hears. */
function transport(world: World, mode: StepOf<"place">["mode"], sent: Omit<SentCall, "keys" | "args">): PlaceCall {
  let calls = 0;
  return async (keys, args) => {
    calls += 1;
    const isFaulty = calls === 1 && mode !== "answered";
    if (isFaulty && mode.startsWith("call late")) world.lateCalls.push({ ...sent, keys, args: [...args] });
    else {
      const reply = await runScript(world.lane.redis, "place", keys, args);
      if (!isFaulty) return { reply, written: "fast", found: "fast" };
    }
    throw new Error("Connection is closed.");
  };
}

function decide(
  world: World,
  { epoch, minSeq, backlogMax, orders }: Omit<SentCall, "keys" | "args">,
  askedAgain: boolean,
): ModelVerdict[] | ScriptRefusal {
  const refusal = world.refusal(epoch, minSeq);
  if (refusal) return refusal;
  const verdicts = (world.redis as NonNullable<World["redis"]>).partition.place(orders, { askedAgain, backlogMax });
  for (const [i, { id }] of orders.entries()) {
    if (verdicts[i]?.type === "ACCEPTED" && !world.accepted.includes(id)) world.accepted.push(id);
    world.note(`verdict: ${verdicts[i]?.type}`);
  }
  return verdicts;
}

/** What was told, to be held against the end: a yes stands or is a declared loss, a no stays one. */
function remember(
  world: World,
  orders: readonly SystemOrder[],
  outcomes: readonly PlaceOutcome[],
  isFirst: boolean,
): void {
  for (const [i, outcome] of outcomes.entries()) {
    const order = orders[i] as SystemOrder;
    if (outcome.type === "ACCEPTED") {
      world.promised.set(order.id, outcome);
      world.acknowledgedModel.note(outcome, unitsBySku(order.lines));
    } else if (outcome.type !== "OUTCOME_UNKNOWN" && isFirst && !world.accepted.includes(order.id)) {
      world.refused.add(order.id);
    }
  }
}

function placementOf({ id, buyer, key, lines, pay, onDecline }: SystemOrder): Placement {
  const price = lines.reduce((sum, { units }) => sum + units * UNIT_PRICE, 0);
  const payload: OrderPayload = {
    customerId: buyer,
    lines: lines.map(({ sku, units }) => ({ productId: sku, name: "thing", quantity: units, unitPrice: UNIT_PRICE })),
    price,
    payable: price,
    currency: "KRW",
    payment: pay === "card" ? { method: "card", token: "tok_ok" } : { method: "later" },
    onDecline,
    ...(key && { idempotencyScope: key.scope, payloadHash: key.hash }),
  };
  return {
    orderId: id,
    buyer,
    idempotency: key && { scope: key.scope, payloadHash: key.hash },
    payload: JSON.stringify(payload),
    lines: lines.map(({ sku, units }) => ({ productId: sku, quantity: units })),
  };
}

function told(verdict: ModelVerdict, { id }: SystemOrder, position: { epoch: number; seq: number }): object {
  switch (verdict.type) {
    case "ACCEPTED":
      return { type: "ACCEPTED", orderId: id, reservation: verdict.reservation, ...position, acknowledged: "fast" };
    case "KNOWN": {
      const { reservation, epoch, seq } = verdict;
      return { type: "ACCEPTED", orderId: id, reservation, epoch, seq, acknowledged: "fast" };
    }
    case "REPLAY":
      return { type: "REPLAYED", orderId: verdict.orderId };
    case "CONFLICT":
      return { type: "IDEMPOTENCY_CONFLICT" };
    case "NOT_OPEN":
      return { type: "SALE_NOT_OPEN" };
    case "BACKLOG":
      return { type: "OVERLOADED", cause: "backlog" };
    case "UNKNOWN_SKU":
      return { type: "UNKNOWN_PRODUCT", productId: verdict.sku };
    case "LIMIT":
      return { type: "LIMIT_EXCEEDED", productId: verdict.sku, limit: verdict.limit, used: verdict.used };
    case "SOLD_OUT":
      return { type: "SOLD_OUT", productId: verdict.sku, available: verdict.available };
  }
}

/** Without what depends on the clock. */
function comparable(outcome: PlaceOutcome): object {
  if (outcome.type === "SALE_NOT_OPEN") return { type: outcome.type };
  if (outcome.type !== "ACCEPTED") {
    const { on: _, ...rest } = { on: undefined, ...outcome };
    return rest;
  }
  const { reservedUntilMs, ...rest } = outcome;
  assert.ok(Number.isSafeInteger(reservedUntilMs));
  return rest;
}

function wordOf(verdict: unknown): unknown {
  return typeof verdict === "number" ? "ACCEPTED" : String(verdict).split("|")[0];
}
