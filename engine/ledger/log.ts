// The statements that carry a partition's movement log into the ledger, all within one transaction of the persister.
// Wide inserts go as arrays through unnest: one statement whatever the batch.
import type { Partition } from "../keys.ts";
import type { Position } from "../movement.ts";
import type { Address, OrderDiscounts, OrderLine, PaymentMethod } from "../order.ts";
import type { CancelReason, OrderStatus } from "../order-state.ts";
import { arrayLiteral, column } from "./array-literal.ts";
import type { Queryable } from "./database.ts";

export interface PartitionHead extends Position {
  readonly reservation: number;
  readonly state: "new" | "live" | "suspended";
}

export interface LockedStock {
  readonly productId: string;
  readonly allocated: number;
  readonly reserved: number;
  readonly sold: number;
}

export type StockState = "reserved" | "sold" | "released" | "refused";

export interface LockedOrder {
  readonly id: string;
  readonly status: OrderStatus;
  readonly stockState: StockState;
  readonly holdReservation: number;
}

export interface NewOrder {
  readonly id: string;
  readonly epoch: number;
  readonly seq: number;
  readonly holdReservation: number;
  readonly customerId: string;
  readonly status: OrderStatus;
  readonly reason: CancelReason | null;
  readonly version: number;
  readonly stockState: StockState;
  readonly price: number;
  readonly payable: number;
  readonly currency: string;
  readonly paymentMethod: PaymentMethod;
  readonly paymentToken: string | null;
  readonly onDecline: "release" | "hold";
  readonly address: Address | null;
  readonly idempotencyScope: string | null;
  readonly payloadHash: string | null;
  readonly reservedUntilMs: number;
  readonly placedAtMs: number;
  readonly discounts: OrderDiscounts | null;
  readonly lines: readonly OrderLine[];
  /** The states from version 1 on. `PENDING` happened at `placedAtMs`, the others happen now. */
  readonly timeline: readonly { readonly status: OrderStatus; readonly reason: CancelReason | null }[];
}

export interface StockMovement {
  readonly epoch: number;
  readonly seq: number;
  readonly productId: string;
  /** A return of the log is a `return` as far as its units are on sale again, and a `write_off` where they are gone. */
  readonly kind: "place" | "settle" | "release" | "restock" | "adjust" | "revive" | "return" | "write_off";
  readonly quantity: number;
  readonly refused: number;
  /** Holds that the number took or ended; on its first row, the others say 0. */
  readonly holds: number;
  readonly atMs: number;
  /** Of a `place`: what its script found of this product before it decided. */
  readonly decision?: {
    readonly script: string;
    readonly available: number;
    /** Per buyer; 0: none. */
    readonly limit: number;
    /** What buyers had already, where that is anything. */
    readonly used: Readonly<Record<string, number>>;
  };
}

export interface DeadLetter {
  readonly epoch: number;
  readonly seq: number;
  readonly orderId: string | null;
  readonly kind: string;
  readonly payload: string;
  readonly error: string;
}

/** Locks the partition's position for this transaction: of two persisters that apply one log, the second waits here. */
export async function lockPartition(db: Queryable, at: Partition): Promise<PartitionHead | undefined> {
  const result = await db.query<PartitionHead>({
    name: "lock_partition",
    text: `SELECT epoch, seq, reservation, state FROM sale_partitions WHERE sale_id = $1 AND partition = $2 FOR UPDATE`,
    values: [at.saleId, at.partition],
  });
  return result.rows[0];
}

/** Locks stock rows, always in SKU order, so that no two transactions wait for each other. */
export async function lockStock(db: Queryable, at: Partition, productIds: readonly string[]): Promise<LockedStock[]> {
  const result = await db.query<LockedStock>({
    name: "lock_stock",
    text: `SELECT product_id AS "productId", allocated, reserved, sold FROM stock
      WHERE sale_id = $1 AND partition = $2 AND product_id = ANY($3::uuid[]) ORDER BY product_id FOR UPDATE`,
    values: [at.saleId, at.partition, productIds],
  });
  return result.rows;
}

/** Whose order it is, too. */
export interface OwnedOrder extends LockedOrder {
  readonly customerId: string;
}

