// What could not be done and was set aside: whole entries of a log, or single orders of one, that the persister could not
// apply, and refunds that the gateway did not make. Their stock stays held, or their money owed, until an operator decides.

import type pg from "pg";
import type { Partition } from "../keys.ts";
import type { Position } from "../movement.ts";
import { recordAudit } from "./audit.ts";
import type { Queryable } from "./database.ts";
import type { StockMovement } from "./log.ts";

export const DEAD_LETTER_STATES = ["open", "replayed", "discarded"] as const;
export type DeadLetterState = (typeof DEAD_LETTER_STATES)[number];

export interface DeadLetterRow extends Partition {
  readonly id: number;
  /** The number in the log; `null` for a refund, which comes from none. */
  readonly epoch: number | null;
  readonly seq: number | null;
  /** `null`: the whole entry, or a line that does not say which order it is. */
  readonly orderId: string | null;
  /** The kind of the entry, or `unreadable`; or `refund`. */
  readonly kind: string;
  /** Of a refund. */
  readonly refundId: string | null;
  readonly payload: string;
  readonly error: string;
  readonly state: DeadLetterState;
  readonly createdAt: Date;
  readonly decidedAt: Date | null;
  readonly decidedBy: string | null;
  /** What an operator asked for over the API, while the persister has not done it. */
  readonly wanted: "replay" | "discard" | null;
  /** Why the last attempt came to nothing. */
  readonly refusal: string | null;
}

/** A letter that came from a log. */
export type LogLetter = DeadLetterRow & Position;

export function isOfLog(letter: DeadLetterRow): letter is LogLetter {
  return letter.epoch !== null && letter.seq !== null;
}

const COLUMNS = `id, sale_id AS "saleId", partition, epoch, seq, order_id AS "orderId", kind, payload, error, state,
  refund_id AS "refundId",
  created_at AS "createdAt", decided_at AS "decidedAt", decided_by AS "decidedBy", wanted, refusal`;

/** Dead letters, oldest first: the order in which they are replayed. `after`: the id after which the page starts. */
export async function listDeadLetters(
  db: Queryable,
  page: { state?: DeadLetterState | undefined; saleId?: string | undefined; limit: number; after?: number | undefined },
): Promise<DeadLetterRow[]> {
  const result = await db.query<DeadLetterRow>(
    `SELECT ${COLUMNS} FROM dead_letters
     WHERE ($1::text IS NULL OR state = $1) AND ($2::text IS NULL OR sale_id = $2) AND ($3::bigint IS NULL OR id > $3)
     ORDER BY id LIMIT $4`,
    [page.state ?? null, page.saleId ?? null, page.after ?? null, page.limit],
  );
  return result.rows;
}

export async function findDeadLetter(db: Queryable, id: number): Promise<DeadLetterRow | undefined> {
  const result = await db.query<DeadLetterRow>(`SELECT ${COLUMNS} FROM dead_letters WHERE id = $1`, [id]);
  return result.rows[0];
}

export async function lockDeadLetter(client: pg.ClientBase, id: number): Promise<DeadLetterRow | undefined> {
  const result = await client.query<DeadLetterRow>(`SELECT ${COLUMNS} FROM dead_letters WHERE id = $1 FOR UPDATE`, [
    id,
  ]);
  return result.rows[0];
}

/** Notes the decision, within the transaction that carries it out. */
export async function decideDeadLetter(
  client: pg.ClientBase,
  id: number,
  state: "replayed" | "discarded",
  actor: string,
): Promise<void> {
  await client.query(
    `UPDATE dead_letters SET state = $2, decided_at = now(), decided_by = $3, wanted = NULL, refusal = NULL WHERE id = $1`,
    [id, state, actor],
  );
}

/** Asks the persister to replay or discard. @returns whether the letter was open */
export async function wantDeadLetter(
  pool: pg.Pool,
  id: number,
  wanted: "replay" | "discard",
  operator: { readonly actor: string; readonly reason?: string | undefined },
): Promise<boolean> {
  const result = await pool.query(
    `UPDATE dead_letters SET wanted = $2, wanted_by = $3, wanted_reason = $4, refusal = NULL
     WHERE id = $1 AND state = 'open'`,
    [id, wanted, operator.actor, operator.reason ?? null],
  );
  return result.rowCount === 1;
}

