// Steps that pick an order's fate in Postgres: payments, cancellations, expiry.
import assert from "node:assert/strict";
import { transaction } from "../../engine/ledger/database.ts";
import { transition } from "../../engine/ledger/fates.ts";
import { recordIntent } from "../../engine/ledger/intents.ts";
import { requestPayment as storePayment } from "../../engine/ledger/payment-requests.ts";
import { type AttemptEnd, endAttempts, startPayments } from "../../engine/ledger/payments.ts";
import { expireOrders } from "../../engine/ledger/sweeps.ts";
import { TTL_MS } from "./lane.ts";
import type { StepOf } from "./steps.ts";
import type { World } from "./world.ts";

const LEASE_MS = 60_000;

/** Payments from beginning to end; the attempt of one that was begun before ends now. */
export async function pay(world: World, step: StepOf<"pay">): Promise<void> {
  const { ledger } = world;
  const ids = [...new Set(step.orders.map((n) => world.order(n)))].filter((id) => id !== undefined);
  const due = ids.filter((id) => ledger.orders.get(id)?.status === "RESERVED");
  if (due.length > 0) await startAll(world, due);
  const paying = ids.flatMap((id) => {
    const order = ledger.orders.get(id);
    return order?.status === "PAYING" ? [{ orderId: id, attempt: order.attempts }] : [];
  });
  if (paying.length === 0) return;
  await endAll(world, paying, step.outcome);
  world.note(`payment: ${step.outcome}`);
}

export async function startPayment(world: World, step: StepOf<"start payment">): Promise<void> {
  const id = world.order(step.order);
  if (id) await startAll(world, [id]);
}

export async function startAll(world: World, ids: readonly string[]): Promise<void> {
  const taken = await startPayments(world.lane.pool, ids, LEASE_MS);
  const expected = ids.flatMap((id) => {
    const attempt = world.ledger.startPayment(id);
    return attempt === undefined ? [] : [{ id, attempt }];
  });
  assert.deepEqual(
    taken.map(({ id, attempt }) => ({ id, attempt })),
    expected.toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    "payments started",
  );
}

export async function endPayment(world: World, step: StepOf<"end payment">): Promise<void> {
  const id = world.order(step.order);
  const attempts = id && world.ledger.orders.get(id)?.attempts;
  if (!id || !attempts) return;
  await endAll(world, [{ orderId: id, attempt: attempts - (step.late ? 1 : 0) }], step.outcome);
  world.note(`payment: ${step.outcome}`);
}

export async function endAll(
  world: World,
  attempts: readonly { readonly orderId: string; readonly attempt: number }[],
  outcome: AttemptEnd["state"],
): Promise<void> {
  const end: AttemptEnd =
    outcome === "succeeded" ? { state: outcome, reference: "ref" } : { state: outcome, code: "refused" };
  const moved = await endAttempts(
    world.lane.pool,
    attempts.map((attempt) => ({ ...attempt, ...end })),
  );
  const expected = attempts.filter(({ orderId, attempt }) => world.ledger.endPayment(orderId, attempt, outcome));
  assert.deepEqual(
    moved.map(({ id }) => id),
    expected.map(({ orderId }) => orderId).sort(),
    "payments ended",
  );
}

export async function cancel(world: World, step: StepOf<"cancel">): Promise<void> {
  const id = world.order(step.order);
  if (!id) return;
  const { pool } = world.lane;
  if (world.ledger.orders.has(id)) {
    const moved = await transition(pool, "cancel", [id], "CUSTOMER");
    assert.equal(moved.length === 1, world.ledger.cancel(id, "CUSTOMER"), "cancelled");
    return;
  }
  await recordIntent(pool, {
    orderId: id,
    intent: "cancel",
    actor: "buyer",
    reason: "CUSTOMER",
    method: null,
    token: null,
  });
  world.ledger.cancel(id, "CUSTOMER");
  world.note("cancelled before it arrived");
}

export async function requestPayment(world: World, step: StepOf<"request payment">): Promise<void> {
  const id = world.order(step.order);
  if (!id) return;
  const payment = { method: "card", token: "tok_ok" } as const;
  if (world.ledger.orders.has(id)) {
    const stored = await storePayment(world.lane.pool, id, payment);
    assert.equal(stored, world.ledger.requestPayment(id), "payment requested");
    return;
  }
  await recordIntent(world.lane.pool, { orderId: id, intent: "pay", actor: "buyer", reason: null, ...payment });
  world.ledger.requestPayment(id);
}

/** The sweep's pass, after every deadline. */
export async function expire(world: World): Promise<void> {
  const later = Date.now() + 2 * TTL_MS;
  const expired = await transaction(world.lane.pool, (client) => expireOrders(client, later, 1_000));
  assert.deepEqual(
    expired.map(({ id }) => id),
    world.ledger.expire(),
    "expired",
  );
  if (expired.length > 0) world.note("expired");
}
