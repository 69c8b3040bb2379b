// The rows of the ledger's model, and the small steps that they take.
import type { ModelOrder } from "../support/partition-model.ts";

/** An order with what only the ledger looks at. */
export interface SystemOrder extends ModelOrder {
  readonly pay: "card" | "later";
  readonly onDecline: "release" | "hold";
}

export type LedgerStatus =
  | "PENDING"
  | "RESERVED"
  | "PAYING"
  | "PAID"
  | "CONFIRMED"
  | "CANCELLING"
  | "CANCELLED"
  | "REFUND_PENDING"
  | "REFUNDED";
export type StockState = "reserved" | "sold" | "released" | "refused";

export interface LedgerOrder {
  readonly id: string;
  readonly order: SystemOrder;
  reservation: number;
  readonly epoch: number;
  readonly seq: number;
  status: LedgerStatus;
  reason: string | null;
  stockState: StockState;
  /** A payment waits to be attempted. */
  due: boolean;
  method: "card" | "later";
  attempts: number;
  /** Its payment succeeded after it was cancelled. */
  isPaidLate: boolean;
  /** Units by product that came back of what was sold, and those that went back on sale. */
  readonly returned: Map<string, number>;
  readonly restocked: Map<string, number>;
  readonly timeline: string[];
}

export interface LedgerStock {
  allocated: number;
  reserved: number;
  sold: number;
}

export interface Allocation {
  readonly sku: string;
  readonly quantity: number;
  applied: { readonly epoch: number; readonly seq: number } | undefined;
}

export interface Holdback {
  readonly sku: string;
  readonly quantity: number;
  returned: boolean;
}

export interface Place {
  readonly epoch: number;
  readonly seq: number;
}

/** What the API processes have said to have acknowledged in one epoch, units by number. */
export interface Report extends Place {
  readonly entries: ReadonlyMap<number, ReadonlyMap<string, number>>;
}

export function move(order: LedgerOrder, status: LedgerStatus, reason?: string): void {
  order.status = status;
  if (reason) order.reason = reason;
  order.timeline.push(status);
}

export function count(
  moved: Map<string, { units: number; refused: number }>,
  sku: string,
  units: number,
  refused: number,
): void {
  const before = moved.get(sku) ?? { units: 0, refused: 0 };
  moved.set(sku, { units: before.units + units, refused: before.refused + refused });
}

export function isHeld(state: StockState): boolean {
  return state === "reserved" || state === "refused";
}

export function add(units: Map<string, number>, sku: string, by: number): void {
  units.set(sku, (units.get(sku) ?? 0) + by);
}

export function sum(rows: readonly { readonly quantity: number }[]): number {
  return rows.reduce((total, { quantity }) => total + quantity, 0);
}
