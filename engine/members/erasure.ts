// Erasure of a member's personal data. The books stay: orders, lines and payments keep the member's id, which then leads
// to nobody.
import type { Queryable } from "../ledger/database.ts";

/** Whether orders of this customer are still under way: their address is needed, their end has to be told. */
export async function hasUnfinishedOrders(db: Queryable, customerId: string): Promise<boolean> {
  const result = await db.query<{ unfinished: boolean }>(
    `SELECT EXISTS (SELECT FROM orders WHERE customer_id = $1
       AND status NOT IN ('CONFIRMED', 'CANCELLED', 'REFUNDED')) AS unfinished`,
    [customerId],
  );
  return result.rows[0]?.unfinished === true;
}

/** Erases name, e-mail, password and addresses. Within the caller's transaction. */
export async function eraseMember(db: Queryable, customerId: string): Promise<void> {
  await db.query(
    `UPDATE users SET email = id || '@erased.invalid', name = 'Erased', password_hash = '', roles = '{customer}',
       email_verified_at = NULL, erased_at = now(), updated_at = now() WHERE id = $1`,
    [customerId],
  );
  await db.query("UPDATE orders SET address = NULL WHERE customer_id = $1 AND address IS NOT NULL", [customerId]);
}
