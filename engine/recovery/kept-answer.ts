// What a client keeps of the answer to its order, as it is handed back to honour the order: the answer as it was, beside
// what the shop never had on record and the client may add.
import { z } from "zod";
import { AMOUNT_MAX, QUANTITY_MAX } from "../money.ts";
import type { ReceiptContents } from "../receipt.ts";

const amount = z.int().min(0).max(AMOUNT_MAX);
const text = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .refine((value) => value.isWellFormed() && !value.includes("\0"), "must be well-formed text without NUL");

/** Other members of the answer are ignored: the receipt proves nothing of them. */
export const keptAnswer = z.object({
  orderTrackingId: z.guid().toLowerCase(),
  saleId: z.string().min(1).max(36),
  customerId: z.string().min(1).max(64),
  items: z
    .array(z.object({ productId: z.guid(), quantity: z.int().min(1).max(QUANTITY_MAX), price: amount }))
    .min(1)
    .max(100),
  price: amount,
  payable: amount,
  couponCode: z.string().min(1).max(40).optional(),
  discount: amount.optional(),
  points: amount.optional(),
  currency: z.string().length(3),
  receipt: z.string().min(1).max(1_000),
  payment: z
    .object({
      method: z.enum(["card", "later"]),
      token: z
        .string()
        .regex(/^[\x20-\x7e]{1,255}$/, "must be 1 to 255 printable ASCII characters")
        .optional(),
    })
    .refine((payment) => payment.method === "later" || payment.token !== undefined, "a card needs a token")
    .optional()
    .describe("Not part of the answer: how it is paid now. Without it, the order waits for POST /orders/{id}/payments"),
  address: z
    .object({ street: text(200), postalCode: text(20), city: text(100) })
    .optional()
    .describe("Not part of the answer: where it goes, if it was ordered with an address"),
});

export type KeptAnswer = z.output<typeof keptAnswer>;

/** The order that the answer tells of, as its receipt has signed it. */
export function contentsOf({ customerId, items, price, payable, currency, ...more }: KeptAnswer): ReceiptContents {
  const lines = items.map((item) => ({ ...item, unitPrice: item.price }));
  const { couponCode, discount, points } = more;
  return {
    ...{ customerId, items: lines, price, payable, currency },
    ...(couponCode !== undefined && { couponCode }),
    ...(discount !== undefined && { discount }),
    ...(points !== undefined && { points }),
  };
}
