// Points of orders. What is booked follows from an order's fate, in the transaction that writes the fate and holds the order's
// row: spent when the order enters the ledger, given back when it is CANCELLED or REFUNDED, earned when it is CONFIRMED, and
// taken back with its refunds. Each booking has a number of its own beside its order, so that none is ever made twice.

import type pg from "pg";
import type { Queryable } from "../ledger/database.ts";
import type { MovedOrder } from "../ledger/fates.ts";
import { isMemberId } from "../members/member-id.ts";
import { DEFAULT_CURRENCY } from "../money.ts";
import { bookEntries, type EntryKind, lockPoints, type NewEntry, type PointsAccount } from "./accounts.ts";
import { readTiers } from "./section.ts";
import { type PointsTiers, pointsFor, revokedOf, tierOf } from "./tiers.ts";

/** An order as far as its points go. */
export type FatedOrder = Pick<
  MovedOrder,
  "id" | "customerId" | "status" | "stockState" | "version" | "payable" | "refundedAmount" | "currency"
>;

/**
 * Books what follows from the states that these orders have now; nothing for most states, and for guests' orders. Belongs
 * into the transaction that moved them, once for all that it has moved, after every lock of an order.
 *
 * @param tiers by which orders earn that are CONFIRMED now; left out: those that are stored
 */
export async function followFates(
  client: pg.ClientBase,
  orders: readonly FatedOrder[],
  tiers?: PointsTiers,
): Promise<void> {
  const members = orders.filter((order) => isMemberId(order.customerId) && mayBook(order));
  if (members.length === 0) return;
  const booked = Map.groupBy(
    await readBookedEntries(
      client,
      members.map(({ id }) => id),
    ),
    ({ orderId }) => orderId,
  );
  const due = members.flatMap((order) => dueOf(order, booked.get(order.id) ?? []));
  if (due.length === 0) return;
  const accounts = await lockPoints(
    client,
    due.map(({ customerId }) => customerId),
  );
  const isEarned = due.some(({ kind }) => kind === "earn");
  await bookEntries(client, isEarned ? withEarnings(due, accounts, tiers ?? (await readTiers(client))) : due);
}

/** Points that an order asks for when it enters the ledger. */
export interface WantedPoints {
  readonly orderId: string;
  readonly customerId: string;
  readonly points: number;
}

/** The entry by which an order spends its points; `occurrence` above 1: once more, after they were given back. */
export function spendEntry({ orderId, customerId, points }: WantedPoints, occurrence = 1): NewEntry {
  return { orderId, customerId, kind: "spend", occurrence, amount: -points, spend: 0 };
}

/**
 * SQL over an orders row `o`: it spends points, and has none that were not given back. So stands every order that was
 * CANCELLED; one that is to be revived takes them again first.
 */
export const LACKS_POINTS = `(EXISTS (SELECT FROM order_discounts d WHERE d.order_id = o.id AND d.points > 0)
  AND NOT EXISTS (SELECT FROM points_entries s WHERE s.order_id = o.id AND s.kind = 'spend'
    AND NOT EXISTS (SELECT FROM points_entries g
      WHERE g.order_id = o.id AND g.kind = 'give_back' AND g.occurrence = s.occurrence)))`;

/**
 * Takes the points of expired orders again that were paid all the same, as far as their members have them. In a transaction
 * of its own, committed before Redis is asked for the units: an order that Redis has revived becomes PAID whatever happens to
 * whoever asked, so its points must be taken by then. Where the units are not to be had, the refund gives them back. Orders
 * that somebody else is deciding about are passed over.
 *
 * @returns those for which there are not enough points
 */
export async function retakePoints(client: pg.ClientBase, orderIds: readonly string[]): Promise<string[]> {
  const lacking = await lockLackingOrders(client, orderIds);
  if (lacking.length === 0) return [];
  const accounts = await lockPoints(
    client,
    lacking.map(({ customerId }) => customerId),
  );
  const balances = new Map(accounts.map(({ customerId, balance }) => [customerId, balance]));
  const short: string[] = [];
  const entries = lacking.flatMap((order) => {
    const left = (balances.get(order.customerId) ?? 0) - order.points;
    if (left < 0) {
      short.push(order.orderId);
      return [];
    }
    balances.set(order.customerId, left);
    return [spendEntry(order, order.spends + 1)];
  });
  await bookEntries(client, entries);
  return short;
}

