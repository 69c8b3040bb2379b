// The checker of the fault suite: it finds nothing in sound books, and each broken promise in broken ones.
import { describe, expect, it } from "vitest";
import type { Books, ChargeRow, OrderRow, RedisPartition, StockRow } from "../../chaos/checker/books.ts";
import { check, shortfalls } from "../../chaos/checker/check.ts";
import type { HistoryEvent } from "../../chaos/history.ts";
import { countsOf, placementsOf } from "../../chaos/history.ts";
import { accepted, noAnswer, PRODUCT, placed, soldOut, soundBooks, soundHistory } from "./sound-books.ts";

const promisesBroken = (books: Books, events: readonly HistoryEvent[] = soundHistory()) => [
  ...new Set(check(events, books).map(({ promise }) => promise)),
];

describe("in sound books", () => {
  it("nothing is found", () => {
    expect(check(soundHistory(), soundBooks())).toEqual([]);
  });

  it("an order whose buyer never had an answer may be there, or not", () => {
    const lone: OrderRow = { ...orderOf("declined"), id: "lone", customerId: "joe", idempotencyScope: "lone" };
    const history = [...soundHistory(), ...placed(9, "joe", 1, noAnswer)];
    expect(check(history, soundBooks())).toEqual([]);
    expect(check(history, withOrders(lone))).toEqual([]);
  });
});

describe("a violation is found where", () => {
  it.each<[what: string, promise: number, books: Books]>([
    ["a unit vanished from Redis", 1, withRedis({ stock: units(7, 0, 2) })],
    ["a unit appeared in Redis", 1, withRedis({ stock: units(9, 0, 2) })],
    ["Redis and Postgres differ in where a unit is", 1, withRedis({ stock: units(7, 1, 2) })],
    ["Redis has a movement that Postgres has not", 1, withRedis({ seq: 6 })],
    ["Redis lives in another epoch", 1, withRedis({ epoch: 2 })],
    ["the ledger's stock is not that of its orders", 1, withStock({ reserved: 1 })],
    ["stock was allocated that nobody allocated", 1, withStock({ allocated: 11 })],
    ["there is no stock at all", 1, { ...soundBooks(), stock: [] }],
    ["more is sold than allocated", 2, withStock({ allocated: 1, allocations: 1 })],
    [
      "the guard had to refuse",
      2,
      { ...soundBooks(), numbers: soundBooks().numbers.map((row) => ({ ...row, refused: 1 })) },
    ],
    ["an order is not at an end", 3, changed("paid", { status: "PAID", version: 4, timeline: upTo("paid", 4) })],
    ["an order moved past the table", 3, changed("paid", { version: 2, timeline: skipping("paid") })],
    ["a version is missing", 3, changed("paid", { version: 6 })],
    ["status and timeline disagree", 3, changed("declined", { status: "CONFIRMED", stockState: "sold", reason: null })],
    ["a confirmed order's stock was released", 3, changed("paid", { stockState: "released" })],
    ["a cancelled order has no reason", 3, changed("declined", { reason: null })],
    ["a hold was left behind", 3, withRedis({ held: ["paid"] })],
    ["a log entry is pending", 3, withRedis({ pending: 1 })],
    ["a log entry was never read", 3, withRedis({ lag: 1 })],
    [
      "the partition is suspended",
      3,
      { ...soundBooks(), partitions: [{ partition: 0, epoch: 1, seq: 5, state: "suspended", reason: "?" }] },
    ],
    [
      "there is a dead letter",
      3,
      { ...soundBooks(), deadLetters: [{ partition: 0, epoch: 1, seq: 2, orderId: null, kind: "place", error: "?" }] },
    ],
    ["an acknowledged order is missing", 4, { ...soundBooks(), orders: [orderOf("declined")] }],
    ["an acknowledged order is somebody else's", 4, changed("paid", { customerId: "bob" })],
    [
      "an acknowledged order has other lines",
      4,
      changed("declined", { lines: [{ ...line("declined"), quantity: 2 }] }),
    ],
    ["a number is missing", 4, { ...soundBooks(), numbers: soundBooks().numbers.filter(({ seq }) => seq !== 3) }],
    [
      "the first number is missing",
      4,
      { ...soundBooks(), numbers: soundBooks().numbers.filter(({ seq }) => seq !== 1) },
    ],
    ["money was captured twice", 5, withCharges(charge({ key: "paid:2" }))],
    ["money was captured for a cancelled order", 5, withCharges(charge({ key: "declined:2", amount: 100 }))],
    ["a confirmed order was not paid", 5, { ...soundBooks(), charges: [] }],
    ["another amount was captured", 5, { ...soundBooks(), charges: [charge({ amount: 199 })] }],
    ["money was given back that nobody asked for", 5, { ...soundBooks(), charges: [charge({ refunded: 1 })] }],
    ["money was captured for nobody's order", 5, withCharges(charge({ key: "nobody:1" }))],
    [
      "money was captured before the order was on record",
      5,
      { ...soundBooks(), charges: [charge({ createdAtMs: 1 })] },
    ],
    [
      "an order is there that nobody asked for",
      6,
      withOrders({ ...orderOf("declined"), id: "third", idempotencyScope: "third" }),
    ],
    ["two orders share a key", 6, changed("declined", { idempotencyScope: "scope of paid" })],
    ["a buyer has more than the limit", 6, { ...soundBooks(), products: [{ id: PRODUCT, limit: 1 }] }],
    ["Redis counts a buyer's units wrongly", 6, withRedis({ limits: new Map([[`ann|${PRODUCT}`, 1]]) })],
    [
      "Redis still counts a released unit",
      6,
      withRedis({
        limits: new Map([
          [`ann|${PRODUCT}`, 2],
          [`bob|${PRODUCT}`, 1],
        ]),
      }),
    ],
  ])("%s (promise %i)", (_what, promise, books) => {
    expect(promisesBroken(books)).toContain(promise);
  });

  it("a key led to two orders (promise 6)", () => {
    const second: OrderRow = { ...orderOf("declined"), id: "second", customerId: "ann", idempotencyScope: "second" };
    const history = [...soundHistory(), ...placed(1, "ann", 2, accepted("second"))];
    expect(promisesBroken(withOrders(second), history)).toContain(6);
  });

  it("an order stands whose buyer was told no (promise 6)", () => {
    const history = soundHistory().map((event) =>
      event.op === 2 && event.type === "ok" ? { ...soldOut, op: 2 } : event,
    );
    expect(promisesBroken(soundBooks(), history)).toContain(6);
  });

  it("a client was shown what was never so (promise 7)", () => {
    const history = soundHistory().map((event) => ("version" in event ? { ...event, version: 3 } : event));
    expect(promisesBroken(soundBooks(), history)).toEqual([7]);
  });
});

