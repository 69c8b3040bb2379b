// How the provider behaves at present, whoever the customer is: kept in its books, so that a restarted one goes on as it was
// told. What has ended already is answered as it was, in every mode.
import type pg from "pg";

/**
 * `flaky`: each new one fails a few times, and then comes to its end. `refuse`: each is declined, or refused. `unavailable`:
 * none is considered, for now.
 */
export const MODES = ["accept", "flaky", "refuse", "unavailable"] as const;
export type Mode = (typeof MODES)[number];

/** What is flaky fails this often before it succeeds. */
export const FLAKY_FAILURES = 2;

export async function setChargeMode(pool: pg.Pool, mode: Mode): Promise<void> {
  await pool.query("UPDATE simulated_gateway.charge_mode SET mode = $1", [mode]);
}

export async function setRefundMode(pool: pg.Pool, mode: Mode): Promise<void> {
  await pool.query("UPDATE simulated_gateway.refund_mode SET mode = $1", [mode]);
}

export async function refundMode(client: pg.ClientBase): Promise<Mode> {
  const result = await client.query<{ mode: Mode }>("SELECT mode FROM simulated_gateway.refund_mode");
  return result.rows[0]?.mode ?? "accept";
}