interface BookedEntry {
  readonly orderId: string;
  readonly kind: EntryKind;
  readonly occurrence: number;
  readonly amount: number;
  readonly spend: number;
}

/** The states in which points are booked. A REFUND_PENDING order whose stock was not sold comes from CANCELLED. */
function mayBook({ status }: FatedOrder): boolean {
  return status === "CONFIRMED" || status === "CANCELLED" || status === "REFUND_PENDING" || status === "REFUNDED";
}

/** What is not booked yet of what follows from the order's state. What an order earns is left at 0: it takes the account. */
function dueOf(order: FatedOrder, booked: readonly BookedEntry[]): NewEntry[] {
  const { id: orderId, customerId, status, stockState, version, payable, refundedAmount, currency } = order;
  const due: NewEntry[] = [];
  const earned = booked.find(({ kind }) => kind === "earn");
  if (status === "CONFIRMED" && !earned && payable > 0 && currency === DEFAULT_CURRENCY) {
    due.push({ orderId, customerId, kind: "earn", occurrence: 1, amount: 0, spend: payable });
  }
  if (earned) {
    const revoked = booked.filter(({ kind }) => kind === "revoke");
    const amount = sum(revoked, "amount") + revokedOf(earned.amount, refundedAmount, earned.spend);
    const spend = sum(revoked, "spend") + refundedAmount;
    // Minus zero would be another zero to whoever compares.
    if (amount !== 0 || spend !== 0) {
      due.push({ orderId, customerId, kind: "revoke", occurrence: version, amount: 0 - amount, spend: 0 - spend });
    }
  }
  if (status === "CANCELLED" || status === "REFUNDED" || (status === "REFUND_PENDING" && stockState !== "sold")) {
    const givenBack = new Set(booked.filter(({ kind }) => kind === "give_back").map(({ occurrence }) => occurrence));
    for (const { kind, occurrence, amount } of booked) {
      if (kind !== "spend" || givenBack.has(occurrence)) continue;
      due.push({ orderId, customerId, kind: "give_back", occurrence, amount: -amount, spend: 0 });
    }
  }
  return due;
}

/** Fills in what orders earn: each by the tier that its member has then, those before it in the same batch included. */
function withEarnings(due: readonly NewEntry[], accounts: readonly PointsAccount[], tiers: PointsTiers): NewEntry[] {
  const spends = new Map(accounts.map(({ customerId, spend }) => [customerId, spend]));
  return due.map((entry) => {
    const before = spends.get(entry.customerId) ?? 0;
    spends.set(entry.customerId, before + entry.spend);
    return entry.kind === "earn" ? { ...entry, amount: pointsFor(entry.spend, tierOf(tiers, before)) } : entry;
  });
}

function sum(entries: readonly BookedEntry[], of: "amount" | "spend"): number {
  return entries.reduce((total, entry) => total + entry[of], 0);
}

async function readBookedEntries(db: Queryable, orderIds: readonly string[]): Promise<BookedEntry[]> {
  const result = await db.query<BookedEntry>({
    name: "read_points_of_orders",
    text: `SELECT order_id AS "orderId", kind, occurrence, amount, spend FROM points_entries
      WHERE order_id = ANY($1::uuid[]) ORDER BY id`,
    values: [orderIds],
  });
  return result.rows;
}

/** Orders that wait for the decision about their late payment and lack their points, by id. `spends`: so far. */
async function lockLackingOrders(
  db: Queryable,
  orderIds: readonly string[],
): Promise<(WantedPoints & { readonly spends: number })[]> {
  // First, and by itself: the statement below then sees what was booked before.
  const locked = await db.query<{ id: string }>(
    "SELECT id FROM orders WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE SKIP LOCKED",
    [orderIds],
  );
  const result = await db.query<WantedPoints & { spends: number }>(
    `SELECT o.id AS "orderId", o.customer_id AS "customerId", d.points,
       (SELECT count(*) FROM points_entries s WHERE s.order_id = o.id AND s.kind = 'spend')::int AS spends
     FROM orders o JOIN order_discounts d ON d.order_id = o.id
     WHERE o.id = ANY($1::uuid[]) AND (o.status || '') = 'CANCELLED' AND o.reason = 'EXPIRED'
       AND o.late_capture IS NOT NULL AND ${LACKS_POINTS}
     ORDER BY o.id`,
    [locked.rows.map(({ id }) => id)],
  );
  return result.rows;
}
