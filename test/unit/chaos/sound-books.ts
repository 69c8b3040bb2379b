// A small run in which every promise holds, written by hand; tests break one thing in it.
import type { OrderStatus } from "../../../engine/order-state.ts";
import type { Books, OrderRow } from "../../chaos/checker/books.ts";
import type { HistoryEvent } from "../../chaos/history.ts";

export const PRODUCT = "00000000-0000-4000-8000-00000000000a";

const BASE_MS = 1_000_000;

function order(
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
    stockState: "sold",
    payable: quantity * 100,
    refundedAmount: 0,
    idempotencyScope: `scope of ${id}`,
    partition: 0,
    epoch: 1,
    seq: 2,
    lines: [{ productId: PRODUCT, quantity }],
    timeline: way.map((status, i) => ({ version: i + 1, status, atMs: BASE_MS + 10 * i })),
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
    charges: [
      { key: "paid:1", amount: 200, refunded: 0, state: "succeeded", createdAtMs: BASE_MS + 25 },
      { key: "declined:1", amount: 100, refunded: 0, state: "declined", createdAtMs: BASE_MS + 25 },
    ],
  };
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
