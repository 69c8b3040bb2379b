// The checker of the fault suite where money goes back, is late, or comes from a wallet: each broken promise is found.
import { describe, expect, it } from "vitest";
import type {
  AttemptRow,
  Books,
  ChargeRow,
  OrderRow,
  RefundRow,
  ReturnRow,
  WalletTransfer,
} from "../../chaos/checker/books.ts";
import { check } from "../../chaos/checker/check.ts";
import { attempt, charge, moneyHistory, PRODUCT, refund, soundMoney } from "./sound-books.ts";

const promisesBroken = (books: Books) => [...new Set(check(moneyHistory(), books).map(({ promise }) => promise))];

it("in sound books nothing is found", () => {
  expect(check(moneyHistory(), soundMoney())).toEqual([]);
});

it("a charge that went back by itself is no refund of the order", () => {
  const books = soundMoney();
  const alone = refund("surplus", "declined", { attempt: 1, scope: "charge" });
  const captured = charge("declined", 100, { refunded: 100, refunds: [{ key: "surplus", amount: 100 }] });
  const taken = attempt("declined", { state: "succeeded", surplus: "refunding" });
  expect(
    check(moneyHistory(), {
      ...books,
      charges: [...books.charges.filter(({ key }) => key !== "declined:1"), captured],
      attempts: [...books.attempts.filter(({ orderId }) => orderId !== "declined"), taken],
      refunds: [...books.refunds, alone],
    }),
  ).toEqual([]);
});

describe("a violation is found where", () => {
  it.each<[what: string, promise: number, books: Books]>([
    ["returned units are still sold", 1, stock({ sold: 6 })],
    ["what was written off is still allocated", 1, stock({ allocated: 10 })],
    ["what is on sale again was written off", 1, orders("part", { lines: [line({ restocked: 0 })] })],
    ["units came back twice", 1, orders("part", { lines: [line({ returned: 3 })] })],
    ["a refund's units did not come back", 1, { ...soundMoney(), returns: soundMoney().returns.slice(1) }],
    ["other units came back", 1, returns("on sale", { units: { [PRODUCT]: 2 } })],
    ["units went on sale that were to be written off", 1, returns("written off", { restock: true })],
    ["units came back without a refund", 1, returns("on sale", { movementId: "nobody's" })],
    ["a refunded order kept units", 3, orders("revived", refunded("revived"))],
    ["a late capture was never decided about", 3, orders("late", undecided())],
    ["a refund is no way from here", 3, orders("paid", { status: "REFUND_PENDING" })],
    ["a version says nothing new", 3, orders("part", { timeline: steps("part", null) })],
    ["the timeline gave less back", 3, orders("part", { timeline: steps("part", 50) })],
    ["the outcome of an attempt is unknown", 3, attempts("revived", { state: "started" })],
    ["a surplus charge is kept", 3, attempts("declined", { surplus: "owed" })],
    ["nobody followed an event up", 3, { ...soundMoney(), eventsOpen: 1 }],
    ["a late capture was neither revived nor refunded", 5, charges("late", { refunded: 0, refunds: [] })],
    ["a late capture was revived and refunded", 5, charges("revived", given("again"))],
    ["a refund went back twice", 5, charges("part", twice())],
    ["a refund went back under another key", 5, charges("late", given("another"))],
    ["a refund went back that failed", 5, refunds("all of it", { state: "failed" })],
    ["a refund is still under way", 5, refunds("all of it", { state: "pending" })],
    ["another amount went back", 5, refunds("all of it", { amount: 90 })],
    ["it went back from another charge", 5, refunds("all of it", { attempt: 2 })],
    ["it went back to another purse", 5, refunds("on sale", { method: "card" })],
    ["the order counts otherwise than its refunds", 5, orders("late", { refundedAmount: 50 })],
    ["a charge counts otherwise than its refunds", 5, charges("part", { refunded: 150 })],
    ["an order is confirmed though all went back", 5, orders("part", { payable: 200 })],
    ["money was captured for an attempt that failed", 5, attempts("revived", { state: "failed" })],
    ["a card was charged for a wallet's order", 5, attempts("paid", { method: "wallet" })],
    ["a charge has no attempt", 5, { ...soundMoney(), attempts: soundMoney().attempts.slice(1) }],
    ["a wallet holds more than was moved", 5, accounts(500)],
    ["a wallet was below zero", 5, transfers(1, { amount: 250, balance: 250 })],
    ["a transfer says another balance", 5, transfers(4, { balance: 500 })],
    ["a transfer is between the shop's own accounts", 5, transfers(1, { credit: 2 })],
    ["a wallet's charge moved another amount", 5, walletCharge({ amount: 200 })],
    ["a wallet's charge moved nothing", 5, transfers(2, { reference: "part:2" })],
    ["a wallet's refund is not in its charge", 5, walletCharge({ refunded: 100 })],
    ["a wallet was paid back for nothing", 5, transfers(3, { chargeKey: "part:2" })],
    ["Redis counts what went back on sale to its buyer", 6, limits(3)],
    ["Redis gave the limit of a written-off unit back", 6, limits(1)],
  ])("%s (promise %i)", (_what, promise, books) => {
    expect(promisesBroken(books)).toContain(promise);
  });
});

