// The SQL of which payment providers the workers know how to reach. Only they are told the keys: who lets an operator choose a
// provider learns from here whether payments could be taken there. Each worker says it again while it runs; what it has not
// said for a while is not so any more.
import type { PaymentGatewayName } from "../config.ts";
import type { Queryable } from "./database.ts";

/** How often a worker repeats it, and how long it counts. */
export const OFFERED_EVERY_MS = 15_000;
const OFFERED_MS_MAX = 4 * OFFERED_EVERY_MS;

/** @param holder the worker's name for itself */
export async function offerGateways(
  db: Queryable,
  holder: string,
  gateways: readonly PaymentGatewayName[],
): Promise<void> {
  await db.query(
    `WITH gone AS (DELETE FROM payment_gateways WHERE holder <> $1 AND seen_at < now() - $3 * interval '1 millisecond')
     INSERT INTO payment_gateways (holder, gateways) VALUES ($1, $2)
     ON CONFLICT (holder) DO UPDATE SET gateways = EXCLUDED.gateways, seen_at = now()`,
    [holder, gateways, OFFERED_MS_MAX],
  );
}

export async function withdrawGateways(db: Queryable, holder: string): Promise<void> {
  await db.query("DELETE FROM payment_gateways WHERE holder = $1", [holder]);
}

/** How many workers run, and how many of them do not know this provider. */
export async function workersWithout(
  db: Queryable,
  gateway: PaymentGatewayName,
): Promise<{ readonly workers: number; readonly without: number }> {
  const result = await db.query<{ workers: number; without: number }>(
    `SELECT count(*)::int AS workers, count(*) FILTER (WHERE $1 <> ALL (gateways))::int AS without FROM payment_gateways
     WHERE seen_at >= now() - $2 * interval '1 millisecond'`,
    [gateway, OFFERED_MS_MAX],
  );
  return result.rows[0] ?? { workers: 0, without: 0 };
}
