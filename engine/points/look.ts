// The look at a member's points before an order that spends some is asked for. It takes nothing: points are spent when the
// order enters the ledger, and of orders that pass this look at once those that the balance does not cover any more are
// cancelled there. It is here so that nearly always the buyer hears at once.
import type { Redis } from "ioredis";
import { OnrushError } from "../errors.ts";
import { type Partition, partitionKeys } from "../keys.ts";
import type { Queryable } from "../ledger/database.ts";
import { readPoints } from "./accounts.ts";

/** An order does not hang on a Postgres that says nothing. */
const LOOK_TIMEOUT_MS = 2_000;

export interface PointsWish {
  readonly at: Partition;
  readonly customerId: string;
  readonly points: number;
  /** Of the order's idempotency key. */
  readonly scope: string | undefined;
}

/**
 * Refuses an order for more points than there are, unless its key led to an order before: what that one has spent is gone,
 * and who sends it again is to hear of it.
 *
 * @throws OnrushError with `INSUFFICIENT_POINTS`; what Postgres throws when it cannot be asked
 */
export async function checkBalance(
  { db, redis }: { readonly db: Queryable; readonly redis: Redis },
  { at, customerId, points, scope }: PointsWish,
): Promise<void> {
  try {
    const { balance } = await readPoints(db, customerId, LOOK_TIMEOUT_MS);
    if (balance < points) {
      throw new OnrushError("INSUFFICIENT_POINTS", `There are ${balance} points, not ${points}.`, { balance, points });
    }
  } catch (refusal) {
    if (scope === undefined || !(await isKeyKnown(redis, at, scope))) throw refusal;
  }
}

async function isKeyKnown(redis: Redis, at: Partition, scope: string): Promise<boolean> {
  const { idempotencyEven, idempotencyOdd } = partitionKeys(at);
  const records = await Promise.all([redis.hget(idempotencyEven, scope), redis.hget(idempotencyOdd, scope)]);
  return records.some((record) => record !== null);
}
