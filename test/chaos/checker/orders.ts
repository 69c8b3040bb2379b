// Promise 3: each accepted order reaches exactly one end along the transition table, and nothing is left behind.
import { isAllowed, isTerminal, type OrderStatus } from "../../../engine/order-state.ts";
import {
  type Allowances,
  type Books,
  type OrderRow,
  type StepRow,
  unitsKept,
  unitsOf,
  type Violation,
} from "./books.ts";

export function checkEnds(books: Books, allowed: Allowances): Violation[] {
  return [
    ...books.orders.flatMap((order) => checkWay(order)),
    ...books.orders.flatMap((order) => checkEnd(order)),
    ...nothingLeftBehind(books),
    ...deadLetters(books, allowed),
  ];
}

function checkWay(order: OrderRow): Violation[] {
  const violations: Violation[] = [];
  const broken = (detail: string) =>
    violations.push({ promise: 3, claim: "orders move along the transition table", detail, orderId: order.id });
  const { timeline } = order;
  if (timeline.some(({ version }, i) => version !== i + 1) || timeline.length !== order.version) {
    broken(`version ${order.version}, but the timeline has ${timeline.map(({ version }) => version).join(", ")}`);
  }
  if (timeline[0]?.status !== "PENDING") broken(`it begins with ${timeline[0]?.status}`);
  let given = 0;
  for (const [i, step] of timeline.entries()) {
    const before = timeline[i - 1];
    if (before && !isAllowed(before.status, step.status) && !isPartialRefund(before, step)) {
      broken(`${before.status} led to ${step.status}`);
    }
    if (step.refundedAmount === null) continue;
    if (step.refundedAmount <= given) broken(`${step.refundedAmount} had been given back, after ${given}`);
    given = step.refundedAmount;
  }
  if (given !== order.refundedAmount) {
    broken(`its timeline gave ${given} back, and ${order.refundedAmount} were given back`);
  }
  const last = timeline.at(-1)?.status;
  if (last !== order.status) broken(`it is ${order.status}, its timeline ends with ${last}`);
  return violations;
}

/** Some of the money went back, and the order stays what it is. */
function isPartialRefund(before: StepRow, { status, refundedAmount }: StepRow): boolean {
  return before.status === status && refundedAmount !== null && (status === "CONFIRMED" || status === "REFUND_PENDING");
}

/** What the ledger must hold for an order at its end. */
const STOCK_AT_END: Partial<Record<OrderStatus, readonly OrderRow["stockState"][]>> = {
  CONFIRMED: ["sold"],
  CANCELLED: ["released"],
  REFUNDED: ["sold", "released"],
};

function checkEnd(order: OrderRow): Violation[] {
  const broken = (detail: string): Violation => ({
    promise: 3,
    claim: "every order is at exactly one end",
    detail,
    orderId: order.id,
  });
  if (!isTerminal(order.status)) return [broken(`it is ${order.status} for ever`)];
  const violations: Violation[] = [];
  if (!STOCK_AT_END[order.status]?.includes(order.stockState)) {
    violations.push(broken(`it is ${order.status} and its stock is ${order.stockState}`));
  }
  // What was paid after its cancellation and refunded keeps the reason why it was cancelled.
  const last = order.timeline.findLast(({ status }) => status === "CANCELLED" || status === "CONFIRMED");
  if ((last?.status === "CANCELLED") !== (order.reason !== null)) {
    violations.push(broken(`it is ${order.status} after ${last?.status}, and its reason is ${order.reason}`));
  }
  if (order.status === "CANCELLED" && order.lateCapture !== null) {
    violations.push(broken(`it is CANCELLED, was paid by attempt ${order.lateCapture}, and nobody decided about that`));
  }
  const kept = [...unitsOf([order], unitsKept).values()].reduce((sum, units) => sum + units, 0);
  if (order.status === "REFUNDED" && order.stockState === "sold" && kept > 0) {
    violations.push(broken(`it is REFUNDED, and ${kept} of its units are not back`));
  }
  return violations;
}

function nothingLeftBehind({ redis, partitions, holdbacks, attempts, eventsOpen }: Books): Violation[] {
  const violations: Violation[] = [];
  const broken = (detail: string, orderId?: string) =>
    violations.push({ promise: 3, claim: "nothing is left behind", detail, ...(orderId && { orderId }) });
  for (const { partition, held, pending, lag } of redis) {
    if (held.length > 0) broken(`partition ${partition}: ${held.length} holds without an end`, held[0]);
    if (pending > 0) broken(`partition ${partition}: ${pending} log entries are pending`);
    if (lag > 0) broken(`partition ${partition}: ${lag} log entries were never read`);
  }
  for (const { partition, productId, quantity, returned } of holdbacks) {
    if (!returned) broken(`partition ${partition}: ${quantity} units of ${productId} are still held back`);
  }
  for (const { orderId, attempt, state, surplus } of attempts) {
    if (state === "started") broken(`nobody knows what became of attempt ${attempt}`, orderId);
    if (surplus === "owed") broken(`the charge of attempt ${attempt} is owed, and nobody gives it back`, orderId);
  }
  if (eventsOpen > 0) broken(`${eventsOpen} events of the payment provider were not followed up`);
  for (const { partition, state, reason } of partitions) {
    if (state !== "live") broken(`partition ${partition} is ${state}: ${reason}`);
  }
  return violations;
}

function deadLetters({ deadLetters }: Books, { deadNumbers }: Allowances): Violation[] {
  const unexplained = deadLetters.filter(({ seq }) => seq === null || !deadNumbers?.has(seq));
  return unexplained.map(({ partition, epoch, seq, kind, error, orderId }) => ({
    promise: 3,
    claim: "no dead letters",
    detail: `partition ${partition}, ${kind} ${epoch}-${seq}: ${error}`,
    ...(orderId !== null && { orderId }),
  }));
}
