// The provider's books of refunds. One transaction holds the charge's row while it decides: refunds of a charge come one
// after the other, and together never exceed it.
import { randomUUID } from "node:crypto";
import type pg from "pg";
import { transaction } from "../../../../engine/ledger/database.ts";
import type { RefundRequest } from "../gateway.ts";
import { FLAKY_FAILURES, refundMode } from "./modes.ts";
import { type ChargeState, REFUND_REFUSED_TOKEN } from "./tokens.ts";
import { tellRefund } from "./webhooks.ts";

export interface Refund {
  readonly key: string;
  /** The provider's name for it, `re_...`. */
  readonly id: string;
  readonly chargeKey: string;
  readonly amount: number;
}

/** Everything but `booked` moved no money and is not remembered. */
export type RefundAnswer =
  | { readonly type: "booked"; readonly refund: Refund }
  | { readonly type: "key_reused" | "charge_not_found" | "exceeds_charge" | "refused" | "unavailable" };

const COLUMNS = `key, reference AS id, charge_key AS "chargeKey", amount`;

/** Gives money back, once a key. @param tells whether the merchant is told of it */
export function bookRefund(pool: pg.Pool, asked: RefundRequest, tells: boolean): Promise<RefundAnswer> {
  return transaction<RefundAnswer>(pool, async (client) => {
    const charges = await client.query<{ state: ChargeState; token: string; left: number }>(
      `SELECT outcome AS state, token, amount - refunded AS left FROM simulated_gateway.charges WHERE key = $1 FOR UPDATE`,
      [asked.chargeKey],
    );
    const known = await findRefund(client, asked.key);
    if (known) {
      const same = known.chargeKey === asked.chargeKey && known.amount === asked.amount;
      return same ? { type: "booked", refund: known } : { type: "key_reused" };
    }
    const charge = charges.rows[0];
    if (charge?.state !== "succeeded") return { type: "charge_not_found" };
    if (charge.token === REFUND_REFUSED_TOKEN) return { type: "refused" };
    const mode = await refundMode(client);
    if (mode === "refuse") return { type: "refused" };
    if (mode === "unavailable" || (mode === "flaky" && (await failsAgain(client, asked.key)))) {
      return { type: "unavailable" };
    }
    if (asked.amount > charge.left) return { type: "exceeds_charge" };

    const booked = await client.query<Refund>(
      `INSERT INTO simulated_gateway.refunds (key, charge_key, amount, reference) VALUES ($1, $2, $3, $4)
       ON CONFLICT (key) DO NOTHING RETURNING ${COLUMNS}`,
      [asked.key, asked.chargeKey, asked.amount, `re_${randomUUID()}`],
    );
    const refund = booked.rows[0];
    // Taken meanwhile, and not for this charge, whose row is held here.
    if (!refund) return { type: "key_reused" };
    await client.query("UPDATE simulated_gateway.charges SET refunded = refunded + $2 WHERE key = $1", [
      asked.chargeKey,
      asked.amount,
    ]);
    if (tells) await tellRefund(client, asked.key);
    return { type: "booked", refund };
  });
}

export async function findRefund(db: pg.Pool | pg.ClientBase, key: string): Promise<Refund | undefined> {
  const result = await db.query<Refund>(`SELECT ${COLUMNS} FROM simulated_gateway.refunds WHERE key = $1`, [key]);
  return result.rows[0];
}

async function failsAgain(client: pg.ClientBase, key: string): Promise<boolean> {
  const failed = await client.query(
    `INSERT INTO simulated_gateway.refund_failures AS f (key, failures) VALUES ($1, 1)
     ON CONFLICT (key) DO UPDATE SET failures = f.failures + 1 WHERE f.failures < $2`,
    [key, FLAKY_FAILURES],
  );
  return failed.rowCount === 1;
}
