// Promise 3: each accepted order reaches exactly one end along the transition table, and nothing is left behind.
import { isAllowed, isTerminal, type OrderStatus } from "../../../engine/order-state.ts";
import type { Allowances, Books, OrderRow, Violation } from "./books.ts";

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
  for (const [i, { status }] of timeline.entries()) {
    const before = timeline[i - 1]?.status;
    if (before !== undefined && !isAllowed(before, status)) broken(`${before} led to ${status}`);
  }
  const last = timeline.at(-1)?.status;
  if (last !== order.status) broken(`it is ${order.status}, its timeline ends with ${last}`);
  return violations;
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
  if ((order.status === "CANCELLED") !== (order.reason !== null)) {
    violations.push(broken(`it is ${order.status} and its reason is ${order.reason}`));
  }
  return violations;
}

function nothingLeftBehind({ redis, partitions, holdbacks }: Books): Violation[] {
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
  for (const { partition, state, reason } of partitions) {
    if (state !== "live") broken(`partition ${partition} is ${state}: ${reason}`);
  }
  return violations;
}

function deadLetters({ deadLetters }: Books, { deadNumbers }: Allowances): Violation[] {
  const unexplained = deadLetters.filter(({ seq }) => !deadNumbers?.has(seq));
  return unexplained.map(({ partition, epoch, seq, kind, error, orderId }) => ({
    promise: 3,
    claim: "no dead letters",
    detail: `partition ${partition}, ${kind} ${epoch}-${seq}: ${error}`,
    ...(orderId !== null && { orderId }),
  }));
}
