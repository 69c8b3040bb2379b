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

/** A coupon whose books do not agree, and how. */
export interface CouponFinding {
  readonly code: string;
  readonly finding: string;
}

/**
 * Adds up every use of every coupon. What is retired is counted from the movements that took it; what orders say that they have,
 * from their lines and their discounts. Reads all of it, so that it is for checks, not for a screen.
 */
export async function checkCoupons(db: Queryable): Promise<CouponFinding[]> {
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
    `SELECT c.code, c.uses AS "limit", s.allocated + t.in_transit AS standing, s.reserved, s.sold AS used,
       (COALESCE((SELECT -sum(a.quantity) FROM allocations a WHERE a.product_id = c.id AND a.quantity < 0
           AND a.applied_seq IS NOT NULL AND NOT EXISTS (SELECT FROM stock_transfers x WHERE x.id = a.movement_id)), 0)
         + COALESCE((SELECT sum(m.quantity - m.refused) FROM stock_movements m
           WHERE m.product_id = c.id AND m.kind = 'write_off'), 0))::bigint AS retired,
       o.reserved AS "linesReserved", o.used AS "linesUsed", o.unmatched
     FROM ${STANDING}
     CROSS JOIN LATERAL (
       SELECT COALESCE(sum(l.quantity) FILTER (WHERE o.stock_state = 'reserved'), 0)::bigint AS reserved,
         COALESCE(sum(l.quantity - l.returned) FILTER (WHERE o.stock_state = 'sold'), 0)::bigint AS used,
         count(*) FILTER (WHERE d.order_id IS NULL OR l.quantity <> 1)::int AS unmatched
       FROM order_lines l JOIN orders o ON o.id = l.order_id
       LEFT JOIN order_discounts d ON d.order_id = o.id AND d.coupon_id = l.product_id
       WHERE l.product_id = c.id) o
     ORDER BY c.code`,
  );
  return result.rows.flatMap((row) => {
    const { code, limit, standing, retired, reserved, used, linesReserved, linesUsed, unmatched } = row;
    const findings: string[] = [];
    if (standing + retired !== limit)
      findings.push(`has ${limit} uses; ${standing} are allocated or in transit and ${retired} retired.`);
    if (reserved !== linesReserved) findings.push(`has ${reserved} uses reserved; orders hold ${linesReserved}.`);
    if (used !== linesUsed) findings.push(`has ${used} uses sold; orders have ${linesUsed}.`);
    if (unmatched > 0) findings.push(`is a line of ${unmatched} order(s) whose discounts do not name it.`);
    return findings.map((finding) => ({ code, finding }));
  });
}
