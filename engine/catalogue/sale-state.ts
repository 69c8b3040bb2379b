// What state a sale is in, as people are told it: from what operators want, the time, and what is left.
import type { Sale } from "./sales.ts";

export const SALE_STATES = ["scheduled", "open", "paused", "closed", "sold_out"] as const;
export type SaleState = (typeof SALE_STATES)[number];

/**
 * A sale that is closed or paused says so, whatever its stock; `sold_out` may become `open` again by returned units.
 *
 * @param remaining units that can be had, by product
 * @param nowMs by the clock that opens and closes sales
 */
export function saleState(
  sale: Pick<Sale, "admission" | "opensAt" | "closesAt" | "items">,
  { remaining, nowMs }: { readonly remaining: ReadonlyMap<string, number>; readonly nowMs: number },
): SaleState {
  if (sale.admission === "closed" || (sale.closesAt !== null && nowMs >= sale.closesAt.getTime())) return "closed";
  if (sale.admission === "paused") return "paused";
  if (nowMs < sale.opensAt.getTime()) return "scheduled";
  const isSoldOut = sale.items.length > 0 && sale.items.every((item) => (remaining.get(item.productId) ?? 0) <= 0);
  return isSoldOut ? "sold_out" : "open";
}
