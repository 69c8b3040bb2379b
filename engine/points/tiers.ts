// The tiers of members and what they earn by them, as arithmetic. Amounts are integers in minor units, and computed exactly:
// points are rounded down, and what is taken back with refunds adds up to what was earned.

export interface PointsTier {
  readonly name: string;
  /** From how much spend on; minor units of the shop's default currency. */
  readonly from: number;
  /** What an order earns of what is paid for it, in hundredths of a percent. */
  readonly rate: number;
}

/** Lowest first; the first is from 0. At least one. */
export type PointsTiers = readonly PointsTier[];

const BRONZE: PointsTier = { name: "bronze", from: 0, rate: 100 };
export const TIERS_DEFAULT: PointsTiers = [
  BRONZE,
  { name: "silver", from: 300_000, rate: 200 },
  { name: "gold", from: 1_000_000, rate: 300 },
];
/** {@link PointsTier.rate} of everything. */
export const RATE_WHOLE = 10_000;

/** The tier of a member who has spent so much. */
export function tierOf(tiers: PointsTiers, spend: number): PointsTier {
  return tiers.findLast(({ from }) => from <= spend) ?? tiers[0] ?? BRONZE;
}

/** The tier above, if there is one. */
export function tierAbove(tiers: PointsTiers, spend: number): PointsTier | undefined {
  return tiers.find(({ from }) => from > Math.max(spend, 0));
}

/** What an order earns, by what is paid for it. */
export function pointsFor(payable: number, { rate }: PointsTier): number {
  return shareOf(rate, payable, RATE_WHOLE);
}

/** How much of what an order earned goes back, all in all, once `refunded` of its `payable` was given back. */
export function revokedOf(earned: number, refunded: number, payable: number): number {
  return shareOf(earned, refunded, payable);
}

/** `whole * part / of`, rounded down. The product passes 2^53. */
function shareOf(whole: number, part: number, of: number): number {
  return of === 0 ? 0 : Number((BigInt(whole) * BigInt(part)) / BigInt(of));
}
