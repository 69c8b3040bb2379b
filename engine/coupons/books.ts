// Where the uses of coupons are, by the ledger: for operators who look, and for whoever checks that none is lost or made.
import type { Queryable } from "../ledger/database.ts";

/** `limit = left + reserved + used + inTransit + retired`. */
export interface CouponUses {
  readonly code: string;
  readonly limit: number;
  /** Nobody has them. */
  readonly left: number;
  /** Of orders that are under way, and of those that were confirmed. */
  readonly reserved: number;
  readonly used: number;
  /** On their way from one partition to another. */
  readonly inTransit: number;
  /** Taken out when the coupon was closed, or written off with the units of a refunded order. */
  readonly retired: number;
}

// One instant for all of it: each use is in one of these, or retired.
const STANDING = `coupons c CROSS JOIN LATERAL (
    SELECT COALESCE(sum(k.allocated), 0)::bigint AS allocated, COALESCE(sum(k.reserved), 0)::bigint AS reserved,
      COALESCE(sum(k.sold), 0)::bigint AS sold
    FROM sale_items i JOIN stock k ON k.sale_id = i.sale_id AND k.product_id = i.product_id WHERE i.product_id = c.id) s
  CROSS JOIN LATERAL (
    SELECT COALESCE(sum(t.quantity), 0)::bigint AS in_transit
    FROM stock_transfers t JOIN allocations a ON a.movement_id = t.id AND a.applied_seq IS NOT NULL
    WHERE t.product_id = c.id AND t.state = 'open') t`;

export async function readCouponUses(db: Queryable, codes: readonly string[]): Promise<Map<string, CouponUses>> {
  const result = await db.query<CouponUses>(
    `SELECT c.code, c.uses AS "limit", s.allocated - s.reserved - s.sold AS left, s.reserved, s.sold AS used,
       t.in_transit AS "inTransit", c.uses - s.allocated - t.in_transit AS retired
     FROM ${STANDING} WHERE c.code = ANY ($1::text[])`,
    [codes],
  );
  return new Map(result.rows.map((row) => [row.code, row]));
}

const FINDINGS_MAX = 100;

export interface CouponBooks {
  /** How many there are, closed ones included. */
  readonly coupons: number;
  /** What does not agree, a sentence each, at most 100; empty: nothing. */
  readonly findings: readonly string[];
}

/**
 * Adds up every use of every coupon. What is retired is counted from the movements that took it; what orders say that they have,
 * from their lines and their discounts. Reads all of it, so that it is for checks, not for a screen.
 */
export async function checkCoupons(db: Queryable): Promise<CouponBooks> {
  const result = await db.query<{
    code: string;
    limit: number;
    standing: number;
    retired: number;
    reserved: number;
    used: number;
    linesReserved: number;
    linesUsed: number;
    unmatched: number;
  }>(
    `WITH taken AS (
       SELECT a.product_id, -sum(a.quantity) AS units FROM allocations a JOIN coupons c ON c.id = a.product_id
       WHERE a.quantity < 0 AND a.applied_seq IS NOT NULL
         AND NOT EXISTS (SELECT FROM stock_transfers x WHERE x.id = a.movement_id) GROUP BY 1
     ), written_off AS (
       SELECT m.product_id, sum(m.quantity - m.refused) AS units FROM stock_movements m JOIN coupons c ON c.id = m.product_id
       WHERE m.kind = 'write_off' GROUP BY 1
     ), of_orders AS (
       SELECT l.product_id, sum(l.quantity) FILTER (WHERE o.stock_state = 'reserved') AS reserved,
         sum(l.quantity - l.returned) FILTER (WHERE o.stock_state = 'sold') AS used,
         count(*) FILTER (WHERE d.order_id IS NULL OR l.quantity <> 1) AS unmatched
       FROM order_lines l JOIN coupons c ON c.id = l.product_id JOIN orders o ON o.id = l.order_id
       LEFT JOIN order_discounts d ON d.order_id = o.id AND d.coupon_id = l.product_id GROUP BY 1
     ), without_line AS (
       SELECT d.coupon_id, count(*) AS orders FROM order_discounts d
       WHERE d.coupon_id IS NOT NULL AND NOT EXISTS (SELECT FROM order_lines l
         WHERE l.order_id = d.order_id AND l.product_id = d.coupon_id) GROUP BY 1
     )
     SELECT c.code, c.uses AS "limit", s.allocated + t.in_transit AS standing, s.reserved, s.sold AS used,
       (COALESCE(k.units, 0) + COALESCE(w.units, 0))::bigint AS retired, COALESCE(o.reserved, 0)::bigint AS "linesReserved",
       COALESCE(o.used, 0)::bigint AS "linesUsed", (COALESCE(o.unmatched, 0) + COALESCE(x.orders, 0))::int AS unmatched
     FROM ${STANDING}
     LEFT JOIN taken k ON k.product_id = c.id LEFT JOIN written_off w ON w.product_id = c.id
     LEFT JOIN of_orders o ON o.product_id = c.id LEFT JOIN without_line x ON x.coupon_id = c.id
     ORDER BY c.code`,
  );
  const findings = result.rows.flatMap((row) => {
    const { code, limit, standing, retired, reserved, used, linesReserved, linesUsed, unmatched } = row;
    const found: string[] = [];
    if (standing + retired !== limit)
      found.push(`has ${limit} uses; ${standing} are allocated or in transit and ${retired} retired.`);
    if (reserved !== linesReserved) found.push(`has ${reserved} uses reserved; orders hold ${linesReserved}.`);
    if (used !== linesUsed) found.push(`has ${used} uses sold; orders have ${linesUsed}.`);
    if (unmatched > 0) found.push(`is in ${unmatched} order(s) as a line or as a discount, and not as both.`);
    return found.map((finding) => `${code} ${finding}`);
  });
  return { coupons: result.rows.length, findings: findings.slice(0, FINDINGS_MAX) };
}
