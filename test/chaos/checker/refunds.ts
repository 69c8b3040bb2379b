// Promises 1 and 5, for what goes back: each refund once at the provider, under its id; none there that nobody opened; and the
// units that it takes back once, as it was asked for.
import type { Books, ChargeRow, OrderRow, RefundRow, ReturnRow, Violation } from "./books.ts";

export function checkRefunds({ orders, charges, refunds, returns }: Books): Violation[] {
  return [
    ...moneyBack(charges, refunds),
    ...amountsAddUp(orders, charges, refunds),
    ...unitsBack(orders, refunds, returns),
  ];
}

function moneyBack(charges: readonly ChargeRow[], refunds: readonly RefundRow[]): Violation[] {
  const violations: Violation[] = [];
  const broken = (detail: string, orderId: string) =>
    violations.push({ promise: 5, claim: "each refund goes back once", detail, orderId });
  const given = Map.groupBy(
    charges.flatMap((charge) =>
      charge.refunds.map(({ key, amount }) => ({ key, amount, chargeKey: charge.key, method: charge.method })),
    ),
    ({ key }) => key,
  );
  for (const { id, orderId, attempt, method, amount, state } of refunds) {
    const there = given.get(id) ?? [];
    given.delete(id);
    if (state === "pending") broken(`refund ${id} is at no end`, orderId);
    const expected = state === "succeeded" && amount > 0 ? 1 : 0;
    if (there.length !== expected) broken(`refund ${id} is ${state}, and went back ${there.length} times`, orderId);
    for (const line of there) {
      if (line.amount === amount && line.chargeKey === `${orderId}:${attempt}` && line.method === method) continue;
      broken(
        `refund ${id} of ${amount} from ${orderId}:${attempt} by ${method} went back as ${line.amount} from ` +
          `${line.chargeKey} by ${line.method}`,
        orderId,
      );
    }
  }
  for (const [key, lines] of given) {
    const [orderId = ""] = lines[0]?.chargeKey.split(":") ?? [];
    broken(`${key} went back, and nobody opened such a refund`, orderId);
  }
  return violations;
}

function amountsAddUp(
  orders: readonly OrderRow[],
  charges: readonly ChargeRow[],
  refunds: readonly RefundRow[],
): Violation[] {
  const violations: Violation[] = [];
  const broken = (detail: string, orderId: string) =>
    violations.push({ promise: 5, claim: "refunds add up", detail, orderId });
  const sum = (of: readonly { readonly amount: number }[]) => of.reduce((total, { amount }) => total + amount, 0);
  for (const { key, amount, refunded, refunds: lines } of charges) {
    const orderId = key.split(":")[0] ?? "";
    if (sum(lines) !== refunded) broken(`${key} says ${refunded} went back, its refunds ${sum(lines)}`, orderId);
    if (refunded > amount) broken(`${key} of ${amount} gave ${refunded} back`, orderId);
  }
  const byOrder = Map.groupBy(refunds, ({ orderId }) => orderId);
  for (const { id, status, payable, refundedAmount } of orders) {
    const ofOrder = (byOrder.get(id) ?? []).filter(({ scope }) => scope !== "charge");
    const back = sum(ofOrder.filter(({ state }) => state === "succeeded"));
    if (refundedAmount !== back) broken(`${refundedAmount} given back by the order, ${back} by its refunds`, id);
    if (status === "REFUNDED" && refundedAmount !== payable) {
      broken(`it is REFUNDED with ${refundedAmount} of ${payable}`, id);
    }
    if (status === "CONFIRMED" && payable > 0 && refundedAmount >= payable) {
      broken(`it is CONFIRMED with ${refundedAmount} of ${payable} given back`, id);
    }
    if (status === "CANCELLED" && ofOrder.length > 0) broken("it is CANCELLED and has a refund", id);
  }
  return violations;
}

function unitsBack(
  orders: readonly OrderRow[],
  refunds: readonly RefundRow[],
  returns: readonly ReturnRow[],
): Violation[] {
  const violations: Violation[] = [];
  const broken = (detail: string, orderId: string) =>
    violations.push({ promise: 1, claim: "returned units come back once", detail, orderId });
  const applied = new Map(returns.map((row) => [row.movementId, row]));
  for (const { id, orderId, state, restock, lines } of refunds) {
    const row = applied.get(id);
    applied.delete(id);
    const due = state === "succeeded" && lines.length > 0;
    if (due !== (row !== undefined)) {
      broken(
        `refund ${id} is ${state} with ${lines.length} products, and its units are ${row ? "" : "not "}back`,
        orderId,
      );
    }
    if (!row || !due) continue;
    const wanted = Object.fromEntries(lines.map(({ productId, quantity }) => [productId, quantity]));
    if (asText(wanted) !== asText(row.units) || restock !== row.restock) {
      broken(`refund ${id} took back ${asText(wanted)}, ${asText(row.units)} came`, orderId);
    }
  }
  for (const { movementId, orderId } of applied.values()) broken(`${movementId} came back without a refund`, orderId);

  const byOrder = Map.groupBy(returns, ({ orderId }) => orderId);
  for (const { id, lines } of orders) {
    const rows = byOrder.get(id) ?? [];
    const back = (productId: string, of: readonly ReturnRow[]) =>
      of.reduce((sum, { units }) => sum + (units[productId] ?? 0), 0);
    for (const productId of new Set(lines.map((line) => line.productId))) {
      const ofProduct = lines.filter((line) => line.productId === productId);
      const returned = ofProduct.reduce((sum, line) => sum + line.returned, 0);
      const restocked = ofProduct.reduce((sum, line) => sum + line.restocked, 0);
      const [all, onSale] = [
        back(productId, rows),
        back(
          productId,
          rows.filter(({ restock }) => restock),
        ),
      ];
      if (returned === all && restocked === onSale) continue;
      broken(`${returned} of ${productId} are back and ${restocked} on sale; by the log ${all} and ${onSale}`, id);
    }
  }
  return violations;
}

function asText(units: Readonly<Record<string, number>>): string {
  return JSON.stringify(Object.entries(units).sort());
}
