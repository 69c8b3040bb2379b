// What a run left behind, as the checks read it: Postgres' rows, Redis' figures, the payment provider's own ledger. Plain
// values, so that a test can write books by hand and break one promise in them.
import type { CancelReason, OrderStatus } from "../../../engine/order-state.ts";

export interface OrderRow {
  readonly id: string;
  readonly customerId: string;
  readonly status: OrderStatus;
  readonly reason: CancelReason | null;
  readonly version: number;
  /** The attempt whose charge succeeded after the order had been, or was being, cancelled. */
  readonly lateCapture: number | null;
  readonly stockState: "reserved" | "sold" | "released" | "refused";
  readonly price: number;
  readonly payable: number;
  readonly discounts: DiscountRow | null;
  readonly refundedAmount: number;
  readonly idempotencyScope: string | null;
  readonly partition: number;
  readonly epoch: number;
  readonly seq: number;
  readonly lines: readonly LineRow[];
  /** In the order of their versions. */
  readonly timeline: readonly StepRow[];
}

/** What an order's price was lowered by. `couponId`: the product of which one of its lines takes a unit. */
export interface DiscountRow {
  readonly couponId: string | null;
  readonly couponCode: string | null;
  readonly couponAmount: number;
  readonly points: number;
}

/** Units. `restocked` are those of the returned that are on sale again; the others are written off. */
export interface LineRow {
  readonly productId: string;
  readonly quantity: number;
  readonly returned: number;
  readonly restocked: number;
}

export interface StepRow {
  readonly version: number;
  readonly status: OrderStatus;
  /** What had been given back by then, where the step gave some back. */
  readonly refundedAmount: number | null;
  readonly atMs: number;
}

export interface AttemptRow {
  readonly orderId: string;
  readonly attempt: number;
  readonly method: PaidFrom;
  readonly state: "started" | "succeeded" | "declined" | "failed";
  readonly surplus: "owed" | "refunding" | null;
  /** The provider's word, or the worker's, for why it was not paid. */
  readonly error: string | null;
}

export type PaidFrom = "card" | "wallet";

export interface RefundRow {
  /** Its key at the provider too. */
  readonly id: string;
  readonly orderId: string;
  readonly attempt: number;
  readonly method: PaidFrom;
  readonly scope: "part" | "whole" | "charge";
  readonly amount: number;
  readonly restock: boolean;
  readonly state: "pending" | "succeeded" | "failed";
  readonly lines: readonly { readonly productId: string; readonly quantity: number }[];
}

/** Units of an order that came back, as the ledger applied them. The id is the refund's. */
export interface ReturnRow {
  readonly movementId: string;
  readonly orderId: string;
  readonly restock: boolean;
  readonly units: Readonly<Record<string, number>>;
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
  /** `null` where it comes from no log. */
  readonly epoch: number | null;
  readonly seq: number | null;
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

/** A line of the card provider's ledger, or of the wallets'. The key is `order id:attempt`. */
export interface ChargeRow {
  readonly key: string;
  readonly method: PaidFrom;
  readonly amount: number;
  readonly refunded: number;
  /** By the refunds' keys. */
  readonly refunds: readonly { readonly key: string; readonly amount: number }[];
  readonly state: "succeeded" | "declined" | "processing" | "error";
  readonly createdAtMs: number;
}

/** The books of all wallets there are. */
export interface WalletBooks {
  /** `balance` `null`: the shop's side. */
  readonly accounts: readonly { readonly id: number; readonly owner: string; readonly balance: number | null }[];
  /** In their order. */
  readonly transfers: readonly WalletTransfer[];
  /** What payments asked for and were answered: of every order, not of this sale's alone. */
  readonly charges: readonly { readonly key: string; readonly amount: number; readonly refunded: number }[];
}

export interface WalletTransfer {
  readonly id: number;
  readonly kind: "deposit" | "charge" | "refund";
  /** A charge's or a refund's key. */
  readonly reference: string;
  readonly debit: number;
  readonly credit: number;
  readonly amount: number;
  /** Of the member's account after it. */
  readonly balance: number;
  /** Of a refund. */
  readonly chargeKey: string | null;
}

/** A coupon that has uses in the sale. */
export interface CouponRow {
  readonly id: string;
  readonly code: string;
  readonly limit: number;
}

export interface PointsAccountRow {
  readonly customerId: string;
  readonly balance: number;
  readonly spend: number;
}

export interface PointsEntryRow {
  readonly customerId: string;
  readonly orderId: string | null;
  readonly kind: string;
  readonly amount: number;
  /** Of the account after it. */
  readonly balance: number;
  /** How it changed the account's. */
  readonly spend: number;
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
  readonly attempts: readonly AttemptRow[];
  readonly refunds: readonly RefundRow[];
  readonly returns: readonly ReturnRow[];
  readonly wallets: WalletBooks;
  readonly coupons: readonly CouponRow[];
  /** Of the buyers of this sale; entries in their order. */
  readonly points: { readonly accounts: readonly PointsAccountRow[]; readonly entries: readonly PointsEntryRow[] };
  /** What the provider told and nobody has followed up. */
  readonly eventsOpen: number;
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

interface Bought {
  readonly productId: string;
  readonly quantity: number;
}

/** Units by product; `of` says how many a line counts. */
export function unitsOf<Line extends Bought>(
  orders: readonly { readonly lines: readonly Line[] }[],
  of: (line: Line) => number = ({ quantity }) => quantity,
): Map<string, number> {
  const units = new Map<string, number>();
  for (const order of orders) {
    for (const line of order.lines) units.set(line.productId, (units.get(line.productId) ?? 0) + of(line));
  }
  return units;
}

/** Units of a line that are not back. */
export function unitsKept({ quantity, returned }: LineRow): number {
  return quantity - returned;
}
