// The rows that an explanation is made of.
import type { FulfilmentStep } from "../fulfilment.ts";
import type { Queryable } from "../ledger/database.ts";
import { FULFILMENT_OF_STEP } from "../ledger/orders.ts";

/** SQL: the number under which an orders row was placed; a revival gives it another. */
const placedReservation = (o: string) => `COALESCE((SELECT v.earlier_reservation FROM order_revivals v
  WHERE v.order_id = ${o}.id ORDER BY v.epoch, v.seq LIMIT 1), ${o}.hold_reservation)`;

export interface PlacementRow {
  readonly name: string;
  readonly opensAt: Date;
  readonly closesAt: Date | null;
  /** Under which it was accepted. */
  readonly reservation: number;
  readonly stockState: "reserved" | "sold" | "released" | "refused";
  /** Units that came back of what was sold, and those of them that are on sale again. */
  readonly returned: number;
  readonly restocked: number;
  readonly saleChanged: boolean;
  readonly honoured: boolean;
  /** Lines of the same entry that could not be read; they took units all the same. */
  readonly unreadable: number;
}

export async function readPlacement(db: Queryable, orderId: string): Promise<PlacementRow | undefined> {
  const result = await db.query<PlacementRow>(
    `SELECT s.name, s.opens_at AS "opensAt", s.closes_at AS "closesAt", o.stock_state AS "stockState",
       ${placedReservation("o")} AS reservation, l.returned::bigint AS returned, l.restocked::bigint AS restocked,
       s.updated_at > o.placed_at AS "saleChanged", EXISTS (SELECT FROM honours h WHERE h.order_id = o.id) AS honoured,
       (SELECT count(*) FROM dead_letters d WHERE d.sale_id = o.sale_id AND d.partition = o.partition AND d.epoch = o.epoch
         AND d.seq = o.seq AND d.kind = 'place')::int AS unreadable
     FROM orders o JOIN sales s ON s.id = o.sale_id
     CROSS JOIN LATERAL (SELECT COALESCE(sum(returned), 0) AS returned, COALESCE(sum(restocked), 0) AS restocked
       FROM order_lines WHERE order_id = o.id) l
     WHERE o.id = $1`,
    [orderId],
  );
  return result.rows[0];
}

export interface InputRow {
  readonly productId: string;
  readonly name: string;
  readonly wanted: number;
  readonly script: string | null;
  /** Before the first order of the entry; `null`: not recorded. */
  readonly available: number | null;
  readonly limit: number | null;
  readonly used: number | null;
  /** Taken by orders of the same entry before this one: by anybody, and by the same buyer. */
  readonly takenBefore: number;
  readonly takenByBuyer: number;
}

/** What the script found for an order, by product. */
export async function readInputs(db: Queryable, orderId: string): Promise<InputRow[]> {
  const result = await db.query<InputRow>(
    `WITH placed AS (SELECT o.*, ${placedReservation("o")} AS reservation FROM orders o WHERE id = $1),
     wanted AS (
       SELECT product_id, min(product_name) AS name, min(line) AS line, sum(quantity)::bigint AS wanted
       FROM order_lines WHERE order_id = $1 GROUP BY 1
     ), earlier AS (
       SELECT l.product_id, sum(l.quantity)::bigint AS taken,
         COALESCE(sum(l.quantity) FILTER (WHERE e.customer_id = p.customer_id), 0)::bigint AS by_buyer
       FROM placed p JOIN orders e ON e.placed_at = (SELECT placed_at FROM placed) AND e.sale_id = p.sale_id
         AND e.partition = p.partition AND e.epoch = p.epoch AND e.seq = p.seq AND ${placedReservation("e")} < p.reservation
       JOIN order_lines l ON l.order_id = e.id GROUP BY 1
     )
     SELECT w.product_id AS "productId", w.name, w.wanted, m.script, m.available, m.buyer_limit AS limit,
       CASE WHEN m.script IS NULL THEN NULL ELSE COALESCE((m.used ->> p.customer_id)::bigint, 0) END AS used,
       COALESCE(e.taken, 0) AS "takenBefore", COALESCE(e.by_buyer, 0) AS "takenByBuyer"
     FROM wanted w CROSS JOIN placed p
     LEFT JOIN stock_movements m ON m.sale_id = p.sale_id AND m.partition = p.partition AND m.epoch = p.epoch
       AND m.seq = p.seq AND m.product_id = w.product_id AND m.kind = 'place'
     LEFT JOIN earlier e ON e.product_id = w.product_id ORDER BY w.line`,
    [orderId],
  );
  return result.rows;
}

