// The SQL of units that move after an order's end: holds of cancelled orders that were paid all the same, and units that
// refunded orders give back. Within the persister's transaction, which has locked the orders.
import type { Partition } from "../keys.ts";
import type { Position } from "../movement.ts";
import { TRANSITIONS } from "../order-state.ts";
import type { Queryable } from "./database.ts";
import { MOVED_ORDER_COLUMNS, type MovedOrder, STATUS_OF_NAMED } from "./fates.ts";

/** An order that was revived in Redis, and what the ledger made of it. */
export interface Revival extends Position {
  readonly orderId: string;
  readonly reservation: number;
  /** The number under which it had held its units before. */
  readonly earlierReservation: number;
  /** `refused`: the units do not fit what is allocated. `late`: the order is no longer one that could be revived. */
  readonly outcome: "revived" | "refused" | "late";
  /** What the ledger holds for it from now on. */
  readonly stockState: "reserved" | "refused";
  readonly atMs: number;
}

/**
 * Records revivals with the holds that they took: orders become PAID where the outcome is `revived`, the others keep their
 * status, and their holds wait for their release.
 *
 * @returns the orders that moved
 */
export async function applyRevivals(db: Queryable, at: Partition, revivals: readonly Revival[]): Promise<MovedOrder[]> {
  if (revivals.length === 0) return [];
  const { from, to } = TRANSITIONS.revive;
  const result = await db.query<MovedOrder>({
    name: "apply_revivals",
    text: `WITH n AS (
       SELECT * FROM unnest($5::uuid[], $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::text[], $11::text[],
         $12::bigint[]) AS n(id, epoch, seq, reservation, earlier, outcome, stock, at_ms)
     ), noted AS (
       INSERT INTO order_revivals (order_id, sale_id, partition, epoch, seq, reservation, earlier_reservation, outcome, at)
       SELECT id, $1, $2, epoch, seq, reservation, earlier, outcome, to_timestamp(at_ms / 1000.0) FROM n
     ), held AS (
       UPDATE orders o SET hold_reservation = n.reservation, stock_state = n.stock, updated_at = now()
       FROM n WHERE o.id = n.id AND n.outcome <> 'revived'
     ), moved AS (
       UPDATE orders o SET status = $4, reason = NULL, version = o.version + 1, updated_at = now(),
         hold_reservation = n.reservation, stock_state = n.stock
       FROM n WHERE o.id = n.id AND n.outcome = 'revived' AND ${STATUS_OF_NAMED} = ANY($3::text[])
       RETURNING ${MOVED_ORDER_COLUMNS}, n.epoch, n.seq
     ), logged AS (
       INSERT INTO order_timeline (order_id, version, status, epoch, seq) SELECT id, version, status, epoch, seq FROM moved
     )
     SELECT * FROM moved ORDER BY id`,
    values: [
      at.saleId,
      at.partition,
      from,
      to,
      revivals.map((revival) => revival.orderId),
      revivals.map((revival) => revival.epoch),
      revivals.map((revival) => revival.seq),
      revivals.map((revival) => revival.reservation),
      revivals.map((revival) => revival.earlierReservation),
      revivals.map((revival) => revival.outcome),
      revivals.map((revival) => revival.stockState),
      revivals.map((revival) => revival.atMs),
    ],
  });
  return result.rows;
}

/** A line of an order that is locked. Units. */
export interface LockedLine {
  readonly orderId: string;
  readonly line: number;
  readonly productId: string;
  readonly quantity: number;
  readonly returned: number;
  readonly restocked: number;
}

/** The lines of orders that {@link lockOrders} has locked, in their order. */
export async function readLockedLines(db: Queryable, orderIds: readonly string[]): Promise<LockedLine[]> {
  const result = await db.query<LockedLine>({
    name: "read_locked_lines",
    text: `SELECT order_id AS "orderId", line, product_id AS "productId", quantity, returned, restocked FROM order_lines
      WHERE order_id = ANY($1::uuid[]) ORDER BY order_id, line`,
    values: [orderIds],
  });
  return result.rows;
}

/** Those of the movements that the ledger has. */
export async function listKnownReturns(db: Queryable, movementIds: readonly string[]): Promise<string[]> {
  const result = await db.query<{ id: string }>({
    name: "list_known_returns",
    text: "SELECT movement_id AS id FROM order_returns WHERE movement_id = ANY($1::uuid[])",
    values: [movementIds],
  });
  return result.rows.map(({ id }) => id);
}

export type ReturnedLine = Pick<LockedLine, "orderId" | "line" | "returned" | "restocked">;

/** A return as the log told it. */
export interface AppliedReturn extends Position {
  readonly movementId: string;
  readonly orderId: string;
  readonly restock: boolean;
  readonly units: Readonly<Record<string, number>>;
  readonly atMs: number;
}

/** Records returns, with what their orders' lines have given back by now. */
export async function applyReturns(
  db: Queryable,
  at: Partition,
  returns: readonly AppliedReturn[],
  lines: readonly ReturnedLine[],
): Promise<void> {
  if (returns.length === 0) return;
  await db.query({
    name: "insert_returns",
    text: `INSERT INTO order_returns (sale_id, partition, movement_id, order_id, epoch, seq, restock, units, at)
      SELECT $1, $2, n.movement, n.id, n.epoch, n.seq, n.restock, n.units, to_timestamp(n.at_ms / 1000.0)
      FROM unnest($3::uuid[], $4::uuid[], $5::bigint[], $6::bigint[], $7::boolean[], $8::jsonb[], $9::bigint[])
        AS n(movement, id, epoch, seq, restock, units, at_ms)`,
    values: [
      at.saleId,
      at.partition,
      returns.map((of) => of.movementId),
      returns.map((of) => of.orderId),
      returns.map((of) => of.epoch),
      returns.map((of) => of.seq),
      returns.map((of) => of.restock),
      returns.map((of) => JSON.stringify(of.units)),
      returns.map((of) => of.atMs),
    ],
  });
  // That the order has changed is what the reconciler goes by.
  await db.query({
    name: "update_returned_lines",
    text: `WITH n AS (
        SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::bigint[], $4::bigint[]) AS n(id, line, returned, restocked)
      ), touched AS (
        UPDATE orders SET updated_at = now() WHERE id IN (SELECT id FROM n)
      )
      UPDATE order_lines l SET returned = n.returned, restocked = n.restocked FROM n
      WHERE l.order_id = n.id AND l.line = n.line`,
    values: [
      lines.map((line) => line.orderId),
      lines.map((line) => line.line),
      lines.map((line) => line.returned),
      lines.map((line) => line.restocked),
    ],
  });
}
