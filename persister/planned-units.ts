// The stock rows of a batch while it is planned, and units that are summed by product.
import type { LockedStock } from "../engine/ledger/log.ts";

type Row = { -readonly [Name in keyof LockedStock]: LockedStock[Name] };

/** The locked rows, changed in memory. */
export class PlannedStock {
  readonly #rows: Map<string, Row>;
  readonly #touched = new Set<string>();

  constructor(rows: readonly LockedStock[]) {
    this.#rows = new Map(rows.map((row) => [row.productId, { ...row }]));
  }

  /** Whether all the units fit what is allocated. */
  fits(units: Iterable<readonly [sku: string, units: number]>): boolean {
    return [...units].every(([sku, wanted]) => this.#room(sku) >= wanted);
  }

  change(sku: string, figure: "allocated" | "reserved" | "sold", by: number): void {
    this.#row(sku)[figure] += by;
    this.#touched.add(sku);
  }

  /** The rows that have changed, in SKU order. */
  changed(): LockedStock[] {
    return [...this.#touched].sort().map((sku) => this.#row(sku));
  }

  #room(sku: string): number {
    const row = this.#row(sku);
    return row.allocated - row.reserved - row.sold;
  }

  #row(sku: string): Row {
    let row = this.#rows.get(sku);
    if (!row) {
      // No row means nothing was ever allocated: nothing fits.
      row = { productId: sku, allocated: 0, reserved: 0, sold: 0 };
      this.#rows.set(sku, row);
    }
    return row;
  }
}

export class UnitsBySku {
  readonly #units = new Map<string, { quantity: number; refused: number }>();

  add(sku: string, quantity: number, refused: number): void {
    const sum = this.#units.get(sku) ?? { quantity: 0, refused: 0 };
    this.#units.set(sku, { quantity: sum.quantity + quantity, refused: sum.refused + refused });
  }

  entries() {
    return this.#units.entries();
  }
}