/** Locks those of the orders that exist, in id order. */
export async function lockOrders(db: Queryable, orderIds: readonly string[]): Promise<OwnedOrder[]> {
  const result = await db.query<OwnedOrder>({
    name: "lock_orders",
    text: `SELECT id, status, stock_state AS "stockState", hold_reservation AS "holdReservation",
        customer_id AS "customerId" FROM orders
      WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE`,
    values: [arrayLiteral(orderIds)],
  });
  return result.rows;
}

/** Inserts orders with their lines and timelines. */
export async function insertOrders(db: Queryable, at: Partition, orders: readonly NewOrder[]): Promise<void> {
  if (orders.length === 0) return;
  await db.query({
    name: "insert_orders",
    text: `INSERT INTO orders (id, sale_id, partition, epoch, seq, hold_reservation, customer_id, status, reason, version,
        stock_state, price, payable, currency, payment_method, payment_token, on_decline, address, idempotency_scope,
        payload_hash, reserved_until, placed_at)
      SELECT n.id, $1, $2, n.epoch, n.seq, n.reservation, n.customer, n.status, n.reason, n.version, n.stock, n.price,
        n.payable, n.currency, n.method, n.token, n.on_decline, n.address, n.scope, n.hash,
        to_timestamp(n.until / 1000.0), to_timestamp(n.placed / 1000.0)
      FROM unnest($3::uuid[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[], $8::text[], $9::text[], $10::int[],
        $11::text[], $12::bigint[], $13::bigint[], $14::text[], $15::text[], $16::text[], $17::text[], $18::jsonb[],
        $19::text[], $20::text[], $21::bigint[], $22::bigint[])
        AS n(id, epoch, seq, reservation, customer, status, reason, version, stock, price, payable, currency, method,
          token, on_decline, address, scope, hash, until, placed)`,
    values: [
      at.saleId,
      at.partition,
      column(orders, (order) => order.id),
      column(orders, (order) => order.epoch),
      column(orders, (order) => order.seq),
      column(orders, (order) => order.holdReservation),
      column(orders, (order) => order.customerId),
      column(orders, (order) => order.status),
      column(orders, (order) => order.reason),
      column(orders, (order) => order.version),
      column(orders, (order) => order.stockState),
      column(orders, (order) => order.price),
      column(orders, (order) => order.payable),
      column(orders, (order) => order.currency),
      column(orders, (order) => order.paymentMethod),
      column(orders, (order) => order.paymentToken),
      column(orders, (order) => order.onDecline),
      column(orders, (order) => (order.address ? JSON.stringify(order.address) : null)),
      column(orders, (order) => order.idempotencyScope),
      column(orders, (order) => order.payloadHash),
      column(orders, (order) => order.reservedUntilMs),
      column(orders, (order) => order.placedAtMs),
    ],
  });
  await insertLines(db, orders);
  await insertDiscounts(db, orders);
  await insertTimelines(db, orders);
  // By this count the reconciler sees that a row was taken away.
  await db.query({
    name: "count_orders",
    text: "UPDATE sale_partitions SET orders = orders + $3 WHERE sale_id = $1 AND partition = $2",
    values: [at.saleId, at.partition, orders.length],
  });
}

async function insertLines(db: Queryable, orders: readonly NewOrder[]): Promise<void> {
  const lines = orders.flatMap(({ id, lines }) => lines.map((line, at) => ({ id, at: at + 1, ...line })));
  await db.query({
    name: "insert_lines",
    text: `INSERT INTO order_lines (order_id, line, product_id, product_name, quantity, unit_price)
      SELECT * FROM unnest($1::uuid[], $2::smallint[], $3::uuid[], $4::text[], $5::bigint[], $6::bigint[])`,
    values: [
      column(lines, (line) => line.id),
      column(lines, (line) => line.at),
      column(lines, (line) => line.productId),
      column(lines, (line) => line.name),
      column(lines, (line) => line.quantity),
      column(lines, (line) => line.unitPrice),
    ],
  });
}