export interface WantedDeadLetter {
  readonly id: number;
  readonly wanted: "replay" | "discard";
  readonly actor: string;
  readonly reason: string | null;
}

/** What operators asked for, oldest letter first. */
export async function listWanted(db: Queryable, limit: number): Promise<WantedDeadLetter[]> {
  const result = await db.query<WantedDeadLetter>(
    `SELECT id, wanted, wanted_by AS actor, wanted_reason AS reason FROM dead_letters
     WHERE state = 'open' AND wanted IS NOT NULL ORDER BY id LIMIT $1`,
    [limit],
  );
  return result.rows;
}

/** Says why nothing came of it; the letter stays open. */
export async function refuseDeadLetter(db: Queryable, id: number, refusal: string): Promise<void> {
  await db.query("UPDATE dead_letters SET wanted = NULL, refusal = $2 WHERE id = $1 AND state = 'open'", [
    id,
    refusal.slice(0, 500),
  ]);
}

/** Adds to the movements of numbers that were applied without them. */
export async function addMovements(db: Queryable, at: Partition, rows: readonly StockMovement[]): Promise<void> {
  for (const row of rows) {
    await db.query(
      `INSERT INTO stock_movements AS m (sale_id, partition, epoch, seq, product_id, kind, quantity, refused, holds, at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, to_timestamp($10::float8 / 1000))
       ON CONFLICT (sale_id, partition, epoch, seq, product_id) DO UPDATE SET
         quantity = m.quantity + EXCLUDED.quantity, refused = m.refused + EXCLUDED.refused,
         holds = m.holds + EXCLUDED.holds`,
      [
        ...[at.saleId, at.partition, row.epoch, row.seq, row.productId, row.kind],
        ...[row.quantity, row.refused, row.holds, row.atMs],
      ],
    );
  }
}

/** When the script of an entry ran, as its other orders were recorded. */
export async function findMovementTime(
  db: Queryable,
  at: Partition,
  { epoch, seq }: { readonly epoch: number; readonly seq: number },
): Promise<Date | undefined> {
  const result = await db.query<{ at: Date }>(
    "SELECT at FROM stock_movements WHERE sale_id = $1 AND partition = $2 AND epoch = $3 AND seq = $4 LIMIT 1",
    [at.saleId, at.partition, epoch, seq],
  );
  return result.rows[0]?.at;
}

export async function recordDiscarded(
  db: Queryable,
  letterId: number,
  orders: readonly { readonly orderId: string; readonly reservation: number }[],
): Promise<void> {
  await db.query(
    `INSERT INTO discarded_orders (order_id, letter_id, reservation)
     SELECT n.id, $1, n.reservation FROM unnest($2::uuid[], $3::bigint[]) AS n(id, reservation)
     ON CONFLICT (order_id) DO NOTHING`,
    [letterId, orders.map(({ orderId }) => orderId), orders.map(({ reservation }) => reservation)],
  );
}

/** Those of the orders whose holds were given back without them ever being in the ledger. */
export async function listDiscarded(db: Queryable, orderIds: readonly string[]): Promise<string[]> {
  const result = await db.query<{ id: string }>(
    "SELECT order_id AS id FROM discarded_orders WHERE order_id = ANY($1::uuid[])",
    [orderIds],
  );
  return result.rows.map(({ id }) => id);
}

/** Writes the decision into the audit trail. */
export async function recordDecision(
  client: pg.ClientBase,
  letter: DeadLetterRow,
  decision: "replay" | "discard",
  operator: { readonly actor: string; readonly reason?: string | null | undefined },
  after: object,
): Promise<void> {
  const { saleId, partition, epoch, seq, kind, orderId, refundId, error } = letter;
  await recordAudit(client, {
    ...operator,
    action: `dead_letter.${decision}`,
    subject: `dead-letter:${letter.id}`,
    before: { saleId, partition, ...(refundId === null ? { epoch, seq } : { refundId }), kind, orderId, error },
    after,
  });
}
