// Which rows a batch of movements touches, so that they are locked before it is planned.
import type { Movement } from "../engine/movement.ts";

/** Every SKU that the movements touch, for locking. */
export function skusOf(movements: readonly Movement[]): string[] {
  const skus = new Set<string>();
  for (const movement of movements) {
    if (movement.kind === "place") {
      for (const order of movement.orders) for (const line of order.payload.lines) skus.add(line.productId);
    } else if ("holds" in movement) {
      for (const hold of movement.holds) for (const { sku } of hold.units) skus.add(sku);
    } else if (movement.kind === "return") {
      for (const back of movement.returns) for (const { sku } of back.units) skus.add(sku);
    } else if (movement.kind === "restock") skus.add(movement.sku);
  }
  return [...skus].sort();
}

/** Every order that the movements name, for locking: new ones because they must not exist yet. */
export function orderIdsOf(movements: readonly Movement[]): { placed: string[]; moved: string[] } {
  const placed = new Set<string>();
  const moved = new Set<string>();
  for (const movement of movements) {
    if (movement.kind === "place") for (const order of movement.orders) placed.add(order.orderId);
    if ("holds" in movement) for (const hold of movement.holds) moved.add(hold.orderId);
    if (movement.kind === "return") for (const back of movement.returns) moved.add(back.orderId);
  }
  return { placed: [...placed], moved: [...moved] };
}
