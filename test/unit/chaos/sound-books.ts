// A small run in which every promise holds, written by hand; tests break one thing in it.
import type { OrderStatus } from "../../../engine/order-state.ts";
import type { AttemptRow, Books, ChargeRow, OrderRow, RefundRow } from "../../chaos/checker/books.ts";
import type { HistoryEvent } from "../../chaos/history.ts";

export const PRODUCT = "00000000-0000-4000-8000-00000000000a";

const BASE_MS = 1_000_000;

export function order(
  id: string,
  buyer: string,
  quantity: number,
  way: readonly OrderStatus[],
  rest: Partial<OrderRow>,
): OrderRow {
  return {
    id,
    customerId: buyer,
    status: way.at(-1) ?? "PENDING",
    reason: null,
    version: way.length,
    lateCapture: null,
    stockState: "sold",
    price: quantity * 100,
    payable: quantity * 100,
    discounts: null,
    refundedAmount: 0,
    idempotencyScope: `scope of ${id}`,
    partition: 0,
    epoch: 1,
    seq: 2,
    lines: [{ productId: PRODUCT, quantity, returned: 0, restocked: 0 }],
    timeline: way.map((status, i) => ({ version: i + 1, status, refundedAmount: null, atMs: BASE_MS + 10 * i })),
    ...rest,
  };
}

/** One paid order of two units and one declined order of one unit, of ten units and at most three a buyer. */
export function soundBooks(): Books {
  return {
    products: [{ id: PRODUCT, limit: 3 }],
    partitions: [{ partition: 0, epoch: 1, seq: 5, state: "live", reason: null }],
    stock: [{ partition: 0, productId: PRODUCT, allocated: 10, reserved: 0, sold: 2, allocations: 10 }],
    orders: [
      order("paid", "ann", 2, ["PENDING", "RESERVED", "PAYING", "PAID", "CONFIRMED"], {}),
      order("declined", "bob", 1, ["PENDING", "RESERVED", "PAYING", "CANCELLING", "CANCELLED"], {
        reason: "PAYMENT_DECLINED",
        stockState: "released",
      }),
    ],
    numbers: [1, 2, 3, 4, 5].map((seq) => ({ partition: 0, epoch: 1, seq, refused: 0 })),
    deadLetters: [],
    lostRanges: [],
    holdbacks: [],
    redis: [
      {
        partition: 0,
        epoch: 1,
        seq: 5,
        stock: new Map([[PRODUCT, { available: 8, reserved: 0, sold: 2 }]]),
        held: [],
        limits: new Map([[`ann|${PRODUCT}`, 2]]),
        pending: 0,
        lag: 0,
      },
    ],
    charges: [charge("paid", 200, {}), charge("declined", 100, { state: "declined" })],
    attempts: [attempt("paid", {}), attempt("declined", { state: "declined" })],
    refunds: [],
    returns: [],
    wallets: { accounts: [], transfers: [], charges: [] },
    coupons: [],
    points: { accounts: [], entries: [] },
    eventsOpen: 0,
  };
}

/**
 * The same shop with more of money: three units paid by wallet, of which one was refunded and went back on sale and one was
 * written off; one unit paid after its order had expired and refunded; and one that was revived instead.
 */
