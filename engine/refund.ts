// The arithmetic of refunds, without a database: what a wish gives back of an order, or why it cannot. Amounts are integers in
// minor units and computed exactly: what a unit gives back is its share of what was paid, rounded down, and the refund with
// which everything has gone back takes what the roundings left.
import { OnrushError } from "./errors.ts";

export interface RefundWish {
  /** Units to take back; a product that is named twice counts together. */
  readonly items?: readonly { readonly productId: string; readonly quantity: number }[] | undefined;
  /** Money without units. Neither this nor items: all that is left. */
  readonly amount?: number | undefined;
}

/** An order as far as refunds go. */
export interface RefundableOrder {
  /** The total of the lines, and how much of it was captured. */
  readonly price: number;
  readonly captured: number;
  readonly lines: readonly { readonly productId: string; readonly quantity: number; readonly unitPrice: number }[];
  /** Of the line that takes a coupon's use: it comes back with the last of the order, and nobody asks for it. */
  readonly couponId?: string | null;
  /** What all its refunds together give back, be the money back already or owed. */
  readonly refunded: { readonly amount: number; readonly units: ReadonlyMap<string, number> };
}

export interface PlannedRefund {
  /** `whole`: with this one everything has gone back. */
  readonly scope: "part" | "whole";
  readonly amount: number;
  readonly items: readonly { readonly productId: string; readonly quantity: number }[];
}

/**
 * What the wish gives back.
 *
 * @throws OnrushError with `VALIDATION` for products that the order does not have; `INVALID_STATE` for more units or money
 * than are left
 */
export function planRefund(order: RefundableOrder, { items, amount }: RefundWish): PlannedRefund {
  const left = unitsLeft(order);
  const amountLeft = order.captured - order.refunded.amount;
  const whole = (): PlannedRefund => ({ scope: "whole", amount: amountLeft, items: entriesOf(left) });

  if (amount !== undefined) {
    if (amount > amountLeft) throw tooMuch(amount, amountLeft);
    return amount === amountLeft ? whole() : { scope: "part", amount, items: [] };
  }
  if (items === undefined) return whole();
  const wanted = sumOf(items);
  for (const [productId, quantity] of wanted) {
    const units = productId === order.couponId ? undefined : left.get(productId);
    if (units === undefined) throw unknownProduct(items, productId);
    if (quantity > units) throw tooMany(productId, quantity, units);
  }
  const isLast = ([productId, units]: readonly [string, number]) =>
    productId === order.couponId || units === (wanted.get(productId) ?? 0);
  if ([...left].every(isLast)) return whole();
  const paid = [...wanted].reduce((sum, [productId, quantity]) => sum + paidFor(order, productId, quantity), 0);
  // What was given back as money alone may leave less than the units were paid with.
  if (paid > amountLeft) throw tooMuch(paid, amountLeft);
  return paid === amountLeft && order.captured > 0
    ? whole()
    : { scope: "part", amount: paid, items: entriesOf(wanted) };
}

/** Units that were bought and are in no refund, by product. */
function unitsLeft({ lines, refunded }: RefundableOrder): Map<string, number> {
  const left = sumOf(lines);
  for (const [productId, units] of refunded.units) left.set(productId, (left.get(productId) ?? 0) - units);
  return left;
}

/** The share of what was captured that was paid for the next units of the product: those before them are in refunds. */
function paidFor(order: RefundableOrder, productId: string, quantity: number): number {
  if (order.price === 0) return 0;
  const before = order.refunded.units.get(productId) ?? 0;
  const value = worthOf(order, productId, before + quantity) - worthOf(order, productId, before);
  return Number((value * BigInt(order.captured)) / BigInt(order.price));
}

/** The price of the first units of a product, in the order of the lines. A product of two amounts passes 2^53. */
function worthOf({ lines }: RefundableOrder, productId: string, units: number): bigint {
  let value = 0n;
  let left = units;
  for (const line of lines) {
    if (line.productId !== productId) continue;
    const taken = Math.min(left, line.quantity);
    value += BigInt(taken) * BigInt(line.unitPrice);
    left -= taken;
  }
  return value;
}

function sumOf(items: readonly { readonly productId: string; readonly quantity: number }[]): Map<string, number> {
  const units = new Map<string, number>();
  for (const { productId, quantity } of items) units.set(productId, (units.get(productId) ?? 0) + quantity);
  return units;
}

function entriesOf(units: ReadonlyMap<string, number>): { productId: string; quantity: number }[] {
  return [...units].flatMap(([productId, quantity]) => (quantity > 0 ? [{ productId, quantity }] : []));
}

function unknownProduct(items: NonNullable<RefundWish["items"]>, productId: string): OnrushError {
  const at = items.findIndex((item) => item.productId === productId);
  const message = "the order has no such product";
  return new OnrushError("VALIDATION", `Not valid: items.${at}.productId: ${message}.`, {
    errors: [{ path: `items.${at}.productId`, message }],
  });
}

function tooMany(productId: string, quantity: number, units: number): OnrushError {
  return new OnrushError("INVALID_STATE", `Of this product ${units} unit(s) can be refunded, not ${quantity}.`, {
    productId,
    refundableUnits: units,
  });
}

function tooMuch(amount: number, amountLeft: number): OnrushError {
  return new OnrushError("INVALID_STATE", `Of this order ${amountLeft} can be refunded, not ${amount}.`, {
    refundableAmount: amountLeft,
  });
}