describe("a fault's allowances", () => {
  it("excuse what they name, and nothing more", () => {
    const tampered = withRedis({ stock: units(13, 0, 2) });
    expect(check(soundHistory(), tampered, { tamperedUnits: new Map([[PRODUCT, 5]]) })).toEqual([]);
    expect(check(soundHistory(), tampered, { tamperedUnits: new Map([[PRODUCT, 4]]) })).not.toEqual([]);

    const dead = {
      ...soundBooks(),
      deadLetters: [{ partition: 0, epoch: 1, seq: 2, orderId: null, kind: "place", error: "poison" }],
    };
    expect(check(soundHistory(), dead, { deadNumbers: new Set([2]) })).toEqual([]);
    expect(check(soundHistory(), dead, { deadNumbers: new Set([3]) })).not.toEqual([]);
  });

  it("a number that was declared lost is no gap", () => {
    const gap = (epoch: number) => ({
      ...soundBooks(),
      numbers: soundBooks().numbers.filter(({ seq }) => seq !== 3),
      lostRanges: [{ partition: 0, epoch, fromSeq: 3, toSeq: 3 }],
    });
    expect(check(soundHistory(), gap(1))).toEqual([]);
    expect(check(soundHistory(), gap(2))).not.toEqual([]);
  });

  it("a dead letter explains its number", () => {
    const books = {
      ...soundBooks(),
      numbers: soundBooks().numbers.filter(({ seq }) => seq !== 3),
      deadLetters: [{ partition: 0, epoch: 1, seq: 3, orderId: null, kind: "place", error: "poison" }],
    };
    expect(check(soundHistory(), books, { deadNumbers: new Set([3]) })).toEqual([]);
  });
});