export function soundMoney(): Books {
  const books = soundBooks();
  const part = order(
    "part",
    "cus",
    3,
    ["PENDING", "RESERVED", "PAYING", "PAID", "CONFIRMED", "CONFIRMED", "CONFIRMED"],
    {
      refundedAmount: 200,
      lines: [{ productId: PRODUCT, quantity: 3, returned: 2, restocked: 1 }],
    },
  );
  const timeline = part.timeline.map((step, i) => (i < 5 ? step : { ...step, refundedAmount: 100 * (i - 4) }));
  const expired = ["PENDING", "RESERVED", "PAYING", "CANCELLING", "CANCELLED"] as const;
  const late = order("late", "joe", 1, [...expired, "REFUND_PENDING", "REFUNDED"], {
    reason: "EXPIRED",
    stockState: "released",
    lateCapture: 1,
    refundedAmount: 100,
  });
  const lateSteps = late.timeline.map((step, i) => (i < 6 ? step : { ...step, refundedAmount: 100 }));
  const revived = order("revived", "kim", 1, [...expired, "PAID", "CONFIRMED"], { lateCapture: 1 });
  return {
    ...books,
    stock: [{ partition: 0, productId: PRODUCT, allocated: 9, reserved: 0, sold: 4, allocations: 10 }],
    orders: [...books.orders, { ...part, timeline }, { ...late, timeline: lateSteps }, revived],
    redis: books.redis.map((row) => ({
      ...row,
      stock: new Map([[PRODUCT, { available: 5, reserved: 0, sold: 4 }]]),
      limits: new Map([...row.limits, [`cus|${PRODUCT}`, 2], [`kim|${PRODUCT}`, 1]]),
    })),
    charges: [
      ...books.charges,
      charge("part", 300, {
        method: "wallet",
        refunded: 200,
        refunds: [
          { key: "on sale", amount: 100 },
          { key: "written off", amount: 100 },
        ],
      }),
      charge("late", 100, { refunded: 100, refunds: [{ key: "all of it", amount: 100 }] }),
      charge("revived", 100, {}),
    ],
    attempts: [...books.attempts, attempt("part", { method: "wallet" }), attempt("late", {}), attempt("revived", {})],
    refunds: [
      refund("on sale", "part", { method: "wallet", restock: true, lines: [{ productId: PRODUCT, quantity: 1 }] }),
      refund("written off", "part", { method: "wallet", lines: [{ productId: PRODUCT, quantity: 1 }] }),
      refund("all of it", "late", { scope: "whole" }),
    ],
    returns: [
      { movementId: "on sale", orderId: "part", restock: true, units: { [PRODUCT]: 1 } },
      { movementId: "written off", orderId: "part", restock: false, units: { [PRODUCT]: 1 } },
    ],
    wallets: {
      accounts: [
        { id: 1, owner: "deposits", balance: null },
        { id: 2, owner: "sales", balance: null },
        { id: 3, owner: "cus", balance: 400 },
      ],
      transfers: [
        { id: 1, kind: "deposit", reference: "d", debit: 1, credit: 3, amount: 500, balance: 500, chargeKey: null },
        { id: 2, kind: "charge", reference: "part:1", debit: 3, credit: 2, amount: 300, balance: 200, chargeKey: null },
        {
          id: 3,
          kind: "refund",
          reference: "on sale",
          debit: 2,
          credit: 3,
          amount: 100,
          balance: 300,
          chargeKey: "part:1",
        },
        {
          id: 4,
          kind: "refund",
          reference: "written off",
          debit: 2,
          credit: 3,
          amount: 100,
          balance: 400,
          chargeKey: "part:1",
        },
      ],
      charges: [{ key: "part:1", amount: 300, refunded: 200 }],
    },
  };
}

/** What the buyers of {@link soundMoney} saw. */
export function moneyHistory(): HistoryEvent[] {
  return [
    ...soundHistory(),
    ...placed(5, "cus", 3, accepted("part")),
    ...placed(6, "joe", 1, accepted("late")),
    ...placed(7, "kim", 1, accepted("revived")),
  ];
}

export function charge(orderId: string, amount: number, rest: Partial<ChargeRow>): ChargeRow {
  const made = { refunded: 0, refunds: [], state: "succeeded", createdAtMs: BASE_MS + 25 } as const;
  return { key: `${orderId}:1`, method: "card", amount, ...made, ...rest };
}

export function attempt(orderId: string, rest: Partial<AttemptRow>): AttemptRow {
  return { orderId, attempt: 1, method: "card", state: "succeeded", surplus: null, error: null, ...rest };
}

export function refund(id: string, orderId: string, rest: Partial<RefundRow>): RefundRow {
  const made = { amount: 100, restock: false, state: "succeeded", lines: [] } as const;
  return { id, orderId, attempt: 1, method: "card", scope: "part", ...made, ...rest };
}

export function placed(op: number, buyer: string, quantity: number, ...ends: HistoryEvent[]): HistoryEvent[] {
  const items = [{ productId: PRODUCT, quantity }];
  return ends.flatMap((end, i) => [
    { type: "invoke", at: 10 * i, attempt: i + 1, op, operation: "place", buyer, key: `key ${op}`, items } as const,
    { ...end, op, attempt: i + 1 } as HistoryEvent,
  ]);
}

export const accepted = (orderId: string): HistoryEvent => ({
  type: "ok",
  at: 5,
  op: 0,
  attempt: 1,
  status: 202,
  orderId,
});
export const noAnswer: HistoryEvent = { type: "info", at: 5, op: 0, attempt: 1 };
export const soldOut: HistoryEvent = { type: "fail", at: 5, op: 0, attempt: 1, status: 409, code: "SOLD_OUT" };

/** What the two buyers saw, one of them after an answer that did not come; a third was refused. */
export function soundHistory(): HistoryEvent[] {
  return [
    ...placed(1, "ann", 2, noAnswer, accepted("paid")),
    ...placed(2, "bob", 1, accepted("declined")),
    ...placed(3, "eve", 3, soldOut),
    { type: "invoke", at: 20, attempt: 1, op: 4, operation: "read", buyer: "ann", orderId: "paid" },
    { type: "ok", at: 21, attempt: 1, op: 4, status: 200, orderId: "paid", orderStatus: "PAID", version: 4 },
  ];
}
