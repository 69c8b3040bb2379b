// The SQL of circuit breakers that are not closed. Each worker says of its own ones how they stand, and says it again while they
// do; what it has not said for a while is not so any more, or the worker is gone.
import type { Queryable } from "./database.ts";

/** A circuit that is closed has no row. */
export type BrokenStatus = "open" | "half-open";

export interface BrokenCircuit {
  readonly circuit: string;
  readonly status: BrokenStatus;
  /** In how many workers. */
  readonly workers: number;
}

/** How often a worker repeats what stands, and how long it counts. */
export const SAID_EVERY_MS = 15_000;
const SAID_MS_MAX = 4 * SAID_EVERY_MS;

/** @param holder the worker's name for itself */
export async function sayBroken(
  db: Queryable,
  holder: string,
  circuits: Readonly<Record<string, BrokenStatus>>,
): Promise<void> {
  await db.query(
    `WITH said AS (SELECT * FROM unnest($2::text[], $3::text[]) AS s (circuit, status)), gone AS (
       DELETE FROM payment_circuits WHERE (holder = $1 AND circuit NOT IN (SELECT circuit FROM said))
         OR seen_at < now() - $4 * interval '1 millisecond'
     )
     INSERT INTO payment_circuits AS p (holder, circuit, status) SELECT $1, circuit, status FROM said
     ON CONFLICT (holder, circuit) DO UPDATE SET status = EXCLUDED.status, seen_at = now(),
       changed_at = CASE WHEN p.status = EXCLUDED.status THEN p.changed_at ELSE now() END`,
    [holder, Object.keys(circuits), Object.values(circuits), SAID_MS_MAX],
  );
}

export async function listBroken(db: Queryable): Promise<BrokenCircuit[]> {
  const result = await db.query<BrokenCircuit>(
    `SELECT circuit, status, count(*)::int AS workers FROM payment_circuits
     WHERE seen_at >= now() - $1 * interval '1 millisecond' GROUP BY circuit, status ORDER BY circuit, status`,
    [SAID_MS_MAX],
  );
  return result.rows;
}
