// What the queue's two sides agree on.

export const QUEUE = "orders";

/** The key that counts a product's units that are left. */
export function counterOf(productId: string): string {
  return `stock:${productId}`;
}