export interface StepRow {
  readonly version: number;
  readonly status: string;
  readonly reason: string | null;
  readonly at: Date;
  readonly epoch: number | null;
  readonly seq: number | null;
  readonly fulfilment: FulfilmentStep | null;
}

export async function readSteps(db: Queryable, orderId: string): Promise<StepRow[]> {
  const result = await db.query<StepRow>(
    `SELECT version, status, reason, at, epoch, seq, ${FULFILMENT_OF_STEP} AS fulfilment
     FROM order_timeline t WHERE order_id = $1 ORDER BY version`,
    [orderId],
  );
  return result.rows;
}

export interface AttemptRow {
  readonly attempt: number;
  readonly method: string;
  readonly amount: number;
  readonly currency: string;
  readonly state: string;
  readonly calls: number;
  readonly reference: string | null;
  readonly error: string | null;
  readonly startedAt: Date;
  readonly endedAt: Date | null;
}

export async function readAttempts(db: Queryable, orderId: string): Promise<AttemptRow[]> {
  const result = await db.query<AttemptRow>(
    `SELECT attempt, method, amount, currency, state, calls, reference, error, started_at AS "startedAt",
       ended_at AS "endedAt"
     FROM payment_attempts WHERE order_id = $1 ORDER BY attempt`,
    [orderId],
  );
  return result.rows;
}

/** A movement that the order was part of, and how many units it moved of the order's products in all. */
export interface MovementRow {
  readonly kind: string;
  readonly epoch: number;
  readonly seq: number;
  readonly productId: string;
  readonly units: number;
  readonly refused: number;
  readonly at: Date;
}

export async function readMovements(db: Queryable, orderId: string): Promise<MovementRow[]> {
  const result = await db.query<MovementRow>(
    `SELECT m.kind, m.epoch, m.seq, m.product_id AS "productId", m.quantity AS units, m.refused, m.at
     FROM orders o
     JOIN LATERAL (
       SELECT o.epoch, o.seq
       UNION SELECT t.epoch, t.seq FROM order_timeline t WHERE t.order_id = o.id AND t.seq IS NOT NULL
       UNION SELECT v.epoch, v.seq FROM order_revivals v WHERE v.order_id = o.id
       UNION SELECT r.epoch, r.seq FROM order_returns r WHERE r.order_id = o.id
     ) entry ON true
     JOIN stock_movements m ON m.sale_id = o.sale_id AND m.partition = o.partition AND m.epoch = entry.epoch
       AND m.seq = entry.seq AND m.product_id IN (SELECT product_id FROM order_lines WHERE order_id = o.id)
     WHERE o.id = $1 ORDER BY m.epoch, m.seq, m.product_id`,
    [orderId],
  );
  return result.rows;
}

export interface LetterRow {
  readonly id: number;
  readonly saleId: string;
  readonly partition: number;
  readonly epoch: number;
  readonly seq: number;
  readonly kind: string;
  readonly error: string;
  readonly state: string;
  readonly at: Date;
}

export async function readLetters(db: Queryable, orderId: string): Promise<LetterRow[]> {
  const result = await db.query<LetterRow>(
    `SELECT id, sale_id AS "saleId", partition, epoch, seq, kind, error, state, created_at AS at
     FROM dead_letters WHERE order_id = $1 AND kind <> 'refund' ORDER BY id`,
    [orderId],
  );
  return result.rows;
}
