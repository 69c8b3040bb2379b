// The job queues by name, their payloads and their retry tables. A job is a wake-up: what is due is always read from the
// orders it names, so a job that comes twice, late or never costs time and nothing else (sweeps find what it left).
import type { QueueOptions } from "pg-boss";
import type { LinkPurpose } from "../members/mailed-links.ts";

/** The most orders one job carries. */
export const ORDERS_PER_JOB_MAX = 64;

export interface OrdersJob {
  readonly orderIds: readonly string[];
}

/** An e-mail to a member. Its link is made when it is sent, so that no secret lies in the queue. */
export interface MailJob {
  readonly userId: string;
  readonly purpose: LinkPurpose;
}

/** What a payment provider told by webhook: ask it about these. */
export interface PaymentEventJob {
  readonly eventIds: readonly string[];
}

/** Endpoints that something is due for. */
export interface WebhookJob {
  readonly endpointIds: readonly string[];
}

/** Each queue's payload. */
export interface JobPayloads {
  /** Take the payments of these orders. */
  payment: OrdersJob;
  /** Move the stock of these paid orders from reserved to sold. */
  settlement: OrdersJob;
  /** Give the stock of these cancelling orders back. */
  compensation: OrdersJob;
  /** Give back what is due of these orders' refunds. */
  refund: OrdersJob;
  /** Ask the provider about what it said has changed. */
  "payment-event": PaymentEventJob;
  mail: MailJob;
  /** Send these endpoints what is due. */
  webhook: WebhookJob;
}
export type QueueName = keyof JobPayloads;
/** Queues whose jobs name orders. */
export type OrderQueue = { [Queue in QueueName]: JobPayloads[Queue] extends OrdersJob ? Queue : never }[QueueName];
export type OtherQueue = Exclude<QueueName, OrderQueue>;

const RETRY: QueueOptions & { notify: boolean } = {
  retryLimit: 8,
  retryDelay: 1,
  retryBackoff: true,
  retryDelayMax: 60,
  expireInSeconds: 120,
  heartbeatSeconds: 20,
  deleteAfterSeconds: 3_600,
  notify: true,
};

export const QUEUES: Readonly<Record<QueueName, QueueOptions & { notify: boolean }>> = {
  payment: RETRY,
  settlement: RETRY,
  compensation: RETRY,
  refund: RETRY,
  "payment-event": RETRY,
  // A mail server may be away for hours: about a day of attempts.
  mail: { ...RETRY, retryLimit: 30, retryDelayMax: 3_600 },
  webhook: RETRY,
};
