// Erasure of a member's personal data. The books stay: orders, lines, payments, the wallet and the points keep the member's id,
// which then leads to nobody. What points there are is forfeited.
import type pg from "pg";
import type { Operator } from "../catalogue/operator.ts";
import { OnrushError } from "../errors.ts";
import { recordAudit } from "../ledger/audit.ts";
import { type Queryable, transaction } from "../ledger/database.ts";
import { eraseInbox } from "../notifications/inbox.ts";
import { forfeitPoints } from "../points/adjustments.ts";
import { eraseThreadsOf } from "../support/threads.ts";
import { lockAccount, refuseLastAdministrator } from "./grants.ts";
import { dropLinks } from "./mailed-links.ts";
import { endSessionsOf } from "./sessions.ts";

export interface Erased {
  readonly id: string;
  /** Whose access tokens are good no more. */
  readonly endedSessions: readonly string[];
}

/**
 * Erases an account for good and ends its sessions. `operator`: the member, or an administrator. `who`: its id or e-mail.
 *
 * @throws OnrushError with `NOT_FOUND`; `INVALID_STATE` while an order is under way, and for the last administrator
 */
export async function eraseMember(pool: pg.Pool, who: string, operator: Operator): Promise<Erased> {
  return await transaction(pool, async (client) => {
    const account = await lockAccount(client, who);
    await refuseLastAdministrator(client, account);
    if (await hasUnfinishedOrders(client, account.id)) {
      throw new OnrushError("INVALID_STATE", "An order is under way; cancel it or wait for its end.");
    }
    await dropLinks(client, account.id);
    await eraseThreadsOf(client, account.id);
    await eraseInbox(client, account.id);
    await forfeitPoints(client, account.id);
    await erasePerson(client, account.id);
    await recordAudit(client, { ...operator, action: "user.erase", subject: `user:${account.id}` });
    return { id: account.id, endedSessions: await endSessionsOf(client, account.id, "erased") };
  });
}

/** Whether orders of this customer are still under way: their address is needed, their end has to be told. */
async function hasUnfinishedOrders(db: Queryable, customerId: string): Promise<boolean> {
  const result = await db.query<{ unfinished: boolean }>(
    `SELECT EXISTS (SELECT FROM orders WHERE customer_id = $1
       AND status NOT IN ('CONFIRMED', 'CANCELLED', 'REFUNDED')) AS unfinished`,
    [customerId],
  );
  return result.rows[0]?.unfinished === true;
}

/** Erases name, e-mail, password and addresses. Within the caller's transaction. */
async function erasePerson(db: Queryable, customerId: string): Promise<void> {
  await db.query(
    `UPDATE users SET email = id || '@erased.invalid', name = 'Erased', password_hash = '', roles = '{customer}',
       email_verified_at = NULL, erased_at = now(), updated_at = now() WHERE id = $1`,
    [customerId],
  );
  await db.query("UPDATE orders SET address = NULL WHERE customer_id = $1 AND address IS NOT NULL", [customerId]);
}
