// The comparison of a partition's figures, without a server: what the ledger implies for Redis at one number of the log,
// and where Redis differs.
import type { Drift, Figure, LedgerFigures, RedisValue } from "./drift.ts";

/** A product by the ledger, at the position up to which the log is applied, and what leads from there to Redis. Units. */
export interface LedgerProduct extends LedgerFigures {
  readonly sku: string;
  /** Increases that are committed and that Redis has not taken. */
  readonly undelivered: number;
  /** Units that a rebuild holds back for lost orders. */
  readonly heldBack: number;
  /** What Redis moved in this epoch and the guard kept out of the ledger. */
  readonly refused: Moved;
  /** Units of accepted orders that became dead letters: Redis holds them, the ledger has no such order. */
  readonly buried: number;
  /** What was applied after the position of the comparison. */
  readonly since: Moved & { readonly restock: number; readonly fromHoldback: number };
}

export interface Moved {
  readonly place: number;
  readonly settle: number;
  readonly release: number;
  readonly revive: number;
  /** Units that came back and are on sale again, and those that are written off. */
  readonly return: number;
  readonly write_off: number;
}

export const NOTHING_MOVED: Moved = { place: 0, settle: 0, release: 0, revive: 0, return: 0, write_off: 0 };

export type Figures = Readonly<Record<Figure, number>>;

/** A product as Redis has it. */
export interface RedisProduct extends Readonly<Record<Figure, RedisValue>> {
  readonly limit: RedisValue;
}

/** What Redis must have of the product at the position of the comparison. */
export function expectedFigures(product: LedgerProduct): Figures {
  const { allocated, undelivered, heldBack, refused, buried, since } = product;
  const taken = refused.place + refused.revive;
  const reserved = product.reserved + taken - refused.settle - refused.release + buried;
  const sold = product.sold + refused.settle - refused.return - refused.write_off;
  // A write-off that the ledger refused is gone in Redis all the same.
  const available = allocated - undelivered - heldBack - reserved - sold - refused.write_off;
  // Backwards from where the ledger stands.
  return {
    available:
      available + since.place + since.revive - since.fromHoldback - since.release - since.restock - since.return,
    reserved: reserved - since.place - since.revive + since.settle + since.release,
    sold: sold - since.settle + since.return + since.write_off,
  };
}

const NO_PRODUCT: RedisProduct = { available: "", reserved: "", sold: "", limit: "" };

/** Where the figures differ. A product that only one side knows has none on the other. */
export function compareFigures(
  ledger: readonly LedgerProduct[],
  redis: ReadonlyMap<string, RedisProduct>,
): (Drift & { kind: "STOCK_EDITED" })[] {
  const expected = new Map(ledger.map((product) => [product.sku, expectedFigures(product)]));
  const drifts: (Drift & { kind: "STOCK_EDITED" })[] = [];
  for (const sku of new Set([...expected.keys(), ...redis.keys()])) {
    const should = expected.get(sku) ?? { available: 0, reserved: 0, sold: 0 };
    const has = redis.get(sku) ?? NO_PRODUCT;
    for (const figure of ["available", "reserved", "sold"] as const) {
      if (has[figure] === String(should[figure])) continue;
      drifts.push({ kind: "STOCK_EDITED", sku, figure, redis: has[figure], expected: should[figure] });
    }
  }
  return drifts;
}

/** Where a product's limit per buyer differs. @param limits of the sale's items; 0: none */
export function compareLimits(limits: ReadonlyMap<string, number>, redis: ReadonlyMap<string, RedisProduct>): Drift[] {
  return [...limits].flatMap(([sku, expected]): Drift[] => {
    const has = redis.get(sku)?.limit ?? "";
    return has === String(expected) ? [] : [{ kind: "LIMIT_OFF", sku, buyer: null, redis: has, expected }];
  });
}

/** Where the sale's settings differ. */
export function compareSettings(
  expected: Readonly<Record<string, string>>,
  redis: ReadonlyMap<string, RedisValue>,
): Drift[] {
  return Object.entries(expected).flatMap(([field, value]): Drift[] => {
    const has = redis.get(field) ?? "";
    return has === value ? [] : [{ kind: "SETTINGS_OFF", field, redis: has, expected: value }];
  });
}

/**
 * Of figures that differ: whether the ledger's own rows are what is wrong. They are when the sums of the movements agree
 * with Redis and not with the rows: a third witness, asked only then.
 */
export function blameLedger(
  ledger: readonly LedgerProduct[],
  sums: ReadonlyMap<string, LedgerFigures>,
  redis: ReadonlyMap<string, RedisProduct>,
): Drift[] {
  return ledger.flatMap((product): Drift[] => {
    const { sku, allocated, reserved, sold } = product;
    const sum = sums.get(sku);
    if (!sum || (sum.allocated === allocated && sum.reserved === reserved && sum.sold === sold)) return [];
    const only = new Map([[sku, redis.get(sku) ?? NO_PRODUCT]]);
    if (compareFigures([{ ...product, ...sum }], only).length > 0) return [];
    return [{ kind: "LEDGER_EDITED", sku, ledger: { allocated, reserved, sold }, expected: sum }];
  });
}
