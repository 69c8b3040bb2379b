// What other systems are told: every event of every order at least once, genuine, under one id that is that event's alone, and
// nothing of an order or a step that there is not. Which steps are events is said here once more, apart from the product's SQL.
import type { ReceivedWebhook } from "../../support/faults/failing-receiver.ts";
import type { OrderRow, Violation } from "./books.ts";

/** An order with what happened to it. */
export interface ToldOrder extends Pick<OrderRow, "id"> {
  readonly timeline: readonly Pick<OrderRow["timeline"][number], "version" | "status">[];
}

export interface ToldOrders {
  /** All of whose events are owed. */
  readonly orders: readonly ToldOrder[];
  /** Of which some may have been told: those of other sales. */
  readonly others: readonly ToldOrder[];
}

/** The order's events, by the ids under which they are told. */
export function eventsOf({ id, timeline }: ToldOrder): Map<string, string> {
  const events = new Map<string, string>();
  let isConfirmed = false;
  for (const { version, status } of timeline) {
    const told = (type: string) => events.set(`evt_${id}_${version}`, type);
    if (version === 1) told("order.accepted");
    // What follows within CONFIRMED, parcels and parts of a refund, confirms nothing.
    else if (status === "CONFIRMED" && !isConfirmed) told("order.confirmed");
    else if (status === "CANCELLED") told("order.cancelled");
    else if (status === "REFUNDED") told("order.refunded");
    isConfirmed ||= status === "CONFIRMED";
  }
  return events;
}

export function checkWebhooks({ orders, others }: ToldOrders, received: readonly ReceivedWebhook[]): Violation[] {
  const violations: Violation[] = [];
  const broken = (claim: string, detail: string, orderId?: string) =>
    violations.push({ promise: 4, claim, detail, ...(orderId !== undefined && { orderId }) });

  const taken = new Set(received.filter(({ isTaken }) => isTaken).map(({ id }) => id));
  const typeOf = new Map(others.flatMap((order) => [...eventsOf(order)]));
  for (const order of orders) {
    for (const [id, type] of eventsOf(order)) {
      typeOf.set(id, type);
      if (!taken.has(id)) broken("every event arrives", `${type} of ${order.id} (${id}) was never taken`, order.id);
    }
  }
  const contentOf = new Map<string, string>();
  for (const { id, body, isGenuine } of received) {
    if (!isGenuine) broken("what arrives is genuine", `${id} is signed by nobody`);
    if (id.startsWith("evt_ping_")) continue;
    const { type, data } = JSON.parse(body) as { type: string; data: { orderTrackingId: string; version: number } };
    const named = `evt_${data.orderTrackingId}_${data.version}`;
    if (id !== named) broken("an event has one id", `${type} ${named} came as ${id}`, data.orderTrackingId);
    if (typeOf.get(id) !== type) {
      broken("nothing is told that did not happen", `${id} says ${type}, the timeline ${typeOf.get(id) ?? "nothing"}`);
    }
    const content = lastingOf(body);
    const before = contentOf.get(id) ?? content;
    if (before !== content) broken("an event stays what it is", `${id} came as ${before} and as ${content}`);
    contentOf.set(id, before);
  }
  return violations;
}

/** What has a history: an order's address, its way of payment and its deadline are told as they are at each try. */
function lastingOf(body: string): string {
  return JSON.stringify(JSON.parse(body), (name, value: unknown) =>
    ["address", "payment", "reservedUntil"].includes(name) ? undefined : value,
  );
}
