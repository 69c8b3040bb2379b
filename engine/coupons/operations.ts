// What operators do to coupons: make them, with all their uses spread over the partitions of their sales, and close them. Each is
// one transaction with its record in the audit trail; what is committed is carried to Redis as any change of a sale is.
import { randomUUID } from "node:crypto";
import type pg from "pg";
import { invalidInput, type Operator } from "../catalogue/operator.ts";
import { findSale, type Sale } from "../catalogue/sales.ts";
import { OnrushError } from "../errors.ts";
import type { Partition } from "../keys.ts";
import { recordIncreases, recordWriteOff } from "../ledger/allocations.ts";
import { recordAudit } from "../ledger/audit.ts";
import { transaction } from "../ledger/database.ts";
import { DEFAULT_CURRENCY } from "../money.ts";
import type { PartitionStock } from "../stock/partition-stock.ts";
import { type Coupon, couponCodeOf } from "./coupon.ts";
import { closeCoupon, findCoupon, insertCoupon } from "./coupons.ts";
import type { NewCoupon } from "./input.ts";

/**
 * Makes a coupon.
 *
 * @param now when it is valid from unless it says so
 * @throws OnrushError with `VALIDATION`, or `INVALID_STATE` when there is one of this code
 */
export async function createCouponBy(pool: pg.Pool, input: NewCoupon, now: Date, operator: Operator): Promise<Coupon> {
  const { code, limit, saleIds, validFrom = now, validUntil = null } = input;
  if (validUntil !== null && validUntil <= validFrom) throw invalidInput("validUntil", "must be later than validFrom");
  return await transaction(pool, async (client) => {
    const sales: Sale[] = [];
    for (const [i, saleId] of saleIds.entries()) {
      const sale = await findSale(client, saleId);
      if (!sale) throw invalidInput(`saleIds.${i}`, "there is no such sale");
      sales.push(sale);
    }
    const currency = commonCurrency(sales, input);
    const { amount = null, percent = null, maximum = null, minimumPrice = null, perMemberLimit = null } = input;
    const id = randomUUID();
    const isNew = await insertCoupon(
      client,
      {
        ...{ id, code, amount, percent, maximum, minimumPrice, currency, limit, perMemberLimit, validFrom, validUntil },
        ...{ saleIds, productCurrency: currency ?? DEFAULT_CURRENCY },
      },
      operator.actor,
    );
    if (!isNew) throw new OnrushError("INVALID_STATE", "There is a coupon with this code.", { code });
    const facts = { productId: id, reason: "initial", actor: operator.actor } as const;
    await recordIncreases(
      client,
      spread(limit, sales).map((share) => ({ ...share, ...facts, movementId: randomUUID() })),
    );
    const after = { ...input, validFrom, validUntil };
    await recordAudit(client, { ...operator, action: "coupon.create", subject: `coupon:${code}`, after });
    const made = await findCoupon(client, code);
    if (!made) throw new Error(`coupon ${code} was written and is not there`);
    return made;
  });
}

/** @throws OnrushError with `VALIDATION` when an amount would mean different things in its sales */
function commonCurrency(sales: readonly Sale[], { amount, maximum, minimumPrice }: NewCoupon): string | null {
  const [first, ...others] = sales.map((sale) => sale.currency);
  if (others.every((currency) => currency === first)) return first ?? null;
  if (amount === undefined && maximum === undefined && minimumPrice === undefined) return null;
  throw invalidInput("saleIds", "must be sales in one currency, as the coupon names an amount");
}

/** Uses spread evenly over all partitions of the sales; with fewer uses than partitions, the first ones have one each. */
function spread(limit: number, sales: readonly Sale[]): (Partition & { readonly quantity: number })[] {
  const places = sales.flatMap(({ id: saleId, partitions }) =>
    Array.from({ length: partitions }, (_, partition) => ({ saleId, partition })),
  );
  // Partition by partition, so that few uses do not all lie in the first sale.
  places.sort((a, b) => a.partition - b.partition);
  const [each, rest] = [Math.floor(limit / places.length), limit % places.length];
  return places
    .map((place, i) => ({ ...place, quantity: each + (i < rest ? 1 : 0) }))
    .filter(({ quantity }) => quantity > 0);
}

export interface ClosedCoupon {
  readonly coupon: Coupon;
  /** Uses that were taken out of its sales now. */
  readonly withdrawn: number;
}

/**
 * Closes a coupon for new orders, and takes the uses that nobody has out of its sales. Orders that have one keep it; what they
 * give back later, and what Redis could not be asked for, is taken out when the coupon is closed once more.
 *
 * @throws OnrushError with `NOT_FOUND`
 */
export async function closeCouponBy(
  { pool, stock }: { readonly pool: pg.Pool; readonly stock: PartitionStock },
  text: string,
  operator: Operator,
): Promise<ClosedCoupon> {
  const code = couponCodeOf(text);
  const coupon = await transaction(pool, async (client) => {
    const closed = await closeCoupon(client, code);
    if (!closed) throw unknownCoupon(code);
    if (closed.wasOpen) {
      const facts = { before: { closedAt: null }, after: { closedAt: closed.coupon.closedAt } };
      await recordAudit(client, { ...operator, action: "coupon.close", subject: `coupon:${code}`, ...facts });
    }
    return closed.coupon;
  });
  return { coupon, withdrawn: await withdraw(pool, stock, coupon, operator.actor) };
}

async function withdraw(pool: pg.Pool, stock: PartitionStock, coupon: Coupon, actor: string): Promise<number> {
  const places = [];
  for (const saleId of coupon.saleIds) {
    const sale = await findSale(pool, saleId);
    for (const { partition, epoch, state } of sale?.partitionEpochs ?? []) {
      if (state === "live") places.push({ saleId, partition, epoch });
    }
  }
  let withdrawn = 0;
  for (const [i, available = 0] of (await stock.availableOf(places, coupon.id)).entries()) {
    const at = places[i];
    if (!at || available === 0) continue;
    const movement = { movementId: randomUUID(), quantity: available };
    const outcome = await stock.restock(at, at.epoch, { ...movement, sku: coupon.id, quantity: -available });
    if (outcome.type !== "OK") continue;
    withdrawn += available;
    const { saleId, partition } = at;
    await recordWriteOff(pool, { ...movement, saleId, partition, productId: coupon.id, actor });
  }
  return withdrawn;
}

export function unknownCoupon(code: string): OnrushError {
  return new OnrushError("NOT_FOUND", "There is no such coupon.", { code });
}