function replaced<Row>(rows: readonly Row[], is: (row: Row) => boolean, change: Partial<Row>): Row[] {
  expect(rows.filter(is)).toHaveLength(1);
  return rows.map((row) => (is(row) ? { ...row, ...change } : row));
}

function stock(change: Partial<Books["stock"][number]>): Books {
  return { ...soundMoney(), stock: soundMoney().stock.map((row) => ({ ...row, ...change })) };
}

function orders(name: string, change: Partial<OrderRow>): Books {
  return { ...soundMoney(), orders: replaced(soundMoney().orders, ({ id }) => id === name, change) };
}

function attempts(name: string, change: Partial<AttemptRow>): Books {
  return { ...soundMoney(), attempts: replaced(soundMoney().attempts, ({ orderId }) => orderId === name, change) };
}

function charges(name: string, change: Partial<ChargeRow>): Books {
  return { ...soundMoney(), charges: replaced(soundMoney().charges, ({ key }) => key === `${name}:1`, change) };
}

function refunds(name: string, change: Partial<RefundRow>): Books {
  return { ...soundMoney(), refunds: replaced(soundMoney().refunds, ({ id }) => id === name, change) };
}

function returns(name: string, change: Partial<ReturnRow>): Books {
  return { ...soundMoney(), returns: replaced(soundMoney().returns, ({ movementId }) => movementId === name, change) };
}

function withWallets(change: Partial<Books["wallets"]>): Books {
  return { ...soundMoney(), wallets: { ...soundMoney().wallets, ...change } };
}

function transfers(no: number, change: Partial<WalletTransfer>): Books {
  return withWallets({ transfers: replaced(soundMoney().wallets.transfers, ({ id }) => id === no, change) });
}

function accounts(balance: number): Books {
  return withWallets({
    accounts: replaced(soundMoney().wallets.accounts, ({ owner }) => owner === "cus", { balance }),
  });
}

function walletCharge(change: Partial<Books["wallets"]["charges"][number]>): Books {
  return withWallets({ charges: soundMoney().wallets.charges.map((row) => ({ ...row, ...change })) });
}

function limits(units: number): Books {
  const redis = soundMoney().redis.map((row) => ({
    ...row,
    limits: new Map([...row.limits, [`cus|${PRODUCT}`, units]]),
  }));
  return { ...soundMoney(), redis };
}

function find(id: string): OrderRow {
  return soundMoney().orders.find((order) => order.id === id) as OrderRow;
}

function line(change: Partial<OrderRow["lines"][number]>): OrderRow["lines"][number] {
  return { ...(find("part").lines[0] as OrderRow["lines"][number]), ...change };
}

/** The order's last step, giving this much back. */
function steps(id: string, refundedAmount: number | null): OrderRow["timeline"] {
  return find(id).timeline.map((step, i, all) => (i < all.length - 1 ? step : { ...step, refundedAmount }));
}

function undecided(): Partial<OrderRow> {
  return { status: "CANCELLED", refundedAmount: 0, version: 5, timeline: find("late").timeline.slice(0, 5) };
}

function refunded(id: string): Partial<OrderRow> {
  const { timeline } = find(id);
  const more = (["REFUND_PENDING", "REFUNDED"] as const).map((status, i) => ({
    version: timeline.length + 1 + i,
    status,
    refundedAmount: i === 1 ? 100 : null,
    atMs: 2_000_000,
  }));
  return { status: "REFUNDED", refundedAmount: 100, version: timeline.length + 2, timeline: [...timeline, ...more] };
}

function given(key: string): Partial<ChargeRow> {
  return { refunded: 100, refunds: [{ key, amount: 100 }] };
}

function twice(): Partial<ChargeRow> {
  const [first] = soundMoney().charges.find(({ key }) => key === "part:1")?.refunds ?? [];
  return { refunded: 200, refunds: first ? [first, first] : [] };
}
