// Promises 4, 6 and 7: what clients were told is so. Acknowledged orders are there, nothing is there that nobody asked for,
// a key leads to one order, limits hold, and what was read of an order was true at its version.
import type { HistoryEvent, LogPosition, Placement } from "../history.ts";
import { type Allowances, type Books, type LostRange, type OrderRow, unitsOf, type Violation } from "./books.ts";

export function checkAcknowledged(
  books: Books,
  placements: readonly Placement[],
  events: readonly HistoryEvent[],
  allowed: Allowances,
): Violation[] {
  const orders = new Map(books.orders.map((order) => [order.id, order]));
  return [
    ...present(placements, orders, books, allowed),
    ...heldBack(placements, orders, books, allowed),
    ...askedFor(placements, books.orders),
    ...oneOrderPerKey(placements, books),
    ...withinLimits(books),
    ...truthfulReads(events, orders),
    ...gapless(books),
  ];
}

function present(
  placements: readonly Placement[],
  orders: ReadonlyMap<string, OrderRow>,
  { lostRanges }: Books,
  { mayLose }: Allowances,
): Violation[] {
  const violations: Violation[] = [];
  for (const { buyer, items, orderIds, positions } of placements) {
    for (const orderId of orderIds) {
      const broken = (detail: string) =>
        violations.push({ promise: 4, claim: "acknowledged orders are in Postgres", detail, orderId });
      const order = orders.get(orderId);
      const isDeclared = isLost(lostRanges, positions.get(orderId));
      if (!order) {
        if (!isDeclared) broken("it was acknowledged, is not there, and nobody declared it lost");
        else if (!mayLose) broken("it was acknowledged and declared lost, though nothing was");
        continue;
      }
      if (isDeclared) broken("it was declared lost and is there");
      if (order.customerId !== buyer) broken(`it was ${buyer}'s and is ${order.customerId}'s`);
      const bought = order.lines.filter(({ productId }) => productId !== order.discounts?.couponId);
      if (asText(unitsOf([{ lines: bought }])) !== asText(unitsOf([{ lines: items }]))) {
        broken("it is there with other lines");
      }
    }
  }
  return violations;
}

/** What was lost is on sale to nobody: its units, and no others but those of placements in doubt. */
function heldBack(
  placements: readonly Placement[],
  orders: ReadonlyMap<string, OrderRow>,
  { holdbacks, lostRanges }: Books,
  { heldBackShort }: Allowances,
): Violation[] {
  const lines = (of: readonly Placement[]) => unitsOf(of.map(({ items }) => ({ lines: items })));
  const lost = lines(
    placements.flatMap((placement) =>
      placement.orderIds
        .filter((id) => !orders.has(id) && isLost(lostRanges, placement.positions.get(id)))
        .map(() => placement),
    ),
  );
  const doubtful = lines(
    placements.filter(({ inDoubt, orderIds }) => inDoubt && !orderIds.some((id) => orders.has(id))),
  );
  const held = unitsOf([{ lines: holdbacks }]);
  const violations: Violation[] = [];
  for (const product of new Set([...lost.keys(), ...held.keys()])) {
    const [units, least] = [held.get(product) ?? 0, lost.get(product) ?? 0];
    const most = least + (doubtful.get(product) ?? 0);
    if ((units >= least || heldBackShort?.has(product)) && units <= most) continue;
    const detail = `${units} units of ${product} were held back, the lost orders had ${least}`;
    violations.push({ promise: 4, claim: "what was lost is held back", detail });
  }
  return violations;
}

function isLost(ranges: readonly LostRange[], at: LogPosition | undefined): boolean {
  return ranges.some(
    (range) =>
      at?.partition === range.partition && at.epoch === range.epoch && at.seq >= range.fromSeq && at.seq <= range.toSeq,
  );
}

/** Every order was acknowledged, or is that of a placement whose outcome its buyer never learned. */
function askedFor(placements: readonly Placement[], orders: readonly OrderRow[]): Violation[] {
  const told = new Set(placements.flatMap(({ orderIds }) => orderIds));
  const doubts = new Map<string, number>();
  for (const { buyer, inDoubt, orderIds } of placements) {
    if (inDoubt && orderIds.length === 0) doubts.set(buyer, (doubts.get(buyer) ?? 0) + 1);
  }
  const violations: Violation[] = [];
  for (const { id, customerId } of orders) {
    if (told.has(id)) continue;
    const left = doubts.get(customerId) ?? 0;
    doubts.set(customerId, left - 1);
    if (left > 0) continue;
    const detail = "nobody was told of it, and its buyer has no placement in doubt";
    violations.push({ promise: 6, claim: "no order that nobody asked for", detail, orderId: id });
  }
  return violations;
}

