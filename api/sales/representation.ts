// A sale as clients see it.
import { z } from "@hono/zod-openapi";
import { SALE_STATES, saleState } from "../../engine/catalogue/sale-state.ts";
import type { SaleView } from "../../engine/catalogue/view.ts";
import type { SaleStock } from "./stock-view.ts";

export { SALE_STATES, saleState };

/** What a sale with `stockVisibility: band` tells instead of a number. */
export const STOCK_BANDS = ["none", "few", "some", "plenty"] as const;
export type StockBand = (typeof STOCK_BANDS)[number];

const FEW_MAX = 10;
const SOME_MAX = 100;

export const saleSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    state: z.enum(SALE_STATES),
    currency: z.string(),
    opensAt: z.string(),
    closesAt: z.string().nullable(),
    reservationTtlSeconds: z.number(),
    partitions: z.int(),
    onDecline: z.enum(["release", "hold"]),
    membersOnly: z.boolean(),
    stockVisibility: z.enum(["exact", "band"]),
    version: z.int().openapi({ description: "Grows with every change of the sale; for edits" }),
    createdAt: z.string(),
    items: z.array(
      z.object({
        productId: z.string(),
        name: z.string(),
        price: z.int(),
        perCustomerLimit: z.int().nullable(),
        remaining: z
          .int()
          .optional()
          .openapi({ description: "Units that can be had; absent when the sale shows bands" }),
        remainingBand: z.enum(STOCK_BANDS).optional(),
      }),
    ),
  })
  .openapi("Sale");

/** The sale with what is left of it. */
export function representSale(sale: SaleView, stock: SaleStock) {
  const remainingOf = (productId: string) => Math.max(0, stock.remaining.get(productId) ?? 0);
  return {
    id: sale.id,
    name: sale.name,
    state: saleState(sale, stock),
    currency: sale.currency,
    opensAt: sale.opensAt,
    closesAt: sale.closesAt,
    reservationTtlSeconds: sale.reservationTtlMs / 1_000,
    partitions: sale.partitions,
    onDecline: sale.onDecline,
    membersOnly: sale.membersOnly,
    stockVisibility: sale.stockVisibility,
    version: sale.version,
    createdAt: sale.createdAt,
    items: sale.items.map(({ productId, name, price, perCustomerLimit }) => ({
      productId,
      name,
      price,
      perCustomerLimit,
      ...(sale.stockVisibility === "exact"
        ? { remaining: remainingOf(productId) }
        : { remainingBand: bandOf(remainingOf(productId)) }),
    })),
  };
}

function bandOf(remaining: number): StockBand {
  if (remaining === 0) return "none";
  if (remaining <= FEW_MAX) return "few";
  return remaining <= SOME_MAX ? "some" : "plenty";
}
