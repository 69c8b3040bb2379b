// What this process remembers of sold-out stock, so that the rush after the last unit is answered without Redis. A memory
// is a lease: it ends when stock is announced to have come back, and by itself a moment later, because announcements can
// be lost. Units that only this memory refuses are thus offered again within LEASE_MS of their return.
import { type Partition, partitionName } from "../keys.ts";

/** Contract: a cancelled order's units can be bought in every process within 250 ms. */
export const LEASE_MS = 150;

interface Remembered {
  /** Units that were left, by SKU, when an order wanted more. */
  readonly available: Map<string, number>;
  endsAt: number;
}

export class SoldOutMemory {
  readonly #partitions = new Map<string, Remembered>();
  readonly #now: () => number;

  /** @param now monotonic, in ms */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** True while anything is remembered. */
  get isKept(): boolean {
    return this.#partitions.size > 0;
  }

  /** Takes note that only `available` units of a SKU are left. */
  remember(at: Partition, sku: string, available: number): void {
    const name = partitionName(at);
    const now = this.#now();
    const known = this.#partitions.get(name);
    if (known && known.endsAt > now) {
      // The lease is not prolonged: it speaks for its oldest fact.
      known.available.set(sku, available);
      return;
    }
    this.#partitions.set(name, { available: new Map([[sku, available]]), endsAt: now + LEASE_MS });
  }

  /** Stock of the partition came back, or its configuration changed. @param name as of `partitionName` */
  forget(name: string): void {
    this.#partitions.delete(name);
  }

  /**
   * The first line that cannot be had by what is remembered, or `undefined` when Redis has to be asked. Only for orders
   * without an idempotency key: one with a key may be the retry of an order that was accepted before the end.
   */
  refuses(
    at: Partition,
    lines: readonly { readonly productId: string; readonly quantity: number }[],
  ): { readonly productId: string; readonly available: number } | undefined {
    if (this.#partitions.size === 0) return undefined;
    const known = this.#partitions.get(partitionName(at));
    if (!known) return undefined;
    if (known.endsAt <= this.#now()) {
      this.#partitions.delete(partitionName(at));
      return undefined;
    }
    for (const { productId, quantity } of lines) {
      const available = known.available.get(productId);
      if (available !== undefined && available < quantity) return { productId, available };
    }
    return undefined;
  }
}
