// Promise 5, for what lowers a price: coupons are used at most as often as there are uses, points are spent, given back, earned
// and taken back once, by the fate of their order, and each order has the discounts that were asked for.
import type { Placement } from "../history.ts";
import { type Books, type OrderRow, type PointsEntryRow, unitsOf, type Violation } from "./books.ts";

type Broken = (claim: string, detail: string, orderId?: string) => void;

/** Hundredths of a percent that an order may earn, by the tiers. */
const RATES = [100, 200, 300];

export function checkDiscounts(books: Books, placements: readonly Placement[]): Violation[] {
  const violations: Violation[] = [];
  const broken: Broken = (claim, detail, orderId) =>
    violations.push({ promise: 5, claim, detail, ...(orderId !== undefined && { orderId }) });
  const entriesOf = Map.groupBy(books.points.entries, ({ orderId }) => orderId);
  for (const order of books.orders) {
    checkPrice(books, order, broken);
    checkPoints(order, entriesOf.get(order.id) ?? [], broken);
  }
  checkAsked(books, placements, broken);
  checkUses(books, broken);
  checkAccounts(books, broken);
  return violations;
}

function checkPrice({ products, coupons }: Books, order: OrderRow, broken: Broken): void {
  const { couponId, couponAmount, points } = order.discounts ?? { couponId: null, couponAmount: 0, points: 0 };
  if (order.price !== order.payable + couponAmount + points) {
    const off = `${couponAmount} by coupon and ${points} by points`;
    broken("an order pays its price less its discounts", `${order.payable} of ${order.price}, ${off}`, order.id);
  }
  const claim = "an order with a coupon takes one use of it";
  const known = new Set(products.map(({ id }) => id));
  const hidden = order.lines.filter(({ productId }) => !known.has(productId));
  const isOne = hidden.length === 1 && hidden[0]?.productId === couponId && hidden[0]?.quantity === 1;
  if (couponId === null ? hidden.length > 0 : !isOne) {
    broken(claim, `it has ${hidden.length} lines that take uses`, order.id);
  }
  if (couponId !== null && !coupons.some(({ id }) => id === couponId)) {
    broken(claim, `there is no coupon ${couponId} in its sale`, order.id);
  }
}

/** What its entries must come to, by where it stands at rest. */
function checkPoints(order: OrderRow, entries: readonly PointsEntryRow[], broken: Broken): void {
  const sum = (kinds: readonly string[], of: "amount" | "spend" = "amount") =>
    entries.reduce((total, entry) => total + (kinds.includes(entry.kind) ? entry[of] : 0), 0);
  const kept = order.status === "CONFIRMED" ? (order.discounts?.points ?? 0) : 0;
  const held = -sum(["spend", "give_back"]);
  if (held !== kept) {
    broken(
      "points are spent once and given back once",
      `${held} are spent on a ${order.status} order of ${kept}`,
      order.id,
    );
  }
  if (entries.some(({ customerId }) => customerId !== order.customerId)) {
    broken("points are those of the order's member", "another's were moved", order.id);
  }
  const claim = "points are earned once and go with what is refunded";
  const wasConfirmed = order.timeline.some(({ status }) => status === "CONFIRMED");
  const mayEarn = wasConfirmed && order.payable > 0 && order.customerId.startsWith("cus_");
  const earnings = entries.filter(({ kind }) => kind === "earn");
  if (earnings.length !== (mayEarn ? 1 : 0)) broken(claim, `it has earned ${earnings.length} times`, order.id);
  const [earned] = earnings;
  if (!earned) return;
  if (
    earned.spend !== order.payable ||
    !RATES.some((rate) => earned.amount === Math.floor((order.payable * rate) / 10_000))
  ) {
    broken(claim, `it has earned ${earned.amount} for ${earned.spend}, and pays ${order.payable}`, order.id);
  }
  const back = Math.floor((earned.amount * order.refundedAmount) / order.payable);
  if (-sum(["revoke"]) !== back || -sum(["revoke"], "spend") !== order.refundedAmount) {
    broken(claim, `${-sum(["revoke"])} were taken back, not ${back} for ${order.refundedAmount} refunded`, order.id);
  }
}

function checkAsked({ orders, coupons }: Books, placements: readonly Placement[], broken: Broken): void {
  const byId = new Map(orders.map((order) => [order.id, order]));
  for (const { orderIds, couponCode, points } of placements) {
    for (const order of orderIds.flatMap((id) => byId.get(id) ?? [])) {
      const coupon = coupons.find(({ id }) => id === order.discounts?.couponId)?.code;
      const has = `${coupon ?? "no coupon"} and ${order.discounts?.points ?? 0} points`;
      const wanted = `${couponCode ?? "no coupon"} and ${points ?? 0} points`;
      if (has !== wanted) broken("an order has the discounts that were asked for", `${has}, not ${wanted}`, order.id);
    }
  }
}

function checkUses({ coupons, orders, stock }: Books, broken: Broken): void {
  for (const { id, code, limit } of coupons) {
    const claim = "a coupon has no more uses than it was made with";
    const gone = usesGone(orders, id);
    if (gone > limit) broken(claim, `${code}: ${gone} of ${limit} are gone`);
    const allocated = stock.reduce((sum, row) => sum + (row.productId === id ? row.allocated : 0), 0);
    if (allocated > limit) broken(claim, `${code}: ${allocated} of ${limit} are allocated`);
  }
}

/** Uses of a coupon that nobody can have any more: those that orders have, and those that were written off with one. */
export function usesGone(orders: readonly OrderRow[], couponId: string): number {
  const having = orders.filter(({ stockState }) => stockState === "reserved" || stockState === "sold");
  return unitsOf(having, ({ quantity, restocked }) => quantity - restocked).get(couponId) ?? 0;
}

function checkAccounts({ points: { accounts, entries } }: Books, broken: Broken): void {
  const claim = "points add up";
  for (const { customerId, balance, spend } of accounts) {
    let [points, spent] = [0, 0];
    for (const entry of entries) {
      if (entry.customerId !== customerId) continue;
      points += entry.amount;
      spent += entry.spend;
      if (entry.kind === "spend" && points < 0)
        broken("only points that are there are spent", `${customerId}: ${points} left`);
      if (entry.balance !== points)
        broken(claim, `${customerId}: ${entry.balance} after an entry that leads to ${points}`);
    }
    if (balance !== points) broken(claim, `${customerId} has ${balance}, its entries lead to ${points}`);
    if (spend !== spent) broken(claim, `${customerId} has spent ${spend}, its entries lead to ${spent}`);
  }
  const known = new Set(accounts.map(({ customerId }) => customerId));
  for (const { customerId } of entries) if (!known.has(customerId)) broken(claim, `${customerId} has no account`);
}
