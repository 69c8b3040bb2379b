import { afterAll, describe, expect, test, vi } from "vitest";
import { openPool } from "../../engine/ledger/database.ts";
import { transition } from "../../engine/ledger/fates.ts";
import { endAttempts, startPayments } from "../../engine/ledger/payments.ts";
import { redisNowMs } from "../../engine/redis/clock.ts";
import type { PaymentGateway } from "../../persister/jobs/gateway/gateway.ts";
import { openSimulatedGateway } from "../../persister/jobs/gateway/simulated.ts";
import { CALLS_MAX } from "../../persister/jobs/payment/attempt.ts";
import { PAYMENT_TIMING, Payments, type PaymentTiming } from "../../persister/jobs/payment/payments.ts";
import { Settlement } from "../../persister/jobs/settlement/settlement.ts";
import { openShop, STOCK, silent } from "./jobs-shop.ts";

const TIMING: PaymentTiming = {
  ...PAYMENT_TIMING,
  chargeTimeoutMs: 300,
  lookupTimeoutMs: 1_000,
  retryDelayMs: 10,
  lastDelayMs: 50,
  jobPatienceMs: 3_000,
};

const shop = await openShop();
const provider = openSimulatedGateway(
  openPool(
    shop.databaseUrl,
    { connectionsMax: 2, applicationName: "provider", statementTimeoutMs: 5_000 },
    () => undefined,
  ),
  { slowMs: 100 },
);
afterAll(() => provider.close());
const settlement = new Settlement(shop.pool, shop.stock, shop.positions, silent);

function paymentsWith(gateway: Partial<PaymentGateway> = {}, timing: Partial<PaymentTiming> = {}): Payments {
  const cards = { charge: provider.charge, lookup: provider.lookup, close: provider.close, ...gateway };
  return new Payments({
    pool: shop.pool,
    gatewayOf: () => cards,
    nowMs: () => redisNowMs(shop.redis),
    onMoved: (orders) => settlement.move(orders),
    log: silent,
    timing: { ...TIMING, ...timing },
  });
}

const payments = paymentsWith();

/** Takes the payment again and again, as sweeps and redelivered jobs do, until the order has left PAYING. */
async function takeUntilOver(orderId: string): Promise<number> {
  for (let jobs = 1; ; jobs += 1) {
    await payments.take([orderId]);
    if ((await shop.stateOf(orderId)).status !== "PAYING") return jobs;
    await shop.passTime([orderId]);
  }
}

describe("each of the simulated tokens comes to its end", () => {
  test.for([
    ["tok_ok", "PAID", null, 1],
    ["tok_slow", "PAID", null, 1],
    ["tok_timeout", "PAID", null, 1],
    ["tok_flaky", "PAID", null, 3],
    ["tok_declined", "CANCELLING", "PAYMENT_DECLINED", 1],
    ["tok_insufficient", "CANCELLING", "PAYMENT_DECLINED", 1],
    ["tok_nobody_knows", "CANCELLING", "PAYMENT_DECLINED", 1],
    ["tok_error", "CANCELLING", "PAYMENT_FAILED", CALLS_MAX],
  ] as const)("%s: %s %s", async ([token, status, reason, calls]) => {
    const before = await shop.units();
    const [order = ""] = await shop.reserve(1, { token });
    await takeUntilOver(order);
    expect(await shop.stateOf(order)).toEqual({ status, reason, version: 4, attempts: 1, token: null });
    expect(await shop.books([order])).toMatchObject([{ key: `${order}:1`, calls }]);
    const sold = status === "PAID" ? 1 : 0;
    expect(await shop.units()).toEqual({
      available: before.available - sold,
      reserved: before.reserved,
      sold: before.sold + sold,
    });
  });
});

