// Charges that no order waits for: how they come to light, and what is decided about them, with a Redis that says what the test
// wants. The whole path is in late-payments.test.ts.
import { pino } from "pino";
import { afterAll, describe, expect, test } from "vitest";
import { cancelInLedger } from "../../engine/ledger/cancellation.ts";
import { openPool, transaction } from "../../engine/ledger/database.ts";
import { transition } from "../../engine/ledger/fates.ts";
import { endAttempts, startPayments } from "../../engine/ledger/payments.ts";
import type { Logger } from "../../engine/log.ts";
import { openOutbox } from "../../engine/outbox/outbox.ts";
import { redisNowMs } from "../../engine/redis/clock.ts";
import type { ReviveVerdict } from "../../engine/stock/late-units.ts";
import type { PartitionRefusal } from "../../engine/stock/reply.ts";
import type { PaymentGateway } from "../../persister/jobs/gateway/gateway.ts";
import { openSimulatedGateway } from "../../persister/jobs/gateway/simulated.ts";
import { Payments } from "../../persister/jobs/payment/payments.ts";
import { type LatePaymentOptions, latePaymentSweep } from "../../persister/jobs/sweeps/late-payments.ts";
import { openShop, PRICE, silent } from "./jobs-shop.ts";

const shop = await openShop();
const { pool } = shop;
const outbox = await openOutbox(shop.databaseUrl, () => undefined);
const provider = openSimulatedGateway(
  openPool(
    shop.databaseUrl,
    { connectionsMax: 2, applicationName: "provider", statementTimeoutMs: 5_000 },
    () => undefined,
  ),
);
afterAll(() => Promise.all([provider.close(), outbox.close()]));

function paymentsWith(gateway: Partial<PaymentGateway> = {}, log: Logger = silent): Payments {
  const cards = { charge: provider.charge, lookup: provider.lookup, close: provider.close, ...gateway };
  return new Payments({
    pool,
    gatewayOf: () => cards,
    nowMs: () => redisNowMs(shop.redis),
    onMoved: async () => undefined,
    log,
  });
}
const payments = paymentsWith();

const keyOf = (order: string, attempt = 1) => `${order}:${attempt}`;
const charge = (order: string, attempt = 1) =>
  provider.charge(
    { key: keyOf(order, attempt), amount: PRICE, currency: "KRW", token: "tok_ok" },
    new AbortController().signal,
  );
const cancel = (orderId: string) =>
  transaction(pool, (client) => cancelInLedger(client, outbox, { orderId, actor: "test", reason: "CUSTOMER" }));

interface Late {
  readonly status: string;
  readonly lateCapture: number | null;
  readonly attempts: readonly string[];
  readonly refunds: readonly string[];
}

async function look(order: string): Promise<Late> {
  const result = await pool.query<Late>(
    `SELECT status, late_capture AS "lateCapture",
       (SELECT json_agg(concat_ws(' ', a.attempt, a.state, a.surplus) ORDER BY a.attempt) FROM payment_attempts a
        WHERE a.order_id = o.id) AS attempts,
       COALESCE((SELECT json_agg(concat_ws(' ', r.attempt, r.scope, r.amount) ORDER BY r.attempt) FROM refunds r
        WHERE r.order_id = o.id), '[]') AS refunds
     FROM orders o WHERE id = $1`,
    [order],
  );
  return result.rows[0] as Late;
}

/** An order whose attempt is out, under a lease that lasts. */
async function paying(): Promise<string> {
  const [order = ""] = await shop.reserve(1);
  await startPayments(pool, [order], 60_000);
  return order;
}

async function failed(): Promise<string> {
  const order = await paying();
  await endAttempts(pool, [{ orderId: order, attempt: 1, state: "failed", code: "no_charge_found" }]);
  return order;
}

