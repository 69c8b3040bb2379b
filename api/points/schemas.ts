// What the routes of points take and answer.
import { z } from "@hono/zod-openapi";
import { REASON_LENGTH_MAX } from "../../engine/ledger/audit.ts";
import { AMOUNT_MAX, DEFAULT_CURRENCY } from "../../engine/money.ts";
import { ENTRY_KINDS, type PointsEntry } from "../../engine/points/accounts.ts";
import { entryName } from "../../engine/points/adjustments.ts";
import { page, text } from "../http/fields.ts";

const RATE = "In hundredths of a percent of what is paid";

export const points = z
  .object({
    customerId: z.string(),
    balance: z.int().openapi({
      description: `Each is worth one minor unit of ${DEFAULT_CURRENCY}. Below 0 when a refund took back what was spent by then`,
    }),
    spend: z
      .int()
      .openapi({ description: "What tiers go by: paid for CONFIRMED orders, less what was refunded of them" }),
    currency: z.string(),
    tier: z.string(),
    rate: z.int().openapi({ description: `What orders earn by this tier. ${RATE}` }),
    nextTier: z
      .object({
        name: z.string(),
        from: z.int().openapi({ description: "The spend from which on it is reached" }),
        rate: z.int().openapi({ description: RATE }),
        missing: z.int(),
      })
      .nullable()
      .openapi({ description: "Null in the highest tier" }),
  })
  .openapi("Points");

const entry = z
  .object({
    id: z.string(),
    kind: z.enum(ENTRY_KINDS).openapi({
      description:
        "`earn`: by a CONFIRMED order; `revoke`: taken back with its refunds; `spend`: on an order; `give_back`: of one that " +
        "was cancelled or refunded; `adjust`: by an operator; `forfeit`: with the account's erasure",
    }),
    amount: z.int().openapi({ description: "Below 0 what was taken" }),
    balance: z.int().openapi({ description: "What there was after it" }),
    orderTrackingId: z.string().optional(),
    reason: z.string().optional().openapi({ description: "The operator's, of an adjustment" }),
    at: z.string(),
  })
  .openapi("PointsEntry");
export const entryPage = z
  .object({ items: z.array(entry), nextCursor: z.string().optional() })
  .openapi("PointsEntryPage");
export const entriesQuery = page;
export const entryPosition = z.int().min(1);

export const newAdjustment = z
  .object({
    amount: z
      .int()
      .min(-AMOUNT_MAX)
      .max(AMOUNT_MAX)
      .refine((value) => value !== 0, "must not be 0")
      .openapi({ description: "Points to give; below 0 to take" }),
    reason: text(1, REASON_LENGTH_MAX).openapi({ description: "For the member and the audit trail" }),
  })
  .openapi("NewPointsAdjustment");
export const adjustmentHeaders = z.object({
  "idempotency-key": z
    .string()
    .regex(/^[\x20-\x7e]{1,255}$/)
    .optional()
    .openapi({
      description:
        "1 to 255 printable ASCII characters. The same key and body give the same adjustment (200), another body 422. The " +
        "member's own. Without one, every request is an adjustment",
    }),
});
export const adjustment = z
  .object({
    id: z.string(),
    customerId: z.string(),
    amount: z.int(),
    balance: z.int().openapi({ description: "What there was after it" }),
    reason: z.string().nullable(),
    at: z.string(),
  })
  .openapi("PointsAdjustment");

export function representEntry({ id, kind, amount, balance, orderId, reason, at }: PointsEntry) {
  return {
    id: entryName(id),
    kind,
    amount,
    balance,
    ...(orderId !== null && { orderTrackingId: orderId }),
    ...(reason !== null && { reason }),
    at,
  };
}