function oneOrderPerKey(placements: readonly Placement[], { orders, lostRanges }: Books): Violation[] {
  const claim = "one order per buyer and key";
  const violations: Violation[] = [];
  for (const { buyer, key, orderIds, positions } of placements) {
    // An order that was declared lost is gone, and its key with it.
    const standing = orderIds.filter((id) => !isLost(lostRanges, positions.get(id)));
    if (standing.length < 2) continue;
    const detail = `key ${key} of ${buyer} led to ${standing.join(" and ")}`;
    violations.push({ promise: 6, claim, detail, orderId: standing[1] as string });
  }
  const scopes = new Map<string, string>();
  for (const { id, idempotencyScope } of orders) {
    if (idempotencyScope === null) continue;
    const first = scopes.get(idempotencyScope);
    if (first === undefined) scopes.set(idempotencyScope, id);
    else violations.push({ promise: 6, claim, detail: `it shares its key with ${first}`, orderId: id });
  }
  return violations;
}

function withinLimits({ products, orders, redis }: Books): Violation[] {
  const claim = "buyers stay within their limits";
  const limits = new Map(products.flatMap(({ id, limit }) => (limit === undefined ? [] : [[id, limit] as const])));
  const used = new Map<string, number>();
  for (const order of orders) {
    if (order.stockState !== "reserved" && order.stockState !== "sold") continue;
    for (const { productId, quantity, restocked } of order.lines) {
      if (!limits.has(productId)) continue;
      const field = `${order.customerId}|${productId}`;
      // What was written off is used up: only what is on sale again may be bought again.
      used.set(field, (used.get(field) ?? 0) + quantity - restocked);
    }
  }
  const violations: Violation[] = [];
  for (const [field, units] of used) {
    const limit = limits.get(field.split("|")[1] ?? "") ?? 0;
    if (units > limit) violations.push({ promise: 6, claim, detail: `${field}: ${units} units, ${limit} allowed` });
  }
  const counted = new Map(redis.flatMap((partition) => [...partition.limits]));
  for (const field of new Set([...used.keys(), ...counted.keys()])) {
    const [inRedis, inPostgres] = [counted.get(field) ?? 0, used.get(field) ?? 0];
    if (inRedis === inPostgres) continue;
    const detail = `${field}: Redis counts ${inRedis} units, its orders have ${inPostgres}`;
    violations.push({ promise: 6, claim, detail });
  }
  return violations;
}

/** Promise 7, by GET: what was read stands in the timeline at that version. */
function truthfulReads(events: readonly HistoryEvent[], orders: ReadonlyMap<string, OrderRow>): Violation[] {
  const violations: Violation[] = [];
  for (const event of events) {
    if (event.type !== "ok" || event.version === undefined || event.orderId === undefined) continue;
    const order = orders.get(event.orderId);
    const then = order?.timeline.find(({ version }) => version === event.version);
    if (!order || then?.status === event.orderStatus) continue;
    const detail = `version ${event.version} was shown as ${event.orderStatus} and is ${then?.status}`;
    violations.push({ promise: 7, claim: "what was shown was so", detail, orderId: event.orderId });
  }
  return violations;
}

/** Promise 4: the numbers in Postgres have no gap but those that are explained. */
function gapless({ partitions, numbers, deadLetters, lostRanges }: Books): Violation[] {
  const violations: Violation[] = [];
  for (const { partition, epoch, seq } of partitions) {
    const known = new Set([...numbers, ...deadLetters].filter((row) => row.partition === partition).map(positionOf));
    for (const of of new Set(numbers.filter((row) => row.partition === partition).map((row) => row.epoch))) {
      const there = numbers.filter((row) => row.partition === partition && row.epoch === of).map((row) => row.seq);
      const last = of === epoch ? seq : there.reduce((high, number) => Math.max(high, number), 0);
      const missing: number[] = [];
      for (let number = 1; number <= last; number += 1) {
        if (known.has(positionOf({ epoch: of, seq: number }))) continue;
        if (!isLost(lostRanges, { partition, epoch: of, seq: number })) missing.push(number);
      }
      if (missing.length === 0) continue;
      const examples = missing.slice(0, 5).join(", ");
      const detail = `partition ${partition}, epoch ${of}: ${missing.length} of ${last} are missing: ${examples}`;
      violations.push({ promise: 4, claim: "the numbers have no unexplained gap", detail });
    }
  }
  return violations;
}

function positionOf({ epoch, seq }: { epoch: number | null; seq: number | null }): string {
  return `${epoch}-${seq}`;
}

function asText(units: ReadonlyMap<string, number>): string {
  return JSON.stringify([...units].sort());
}