describe("asking about attempts by their keys", () => {
  test("an open one that has succeeded pays its order at once", async () => {
    const order = await paying();
    await payments.recheck([keyOf(order)]); // the provider has nothing yet
    expect(await look(order)).toMatchObject({ status: "PAYING", attempts: ["1 started"] });
    await charge(order);
    await payments.recheck([keyOf(order), keyOf(order)]);
    expect(await look(order)).toMatchObject({ status: "PAID", attempts: ["1 succeeded"], lateCapture: null });
  });

  test("one that had failed and succeeded all the same is its order's late capture, once", async () => {
    const order = await failed();
    await charge(order);
    await Promise.all([payments.recheck([keyOf(order)]), payments.recheck([keyOf(order)])]);
    const late = { status: "CANCELLING", attempts: ["1 succeeded"], lateCapture: 1 };
    expect(await look(order)).toMatchObject(late);
    const mute = paymentsWith({ lookup: () => Promise.reject(new Error("not to be asked")) });
    await mute.recheck([keyOf(order)]);
    expect(await look(order)).toMatchObject(late);
  });

  test("a refusal of one that is closed changes nothing", async () => {
    const order = await failed();
    const declined = paymentsWith({ lookup: async () => ({ type: "declined", code: "card_declined" }) });
    await declined.recheck([keyOf(order)]);
    expect(await look(order)).toMatchObject({ status: "CANCELLING", attempts: ["1 failed"], lateCapture: null });
  });

  test("names that are no attempts are passed over, and an answer that does not come is an error after all others", async () => {
    const [lost, found] = [await failed(), await failed()];
    await Promise.all([charge(lost), charge(found)]);
    const half = paymentsWith({
      lookup: (key, signal) =>
        key === keyOf(lost) ? Promise.reject(new Error("no route")) : provider.lookup(key, signal),
    });
    const keys = ["", "x", ":1", keyOf(lost, 2), `${lost}:1e3`, `${lost}:01x`, keyOf(lost), keyOf(found)];
    await expect(half.recheck(keys)).rejects.toThrow(keyOf(lost));
    expect(await look(found)).toMatchObject({ lateCapture: 1 });
    expect(await look(lost)).toMatchObject({ lateCapture: null });
    await expect(payments.recheck(keys)).resolves.toBeUndefined();
    expect(await look(lost)).toMatchObject({ lateCapture: 1 });
  });
});

describe("a charge that was out when its order was cancelled", () => {
  test("is recorded when it succeeds, without a step of the order", async () => {
    const [order = ""] = await shop.reserve(1);
    const gate = Promise.withResolvers<void>();
    const slow = paymentsWith({
      async charge(request, signal) {
        await gate.promise;
        return provider.charge(request, signal);
      },
    });
    const taken = slow.take([order]);
    await expect.poll(() => shop.stateOf(order)).toMatchObject({ status: "PAYING" });
    expect(await cancel(order)).toBe(true);
    gate.resolve();
    await taken;
    await slow.drain(5_000);
    expect(await look(order)).toMatchObject({ status: "CANCELLING", attempts: ["1 succeeded"], lateCapture: 1 });
    expect(await shop.stateOf(order)).toMatchObject({ version: 4, reason: "CUSTOMER", token: null });
  });

  test("is asked about when whoever made it is gone, and never made again", async () => {
    const order = await paying();
    expect(await cancel(order)).toBe(true);
    await shop.passTime([order]);
    await payments.take([order]);
    expect(await shop.books([order])).toEqual([]);
    expect(await look(order)).toMatchObject({ attempts: ["1 started"] }); // it may be on its way
    await pool.query("UPDATE payment_attempts SET late_since = late_since - interval '1 minute' WHERE order_id = $1", [
      order,
    ]);
    await shop.passTime([order]);
    await payments.take([order]);
    expect(await look(order)).toMatchObject({ status: "CANCELLING", attempts: ["1 failed"], lateCapture: null });
  });
});

