// The sections of the runtime configuration: what may be changed while the shop runs. What binds a process to its servers,
// its secrets and its promises (ACK_MODE) is not among it: that is the environment's, once, at the start.
import { z } from "zod";
import { LOG_LEVELS, PAYMENT_GATEWAYS } from "../config.ts";
import { section } from "./section.ts";

/** How a payment provider is asked, where nothing else is stored. */
export const PAYMENT_TUNING = {
  chargeTimeoutMs: 8_000,
  circuitFailuresMax: 5,
  circuitTrialDelayMs: 1_000,
  circuitTrialDelayMsMax: 10_000,
} as const;

/** Per address and buyer, in each process of the API. */
export const rateLimitSection = section({
  schema: z.strictObject({
    enabled: z.boolean(),
    ordersPerSecond: z.int().min(1).max(1_000_000),
    requestsPerSecond: z.int().min(1).max(1_000_000),
    loginsPerMinute: z.int().min(1).max(100_000),
  }),
  defaults: ({ rateLimit }) => rateLimit,
  variables: {
    enabled: "RATE_LIMIT_ENABLED",
    ordersPerSecond: "RATE_LIMIT_ORDERS_PER_SECOND",
    requestsPerSecond: "RATE_LIMIT_REQUESTS_PER_SECOND",
    loginsPerMinute: "RATE_LIMIT_LOGINS_PER_MINUTE",
  },
});

/** Admission. `backlogMax`: accepted orders of one partition that Postgres does not have yet, at most. */
export const ordersSection = section({
  schema: z.strictObject({ backlogMax: z.int().min(1).max(10_000_000) }),
  defaults: ({ backlogMax }) => ({ backlogMax }),
  variables: { backlogMax: "BACKLOG_MAX_ORDERS" },
});

/**
 * `gateway` takes the payments by card that begin from now on; what began at another one is asked about and refunded there.
 * The bounds keep a charge well below what its attempt is leased for, and below the delay after which nothing of it is on its way.
 */
export const paymentsSection = section({
  schema: z.strictObject({
    gateway: z.enum(PAYMENT_GATEWAYS),
    chargeTimeoutMs: z.int().min(1_000).max(20_000),
    circuitFailuresMax: z.int().min(1).max(1_000_000),
    circuitTrialDelayMs: z.int().min(100).max(60_000),
    circuitTrialDelayMsMax: z.int().min(100).max(600_000),
  }),
  defaults: ({ paymentGateway }) => ({ gateway: paymentGateway, ...PAYMENT_TUNING }),
  variables: { gateway: "PAYMENT_GATEWAY" },
  check: (stored) => {
    const { circuitTrialDelayMs, circuitTrialDelayMsMax } = { ...PAYMENT_TUNING, ...stored };
    const message = `must be at least circuitTrialDelayMs, ${circuitTrialDelayMs}`;
    return circuitTrialDelayMsMax < circuitTrialDelayMs ? [{ path: "circuitTrialDelayMsMax", message }] : [];
  },
});

/** What stands still. Nothing of it is lost: orders are refused with `OVERLOADED`, everything else waits in its queue. */
export const pausesSection = section({
  schema: z.strictObject({
    orders: z.boolean(),
    payments: z.boolean(),
    refunds: z.boolean(),
    webhooks: z.boolean(),
    mails: z.boolean(),
  }),
  defaults: () => ({ orders: false, payments: false, refunds: false, webhooks: false, mails: false }),
  variables: {},
});

export const logSection = section({
  schema: z.strictObject({ level: z.enum(LOG_LEVELS) }),
  defaults: ({ logLevel }) => ({ level: logLevel }),
  variables: { level: "LOG_LEVEL" },
});
