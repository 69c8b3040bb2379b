import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { isAllowed, isTerminal, ORDER_STATUSES, type OrderStatus, TRANSITIONS } from "../../../engine/order-state.ts";

/** Every step that there is, written out: what is not here is forbidden. */
const STEPS: Record<OrderStatus, readonly OrderStatus[]> = {
  PENDING: ["RESERVED", "CANCELLING"],
  RESERVED: ["PAYING", "CANCELLING"],
  PAYING: ["RESERVED", "PAID", "CANCELLING"],
  PAID: ["CONFIRMED"],
  CONFIRMED: ["REFUND_PENDING"],
  CANCELLING: ["CANCELLED"],
  CANCELLED: ["PAID", "REFUND_PENDING"],
  REFUND_PENDING: ["REFUNDED"],
  REFUNDED: [],
};

const pairs = ORDER_STATUSES.flatMap((from) => ORDER_STATUSES.map((to) => [from, to] as const));

describe("the states of an order", () => {
  it.each(pairs)("from %s to %s: as the table says", (from, to) => {
    expect(isAllowed(from, to)).toBe(STEPS[from].includes(to));
  });

  it("are drawn in the documentation with exactly these steps", () => {
    const text = readFileSync(new URL("../../../docs/ARCHITECTURE.md", import.meta.url), "utf8");
    const diagram = /```mermaid\nstateDiagram-v2\n(.*?)```/s.exec(text)?.[1] ?? "";
    const drawn = [...diagram.matchAll(/^ {2}([A-Z_]+) --> ([A-Z_]+)/gm)].map(([, from, to]) => `${from} ${to}`);
    const steps = ORDER_STATUSES.flatMap((from) => STEPS[from].map((to) => `${from} ${to}`));
    expect([...new Set(drawn)].toSorted()).toEqual(steps.toSorted());
  });

  it("end in CONFIRMED, CANCELLED and REFUNDED", () => {
    expect(ORDER_STATUSES.filter(isTerminal)).toEqual(["CONFIRMED", "CANCELLED", "REFUNDED"]);
  });

  it("all lead to an end, and all are reached from PENDING", () => {
    const reachable = (from: OrderStatus) => {
      const seen = new Set<OrderStatus>([from]);
      for (const status of seen) for (const next of STEPS[status]) seen.add(next);
      return seen;
    };
    expect([...reachable("PENDING")].toSorted()).toEqual(ORDER_STATUSES.toSorted());
    for (const status of ORDER_STATUSES) expect([...reachable(status)].some(isTerminal)).toBe(true);
  });

  it("never lead from a state to itself, nor past the release of an order that is being cancelled", () => {
    for (const { from, to } of Object.values(TRANSITIONS)) expect(from as readonly string[]).not.toContain(to);
    expect(STEPS.CANCELLING).toEqual(["CANCELLED"]);
  });
});