test("what nobody knows after a day is given up with an alarm, and its success is heard even then", async () => {
  const order = await paying();
  expect(await cancel(order)).toBe(true);
  await pool.query("UPDATE payment_attempts SET late_since = late_since - interval '1 day' WHERE order_id = $1", [
    order,
  ]);
  await shop.passTime([order]);
  const alarms: unknown[] = [];
  const log = pino({ level: "error" }, { write: (line: string) => alarms.push(JSON.parse(line)) });
  const mute = paymentsWith({ lookup: () => Promise.reject(new Error("no route")) }, log);
  await mute.take([order]);
  expect(await look(order)).toMatchObject({ status: "CANCELLING", attempts: ["1 failed"], lateCapture: null });
  expect(alarms).toMatchObject([{ alarm: "charge_given_up", order, attempt: 1, code: "never_answered" }]);
  await charge(order);
  await payments.recheck([keyOf(order)]);
  expect(await look(order)).toMatchObject({ status: "CANCELLING", attempts: ["1 succeeded"], lateCapture: 1 });
});

const AT_ENTRY = { epoch: 1, seq: 5_000_000 };
const verdictOf: Record<string, ReviveVerdict> = {
  revived: { type: "revived", reservation: 7, position: AT_ENTRY },
  "known, not applied": { type: "known", reservation: 7, position: AT_ENTRY },
  "known, applied": { type: "known", reservation: 7, position: { epoch: 0, seq: 1 } },
  "sold out": { type: "refused", why: "SOLD_OUT", productId: shop.productId },
};

/** A sweep whose Redis gives every order this verdict, or is not to be had. */
function sweepWith(answer: () => Promise<ReviveVerdict | PartitionRefusal>): ReturnType<typeof latePaymentSweep> {
  const revive: LatePaymentOptions["stock"]["revive"] = async (_at, _epoch, orders) => {
    const said = await answer();
    if ("reservation" in said || "why" in said) {
      return { type: "OK", position: AT_ENTRY, verdicts: orders.map(() => said) };
    }
    return said;
  };
  return latePaymentSweep({ pool, outbox, stock: { revive }, onMoved: async () => undefined, log: silent });
}

const run = (sweep: ReturnType<typeof latePaymentSweep>) => sweep.run(Date.now(), new AbortController().signal);

/** An order that is CANCELLED for the reason, and paid. */
async function paidLate(reason: "EXPIRED" | "CUSTOMER" | "PAYMENT_FAILED" = "EXPIRED"): Promise<string> {
  const order = await failed();
  await transition(pool, "release", [order], reason, "released");
  await pool.query("INSERT INTO order_lines VALUES ($1, 0, $2, 'Thing', 1, $3)", [order, shop.productId, PRICE]);
  await charge(order);
  await payments.recheck([keyOf(order)]);
  return order;
}

const REFUNDED = { status: "REFUND_PENDING", refunds: [`1 whole ${PRICE}`], lateCapture: 1 };
const WAITS = { status: "CANCELLED", refunds: [], lateCapture: 1 };

describe("the decision about a late capture", () => {
  test.for([
    ["revived", WAITS],
    ["known, not applied", WAITS],
    ["known, applied", REFUNDED],
    ["sold out", REFUNDED],
  ] as const)("%s", async ([verdict, expected]) => {
    const order = await paidLate();
    const sweep = sweepWith(async () => verdictOf[verdict] as ReviveVerdict);
    await run(sweep);
    await run(sweep);
    expect(await look(order)).toMatchObject(expected);
  });

  test.for(["CUSTOMER", "PAYMENT_FAILED"] as const)("after %s is a refund, and Redis is not asked", async (reason) => {
    const order = await paidLate(reason);
    await run(sweepWith(() => Promise.reject(new Error("not to be asked"))));
    expect(await look(order)).toMatchObject(REFUNDED);
  });

  test("waits for a Redis that does not answer, or may not be asked, but not for ever", async () => {
    const order = await paidLate();
    await run(sweepWith(() => Promise.reject(new Error("no answer"))));
    expect(await look(order)).toMatchObject(WAITS);
    await run(sweepWith(async () => ({ type: "STALE_EPOCH", epoch: 2 })));
    expect(await look(order)).toMatchObject(WAITS);
    await pool.query("UPDATE payment_attempts SET ended_at = now() - interval '1 hour' WHERE order_id = $1", [order]);
    await run(sweepWith(async () => ({ type: "STALE_EPOCH", epoch: 2 })));
    expect(await look(order)).toMatchObject(REFUNDED);
  });

  test("is made once, by however many: one that is deciding keeps the others away", async () => {
    const orders = await Promise.all(Array.from({ length: 20 }, () => paidLate()));
    let calls = 0;
    const gate = Promise.withResolvers<void>();
    const sweeps = [1, 2, 3].map(() =>
      sweepWith(async () => {
        calls += 1;
        await gate.promise;
        return verdictOf["sold out"] as ReviveVerdict;
      }),
    );
    const passes = sweeps.map(run);
    await Promise.race(passes.slice(1)); // passes over what the first one has locked
    gate.resolve();
    await Promise.all(passes);
    expect(calls).toBeLessThanOrEqual(2); // earlier tests' orders wait as well
    for (const order of orders) expect(await look(order)).toMatchObject(REFUNDED);
  });
});

