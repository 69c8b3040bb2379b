// Orders as rows of CSV: one form for the CLI's export and the API's. Amounts are in minor units, instants are UTC. New columns
// go to the end, as spreadsheets name them by their place.
import { csvRows } from "../csv.ts";
import type { OrderSummary } from "./order-search.ts";

const COLUMNS = [
  ...["id", "saleId", "customerId", "status", "reason", "price", "payable", "refundedAmount", "currency"],
  ...["paymentMethod", "placedAt", "updatedAt", "units", "items", "fulfilment", "fulfilmentReference", "fulfilledAt"],
  ...["couponCode", "discount", "points"],
];

export function orderCsvHeading(): string {
  return csvRows([COLUMNS]);
}

export function orderCsv(orders: readonly OrderSummary[]): string {
  return csvRows(orders.map(cellsOf));
}

function cellsOf({ items, placedAt, updatedAt, fulfilment, ...order }: OrderSummary): (string | number | null)[] {
  return [
    ...[order.id, order.saleId, order.customerId, order.status, order.reason],
    ...[order.price, order.payable, order.refundedAmount, order.currency, order.paymentMethod],
    ...[placedAt.toISOString(), updatedAt.toISOString()],
    items.reduce((sum, { quantity }) => sum + quantity, 0),
    items.map(({ name, quantity }) => `${name} x${quantity}`).join("; "),
    ...[fulfilment?.state ?? null, fulfilment?.reference ?? null, fulfilment?.at.toISOString() ?? null],
    ...[order.couponCode ?? null, order.discount ?? null, order.points ?? null],
  ];
}