async function insertDiscounts(db: Queryable, orders: readonly NewOrder[]): Promise<void> {
  const discounts = orders.flatMap(({ id, discounts }) => (discounts ? [{ id, ...discounts }] : []));
  if (discounts.length === 0) return;
  await db.query({
    name: "insert_discounts",
    text: `INSERT INTO order_discounts (order_id, coupon_id, coupon_code, coupon_amount, points)
      SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bigint[], $5::bigint[])`,
    values: [
      column(discounts, ({ id }) => id),
      column(discounts, ({ coupon }) => coupon?.id ?? null),
      column(discounts, ({ coupon }) => coupon?.code ?? null),
      column(discounts, ({ coupon }) => coupon?.amount ?? 0),
      column(discounts, ({ points }) => points ?? 0),
    ],
  });
}

async function insertTimelines(db: Queryable, orders: readonly NewOrder[]): Promise<void> {
  const steps = orders.flatMap(({ id, placedAtMs, timeline }) =>
    timeline.map((step, at) => ({ id, version: at + 1, ...step, atMs: at === 0 ? placedAtMs : null })),
  );
  await db.query({
    name: "insert_timelines",
    text: `INSERT INTO order_timeline (order_id, version, status, reason, at)
      SELECT n.id, n.version, n.status, n.reason, COALESCE(to_timestamp(n.at_ms / 1000.0), clock_timestamp())
      FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::bigint[]) AS n(id, version, status, reason, at_ms)`,
    values: [
      column(steps, (step) => step.id),
      column(steps, (step) => step.version),
      column(steps, (step) => step.status),
      column(steps, (step) => step.reason),
      column(steps, (step) => step.atMs),
    ],
  });
}

/** Sets what the ledger holds for orders, without touching their status. */
export async function setStockState(db: Queryable, orderIds: readonly string[], state: StockState): Promise<void> {
  if (orderIds.length === 0) return;
  await db.query({
    name: "set_stock_state",
    text: "UPDATE orders SET stock_state = $2, updated_at = now() WHERE id = ANY($1::uuid[])",
    values: [orderIds, state],
  });
}

/** Writes absolute figures over rows locked by {@link lockStock}. */
export async function updateStock(db: Queryable, at: Partition, rows: readonly LockedStock[]): Promise<void> {
  if (rows.length === 0) return;
  await db.query({
    name: "update_stock",
    text: `UPDATE stock s SET allocated = n.allocated, reserved = n.reserved, sold = n.sold
      FROM unnest($3::uuid[], $4::bigint[], $5::bigint[], $6::bigint[]) AS n(product_id, allocated, reserved, sold)
      WHERE s.sale_id = $1 AND s.partition = $2 AND s.product_id = n.product_id`,
    values: [
      at.saleId,
      at.partition,
      column(rows, (row) => row.productId),
      column(rows, (row) => row.allocated),
      column(rows, (row) => row.reserved),
      column(rows, (row) => row.sold),
    ],
  });
}

/** When movements that were applied happened, by Redis' clock in ms; those that left no row are missing. */
export async function readMovementTimes(
  db: Queryable,
  at: Partition,
  epoch: number,
  seqs: readonly number[],
): Promise<Map<number, number>> {
  const result = await db.query<{ seq: number; atMs: number }>({
    name: "read_movement_times",
    text: `SELECT DISTINCT seq, round(extract(epoch FROM at) * 1000)::bigint AS "atMs" FROM stock_movements
      WHERE sale_id = $1 AND partition = $2 AND epoch = $3 AND seq = ANY ($4::bigint[])`,
    values: [at.saleId, at.partition, epoch, seqs],
  });
  return new Map(result.rows.map(({ seq, atMs }) => [seq, atMs]));
}

