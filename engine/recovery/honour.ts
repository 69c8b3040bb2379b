// Honours an order that was accepted and then lost with Redis: its receipt proves it, a rebuild has held its units back, and
// from here on it is an order like any other, under its own id.
//
//   1. the receipt is checked against the shop's secrets, its number against what Postgres has applied
//   2. one commit sets the units aside in their holdbacks and keeps the order: from here on it will exist
//   3. honour.lua holds the units, those that are not held back from what is available, and logs the placement
//   4. the persister applies it: the order is in the ledger, and the holdback is smaller, in one transaction
//
// A refusal at 3 undoes 2. A process that dies after 2 leaves a row that a sweep carries on, under the epoch of that time:
// another loss of Redis in between does no harm.
import type pg from "pg";
import { findSale, type Sale } from "../catalogue/sales.ts";
import type { Coupon } from "../coupons/coupon.ts";
import { findCoupon } from "../coupons/coupons.ts";
import { OnrushError, unreachable } from "../errors.ts";
import type { Partition } from "../keys.ts";
import { transaction } from "../ledger/database.ts";
import {
  claimedUnits,
  claimUnits,
  dropHonour,
  findHonour,
  findLostPosition,
  type Honour,
  insertHonour,
  listOpenHoldbacks,
  type OpenHoldback,
  productNames,
  takeCall,
} from "../ledger/honours.ts";
import { findOrder } from "../ledger/orders.ts";
import type { Position } from "../movement.ts";
import { lineOfUse, type OrderPayload } from "../order.ts";
import { type ReceiptFacts, verifyReceipt } from "../receipt.ts";
import type { HonourOutcome, HonourRefusal, PartitionStock } from "../stock/partition-stock.ts";
import { contentsOf, type KeptAnswer } from "./kept-answer.ts";

export interface HonourDependencies {
  readonly pool: pg.Pool;
  readonly stock: PartitionStock;
  /** Now, by Redis `TIME`. */
  readonly nowMs: () => Promise<number>;
  /** The present secret of receipts, and the one before. */
  readonly receiptSecrets: readonly string[];
}

/** What honouring an order takes, in units by product. */
export interface HonourPlan extends Partition {
  readonly orderId: string;
  /** Where the order stood in the log that was lost. */
  readonly lost: Position;
  /** Whether a rebuild has declared that number lost; else it was never heard of, and never applied. */
  readonly declaredLost: boolean;
  readonly items: readonly { productId: string; units: number; fromHoldback: number; fromAvailable: number }[];
  /** `undefined`: it can be honoured; else why not, by the products' present stock. */
  readonly short: { readonly productId: string; readonly available: number } | undefined;
}

/** `now`: by this call; `before`: by an earlier one, and the order exists, or will as soon as Redis answers. */
export interface HonouredOrder {
  readonly orderId: string;
  readonly honoured: "now" | "before";
}

/** A call of the script that was not answered may still arrive within this time; nobody else calls it then. */
export const CALL_MAY_ARRIVE_MS = 15_000;
/** How many calls' time passes before a refusal undoes what an unanswered call may have done. */
const UNDO_AFTER_CALLS = 4;

/** What {@link honourOrder} would do, without changing anything. Throws what it would. */
export async function planHonour(deps: HonourDependencies, answer: KeptAnswer): Promise<HonourPlan | HonouredOrder> {
  const examined = await examine(deps, answer);
  if (examined.type === "begun") return { orderId: examined.honour.orderId, honoured: "before" };
  const { facts, at, units, declaredLost } = examined;
  const open = await listOpenHoldbacks(deps.pool, at, [...units.keys()], await deps.nowMs(), false);
  const claimed = unitsOf(choose(units, open), open);
  const snapshot = await deps.stock.snapshot(at);
  if (snapshot.type !== "OK") throw unavailable(snapshot.type);
  const items = [...units].map(([productId, wanted]) => {
    const fromHoldback = claimed.get(productId) ?? 0;
    return { productId, units: wanted, fromHoldback, fromAvailable: wanted - fromHoldback };
  });
  const availableOf = (productId: string) => snapshot.stock.get(productId)?.available ?? 0;
  const short = items.find(({ productId, fromAvailable }) => availableOf(productId) < fromAvailable);
  return {
    ...at,
    orderId: facts.orderId,
    lost: { epoch: facts.epoch, seq: facts.seq },
    declaredLost,
    items,
    short: short && { productId: short.productId, available: availableOf(short.productId) },
  };
}

/**
 * Brings the order to life, once, however often it is asked.
 *
 * @param actor who asks, for the record
 * @throws OnrushError with `VALIDATION` (the receipt does not prove this order), `NOT_FOUND` (no such sale or product any
 *   more), `INVALID_STATE` (not lost; or its units are on sale again and sold), `LIMIT_EXCEEDED`, `STOCK_UNAVAILABLE`: nothing
 *   was changed; or `OUTCOME_UNKNOWN`: it is carried on as soon as Redis answers
 */
