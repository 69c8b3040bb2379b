// What the buyer of an accepted order is told: at its acceptance, and whenever its idempotency key comes again.
import type { PlacedOrder } from "../../engine/engine.ts";
import { OnrushError } from "../../engine/errors.ts";
import { boughtLines, representDiscounts } from "../../engine/order.ts";
import { signReceipt } from "../../engine/receipt.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { type Answer, JSON_HEADERS } from "../http/answer.ts";
import { lookUpOrder } from "./lookup.ts";
import { representLines } from "./representation.ts";

export const ORDERS_PATH = "/api/v1/orders";
/** Says that the answer is that of an earlier request with the same Idempotency-Key. */
export const REPLAYED = { "idempotent-replayed": "true" } as const;

/** 202, or 201 when it is in Postgres already. `applied`: the preference that was heeded, as a header. */
export function answerAcceptance(placed: PlacedOrder, applied: Readonly<Record<string, string>> | undefined): Answer {
  const body = JSON.stringify({
    orderTrackingId: placed.orderId,
    status: placed.status,
    saleId: placed.saleId,
    customerId: placed.customerId,
    items: representLines(placed.items),
    price: placed.price,
    payable: placed.payable,
    couponCode: placed.couponCode,
    discount: placed.discount,
    points: placed.points,
    currency: placed.currency,
    reservedUntil: isoOf(placed.reservedUntil),
    acknowledged: placed.acknowledged,
    receipt: placed.receipt,
  });
  return {
    status: placed.acknowledged === "postgres" ? 201 : 202,
    headers: { ...JSON_HEADERS, location: `${ORDERS_PATH}/${placed.orderId}`, ...applied },
    body,
  };
}

let lastMs = Number.NaN;
let lastIso = "";

/** The orders of a batch share their deadline; and a member with a `toJSON` would cost the whole document twice the time. */
function isoOf(instant: Date): string {
  const ms = instant.getTime();
  if (ms !== lastMs) {
    lastIso = instant.toISOString();
    lastMs = ms;
  }
  return lastIso;
}

/** The order as it is now. The receipt says the same as the first one: what it signs does not change. */
export async function answerReplay(
  deps: ApiDependencies,
  orderId: string,
  applied: Readonly<Record<string, string>> | undefined,
): Promise<Answer> {
  const found = await lookUpOrder(deps, orderId);
  if (!found) {
    throw new OnrushError("OUTCOME_UNKNOWN", "This key led to an order that cannot be shown at the moment.", {
      orderTrackingId: orderId,
    });
  }
  const { view, order } = found;
  const held =
    found.in === "ledger"
      ? { ...found.order, reservation: found.order.holdReservation }
      : {
          ...found.order.position,
          partition: found.partition,
          reservation: found.order.reservation,
          lines: boughtLines(found.order.payload.lines, found.order.payload.discounts),
          discounts: found.order.payload.discounts,
        };
  const { partition, epoch, seq, reservation, lines } = held;
  const discounts = representDiscounts(held.discounts);
  const { status, saleId, customerId, items, price, payable, currency, reservedUntil } = view;
  const receipt = signReceipt(
    {
      orderId,
      saleId,
      partition,
      epoch,
      seq,
      reservation,
      reservedUntilMs: order.reservedUntil.getTime(),
    },
    { customerId, items: lines, price, payable, currency, ...discounts },
    deps.config.receiptSecret,
  );
  const acknowledged = found.in === "ledger" ? "postgres" : deps.engine.durability.level;
  const body = JSON.stringify({
    orderTrackingId: orderId,
    status,
    saleId,
    customerId,
    items,
    price,
    payable,
    ...discounts,
    currency,
    reservedUntil,
    acknowledged,
    receipt,
  });
  return {
    status: 200,
    headers: { ...JSON_HEADERS, ...REPLAYED, ...applied, location: `${ORDERS_PATH}/${orderId}` },
    body,
  };
}
