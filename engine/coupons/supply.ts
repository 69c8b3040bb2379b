// An order that found no use of its coupon where its buyer belongs: uses may lie in another partition, or in another sale. They
// are brought, and the order is asked for once more; used up is said only when there are none anywhere.
import type { PlaceOutcome } from "../admission/place.ts";
import type { CatalogueView } from "../catalogue/view.ts";
import { type Place, type StockTransfers, SUPPLY_WAIT_MS } from "../stock/transfers.ts";
import type { Coupon } from "./coupon.ts";

/** What came of a call for an order of this id. */
export interface Asked {
  readonly orderId: string;
  readonly outcome: PlaceOutcome;
}

/**
 * @param asked what Redis said to the order
 * @param ask asks it again, each time under another id: what was refused under one is refused under it
 */
export async function supplyCoupon(
  coupon: Coupon,
  to: Place,
  { catalogue, transfers }: { readonly catalogue: CatalogueView; readonly transfers: StockTransfers },
  asked: Asked,
  ask: () => Promise<Asked>,
): Promise<Asked> {
  if (!isDry(asked, coupon)) return asked;
  const deadlineMs = performance.now() + SUPPLY_WAIT_MS;
  const places = coupon.saleIds.flatMap((saleId) =>
    (catalogue.sale(saleId)?.partitionEpochs ?? []).map((place) => ({ ...place, saleId })),
  );
  let last = asked;
  while (isDry(last, coupon)) {
    const supply = await transfers.bring({ productId: coupon.id, to, places, total: coupon.limit }, deadlineMs);
    if (supply === "dry") break;
    if (supply === "pending") return { ...last, outcome: { type: "STOCK_UNAVAILABLE", cause: "COUPON" } };
    last = await ask();
  }
  return last;
}

function isDry({ outcome }: Asked, { id }: Coupon): boolean {
  return outcome.type === "SOLD_OUT" && outcome.productId === id;
}