export async function honourOrder(deps: HonourDependencies, answer: KeptAnswer, actor: string): Promise<HonouredOrder> {
  const examined = await examine(deps, answer);
  if (examined.type === "begun") return await goOn(deps, examined.honour);
  const { facts, at, sale, units, coupon } = examined;
  const payload = JSON.stringify(await payloadOf(deps.pool, sale, answer, coupon));
  const nowMs = await deps.nowMs();
  const { orderId } = facts;
  const isFirst = await transaction(deps.pool, async (client) => {
    const lost = { epoch: facts.epoch, seq: facts.seq };
    if (!(await insertHonour(client, at, { orderId, lost, payload, actor }))) return false;
    const open = await listOpenHoldbacks(client, at, [...units.keys()], nowMs, true);
    await claimUnits(client, orderId, choose(units, open));
    return true;
  });
  const honour = await findHonour(deps.pool, orderId);
  if (!honour)
    throw new OnrushError("INVALID_STATE", "The order was refused a moment ago.", { orderTrackingId: orderId });
  return isFirst ? await carry(deps, honour) : await goOn(deps, honour);
}

/** Goes on where a call ended without an answer. */
export async function resumeHonour(deps: Omit<HonourDependencies, "receiptSecrets" | "nowMs">, orderId: string) {
  const honour = await takeCall(deps.pool, orderId, CALL_MAY_ARRIVE_MS);
  return honour && (await carry(deps, honour));
}

type Examined =
  | { readonly type: "begun"; readonly honour: Honour }
  | {
      readonly type: "lost";
      readonly facts: ReceiptFacts;
      readonly at: Partition;
      readonly sale: Sale;
      readonly units: ReadonlyMap<string, number>;
      readonly coupon: Coupon | undefined;
      readonly declaredLost: boolean;
    };

async function examine({ pool, receiptSecrets }: HonourDependencies, answer: KeptAnswer): Promise<Examined> {
  const facts = verifyReceipt(answer.receipt, contentsOf(answer), receiptSecrets);
  if (!facts || facts.orderId !== answer.orderTrackingId || facts.saleId !== answer.saleId) {
    throw new OnrushError("VALIDATION", "The receipt does not prove this order.", {
      errors: [{ path: "receipt", message: "is not this shop's receipt of this order, as it was answered" }],
    });
  }
  const { orderId, saleId, partition } = facts;
  const honour = await findHonour(pool, orderId);
  if (honour) return { type: "begun", honour };
  const order = await findOrder(pool, orderId);
  if (order) throw notLost("The order was not lost.", orderId, { status: order.status });
  const at = { saleId, partition };
  const sale = await findSale(pool, saleId);
  const position = sale && (await findLostPosition(pool, at, facts));
  if (!position) throw new OnrushError("NOT_FOUND", "There is no such sale any more.", { saleId });
  if (facts.epoch >= position.epoch) {
    throw notLost("Nothing of this order's log was declared lost: it is on its way, or a rebuild is due.", orderId);
  }
  if (position.applied) throw notLost("The order's number was applied: look for it among the dead letters.", orderId);
  if (position.state !== "live") throw unavailable(position.state);
  const units = new Map<string, number>();
  for (const { productId, quantity } of answer.items) units.set(productId, (units.get(productId) ?? 0) + quantity);
  const coupon = await couponOf(pool, answer);
  // Its use was held back with the units.
  if (coupon) units.set(coupon.id, 1);
  return { type: "lost", facts, at, sale, units, coupon, declaredLost: position.declaredLost };
}

/** Somebody has begun: the order is there, or is carried on by whoever may call the script now. */
async function goOn(deps: HonourDependencies, honour: Honour): Promise<HonouredOrder> {
  if (!honour.applied) await resumeHonour(deps, honour.orderId);
  return { orderId: honour.orderId, honoured: "before" };
}

async function carry(deps: Pick<HonourDependencies, "pool" | "stock">, honour: Honour): Promise<HonouredOrder> {
  const { orderId, saleId, partition, epoch, payload } = honour;
  if (payload === null) return { orderId, honoured: "before" };
  const { customerId, lines } = JSON.parse(payload) as OrderPayload;
  const held = await claimedUnits(deps.pool, orderId);
  const units = new Map<string, number>();
  for (const { productId, quantity } of lines) units.set(productId, (units.get(productId) ?? 0) + quantity);
  const items = [...units].map(([sku, count]) => ({ sku, units: count, fromHoldback: held.get(sku) ?? 0 }));
  let outcome: HonourOutcome;
  try {
    outcome = await deps.stock.honour({ saleId, partition }, epoch, { orderId, buyer: customerId, payload, items });
  } catch (cause) {
    // Redis' own word means that the script ended before its first write.
    if (!(cause instanceof Error) || cause.name !== "ReplyError") {
      const detail = "Redis gave no answer; the order is carried on as soon as it does.";
      throw new OnrushError("OUTCOME_UNKNOWN", detail, { orderTrackingId: orderId }, { cause });
    }
    await undo(deps.pool, honour);
    throw unavailable("REFUSED_BY_REDIS");
  }
  switch (outcome.type) {
    case "HONOURED":
      return { orderId, honoured: "now" };
    case "KNOWN":
      return { orderId, honoured: "before" };
    default:
      await undo(deps.pool, honour);
      throw refusal(outcome, orderId);
  }
}

