// Where a member stands: the points, the tier, and what is missing to the next one.
import type { Queryable } from "../ledger/database.ts";
import { DEFAULT_CURRENCY } from "../money.ts";
import { type PointsAccount, readPoints } from "./accounts.ts";
import { type PointsTiers, tierAbove, tierOf } from "./tiers.ts";

export interface PointsStanding extends PointsAccount {
  /** Of spend, and of what a point is worth one minor unit of. */
  readonly currency: string;
  readonly tier: string;
  /** What orders earn by it, in hundredths of a percent of what is paid. */
  readonly rate: number;
  /** Null of a member in the highest tier. `missing`: spend until then. */
  readonly nextTier: {
    readonly name: string;
    readonly from: number;
    readonly rate: number;
    readonly missing: number;
  } | null;
}

/** Reads where a member stands, by the tiers that hold now. A member without an account has 0 of everything. */
export async function readStanding(db: Queryable, customerId: string, tiers: PointsTiers): Promise<PointsStanding> {
  const account = await readPoints(db, customerId);
  const { name: tier, rate } = tierOf(tiers, account.spend);
  const next = tierAbove(tiers, account.spend);
  return {
    ...account,
    currency: DEFAULT_CURRENCY,
    tier,
    rate,
    nextTier: next ? { ...next, missing: next.from - account.spend } : null,
  };
}
