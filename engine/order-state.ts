// The states of an order and the only ways between them. Everything that changes an order's status goes through
// `ledger/fates.ts`, which takes its conditions from this table; the documentation's diagram is held against it by a test.
//
//   PENDING --------> RESERVED ----> PAYING ----> PAID ----> CONFIRMED
//      |                 |  ^---------'  |          |            |
//      | ledger guard    | expire,       | declined,|            | refund
//      |                 | cancel        | failed,  |            |
//      |                 |               | cancel,  |            v
//      '-> CANCELLING <--'---------------' expire   '--> REFUND_PENDING --> REFUNDED
//              |                                              ^
//              v          a payment that succeeds too late    |
//          CANCELLED -----------------------------------------'
//              '--> PAID (revived: expired, and its stock could be taken again)

export const ORDER_STATUSES = [
  "PENDING",
  "RESERVED",
  "PAYING",
  "PAID",
  "CONFIRMED",
  "CANCELLING",
  "CANCELLED",
  "REFUND_PENDING",
  "REFUNDED",
] as const;
export type OrderStatus = (typeof ORDER_STATUSES)[number];

export const CANCEL_REASONS = [
  "PAYMENT_DECLINED",
  "PAYMENT_FAILED",
  "EXPIRED",
  "CUSTOMER",
  "OPERATOR",
  "LEDGER_GUARD",
] as const;
export type CancelReason = (typeof CANCEL_REASONS)[number];

/** What happens to an order, by name: from which states it may happen and where it leads. */
export const TRANSITIONS = {
  reserve: { from: ["PENDING"], to: "RESERVED" },
  refuse: { from: ["PENDING"], to: "CANCELLING" },
  startPayment: { from: ["RESERVED"], to: "PAYING" },
  capture: { from: ["PAYING"], to: "PAID" },
  keepAfterDecline: { from: ["PAYING"], to: "RESERVED" },
  cancelAfterPayment: { from: ["PAYING"], to: "CANCELLING" },
  /** By its buyer or an operator. A payment under way is not waited for: should it succeed, it is a late one. */
  cancel: { from: ["RESERVED", "PAYING"], to: "CANCELLING" },
  expire: { from: ["RESERVED"], to: "CANCELLING" },
  /** The provider has the charge and had not decided it when deadline and grace were over. */
  expirePending: { from: ["PAYING"], to: "CANCELLING" },
  settle: { from: ["PAID"], to: "CONFIRMED" },
  release: { from: ["CANCELLING"], to: "CANCELLED" },
  revive: { from: ["CANCELLED"], to: "PAID" },
  refund: { from: ["CONFIRMED", "CANCELLED"], to: "REFUND_PENDING" },
  refunded: { from: ["REFUND_PENDING"], to: "REFUNDED" },
} as const satisfies Record<string, { from: readonly OrderStatus[]; to: OrderStatus }>;
export type Transition = keyof typeof TRANSITIONS;

const TERMINAL: ReadonlySet<OrderStatus> = new Set(["CONFIRMED", "CANCELLED", "REFUNDED"]);

/** True when nothing more happens to the order by itself. */
export function isTerminal(status: OrderStatus): boolean {
  return TERMINAL.has(status);
}

/** True when one step of the table leads from one state to the other. */
export function isAllowed(from: OrderStatus, to: OrderStatus): boolean {
  return Object.values(TRANSITIONS).some(
    (step) => step.to === to && (step.from as readonly OrderStatus[]).includes(from),
  );
}
