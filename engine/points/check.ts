// Whether the books of points agree with themselves: every account with the sum of its entries, every entry with those before
// it. And whether they agree with the orders: each has spent, got back, earned and lost to refunds what its state says, and
// nothing was booked that no order asked for. Read at one instant, while orders move.
import type pg from "pg";
import { transaction } from "../ledger/database.ts";
import { DEFAULT_CURRENCY } from "../money.ts";

export interface PointsBooks {
  readonly accounts: number;
  /** Points that members have, all together; what some of them owe is taken off. */
  readonly held: number;
  /** Points by what moved them; below 0 what left the accounts. */
  readonly moved: Readonly<Record<string, number>>;
  /** What does not agree, a sentence each, at most 100; empty: all does. */
  readonly findings: readonly string[];
}

const FINDINGS_MAX = 100;

/** Checks the books. Reads all entries there are. */
export async function checkPoints(pool: pg.Pool): Promise<PointsBooks> {
  return await transaction(pool, async (client) => {
    await client.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY");
    return await readPointsBooks(client);
  });
}

/** The books within the caller's transaction, which has to be one that sees one instant. */
export async function readPointsBooks(client: pg.ClientBase): Promise<PointsBooks> {
  const findings = [
    ...(await wrongAccounts(client)),
    ...(await wrongEntries(client)),
    ...(await wrongSpends(client)),
    ...(await wrongEarnings(client)),
  ];
  return { ...(await sums(client)), findings: findings.slice(0, FINDINGS_MAX) };
}

async function sums(client: pg.ClientBase): Promise<Omit<PointsBooks, "findings">> {
  const result = await client.query<Omit<PointsBooks, "findings">>(
    `SELECT count(*)::int AS accounts, COALESCE(sum(balance), 0)::bigint AS held,
       COALESCE((SELECT json_object_agg(kind, amount ORDER BY kind)
         FROM (SELECT kind, sum(amount)::bigint AS amount FROM points_entries GROUP BY kind) k), '{}') AS moved
     FROM points_accounts`,
  );
  return result.rows[0] ?? { accounts: 0, held: 0, moved: {} };
}

async function wrongAccounts(client: pg.ClientBase): Promise<string[]> {
  const result = await client.query<{ id: string; balance: number; spend: number; points: number; spent: number }>(
    `SELECT a.customer_id AS id, a.balance, a.spend, COALESCE(e.amount, 0)::bigint AS points, COALESCE(e.spend, 0)::bigint AS spent
     FROM points_accounts a LEFT JOIN (
       SELECT customer_id, sum(amount) AS amount, sum(spend) AS spend FROM points_entries GROUP BY customer_id
     ) e USING (customer_id)
     WHERE (a.balance, a.spend) IS DISTINCT FROM (COALESCE(e.amount, 0), COALESCE(e.spend, 0)) ORDER BY 1 LIMIT $1`,
    [FINDINGS_MAX],
  );
  return result.rows.map(
    ({ id, balance, spend, points, spent }) =>
      `${id} has ${balance} points and ${spend} of spend; the entries sum up to ${points} and ${spent}.`,
  );
}

/** Entries after which the account had something else than is written there, or that spent more than there was. */
async function wrongEntries(client: pg.ClientBase): Promise<string[]> {
  const result = await client.query<{ id: number; balance: number; sum: number }>(
    `SELECT id, balance, sum FROM (
       SELECT id, kind, balance, sum(amount) OVER (PARTITION BY customer_id ORDER BY id)::bigint AS sum FROM points_entries
     ) told WHERE balance <> sum OR (kind = 'spend' AND balance < 0) ORDER BY id LIMIT $1`,
    [FINDINGS_MAX],
  );
  return result.rows.map(({ id, balance, sum }) =>
    balance === sum
      ? `Entry ${id} has spent more points than there were; ${balance} were left.`
      : `Entry ${id} says that ${balance} points were left; the entries up to it sum up to ${sum}.`,
  );
}