// The first call's refusal is the whole truth. After a call without an answer it is not, until that one must have arrived.
async function undo(pool: pg.Pool, { orderId, calls }: Honour): Promise<void> {
  if (calls === 1 || calls > UNDO_AFTER_CALLS) await dropHonour(pool, orderId, calls);
}

function refusal(outcome: HonourRefusal, orderId: string): OnrushError {
  switch (outcome.type) {
    case "SOLD_OUT": {
      const { productId, available } = outcome;
      const detail = "The units that were held back for it are on sale again, and not enough of them are left.";
      return new OnrushError("INVALID_STATE", detail, { orderTrackingId: orderId, productId, remaining: available });
    }
    case "LIMIT_EXCEEDED": {
      const { productId, limit, used } = outcome;
      const detail = `The buyer has ordered anew, and may have at most ${limit} of this product.`;
      return new OnrushError("LIMIT_EXCEEDED", detail, { orderTrackingId: orderId, productId, limit, used });
    }
    case "UNKNOWN_PRODUCT":
      return new OnrushError("NOT_FOUND", "This sale does not offer that product any more.", outcome);
    case "NOT_LOADED":
    case "STALE_EPOCH":
    case "REGRESSED":
      return unavailable(outcome.type);
    default:
      return unreachable(outcome);
  }
}

function notLost(detail: string, orderTrackingId: string, facts: Record<string, unknown> = {}): OnrushError {
  return new OnrushError("INVALID_STATE", detail, { orderTrackingId, ...facts });
}

function unavailable(cause: string): OnrushError {
  return new OnrushError("STOCK_UNAVAILABLE", "The stock of this sale cannot be reached at the moment.", { cause });
}

/** Names as the products have them now; how it is paid and where it goes were lost with Redis, and are asked for anew. */
async function payloadOf(
  pool: pg.Pool,
  sale: Sale,
  answer: KeptAnswer,
  coupon: Coupon | undefined,
): Promise<OrderPayload> {
  const { customerId, items, price, payable, currency, payment, address, discount = 0, points } = answer;
  const names = await productNames(
    pool,
    items.map((item) => item.productId),
  );
  const lines = items.map(({ productId, quantity, price: unitPrice }) => {
    const name = names.get(productId);
    if (name === undefined) throw new OnrushError("NOT_FOUND", "There is no such product any more.", { productId });
    return { productId, name, quantity, unitPrice };
  });
  return {
    customerId,
    lines: coupon ? [...lines, lineOfUse(coupon)] : lines,
    price,
    payable,
    ...((coupon || points) && {
      discounts: {
        ...(coupon && { coupon: { id: coupon.id, code: coupon.code, amount: discount } }),
        ...(points && { points }),
      },
    }),
    currency,
    payment: { method: payment?.method ?? "later", ...(payment?.token !== undefined && { token: payment.token }) },
    onDecline: sale.onDecline,
    ...(address && { address }),
  };
}

/** @throws OnrushError with `NOT_FOUND` */
async function couponOf(pool: pg.Pool, { couponCode }: KeptAnswer): Promise<Coupon | undefined> {
  if (couponCode === undefined) return undefined;
  const coupon = await findCoupon(pool, couponCode);
  if (!coupon) throw new OnrushError("NOT_FOUND", "There is no such coupon any more.", { couponCode });
  return coupon;
}

/** From which holdbacks the wanted units come, as far as they go. */
function choose(wanted: ReadonlyMap<string, number>, open: readonly OpenHoldback[]) {
  const missing = new Map(wanted);
  return open.flatMap(({ movementId, productId, open: units }) => {
    const take = Math.min(units, missing.get(productId) ?? 0);
    missing.set(productId, (missing.get(productId) ?? 0) - take);
    return take > 0 ? [{ movementId, units: take }] : [];
  });
}

function unitsOf(claims: readonly { movementId: string; units: number }[], open: readonly OpenHoldback[]) {
  const productOf = new Map(open.map(({ movementId, productId }) => [movementId, productId]));
  const units = new Map<string, number>();
  for (const claim of claims) {
    const productId = productOf.get(claim.movementId) ?? "";
    units.set(productId, (units.get(productId) ?? 0) + claim.units);
  }
  return units;
}
