// Money is an integer in the currency's minor unit (ISO 4217): 5000 is five thousand won, or fifty dollars.

/** What prices are in unless a product says otherwise. */
export const DEFAULT_CURRENCY = "KRW";
/** The largest amount of any price, total or balance: exact in a double, and in bigint columns. */
export const AMOUNT_MAX = 1_000_000_000_000;
/** The most units one order line may ask for. */
export const QUANTITY_MAX = 1_000_000;

/**
 * Sums lines of `unitPrice` times `quantity`.
 *
 * @returns the total in minor units, or `undefined` when it passes {@link AMOUNT_MAX}
 */
export function totalOf(lines: readonly { unitPrice: number; quantity: number }[]): number | undefined {
  let total = 0;
  for (const line of lines) {
    total += line.unitPrice * line.quantity;
    // One line is at most 10^12 * 10^6 = 10^18: inexact as a double, but far above the bound it is compared with.
    if (total > AMOUNT_MAX) return undefined;
  }
  return total;
}