test("every step is a version with its row in the timeline", async () => {
  const [order = ""] = await shop.reserve(1, { token: "tok_declined" });
  await payments.take([order]);
  const timeline = await shop.pool.query(
    "SELECT version, status, reason FROM order_timeline WHERE order_id = $1 ORDER BY version",
    [order],
  );
  expect(timeline.rows).toEqual([
    { version: 1, status: "PENDING", reason: null },
    { version: 2, status: "RESERVED", reason: null },
    { version: 3, status: "PAYING", reason: null },
    { version: 4, status: "CANCELLING", reason: "PAYMENT_DECLINED" },
  ]);
});

test("a sale that holds declined orders lets the buyer pay again, as a new attempt", async () => {
  const before = await shop.units();
  const [order = ""] = await shop.reserve(1, { token: "tok_declined", onDecline: "hold" });
  await payments.take([order]);
  expect(await shop.stateOf(order)).toMatchObject({ status: "RESERVED", reason: null, token: null });
  expect(await shop.units()).toMatchObject({ reserved: before.reserved + 1 });
  await payments.take([order]);
  expect(await shop.stateOf(order)).toMatchObject({ status: "RESERVED", attempts: 1 });

  await shop.pool.query("UPDATE orders SET payment_token = 'tok_ok' WHERE id = $1", [order]);
  await payments.take([order]);
  expect(await shop.stateOf(order)).toMatchObject({ status: "PAID", attempts: 2, token: null });
  expect(await shop.books([order])).toMatchObject([
    { key: `${order}:1`, outcome: "declined" },
    { key: `${order}:2`, outcome: "succeeded" },
  ]);
});

test("nothing to pay is captured without the gateway", async () => {
  const [order = ""] = await shop.reserve(1, { payable: 0, token: null });
  await payments.take([order]);
  expect(await shop.stateOf(order)).toMatchObject({ status: "PAID", attempts: 1 });
  expect(await shop.books([order])).toEqual([]);
});

test("an order to be paid later is passed over", async () => {
  const [order = ""] = await shop.reserve(1, { method: "later" });
  await payments.take([order]);
  expect(await shop.stateOf(order)).toMatchObject({ status: "RESERVED", attempts: 0, version: 2 });
});

describe("a worker that dies between charge and record", () => {
  test("by an error: the gateway is asked about the key and charged no second time", async () => {
    const [order = ""] = await shop.reserve(1);
    const broken = paymentsWith({
      async charge(request, signal) {
        await provider.charge(request, signal);
        throw new Error("the connection broke");
      },
      lookup: () => Promise.reject(new Error("the connection broke")),
    });
    await broken.take([order]);
    expect(await shop.stateOf(order)).toMatchObject({ status: "PAYING", token: "tok_ok" });
    await shop.passTime([order]);
    await payments.take([order]);
    expect(await shop.stateOf(order)).toMatchObject({ status: "PAID", attempts: 1, token: null });
    expect(await shop.books([order])).toEqual([{ key: `${order}:1`, outcome: "succeeded", calls: 1 }]);
  });

  test("without a word: its lease ends, and another one takes over", async () => {
    const [order = ""] = await shop.reserve(1);
    const dead = paymentsWith(
      {
        async charge(request, signal) {
          await provider.charge(request, signal);
          return new Promise(() => undefined);
        },
      },
      { chargeTimeoutMs: 60_000, jobPatienceMs: 200 },
    );
    await dead.take([order]);
    await payments.take([order]);
    expect(await shop.stateOf(order)).toMatchObject({ status: "PAYING" }); // the dead one's lease still runs
    await shop.passTime([order]);
    await payments.take([order]);
    expect(await shop.stateOf(order)).toMatchObject({ status: "PAID", attempts: 1 });
    expect(await shop.books([order])).toEqual([{ key: `${order}:1`, outcome: "succeeded", calls: 1 }]);
  });
});

test("while the outcome is unknown the order stays PAYING and its unit stays held, however often it is asked", async () => {
  const [order = ""] = await shop.reserve(1);
  const before = await shop.units();
  const unreachable = () => Promise.reject(new Error("no route"));
  const cutOff = paymentsWith({ charge: unreachable, lookup: unreachable });
  for (let jobs = 0; jobs < CALLS_MAX + 3; jobs += 1) {
    await cutOff.take([order]);
    await shop.passTime([order]);
  }
  expect(await shop.stateOf(order)).toMatchObject({ status: "PAYING", attempts: 1 });
  expect(await shop.units()).toEqual(before);
  await takeUntilOver(order); // the provider is back, and says that it has no such charge
  expect(await shop.stateOf(order)).toMatchObject({ status: "CANCELLING", reason: "PAYMENT_FAILED" });
  expect(await shop.books([order])).toEqual([]);
});