export async function insertMovements(db: Queryable, at: Partition, rows: readonly StockMovement[]): Promise<void> {
  if (rows.length === 0) return;
  await db.query({
    name: "insert_movements",
    text: `INSERT INTO stock_movements (sale_id, partition, epoch, seq, product_id, kind, quantity, refused, at, script,
        available, buyer_limit, used, holds)
      SELECT $1, $2, n.epoch, n.seq, n.product_id, n.kind, n.quantity, n.refused, to_timestamp(n.at_ms / 1000.0), n.script,
        n.available, n.buyer_limit, n.used, n.holds
      FROM unnest($3::bigint[], $4::bigint[], $5::uuid[], $6::text[], $7::bigint[], $8::bigint[], $9::bigint[],
        $10::text[], $11::bigint[], $12::bigint[], $13::jsonb[], $14::int[])
        AS n(epoch, seq, product_id, kind, quantity, refused, at_ms, script, available, buyer_limit, used, holds)`,
    values: [
      at.saleId,
      at.partition,
      column(rows, (row) => row.epoch),
      column(rows, (row) => row.seq),
      column(rows, (row) => row.productId),
      column(rows, (row) => row.kind),
      column(rows, (row) => row.quantity),
      column(rows, (row) => row.refused),
      column(rows, (row) => row.atMs),
      column(rows, (row) => row.decision?.script ?? null),
      column(rows, (row) => row.decision?.available ?? null),
      column(rows, (row) => row.decision?.limit ?? null),
      column(rows, (row) => usedOf(row)),
      column(rows, (row) => row.holds),
    ],
  });
}

function usedOf({ decision }: StockMovement): string | null {
  if (!decision || Object.keys(decision.used).length === 0) return null;
  return JSON.stringify(decision.used).replaceAll("\\u0000", "");
}

/** Notes that an increase came back through the log, or records a write-off that moved in Redis first. */
export async function markAllocationApplied(
  db: Queryable,
  at: Partition,
  movement: { movementId: string; productId: string; quantity: number } & Position,
): Promise<void> {
  // Units that a rebuild had held back were allocated all the time: they only return to sale.
  const returned = await db.query("UPDATE holdbacks SET returned_at = now() WHERE movement_id = $1", [
    movement.movementId,
  ]);
  if ((returned.rowCount ?? 0) > 0) return;
  await db.query(
    `INSERT INTO allocations (movement_id, sale_id, partition, product_id, quantity, reason, actor, applied_epoch,
       applied_seq)
     VALUES ($1, $2, $3, $4, $5, $6, 'log', $7, $8)
     ON CONFLICT (movement_id) DO UPDATE SET applied_epoch = EXCLUDED.applied_epoch, applied_seq = EXCLUDED.applied_seq`,
    [
      movement.movementId,
      at.saleId,
      at.partition,
      movement.productId,
      movement.quantity,
      movement.quantity < 0 ? "write_off" : "restock",
      movement.epoch,
      movement.seq,
    ],
  );
}

export async function insertDeadLetters(db: Queryable, at: Partition, letters: readonly DeadLetter[]): Promise<void> {
  for (const letter of letters) {
    await db.query(
      `INSERT INTO dead_letters (sale_id, partition, epoch, seq, order_id, kind, payload, error)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
      [
        at.saleId,
        at.partition,
        letter.epoch,
        letter.seq,
        letter.orderId,
        letter.kind,
        letter.payload.replaceAll("\0", "\\u0000"),
        letter.error.replaceAll("\0", "\\u0000"),
      ],
    );
  }
}

/** Moves the position that {@link lockPartition} locked. */
export async function advancePosition(db: Queryable, at: Partition, to: Position, reservation: number): Promise<void> {
  await db.query({
    name: "advance_position",
    text: `UPDATE sale_partitions SET seq = $4, reservation = GREATEST(reservation, $5), updated_at = now()
      WHERE sale_id = $1 AND partition = $2 AND epoch = $3`,
    values: [at.saleId, at.partition, to.epoch, to.seq, reservation],
  });
}

/**
 * Closes a partition to admission until an operator has looked; says why. `epoch`: only if it is still of this epoch, so that
 * news of a loss that comes late does not close what was rebuilt since.
 */
export async function suspendPartition(db: Queryable, at: Partition, reason: string, epoch?: number): Promise<void> {
  await db.query(
    `UPDATE sale_partitions SET state = 'suspended', reason = $3, updated_at = now()
     WHERE sale_id = $1 AND partition = $2 AND state = 'live' AND epoch = COALESCE($4, epoch)`,
    [at.saleId, at.partition, reason, epoch ?? null],
  );
}
