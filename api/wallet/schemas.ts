// What the wallet routes take and answer.
import { z } from "@hono/zod-openapi";
import { REASON_LENGTH_MAX } from "../../engine/ledger/audit.ts";
import { AMOUNT_MAX, DEFAULT_CURRENCY } from "../../engine/money.ts";
import { transferName } from "../../engine/wallet/charges.ts";
import { TRANSACTION_TYPES, type WalletTransaction } from "../../engine/wallet/transactions.ts";
import { currency, page, text } from "../http/fields.ts";

const balance = z.object({ currency: z.string(), balance: z.int() });
export const wallet = balance
  .extend({
    customerId: z.string(),
    balance: z.int().openapi({ description: "In the currency's minor unit; never below 0" }),
    balances: z.array(balance).openapi({ description: "Of all currencies that were ever paid in" }),
  })
  .openapi("Wallet");
export const walletQuery = z.object({
  currency: currency.optional().openapi({
    description: `Which balance; without it, that in ${DEFAULT_CURRENCY}, or the oldest where there is none`,
  }),
});

const transaction = z
  .object({
    id: z.string(),
    type: z.enum(TRANSACTION_TYPES),
    amount: z.int().openapi({ description: "In the currency's minor unit; below 0 what was spent" }),
    currency: z.string(),
    balance: z.int().openapi({ description: "What there was of the currency after it" }),
    orderTrackingId: z.string().optional().openapi({ description: "The order that was paid or refunded" }),
    at: z.string(),
  })
  .openapi("WalletTransaction");
export const transactionPage = z
  .object({ items: z.array(transaction), nextCursor: z.string().optional() })
  .openapi("WalletTransactionPage");
export const transactionsQuery = page.extend({ currency: currency.optional() });
export const transactionPosition = z.int().min(1);

export const newDeposit = z
  .object({
    amount: z.int().min(1).max(AMOUNT_MAX).openapi({ description: "In the currency's minor unit" }),
    currency: currency.default(DEFAULT_CURRENCY),
    reason: text(1, REASON_LENGTH_MAX).optional().openapi({ description: "For the audit trail" }),
  })
  .openapi("NewDeposit");
export const depositHeaders = z.object({
  "idempotency-key": z
    .string()
    .regex(/^[\x20-\x7e]{1,255}$/)
    .optional()
    .openapi({
      description:
        "1 to 255 printable ASCII characters. The same key and body give the same deposit (200), another body 422. The " +
        "member's own. Without one, every request is a deposit",
    }),
});
export const deposit = z
  .object({
    id: z.string(),
    customerId: z.string(),
    amount: z.int(),
    currency: z.string(),
    balance: z.int().openapi({ description: "What there was of the currency after it" }),
    at: z.string(),
  })
  .openapi("Deposit");

export function representTransaction({ id, orderId, ...facts }: WalletTransaction) {
  return { id: transferName(id), ...facts, ...(orderId !== null && { orderTrackingId: orderId }) };
}