/**
 * Orders that hold other points than their state says: all that they spend while they live, none once they are CANCELLED or
 * REFUNDED. One that is being cancelled may never have had them; one that was paid too late may have taken them again.
 */
async function wrongSpends(client: pg.ClientBase): Promise<string[]> {
  const result = await client.query<{ id: string; status: string; wanted: number; held: number }>(
    `WITH held AS (
       SELECT order_id, -sum(amount) AS points, count(DISTINCT customer_id) AS owners, min(customer_id) AS owner
       FROM points_entries WHERE kind IN ('spend', 'give_back') GROUP BY order_id
     )
     SELECT COALESCE(o.id, h.order_id) AS id, COALESCE(o.status, 'missing') AS status, COALESCE(d.points, 0)::bigint AS wanted,
       COALESCE(h.points, 0)::bigint AS held
     FROM (SELECT order_id, points FROM order_discounts WHERE points > 0) d
     FULL JOIN held h ON h.order_id = d.order_id
     LEFT JOIN orders o ON o.id = COALESCE(d.order_id, h.order_id)
     WHERE o.id IS NULL OR h.owners > 1 OR h.owner <> o.customer_id OR NOT CASE
       WHEN o.status = 'CANCELLING' OR (o.status = 'CANCELLED' AND o.late_capture IS NOT NULL)
         THEN COALESCE(h.points, 0) IN (0, COALESCE(d.points, 0))
       WHEN o.status IN ('CANCELLED', 'REFUNDED') OR (o.status = 'REFUND_PENDING' AND o.stock_state <> 'sold')
         THEN COALESCE(h.points, 0) = 0
       ELSE COALESCE(h.points, 0) = COALESCE(d.points, 0) END
     ORDER BY 1 LIMIT $1`,
    [FINDINGS_MAX],
  );
  return result.rows.map(
    ({ id, status, wanted, held }) => `The order ${id} is ${status} and spends ${wanted} points; booked are ${held}.`,
  );
}

/** Orders that have earned what they should not, or not what they should, or lost another part of it than was refunded. */
async function wrongEarnings(client: pg.ClientBase): Promise<string[]> {
  const result = await client.query<{ id: string; status: string }>(
    `WITH earned AS (
       SELECT order_id, min(customer_id) AS owner, count(DISTINCT customer_id) AS owners,
         sum(amount) FILTER (WHERE kind = 'earn') AS points, sum(spend) FILTER (WHERE kind = 'earn') AS spend,
         COALESCE(-sum(amount) FILTER (WHERE kind = 'revoke'), 0) AS points_revoked,
         COALESCE(-sum(spend) FILTER (WHERE kind = 'revoke'), 0) AS spend_revoked
       FROM points_entries WHERE kind IN ('earn', 'revoke') GROUP BY order_id
     ), earning AS (
       SELECT o.* FROM orders o
       WHERE o.customer_id LIKE 'cus\\_%' AND o.payable > 0 AND o.currency = $2 AND o.status IN ('CONFIRMED', 'REFUND_PENDING', 'REFUNDED')
         AND EXISTS (SELECT FROM order_timeline t, points_began b
           WHERE t.order_id = o.id AND t.status = 'CONFIRMED' AND t.at > b.at)
     )
     SELECT COALESCE(o.id, e.order_id) AS id, COALESCE(o.status, 'not one that earns') AS status
     FROM earning o FULL JOIN earned e ON e.order_id = o.id
     WHERE o.id IS NULL OR e.points IS NULL OR e.owners > 1 OR e.owner <> o.customer_id OR e.spend <> o.payable
       OR e.spend_revoked <> o.refunded_amount OR e.points_revoked <> div(e.points * o.refunded_amount, o.payable)
     ORDER BY 1 LIMIT $1`,
    [FINDINGS_MAX, DEFAULT_CURRENCY],
  );
  return result.rows.map(
    ({ id, status }) => `The order ${id} is ${status}; what it has earned is not what it should have.`,
  );
}
