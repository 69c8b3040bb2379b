// Payments that succeed when their order does not wait for them any more. After an expiry the order is revived where its units
// are to be had again, and refunded where they are not, or where its buyer has used the limit up since; after a cancellation it
// is always refunded.
import { HttpClient } from "../../../demo/http.ts";
import { seededUuid } from "../../../demo/random.ts";
import type { OrderStatus } from "../../../engine/order-state.ts";
import { insist } from "../asking.ts";
import type { Books, OrderRow, Violation } from "../checker/books.ts";
import { placementsOf } from "../history.ts";
import { visit, type Wish } from "../visit.ts";
import { type Fault, type Stage, unmet, until } from "./fault.ts";

/** Nobody else pays by it in this run. */
const PENDING = "tok_pending";
/** Longer than the 5 s of the reservation, the 10 s of grace, and the look-up that notices their end. */
const PENDING_MS = 35_000;
const PAYING_WITHIN_MS = 10_000;
const EXPIRED_WITHIN_MS = 30_000;

interface Group {
  readonly name: string;
  readonly orders: number;
  /** Which of the sale's products, and how many units of it. */
  readonly product: number;
  readonly quantity: number;
  /** Where a late success must lead. */
  readonly end: OrderStatus;
}

const IN_STOCK: Group = { name: "in stock", orders: 50, product: 3, quantity: 1, end: "CONFIRMED" };
const SOLD_OUT: Group = { name: "sold out", orders: 40, product: 2, quantity: 2, end: "REFUNDED" };
/** More than half of what one buyer may have. */
const OVER_LIMIT: Group = { name: "over the limit", orders: 10, product: 0, quantity: 30, end: "REFUNDED" };
const CANCELLED: Group = { name: "cancelled", orders: 20, product: 3, quantity: 1, end: "REFUNDED" };
const GROUPS = [IN_STOCK, SOLD_OUT, OVER_LIMIT, CANCELLED];

export const paidAfterExpiry: Fault = {
  name: "paid-after-expiry",
  title: "payments that succeed after expiry: revived or refunded, once each; after a customer's cancel: refunded",
  settings: { gateway: { PAYMENT_PENDING_MS: String(PENDING_MS) } },
  async strike(stage) {
    const { system, sale, history, random } = stage;
    const http = new HttpClient(system.apiUrl, 64);
    const givesUpAt = () => performance.now() + 5_000;
    const place = ({ product, quantity }: Group, buyer: string, token: string) => {
      const items = [{ productId: sale.products[product]?.id ?? "", quantity }];
      const wish: Wish = { buyer, key: seededUuid(random), items, payment: { method: "card", token }, next: "watch" };
      return visit({ http, history, sale, people: undefined, random, givesUpAt }, wish);
    };
    try {
      const buyers = new Map(
        GROUPS.map((group) => [group, Array.from({ length: group.orders }, () => seededUuid(random))]),
      );
      const all = GROUPS.flatMap((group) => (buyers.get(group) ?? []).map((buyer) => place(group, buyer, PENDING)));
      await Promise.all(all);
      await until(async () => (await standing(stage, "PAYING")) >= all.length, PAYING_WITHIN_MS);
      const toCancel = new Set(buyers.get(CANCELLED));
      const cancels = placementsOf(history.events).filter(({ buyer }) => toCancel.has(buyer));
      await Promise.all(
        cancels.map(({ buyer, orderIds: [orderId = ""] }) =>
          insist(history, { op: history.nextOperation(), operation: "cancel", buyer, orderId }, random, givesUpAt, () =>
            http.send({ method: "POST", path: `/api/v1/orders/${orderId}/cancel`, body: {} }),
          ),
        ),
      );
      await until(async () => (await standing(stage, "CANCELLED")) >= all.length, EXPIRED_WITHIN_MS);
      const late = await standing(stage, "CANCELLED");
      // Somebody else has the units now; and who had some has bought others.
      const rivals = Array.from({ length: SOLD_OUT.orders * 2 }, () => place(SOLD_OUT, seededUuid(random), "tok_ok"));
      const again = (buyers.get(OVER_LIMIT) ?? []).map((buyer) => place(OVER_LIMIT, buyer, "tok_ok"));
      await Promise.all([...rivals, ...again]);
      return {
        fired: late,
        planned: all.length,
        evidence: `${late} orders had expired or were cancelled while the provider had their charge`,
      };
    } finally {
      http.close();
    }
  },
  verify: (stage, books) =>
    GROUPS.flatMap((group) =>
      ordersOf(stage, books, group).flatMap(({ id, status, timeline }): Violation[] => {
        const wasLate = timeline.some((step) => step.status === "CANCELLED");
        if (wasLate && status === group.end) return [];
        const detail = `${id} (${group.name}) is ${status}${wasLate ? "" : " and was not late"}`;
        return [unmet("a late success is revived or refunded", detail, 5)];
      }),
    ),
  figures: (stage, books) =>
    GROUPS.map((group) => {
      const orders = ordersOf(stage, books, group);
      const of = (status: OrderStatus) => orders.filter((order) => order.status === status).length;
      return `${group.name}: ${of("CONFIRMED")} revived, ${of("REFUNDED")} refunded`;
    }).join("; "),
};

function lateOrderIds({ history }: Stage): string[] {
  return placementsOf(history.events).flatMap(({ payment, orderIds }) => (payment?.token === PENDING ? orderIds : []));
}

/** How many of the late orders stand so. */
async function standing(stage: Stage, status: OrderStatus): Promise<number> {
  const result = await stage.system.pool.query<{ count: number }>(
    "SELECT count(*)::int AS count FROM orders WHERE id = ANY($1::uuid[]) AND status = $2",
    [lateOrderIds(stage), status],
  );
  return result.rows[0]?.count ?? 0;
}

function ordersOf(stage: Stage, { orders }: Books, { product, name }: Group): OrderRow[] {
  const ours = new Set(lateOrderIds(stage));
  const productId = stage.sale.products[product]?.id;
  const cancelled = new Set(
    stage.history.events.flatMap((event) =>
      event.type === "invoke" && event.operation === "cancel" && event.orderId !== undefined ? [event.orderId] : [],
    ),
  );
  return orders.filter(
    ({ id, lines }) =>
      ours.has(id) && lines[0]?.productId === productId && cancelled.has(id) === (name === CANCELLED.name),
  );
}
