// What is checked of webhooks out: each way in which a receiver could be told wrongly is found.
import { describe, expect, it } from "vitest";
import type { OrderStatus } from "../../../engine/order-state.ts";
import { checkWebhooks, eventsOf, type ToldOrder } from "../../chaos/checker/webhooks.ts";
import type { ReceivedWebhook } from "../../support/faults/failing-receiver.ts";

const order = (id: string, ...statuses: OrderStatus[]): ToldOrder => ({
  id,
  timeline: statuses.map((status, i) => ({ version: i + 1, status })),
});
const PAID = order(
  "paid",
  "PENDING",
  "RESERVED",
  "PAYING",
  "PAID",
  "CONFIRMED",
  "CONFIRMED",
  "REFUND_PENDING",
  "REFUNDED",
);
const LEFT = order("left", "PENDING", "RESERVED", "CANCELLING", "CANCELLED");
const ORDERS = { orders: [PAID, LEFT], others: [order("earlier", "PENDING", "RESERVED")] };

function webhook(id: string, version: number, type: string, more: object = {}): ReceivedWebhook {
  const body = JSON.stringify({ type, data: { orderTrackingId: id, version, payment: { method: "card" }, ...more } });
  return { id: `evt_${id}_${version}`, body, isGenuine: true, isTaken: true };
}
const SOUND = [
  webhook("paid", 1, "order.accepted"),
  webhook("paid", 5, "order.confirmed"),
  webhook("paid", 8, "order.refunded"),
  webhook("left", 1, "order.accepted"),
  webhook("left", 4, "order.cancelled"),
];
const [ACCEPTED, ...OTHERS] = SOUND as [ReceivedWebhook, ...ReceivedWebhook[]];

it("knows which steps are events", () => {
  expect([...eventsOf(PAID)]).toEqual([
    ["evt_paid_1", "order.accepted"],
    ["evt_paid_5", "order.confirmed"],
    ["evt_paid_8", "order.refunded"],
  ]);
});

describe("nothing is found where", () => {
  it.each<[what: string, received: readonly ReceivedWebhook[]]>([
    ["each event came once", SOUND],
    ["they came in another order, and twice", [...SOUND, ...SOUND].reverse()],
    ["one was not taken at first", [{ ...ACCEPTED, isTaken: false }, ...SOUND]],
    ["an order of another sale was told of, and a ping", [...SOUND, webhook("earlier", 1, "order.accepted"), ping()]],
    [
      "the way of payment is another by the next try",
      [...SOUND, webhook("left", 1, "order.accepted", { payment: {} })],
    ],
  ])("%s", (_what, received) => expect(checkWebhooks(ORDERS, received)).toEqual([]));
});

describe("a violation is found where", () => {
  it.each<[what: string, claim: string, received: readonly ReceivedWebhook[]]>([
    ["an event never came", "every event arrives", OTHERS],
    ["an event was never taken", "every event arrives", [{ ...ACCEPTED, isTaken: false }, ...OTHERS]],
    ["one is not genuine", "what arrives is genuine", [...SOUND, { ...ACCEPTED, isGenuine: false }]],
    ["an event has a second id", "an event has one id", [...SOUND, { ...ACCEPTED, id: "evt_paid_1_again" }]],
    ["there is no such order", "nothing is told that did not happen", [...SOUND, webhook("x", 1, "order.accepted")]],
    ["the step is no event", "nothing is told that did not happen", [...SOUND, webhook("paid", 6, "order.confirmed")]],
    [
      "the step is another event",
      "nothing is told that did not happen",
      [...SOUND, webhook("left", 4, "order.refunded")],
    ],
    [
      "it says something else again",
      "an event stays what it is",
      [...SOUND, webhook("paid", 1, "order.accepted", { price: 1 })],
    ],
  ])("%s", (_what, claim, received) => {
    expect(checkWebhooks(ORDERS, received).map((violation) => violation.claim)).toContain(claim);
  });
});

function ping(): ReceivedWebhook {
  return { id: "evt_ping_0", body: JSON.stringify({ type: "ping", data: {} }), isGenuine: true, isTaken: true };
}