describe("a worker that dies between Redis' verdict and its own commit", () => {
  const real = { pool, outbox, stock: shop.stock, onMoved: async () => undefined, log: silent };
  const dying: LatePaymentOptions["stock"]["revive"] = async (...call) => {
    await shop.stock.revive(...call);
    throw new Error("the connection broke");
  };

  test("the units are taken once, and the order waits for the log", async () => {
    const order = await paidLate();
    await giveBack([order]);
    const before = await shop.units();
    await run(latePaymentSweep({ ...real, stock: { revive: dying } }));
    const held = { ...before, available: before.available - 1, reserved: before.reserved + 1 };
    expect(await shop.units()).toEqual(held);
    await run(latePaymentSweep(real));
    await run(latePaymentSweep(real));
    expect(await shop.units()).toEqual(held);
    expect(await look(order)).toMatchObject(WAITS);
  });

  test("a refusal stays one, though the units are back by then", async () => {
    const order = await paidLate();
    await giveBack([order]);
    const others = await shop.reserve((await shop.units()).available);
    await run(latePaymentSweep({ ...real, stock: { revive: dying } }));
    expect(await look(order)).toMatchObject(WAITS);
    await transition(pool, "cancel", others, "CUSTOMER");
    await giveBack(others);
    const before = await shop.units();
    expect(before.available).toBeGreaterThan(0);
    await run(latePaymentSweep(real));
    expect(await look(order)).toMatchObject(REFUNDED);
    expect(await shop.units()).toEqual(before);
  });

  /** Gives the units of orders back in Redis. */
  async function giveBack(orders: readonly string[]): Promise<void> {
    const rows = await pool.query<{ id: string; reservation: number }>(
      "SELECT id, hold_reservation AS reservation FROM orders WHERE id = ANY($1::uuid[])",
      [orders],
    );
    const holds = rows.rows.map(({ id, reservation }) => ({ orderId: id, reservation }));
    expect(await shop.stock.release({ saleId: shop.saleId, partition: 0 }, 1, holds)).toMatchObject({ type: "OK" });
  }
});

test("a charge beside the one that its order was paid by goes back alone, once", async () => {
  const [order = ""] = await shop.reserve(1, { onDecline: "hold" });
  await startPayments(pool, [order], 60_000);
  await endAttempts(pool, [{ orderId: order, attempt: 1, state: "declined", code: "card_declined" }]);
  await pool.query("UPDATE orders SET payment_token = 'tok_ok' WHERE id = $1", [order]);
  await payments.take([order]);
  const before = await shop.stateOf(order);
  expect(before).toMatchObject({ status: "PAID", attempts: 2 });

  await charge(order);
  await payments.recheck([keyOf(order), keyOf(order, 2)]);
  expect((await look(order)).attempts).toEqual(["1 succeeded owed", "2 succeeded"]);
  const sweep = sweepWith(async () => verdictOf["revived"] as ReviveVerdict);
  await Promise.all([run(sweep), run(sweep)]);
  expect(await look(order)).toMatchObject({
    attempts: ["1 succeeded refunding", "2 succeeded"],
    refunds: [`1 charge ${PRICE}`],
    lateCapture: null,
  });
  expect(await shop.stateOf(order)).toEqual(before);
});
