// The units of refunds whose money is back, until the ledger has them back too: the movement that returns them has the
// refund's id, so that carrying it again moves nothing twice.
import type { Partition } from "../keys.ts";
import type { HeldUnits } from "../movement.ts";
import type { Queryable } from "./database.ts";

export interface DueReturn extends Partition {
  readonly refundId: string;
  readonly orderId: string;
  /** Whose limit the units were taken from. */
  readonly buyer: string;
  readonly restock: boolean;
  readonly units: readonly HeldUnits[];
}

const DUE = `SELECT r.id AS "refundId", r.order_id AS "orderId", o.customer_id AS buyer, o.sale_id AS "saleId", o.partition,
    r.restock, (SELECT json_agg(json_build_object('sku', l.product_id, 'units', l.quantity) ORDER BY l.product_id)
      FROM refund_lines l WHERE l.refund_id = r.id) AS units
  FROM refunds r JOIN orders o ON o.id = r.order_id WHERE r.state = 'succeeded' AND r.returned_at IS NULL`;

/** Those of the refunds whose units are due. */
export async function findDueReturns(db: Queryable, refundIds: readonly string[]): Promise<DueReturn[]> {
  const result = await db.query<DueReturn>(`${DUE} AND r.id = ANY($1::uuid[]) ORDER BY r.id`, [refundIds]);
  return result.rows;
}

/** Where a page of {@link listDueReturns} ended. */
export type DueReturnCursor = Pick<DueReturn, "refundId"> & { readonly endedAt: Date };

/** Units that have been due for at least `olderThanMs`, in the order in which their money was back. */
export async function listDueReturns(
  db: Queryable,
  olderThanMs: number,
  after: DueReturnCursor | undefined,
  limit: number,
): Promise<(DueReturn & DueReturnCursor)[]> {
  const result = await db.query<DueReturn & DueReturnCursor>(
    `SELECT due.*, r.ended_at AS "endedAt" FROM (${DUE}) due JOIN refunds r ON r.id = due."refundId"
     WHERE r.ended_at < now() - $1 * interval '1 millisecond'
       AND ($2::timestamptz IS NULL OR (r.ended_at, r.id) > ($2, $3::uuid))
     ORDER BY r.ended_at, r.id LIMIT $4`,
    [olderThanMs, after?.endedAt ?? null, after?.refundId ?? null, limit],
  );
  return result.rows;
}

/** Notes which returns the ledger has applied. @returns how many */
export async function noteReturned(db: Queryable): Promise<number> {
  const result = await db.query(
    `UPDATE refunds r SET returned_at = t.at FROM order_returns t
     WHERE t.movement_id = r.id AND r.state = 'succeeded' AND r.returned_at IS NULL`,
  );
  return result.rowCount ?? 0;
}