test("a charge that got lost on its way is tried again and not taken for failed", async () => {
  const [order = ""] = await shop.reserve(1);
  const lossy = paymentsWith({ charge: () => Promise.reject(new Error("no route")) });
  await lossy.take([order]); // the provider says that it has no such charge: it may still be on its way
  expect(await shop.stateOf(order)).toMatchObject({ status: "PAYING" });
  await shop.passTime([order]);
  await payments.take([order]);
  expect(await shop.stateOf(order)).toMatchObject({ status: "PAID", attempts: 1 });
});

test("an attempt ends once, whatever is said of it later", async () => {
  const [order = ""] = await shop.reserve(1);
  await startPayments(shop.pool, [order], 60_000);
  const paid = { orderId: order, attempt: 1, state: "succeeded", reference: "ch_1" } as const;
  const ends = await Promise.all([1, 2, 3].map(() => endAttempts(shop.pool, [paid])));
  const moved = ends.flat();
  expect(moved).toMatchObject([{ id: order, status: "PAID", version: 4 }]);
  expect(await endAttempts(shop.pool, [{ orderId: order, attempt: 1, state: "declined", code: "late" }])).toEqual([]);
  expect(await shop.stateOf(order)).toMatchObject({ status: "PAID", version: 4 });
  await settlement.move(moved);
});

test("one payment that hangs holds none of its neighbours", async () => {
  const orders = await shop.reserve(64);
  const hanging = orders[17] ?? "";
  let answer: () => void = () => undefined;
  const answered = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const slow = paymentsWith(
    {
      async charge(request, signal) {
        if (request.key.startsWith(hanging)) await answered;
        return provider.charge(request, signal);
      },
    },
    { chargeTimeoutMs: 20_000, jobPatienceMs: 100 },
  );
  await slow.take(orders); // returns: the job does not wait for it either
  await vi.waitFor(async () => expect(await shop.statuses(orders)).toEqual({ PAID: 63, PAYING: 1 }));
  expect(await shop.stateOf(hanging)).toMatchObject({ status: "PAYING" });
  answer();
  await slow.drain(10_000);
  expect(await shop.statuses(orders)).toEqual({ PAID: 64 });
});

test("a job that comes several times at once does nothing twice", async () => {
  const before = await shop.units();
  const orders = await shop.reserve(64);
  const other = paymentsWith();
  await Promise.all([payments.take(orders), other.take(orders), payments.take([...orders].reverse())]);
  await vi.waitFor(async () => expect(await shop.statuses(orders)).toEqual({ PAID: 64 }));
  await payments.take(orders);
  const books = await shop.books(orders);
  expect(books).toHaveLength(64);
  expect(new Set(books.map(({ calls }) => calls))).toEqual(new Set([1]));
  const states = await Promise.all(orders.map((order) => shop.stateOf(order)));
  expect(new Set(states.map(({ version }) => version))).toEqual(new Set([4]));
  expect(await shop.units()).toEqual({ ...before, available: before.available - 64, sold: before.sold + 64 });
});

test("an order that is cancelled first is never charged", async () => {
  const [first = ""] = await shop.reserve(1);
  expect(await transition(shop.pool, "cancel", [first], "CUSTOMER")).toHaveLength(1);
  await payments.take([first]);
  expect(await shop.books([first])).toEqual([]);
  expect(await shop.stateOf(first)).toMatchObject({ status: "CANCELLING", attempts: 0 });
});

test("the units of all these orders add up", async () => {
  const { available, reserved, sold } = await shop.units();
  expect(available + reserved + sold).toBe(STOCK);
});
