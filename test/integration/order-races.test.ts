// Customer, operator, deadline and provider at once, for many orders: whatever the interleaving, exactly one of them picks an
// order's fate, and money and stock agree with it. The seed is told; what is left to chance is the processes' own timing.
import fc from "fast-check";
import { expect, it } from "vitest";
import { wishCancelled } from "../../engine/ledger/cancellation.ts";
import { transaction } from "../../engine/ledger/database.ts";
import { requestPayment } from "../../engine/ledger/payment-requests.ts";
import { redisNowMs } from "../../engine/redis/clock.ts";
import { openTestSale } from "../support/assembly.ts";
import { type Books, openLateShop, until } from "./late-shop.ts";

const PRICE = 5_000;
const ORDERS = 160;
const ACTORS_AT_ONCE = 8;

const shop = await openLateShop();

type Action = "customer" | "operator" | "deadline" | "success" | "payment";

/** Does it. @returns whether a cancel says that it was the one */
async function act(action: Action, orderId: string): Promise<boolean> {
  switch (action) {
    case "customer":
      return await shop.cancel(orderId, "CUSTOMER");
    case "operator":
      return await shop.cancel(orderId, "OPERATOR");
    case "deadline":
      await shop.pool.query("UPDATE orders SET reserved_until = now() - interval '1 s' WHERE id = $1", [orderId]);
      return false;
    case "success":
      await shop.decide([orderId]);
      return false;
    case "payment": {
      const nowMs = await redisNowMs(shop.redis);
      await transaction(shop.pool, async (client) => {
        const isDue = await requestPayment(client, orderId, { method: "card", token: "tok_ok" }, nowMs);
        if (isDue) await shop.outbox.enqueue(client, "payment", [orderId]);
      });
      return false;
    }
  }
}

/**
 * Does all of the actions that each order has: of any combination, in a random order, some at a time.
 *
 * @returns the cancels that say that they were the one, by order
 */
async function race(orders: readonly string[], actions: readonly Action[]): Promise<Map<string, Action[]>> {
  const seed = Date.now() % 1_000_000;
  console.log(`seed ${seed}`);
  // An order's actions are its number's bits, so that all combinations are there.
  const combinations = 2 ** actions.length - 1;
  const due = orders.flatMap((orderId, n) =>
    actions.filter((_, bit) => ((n % combinations) + 1) & (1 << bit)).map((action) => ({ orderId, action })),
  );
  const [queue = []] = fc.sample(fc.shuffledSubarray(due, { minLength: due.length }), { seed, numRuns: 1 });
  const winners = new Map<string, Action[]>();
  const actor = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      const { orderId, action } = next;
      if (await act(action, orderId)) winners.set(orderId, [...(winners.get(orderId) ?? []), action]);
    }
  };
  await Promise.all(Array.from({ length: ACTORS_AT_ONCE }, actor));
  return winners;
}

/** Waits until nothing moves any more: every order at an end, every attempt closed, every charge decided about. */
async function untilOver(orders: readonly string[]): Promise<void> {
  await until(async () => {
    const over = await shop.pool.query(
      `SELECT FROM orders o WHERE o.id = ANY($1::uuid[]) AND o.status IN ('CONFIRMED', 'CANCELLED', 'REFUNDED')
         AND NOT (o.status = 'CANCELLED' AND o.late_capture IS NOT NULL)
         AND NOT EXISTS (SELECT FROM payment_attempts a WHERE a.order_id = o.id AND a.state = 'started')`,
      [orders],
    );
    expect(over.rowCount).toBe(orders.length);
  });
}

/** What must be true of an order at its end, whoever won. */
function expectHonest({ id, status, stockState, timeline, charges, givenBack, refunds }: Books): void {
  const ends = { CONFIRMED: [1, 0], REFUNDED: [1, PRICE], CANCELLED: [0, 0] }[status];
  expect([id, charges, givenBack]).toEqual([id, ...(ends ?? [])]);
  expect([id, refunds]).toEqual([id, status === "REFUNDED" ? 1 : 0]);
  expect([id, stockState]).toEqual([id, status === "CONFIRMED" ? "sold" : "released"]);
  // One fate; a second one only by a revival, which leads on from the first one's end.
  const fates = timeline.filter((step) => step === "PAID" || step === "CANCELLING");
  const isRevived = timeline.includes("CANCELLED") && timeline.includes("PAID");
  expect([id, fates]).toEqual([id, isRevived ? ["CANCELLING", "PAID"] : fates.slice(0, 1)]);
  expect(timeline.filter((step) => step === status)).toHaveLength(1);
}

