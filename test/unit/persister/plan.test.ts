import { describe, expect, it } from "vitest";
import type { LockedOrder } from "../../../engine/ledger/log.ts";
import type { Movement, PlacedOrder } from "../../../engine/movement.ts";
import { type LedgerState, planBatch } from "../../../persister/plan.ts";

const COFFEE = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
const PIZZA = "3c4d5e6f-7081-92a3-b4c5-def678901234";

function state(rows: Record<string, [allocated: number, reserved: number, sold: number]>): LedgerState {
  const stock = Object.entries(rows).map(([productId, [allocated, reserved, sold]]) => ({
    productId,
    allocated,
    reserved,
    sold,
  }));
  return { stock, orders: [], intents: [] };
}

function order(orderId: string, reservation: number, units: Record<string, number>, method = "card"): PlacedOrder {
  const lines = Object.entries(units).map(([productId, quantity]) => ({
    productId,
    name: "x",
    quantity,
    unitPrice: 100,
  }));
  return {
    orderId,
    reservation,
    payload: {
      customerId: "buyer",
      lines,
      price: 100,
      payable: 100,
      currency: "KRW",
      payment: { method: method as "card" | "later", token: "tok_ok" },
      onDecline: "release",
    },
  };
}

function spending(orderId: string, reservation: number, customerId: string, points: number): PlacedOrder {
  const { payload, ...facts } = order(orderId, reservation, { [COFFEE]: 1 });
  return { ...facts, payload: { ...payload, customerId, payable: 100 - points, discounts: { points } } };
}

function place(seq: number, ...orders: PlacedOrder[]): Movement {
  return { kind: "place", position: { epoch: 1, seq }, atMs: 1_000, deadlineMs: 2_000, orders, unreadable: [] };
}

function move(kind: "settle" | "release", seq: number, orderId: string, reservation: number, units: number): Movement {
  const holds = [{ orderId, reservation, units: [{ sku: COFFEE, units }] }];
  return { kind, position: { epoch: 1, seq }, atMs: 1_000, holds, unreadable: [] };
}

function known(id: string, holdReservation: number, stockState: LockedOrder["stockState"]): LockedOrder {
  return { id, holdReservation, stockState, status: "PAID" };
}

