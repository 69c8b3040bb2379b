// A cart as its owner sees it: prices and stock of now.
import { z } from "@hono/zod-openapi";
import type { Cart, CartLine } from "../../engine/cart/cart.ts";
import { saleState } from "../../engine/catalogue/sale-state.ts";
import type { SaleItem } from "../../engine/catalogue/sales.ts";
import type { CatalogueView } from "../../engine/catalogue/view.ts";
import type { StockView } from "../sales/stock-view.ts";

/** Why a line cannot be ordered as it stands. */
const PROBLEMS = ["NOT_OFFERED", "SALE_NOT_OPEN", "SOLD_OUT", "LIMIT_EXCEEDED"] as const;

export const cartSchema = z
  .object({
    customerId: z.string(),
    version: z.int(),
    updatedAt: z.string().nullable(),
    items: z.array(
      z.object({
        saleId: z.string(),
        productId: z.string(),
        name: z.string().optional(),
        quantity: z.int(),
        price: z.int().optional().openapi({ description: "Of one unit, as of now" }),
        currency: z.string().optional(),
        remaining: z
          .int()
          .optional()
          .openapi({ description: "Units that can be had; absent when the sale shows bands" }),
        perCustomerLimit: z.int().nullable().optional(),
        problem: z.enum(PROBLEMS).optional().openapi({ description: "Why this line would be refused as it stands" }),
      }),
    ),
    totals: z.array(z.object({ saleId: z.string(), price: z.int(), currency: z.string() })),
  })
  .openapi("Cart");

export async function representCart(cart: Cart, catalogue: CatalogueView, stock: StockView) {
  const saleIds = [...new Set(cart.lines.map((line) => line.saleId))];
  const sales = new Map(
    await Promise.all(
      saleIds.map(async (id) => {
        const view = catalogue.sale(id);
        return [id, view && { view, stock: await stock.read(view) }] as const;
      }),
    ),
  );
  const items = cart.lines.map((line) => {
    const sale = sales.get(line.saleId);
    const item = sale?.view.itemOf.get(line.productId);
    if (!sale || !item) return { ...line, problem: "NOT_OFFERED" as const };
    const remaining = Math.max(0, sale.stock.remaining.get(line.productId) ?? 0);
    const problem = problemOf(line, item, saleState(sale.view, sale.stock), remaining);
    return {
      ...line,
      name: item.name,
      price: item.price,
      currency: sale.view.currency,
      perCustomerLimit: item.perCustomerLimit,
      ...(sale.view.stockVisibility === "exact" && { remaining }),
      ...(problem && { problem }),
    };
  });
  const totals = saleIds.flatMap((saleId) => {
    const currency = sales.get(saleId)?.view.currency;
    if (currency === undefined) return [];
    const lines = items.filter((item) => item.saleId === saleId);
    const price = lines.reduce((sum, item) => sum + ("price" in item ? item.price * item.quantity : 0), 0);
    return [{ saleId, price, currency }];
  });
  const { customerId, version, updatedAt = null } = cart;
  return { customerId, version, updatedAt, items, totals };
}

function problemOf(line: CartLine, item: SaleItem, state: ReturnType<typeof saleState>, remaining: number) {
  if (state !== "open" && state !== "sold_out") return "SALE_NOT_OPEN" as const;
  if (item.perCustomerLimit !== null && line.quantity > item.perCustomerLimit) return "LIMIT_EXCEEDED" as const;
  return line.quantity > remaining ? ("SOLD_OUT" as const) : undefined;
}