describe("an acknowledged order that Redis lost", () => {
  const told: HistoryEvent[] = [
    ...soundHistory(),
    ...placed(9, "joe", 2, { ...accepted("lost"), position: { partition: 0, epoch: 1, seq: 7 } } as HistoryEvent),
  ];
  const declared = { lostRanges: [{ partition: 0, epoch: 1, fromSeq: 6, toSeq: 7 }] };
  const back = (quantity: number, returned = true) => ({
    holdbacks: [{ partition: 0, productId: PRODUCT, quantity, returned }],
  });

  it("was declared lost, and its units held back for a while", () => {
    expect(check(told, { ...soundBooks(), ...declared, ...back(2) }, { mayLose: true })).toEqual([]);
  });

  it.each<[what: string, promise: number, books: Books]>([
    ["nobody declared it", 4, { ...soundBooks(), ...back(2) }],
    ["another number was declared", 4, { ...soundBooks(), ...back(2), lostRanges: [] }],
    ["nothing was held back", 4, { ...soundBooks(), ...declared }],
    ["fewer units were held back", 4, { ...soundBooks(), ...declared, ...back(1) }],
    ["more units were held back", 4, { ...soundBooks(), ...declared, ...back(3) }],
    ["its units are still held back", 3, { ...soundBooks(), ...declared, ...back(2, false) }],
    ["it is there all the same", 4, { ...withOrders({ ...orderOf("paid"), id: "lost" }), ...declared, ...back(2) }],
  ])("is a violation where %s (promise %i)", (_what, promise, books) => {
    expect(check(told, books, { mayLose: true }).map((violation) => violation.promise)).toContain(promise);
  });

  it("may not be lost by a fault that loses nothing", () => {
    expect(check(told, { ...soundBooks(), ...declared, ...back(2) })).not.toEqual([]);
  });

  it("counts as available only once it is no longer held back", () => {
    const open = { ...soundBooks(), ...declared, ...back(2, false) };
    const promisesOf = (books: Books) => check(told, books, { mayLose: true }).map(({ promise }) => promise);
    expect(promisesOf(open)).toContain(1);
    expect(promisesOf({ ...withRedis({ stock: units(6, 0, 2) }), ...declared, ...back(2, false) })).not.toContain(1);
  });

  it("leaves its key free for another order", () => {
    const again = { ...orderOf("paid"), id: "again", customerId: "joe", idempotencyScope: "again" };
    const promisesOf = (history: HistoryEvent[]) =>
      check(history, { ...withOrders(again), ...declared, ...back(2) }, { mayLose: true }).map(({ claim }) => claim);
    const asked = placed(9, "joe", 2, {
      ...accepted("again"),
      position: { partition: 0, epoch: 2, seq: 1 },
    } as HistoryEvent);
    expect(promisesOf([...told, ...asked])).not.toContain("one order per buyer and key");
  });
});

describe("a run proves something when", () => {
  const counts = countsOf(placementsOf(soundHistory()));

  it("its operations are counted by how they ended", () => {
    expect(counts).toEqual({ accepted: 2, refused: 1, unknown: 1, unresolved: 0 });
    expect(countsOf(placementsOf(placed(1, "ann", 1, noAnswer)))).toMatchObject({ unknown: 1, unresolved: 1 });
  });

  it("its fault fired and enough was sold, refused and in doubt", () => {
    expect(shortfalls(counts, 1, { accepted: 2, refused: 1, unknown: 1 })).toEqual([]);
    expect(shortfalls(counts, 0, { accepted: 2, refused: 1, unknown: 1 })).toEqual(["the fault did not fire"]);
    expect(shortfalls(counts, 1, { accepted: 3, refused: 2, unknown: 2 })).toHaveLength(3);
  });
});

function orderOf(id: string): OrderRow {
  const found = soundBooks().orders.find((order) => order.id === id);
  if (!found) throw new Error(`no order ${id}`);
  return found;
}

function line(id: string) {
  return orderOf(id).lines[0] as OrderRow["lines"][number];
}

function changed(id: string, change: Partial<OrderRow>): Books {
  const orders = soundBooks().orders.map((order) => (order.id === id ? { ...order, ...change } : order));
  return { ...soundBooks(), orders };
}

function withOrders(...more: OrderRow[]): Books {
  return { ...soundBooks(), orders: [...soundBooks().orders, ...more] };
}

function withRedis(change: Partial<RedisPartition>): Books {
  return { ...soundBooks(), redis: soundBooks().redis.map((row) => ({ ...row, ...change })) };
}

function withStock(change: Partial<StockRow>): Books {
  return { ...soundBooks(), stock: soundBooks().stock.map((row) => ({ ...row, ...change })) };
}

function charge(change: Partial<ChargeRow>): ChargeRow {
  return { ...(soundBooks().charges[0] as ChargeRow), ...change };
}

function withCharges(...more: ChargeRow[]): Books {
  return { ...soundBooks(), charges: [...soundBooks().charges, ...more] };
}

function units(available: number, reserved: number, sold: number) {
  return new Map([[PRODUCT, { available, reserved, sold }]]);
}

function upTo(id: string, version: number) {
  return orderOf(id).timeline.slice(0, version);
}

/** PENDING, and CONFIRMED right after it. */
function skipping(id: string) {
  return [orderOf(id).timeline[0], orderOf(id).timeline[4]].map((step, i) => ({
    ...(step as OrderRow["timeline"][number]),
    version: i + 1,
  }));
}
