// What a run left behind, as the checks read it: Postgres' rows, Redis' figures, the payment provider's own ledger. Plain
// values, so that a test can write books by hand and break one promise in them.
import type { CancelReason, OrderStatus } from "../../../engine/order-state.ts";

export interface OrderRow {
  readonly id: string;
  readonly customerId: string;
  readonly status: OrderStatus;
  readonly reason: CancelReason | null;
  readonly version: number;
  readonly stockState: "reserved" | "sold" | "released" | "refused";
  readonly payable: number;
  readonly refundedAmount: number;
  readonly idempotencyScope: string | null;
  readonly partition: number;
  readonly epoch: number;
  readonly seq: number;
  readonly lines: readonly { readonly productId: string; readonly quantity: number }[];
  /** In the order of their versions. */
  readonly timeline: readonly { readonly version: number; readonly status: OrderStatus; readonly atMs: number }[];
}

export interface StockRow {
  readonly partition: number;
  readonly productId: string;
  readonly allocated: number;
  readonly reserved: number;
  readonly sold: number;
  /** Sum of the committed increases and decreases. */
  readonly allocations: number;
}

export interface PartitionRow {
  readonly partition: number;
  readonly epoch: number;
  readonly seq: number;
  readonly state: string;
  readonly reason: string | null;
}

/** A number of the log, as Postgres applied it. */
export interface NumberRow {
  readonly partition: number;
  readonly epoch: number;
  readonly seq: number;
  /** Units that the guard did not let into the ledger. */
  readonly refused: number;
}

/** Numbers of the log that an operator's rebuild declared lost. */
export interface LostRange {
  readonly partition: number;
  readonly epoch: number;
  readonly fromSeq: number;
  readonly toSeq: number;
}

/** Units that a rebuild held back for orders that were acknowledged and are lost. */
export interface HoldbackRow {
  readonly partition: number;
  readonly productId: string;
  readonly quantity: number;
  readonly returned: boolean;
}

export interface DeadLetterRow {
  readonly partition: number;
  readonly epoch: number;
  readonly seq: number;
  readonly orderId: string | null;
  readonly kind: string;
  readonly error: string;
}

export interface RedisPartition {
  readonly partition: number;
  readonly epoch: number;
  readonly seq: number;
  readonly stock: ReadonlyMap<string, { readonly available: number; readonly reserved: number; readonly sold: number }>;
  /** Orders that hold units. */
  readonly held: readonly string[];
  /** `buyer|product` to units held and bought. */
  readonly limits: ReadonlyMap<string, number>;
  /** Entries delivered and not acknowledged; entries not delivered. */
  readonly pending: number;
  readonly lag: number;
}

/** A line of the provider's ledger. The key is `order id:attempt`. */
export interface ChargeRow {
  readonly key: string;
  readonly amount: number;
  readonly refunded: number;
  readonly state: "succeeded" | "declined" | "error";
  readonly createdAtMs: number;
}

export interface Books {
  readonly products: readonly { readonly id: string; readonly limit: number | undefined }[];
  readonly partitions: readonly PartitionRow[];
  readonly stock: readonly StockRow[];
  readonly orders: readonly OrderRow[];
  readonly numbers: readonly NumberRow[];
  readonly deadLetters: readonly DeadLetterRow[];
  readonly lostRanges: readonly LostRange[];
  readonly holdbacks: readonly HoldbackRow[];
  readonly redis: readonly RedisPartition[];
  readonly charges: readonly ChargeRow[];
}

/** What a fault is allowed to have changed; everything else must be as if it had not been. */
export interface Allowances {
  /** Units that the fault itself put into Redis, by product. */
  readonly tamperedUnits?: ReadonlyMap<string, number>;
  /** The ledger's guard is expected to refuse orders. */
  readonly guardMayRefuse?: boolean;
  /** Acknowledged orders may have been lost, if a rebuild declared exactly them. */
  readonly mayLose?: boolean;
  /** Products of which the ledger had no more to hold back than was held back. */
  readonly heldBackShort?: ReadonlySet<string>;
  /** Numbers of the log that the fault made unreadable: they may lie with the dead letters. */
  readonly deadNumbers?: ReadonlySet<number>;
}

/** Promises by their numbers in docs/RELIABILITY.md. */
export type PromiseNumber = 1 | 2 | 3 | 4 | 5 | 6 | 7;

export interface Violation {
  readonly promise: PromiseNumber;
  readonly claim: string;
  readonly detail: string;
  /** Where it is one order's. */
  readonly orderId?: string;
}

/** Units by product. */
export function unitsOf(orders: readonly Pick<OrderRow, "lines">[]): Map<string, number> {
  const units = new Map<string, number>();
  for (const order of orders) {
    for (const { productId, quantity } of order.lines) units.set(productId, (units.get(productId) ?? 0) + quantity);
  }
  return units;
}