it("of customer, operator, deadline and success exactly one wins", async () => {
  const sale = await openTestSale(shop, { stock: ORDERS, price: PRICE });
  const orders = await shop.place(sale, ORDERS, "tok_pending");
  await until(async () => {
    const pending = await shop.pool.query(
      "SELECT FROM simulated_gateway.charges WHERE outcome = 'processing' AND split_part(key, ':', 1) = ANY($1)",
      [orders],
    );
    expect(pending.rowCount).toBe(ORDERS);
  });

  const winners = await race(orders, ["customer", "operator", "deadline", "success"]);
  // What nobody decides is left pending for ever by the provider: all of it succeeds in the end.
  await until(async () => {
    await shop.decide(orders);
    await untilOver(orders);
  });

  const books = await shop.booksOf(orders);
  for (const order of books) {
    expectHonest(order);
    const won = winners.get(order.id) ?? [];
    expect(won.length).toBeLessThanOrEqual(1);
    if (won.length === 0) expect(["CONFIRMED", "REFUNDED"]).toContain(order.status);
    else expect([order.status, order.reason]).toEqual(["REFUNDED", won[0]?.toUpperCase()]);
  }
  const sold = books.filter(({ status }) => status === "CONFIRMED").length;
  await shop.expectStock(sale, { available: ORDERS - sold, reserved: 0, sold });
  // Each of them was the one at times, and expired orders came back.
  expect(new Set([...winners.values()].flat())).toEqual(new Set(["customer", "operator"]));
  expect(books.some(({ timeline }) => timeline.join().endsWith("PAYING,PAID,CONFIRMED"))).toBe(true);
  expect(books.some(({ revivals, status }) => revivals === 1 && status === "CONFIRMED")).toBe(true);
}, 120_000);

it("of customer, operator, deadline and a payment that the buyer asks for exactly one wins", async () => {
  const sale = await openTestSale(shop, { stock: ORDERS, price: PRICE });
  const orders = await shop.place(sale, ORDERS);
  await until(async () => expect(await shop.statuses(orders)).toEqual({ RESERVED: ORDERS }));
  const winners = await race(orders, ["customer", "operator", "deadline", "payment"]);
  await untilOver(orders);

  const books = await shop.booksOf(orders);
  for (const order of books) {
    expectHonest(order);
    const won = winners.get(order.id) ?? [];
    expect(won.length).toBeLessThanOrEqual(1);
    if (won.length === 1) expect(order).toMatchObject({ reason: won[0]?.toUpperCase() });
    else expect(["CONFIRMED null", "CANCELLED EXPIRED"]).toContain(`${order.status} ${order.reason}`);
  }
  const sold = books.filter(({ status }) => status === "CONFIRMED").length;
  await shop.expectStock(sale, { available: ORDERS - sold, reserved: 0, sold });
  expect(sold).toBeGreaterThan(0);
  expect(books.some(({ reason }) => reason === "EXPIRED")).toBe(true);
}, 120_000);

it("of a payment and a wish to cancel that comes with it exactly one wins", async () => {
  const sale = await openTestSale(shop, { stock: 60, price: PRICE });
  const orders: string[] = [];
  const buy = async () => {
    const [orderId = ""] = await shop.place(sale, 1, "tok_ok");
    orders.push(orderId);
    await wishCancelled(shop.pool, { orderId, actor: "test", reason: "CUSTOMER" });
  };
  await Promise.all(Array.from({ length: 60 }, buy));
  await untilOver(orders);
  // A wish that came too late is dropped without effect.
  await until(async () => expect((await shop.pool.query("SELECT FROM order_intents")).rowCount).toBe(0));
  const books = await shop.booksOf(orders);
  for (const order of books) expectHonest(order);
  const sold = books.filter(({ status }) => status === "CONFIRMED").length;
  await shop.expectStock(sale, { available: 60 - sold, reserved: 0, sold });
}, 60_000);