describe("planBatch", () => {
  it("reserves what an order takes and makes its payment due", () => {
    const plan = planBatch([place(1, order("a", 1, { [COFFEE]: 3 }))], state({ [COFFEE]: [10, 0, 0] }));
    expect(plan.stock).toEqual([{ productId: COFFEE, allocated: 10, reserved: 3, sold: 0 }]);
    expect(plan.newOrders).toMatchObject([{ id: "a", status: "RESERVED", version: 2, stockState: "reserved" }]);
    expect(plan.paymentsDue).toEqual(["a"]);
    expect(plan.reservation).toBe(1);
  });

  it("lets orders in by their sequence while they fit, and refuses the one that does not", () => {
    const plan = planBatch(
      [place(1, order("a", 1, { [COFFEE]: 2 }), order("b", 2, { [COFFEE]: 2 }), order("c", 3, { [COFFEE]: 1 }))],
      state({ [COFFEE]: [3, 0, 0] }),
    );
    expect(plan.newOrders.map(({ id, status, reason }) => [id, status, reason])).toEqual([
      ["a", "RESERVED", null],
      ["b", "CANCELLING", "LEDGER_GUARD"],
      ["c", "RESERVED", null],
    ]);
    expect(plan.stock).toEqual([{ productId: COFFEE, allocated: 3, reserved: 3, sold: 0 }]);
    expect(plan.compensationsDue).toEqual(["b"]);
    expect(plan.movements).toMatchObject([{ quantity: 5, refused: 2 }]);
  });

  it("spends points by the log's sequence while there are enough, and declines the order that has too few", () => {
    const [kim, lee] = ["cus_kim", "cus_lee"];
    const orders = [
      ...[spending("a", 1, kim, 60), spending("b", 2, kim, 60), spending("c", 3, kim, 40), spending("d", 4, lee, 10)],
      spending("e", 5, kim, 1),
      spending("f", 6, "cus_unknown", 1),
    ];
    const points = [
      { customerId: kim, balance: 100, spend: 0 },
      { customerId: lee, balance: 10, spend: 0 },
    ];
    const plan = planBatch([place(1, ...orders)], { ...state({ [COFFEE]: [10, 0, 0] }), points });
    expect(plan.newOrders.map(({ id, status, reason }) => [id, status, reason])).toEqual([
      ["a", "RESERVED", null],
      ["b", "CANCELLING", "PAYMENT_DECLINED"],
      ["c", "RESERVED", null],
      ["d", "RESERVED", null],
      ["e", "CANCELLING", "PAYMENT_DECLINED"],
      ["f", "CANCELLING", "PAYMENT_DECLINED"],
    ]);
    expect(plan.pointsSpent).toEqual([
      { orderId: "a", customerId: kim, points: 60 },
      { orderId: "c", customerId: kim, points: 40 },
      { orderId: "d", customerId: lee, points: 10 },
    ]);
    // Their units are in the ledger until they are released, and nothing of them is to be paid.
    expect(plan.stock).toMatchObject([{ reserved: 6 }]);
    expect([plan.paymentsDue, plan.compensationsDue]).toEqual([
      ["a", "c", "d"],
      ["b", "e", "f"],
    ]);
  });

  it("takes no points of an order that is refused or cancelled anyway", () => {
    const points = [{ customerId: "cus_kim", balance: 100, spend: 0 }];
    const intent = { intent: "cancel", actor: "x", reason: "CUSTOMER", method: null, token: null } as const;
    const before = { ...state({ [COFFEE]: [2, 0, 0] }), points, intents: [{ ...intent, orderId: "a" }] };
    const orders = [spending("a", 1, "cus_kim", 60), spending("b", 2, "cus_kim", 60), spending("c", 3, "cus_kim", 40)];
    const plan = planBatch([place(1, ...orders)], before);
    expect(plan.newOrders.map(({ reason }) => reason)).toEqual(["CUSTOMER", null, "LEDGER_GUARD"]);
    expect(plan.pointsSpent.map(({ orderId }) => orderId)).toEqual(["b"]);
  });

  it("takes all lines of an order or none", () => {
    const plan = planBatch(
      [place(1, order("a", 1, { [COFFEE]: 1, [PIZZA]: 1 }))],
      state({ [COFFEE]: [5, 0, 0], [PIZZA]: [1, 1, 0] }),
    );
    expect(plan.newOrders).toMatchObject([{ status: "CANCELLING", stockState: "refused" }]);
    expect(plan.stock).toEqual([]);
  });

  it("counts units that a release gave back earlier in the same batch", () => {
    const before = { ...state({ [COFFEE]: [1, 1, 0] }), orders: [known("old", 1, "reserved")] };
    const plan = planBatch([move("release", 1, "old", 1, 1), place(2, order("new", 2, { [COFFEE]: 1 }))], before);
    expect(plan.released).toEqual(["old"]);
    expect(plan.newOrders).toMatchObject([{ id: "new", status: "RESERVED" }]);
    expect(plan.stock).toEqual([{ productId: COFFEE, allocated: 1, reserved: 1, sold: 0 }]);
  });

  it("does not count them when they come back only later in the log", () => {
    const before = { ...state({ [COFFEE]: [1, 1, 0] }), orders: [known("old", 1, "reserved")] };
    const plan = planBatch([place(1, order("new", 2, { [COFFEE]: 1 })), move("release", 2, "old", 1, 1)], before);
    expect(plan.newOrders).toMatchObject([{ id: "new", status: "CANCELLING", reason: "LEDGER_GUARD" }]);
    expect(plan.stock).toEqual([{ productId: COFFEE, allocated: 1, reserved: 0, sold: 0 }]);
  });

  it("turns a settled hold from reserved to sold once", () => {
    const before = { ...state({ [COFFEE]: [5, 2, 0] }), orders: [known("a", 1, "reserved")] };
    const plan = planBatch([move("settle", 1, "a", 1, 2), move("settle", 2, "a", 1, 2)], before);
    expect(plan.settled).toEqual(["a"]);
    expect(plan.stock).toEqual([{ productId: COFFEE, allocated: 5, reserved: 0, sold: 2 }]);
    expect(plan.deadLetters).toMatchObject([{ orderId: "a", seq: 2 }]);
  });

  it("frees nothing in the ledger for a hold that the guard had refused", () => {
    const before = { ...state({ [COFFEE]: [5, 5, 0] }), orders: [known("a", 1, "refused")] };
    const plan = planBatch([move("release", 1, "a", 1, 2)], before);
    expect(plan.released).toEqual(["a"]);
    expect(plan.stock).toEqual([]);
  });

  it("frees nothing either when the guard refused the hold in the same batch", () => {
    const batch = [place(1, order("a", 1, { [COFFEE]: 2 })), move("release", 2, "a", 1, 2)];
    const plan = planBatch(batch, state({ [COFFEE]: [5, 5, 0] }));
    expect(plan.stock).toEqual([]);
    expect(plan.movements.map(({ refused }) => refused)).toEqual([2, 2]);
  });

  it("sets a hold under another reservation number aside", () => {
    const before = { ...state({ [COFFEE]: [5, 2, 0] }), orders: [known("a", 9, "reserved")] };
    const plan = planBatch([move("release", 1, "a", 1, 2)], before);
    expect(plan.released).toEqual([]);
    expect(plan.stock).toEqual([]);
    expect(plan.deadLetters).toMatchObject([{ orderId: "a", kind: "release" }]);
  });

  it("sets a second order of the same id aside", () => {
    const plan = planBatch(
      [place(1, order("a", 1, { [COFFEE]: 1 })), place(2, order("a", 2, { [COFFEE]: 1 }))],
      state({ [COFFEE]: [5, 0, 0] }),
    );
    expect(plan.newOrders).toHaveLength(1);
    expect(plan.deadLetters).toMatchObject([{ orderId: "a", seq: 2 }]);
    expect(plan.stock).toMatchObject([{ reserved: 1 }]);
  });

  it("honours a cancellation that came before the order", () => {
    const intent = {
      orderId: "a",
      intent: "cancel",
      actor: "x",
      reason: "CUSTOMER",
      method: null,
      token: null,
    } as const;
    const plan = planBatch([place(1, order("a", 1, { [COFFEE]: 1 }))], {
      ...state({ [COFFEE]: [5, 0, 0] }),
      intents: [intent],
    });
    expect(plan.newOrders).toMatchObject([
      { status: "CANCELLING", reason: "CUSTOMER", version: 3, stockState: "reserved", paymentToken: null },
    ]);
    expect(plan.compensationsDue).toEqual(["a"]);
    expect(plan.paymentsDue).toEqual([]);
  });

  it("honours a payment that came before an order that was to be paid later", () => {
    const intent = {
      orderId: "a",
      intent: "pay",
      actor: "x",
      reason: null,
      method: "card",
      token: "tok_late",
    } as const;
    const plan = planBatch([place(1, order("a", 1, { [COFFEE]: 1 }, "later"))], {
      ...state({ [COFFEE]: [5, 0, 0] }),
      intents: [intent],
    });
    expect(plan.newOrders).toMatchObject([{ status: "RESERVED", paymentMethod: "card", paymentToken: "tok_late" }]);
    expect(plan.paymentsDue).toEqual(["a"]);
  });

  it("charges the wallet of the buyer, whatever token came with the order or the wish to pay it", () => {
    const pay = {
      orderId: "a",
      intent: "pay",
      actor: "x",
      reason: null,
      method: "wallet",
      token: "cus_victim",
    } as const;
    const later = planBatch([place(1, order("a", 1, { [COFFEE]: 1 }, "later"))], {
      ...state({ [COFFEE]: [5, 0, 0] }),
      intents: [pay],
    });
    const now = planBatch([place(1, order("a", 1, { [COFFEE]: 1 }, "wallet"))], state({ [COFFEE]: [5, 0, 0] }));
    for (const { newOrders, paymentsDue } of [later, now]) {
      expect(newOrders).toMatchObject([{ status: "RESERVED", paymentMethod: "wallet" }]);
      expect(newOrders[0]?.paymentToken).toBe(newOrders[0]?.customerId);
      expect(paymentsDue).toEqual(["a"]);
    }
  });

  it("takes a write-off from what is allocated, and leaves a restock that was committed before as it is", () => {
    const restock = (seq: number, quantity: number): Movement => ({
      kind: "restock",
      position: { epoch: 1, seq },
      atMs: 1,
      movementId: `m${seq}`,
      sku: COFFEE,
      quantity,
      unreadable: [],
    });
    const plan = planBatch([restock(1, 5), restock(2, -2)], state({ [COFFEE]: [10, 0, 0] }));
    expect(plan.stock).toEqual([{ productId: COFFEE, allocated: 8, reserved: 0, sold: 0 }]);
    expect(plan.applied.map(({ movementId, quantity }) => [movementId, quantity])).toEqual([
      ["m1", 5],
      ["m2", -2],
    ]);
  });
});
