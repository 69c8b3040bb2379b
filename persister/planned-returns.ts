// What returns make of orders' lines: each return once, and no more than was bought.
import type { AppliedReturn, LockedLine, ReturnedLine } from "../engine/ledger/late-units.ts";
import type { Position, ReturnedUnits } from "../engine/movement.ts";

export class PlannedReturns {
  readonly #lines: Map<string, (LockedLine & { returned: number; restocked: number; isChanged: boolean })[]>;
  readonly #known: Set<string>;
  readonly #returns: AppliedReturn[] = [];

  /** @param known movement ids of returns that the ledger has */
  constructor(lines: readonly LockedLine[], known: readonly string[]) {
    this.#lines = Map.groupBy(
      lines.map((line) => ({ ...line, isChanged: false })),
      (line) => line.orderId,
    );
    this.#known = new Set(known);
  }

  /** Takes a return of an order that is sold. @returns why it cannot be taken, or `undefined` */
  take(of: ReturnedUnits, at: Position & { readonly atMs: number }): string | undefined {
    if (!isMovementId(of.movementId)) return "its id is no UUID";
    if (this.#known.has(of.movementId)) return "the ledger has this return already";
    const lines = this.#lines.get(of.orderId) ?? [];
    for (const { sku, units } of of.units) {
      const open = lines.reduce((sum, line) => sum + (line.productId === sku ? line.quantity - line.returned : 0), 0);
      if (open < units) return `of ${sku} the order has ${open} left to return`;
    }
    for (const { sku, units } of of.units) {
      let left = units;
      for (const line of lines) {
        if (line.productId !== sku) continue;
        const back = Math.min(left, line.quantity - line.returned);
        line.returned += back;
        if (of.restock) line.restocked += back;
        line.isChanged ||= back > 0;
        left -= back;
      }
    }
    this.#known.add(of.movementId);
    const { movementId, orderId, restock, units } = of;
    const byProduct = Object.fromEntries(units.map(({ sku, units: count }) => [sku, count]));
    this.#returns.push({ movementId, orderId, restock, units: byProduct, ...at });
    return undefined;
  }

  get returns(): readonly AppliedReturn[] {
    return this.#returns;
  }

  /** The lines that have changed, as they are now. */
  get lines(): readonly ReturnedLine[] {
    return [...this.#lines.values()].flat().filter((line) => line.isChanged);
  }
}

/** Whether the ledger could have a return of this id. */
export function isMovementId(id: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id);
}
