// What webhooks tell: which steps of an order are events, and how an event is named.

/** Events that an endpoint may ask for. */
export const WEBHOOK_EVENTS = ["order.accepted", "order.confirmed", "order.cancelled", "order.refunded"] as const;
export type WebhookEvent = (typeof WEBHOOK_EVENTS)[number];

/** What an operator sends to see whether an endpoint answers; every endpoint gets it. */
export const PING = "ping";

/**
 * SQL: the event that an order_timeline row `t` is; NULL for every other step. A step of the fulfilment and a part of a refund
 * leave an order CONFIRMED: they confirm nothing.
 */
export const EVENT_OF_STEP = `CASE
  WHEN t.version = 1 THEN 'order.accepted'
  WHEN t.status = 'CONFIRMED' AND t.fulfilment IS NULL AND t.refunded_amount IS NULL THEN 'order.confirmed'
  WHEN t.status = 'CANCELLED' THEN 'order.cancelled'
  WHEN t.status = 'REFUNDED' THEN 'order.refunded' END`;

/** SQL: the id of that event, the same at every delivery to whomever. Without the full stop that parts what is signed. */
export const EVENT_ID_OF_STEP = "'evt_' || t.order_id || '_' || t.version";
