// Promise 5: what the provider, or a wallet, captured is what confirmed orders owe, once each, and never before the order was on record.
import type { AttemptRow, Books, ChargeRow, OrderRow, Violation } from "./books.ts";

export function checkMoney({ orders, charges, attempts }: Books): Violation[] {
  const violations: Violation[] = [];
  const captures = new Map<string, ChargeRow[]>();
  for (const charge of charges) {
    if (charge.state !== "succeeded") continue;
    const orderId = charge.key.split(":")[0] ?? "";
    captures.set(orderId, [...(captures.get(orderId) ?? []), charge]);
  }
  const known = new Set(orders.map(({ id }) => id));
  for (const order of orders) violations.push(...ofOrder(order, captures.get(order.id) ?? []));
  violations.push(...onRecord(charges, attempts));
  for (const orderId of captures.keys()) {
    if (known.has(orderId)) continue;
    violations.push({
      promise: 5,
      claim: "no money without an order",
      detail: "captured for an order that is not there",
      orderId,
    });
  }
  return violations;
}

function ofOrder(order: OrderRow, captures: readonly ChargeRow[]): Violation[] {
  const violations: Violation[] = [];
  const broken = (claim: string, detail: string) => violations.push({ promise: 5, claim, detail, orderId: order.id });
  if (captures.length > 1)
    broken("one capture per order", `captured under ${captures.map(({ key }) => key).join(", ")}`);
  const net = captures.reduce((sum, { amount, refunded }) => sum + amount - refunded, 0);
  const due = order.status === "CONFIRMED" ? order.payable - order.refundedAmount : 0;
  if (net !== due) broken("captured money is what is owed", `${net} captured, ${due} owed by a ${order.status} order`);
  const recordedAtMs = order.timeline.find(({ status }) => status === "PAYING")?.atMs;
  for (const { key, createdAtMs } of captures) {
    if (recordedAtMs !== undefined && createdAtMs >= Math.floor(recordedAtMs)) continue;
    broken(
      "no capture before the order is on record",
      `${key} was captured before it was ${recordedAtMs ? "PAYING" : "there"}`,
    );
  }
  return violations;
}

/** What was captured is known here, of the same purse; what is known here as captured was. */
function onRecord(charges: readonly ChargeRow[], attempts: readonly AttemptRow[]): Violation[] {
  const claim = "what was captured is on record";
  const violations: Violation[] = [];
  const succeeded = charges.filter(({ state, amount }) => state === "succeeded" && amount > 0);
  const captured = new Map(succeeded.map((charge) => [charge.key, charge]));
  const known = new Set(attempts.map(({ orderId, attempt }) => `${orderId}:${attempt}`));
  for (const { orderId, attempt, method, state } of attempts) {
    const charge = captured.get(`${orderId}:${attempt}`);
    const broken = (detail: string) => violations.push({ promise: 5, claim, detail, orderId });
    if (charge && state !== "succeeded") broken(`attempt ${attempt} moved money and is ${state}`);
    if (charge && charge.method !== method) broken(`attempt ${attempt} by ${method} was charged to a ${charge.method}`);
  }
  for (const key of captured.keys()) {
    const detail = `${key} was captured without an attempt on record`;
    if (!known.has(key)) violations.push({ promise: 5, claim, detail, orderId: key.split(":")[0] ?? "" });
  }
  return violations;
}
