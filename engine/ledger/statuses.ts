// The least that can be asked of orders: whether Postgres has them, and in which state.
import type { OrderStatus } from "../order-state.ts";
import type { Queryable } from "./database.ts";

/** Those of the orders that are committed, in no order. */
export async function findStatuses(
  db: Queryable,
  ids: readonly string[],
): Promise<{ readonly id: string; readonly status: OrderStatus }[]> {
  const result = await db.query<{ id: string; status: OrderStatus }>({
    name: "find_statuses",
    text: "SELECT id, status FROM orders WHERE id = ANY($1::uuid[])",
    values: [ids],
  });
  return result.rows;
}
