// Decides about charges that succeeded when their orders no longer waited for them. A CANCELLED order that had expired holds
// its units again if Redis can give them, and is PAID when the persister applies that; every other one is refunded whole. A
// charge beside the one that its order stands for goes back by itself.
//
// One decision an order: it is made under the lock of the order's row, over the call to Redis, and both ways lead away from
// CANCELLED by a conditional update. Redis' verdict is final: a revival whose answer was lost is told again, a call that
// comes late takes nothing, and one that the ledger meets after a refund is only released (engine/stock/late-units.ts). Points
// that it spends are taken again before, in a transaction of their own, and given back with the refund.
import type pg from "pg";
import { type Partition, partitionName } from "../../../engine/keys.ts";
import { transaction } from "../../../engine/ledger/database.ts";
import type { MovedOrder } from "../../../engine/ledger/fates.ts";
import {
  type LateCapture,
  listLateCaptures,
  lockLateCaptures,
  takeSurplusCharges,
} from "../../../engine/ledger/late-payments.ts";
import { findPartition } from "../../../engine/ledger/partitions.ts";
import { refundCharges, refundLatePayments } from "../../../engine/ledger/refunds.ts";
import type { Logger } from "../../../engine/log.ts";
import { comparePositions, type Position } from "../../../engine/movement.ts";
import type { Outbox } from "../../../engine/outbox/outbox.ts";
import { retakePoints } from "../../../engine/points/order-points.ts";
import type { ReviveVerdict } from "../../../engine/stock/late-units.ts";
import type { PartitionStock } from "../../../engine/stock/partition-stock.ts";
import type { Sweep } from "./schedule.ts";

/** Orders whose rows one transaction locks over its call to Redis. */
const ORDERS_PER_DECISION = 50;
const ORDERS_PER_PASS = 500;
/** How long a charge waits for a partition that cannot be asked, before its order is refunded. */
const PARTITION_PATIENCE_MS = 10 * 60_000;

export interface LatePaymentOptions {
  readonly pool: pg.Pool;
  readonly outbox: Outbox;
  readonly stock: Pick<PartitionStock, "revive">;
  readonly onMoved: (orders: readonly MovedOrder[]) => Promise<unknown>;
  readonly log: Logger;
}

export function latePaymentSweep(options: LatePaymentOptions): Sweep {
  let after: string | undefined;
  return {
    name: "late payments",
    async run(_nowMs, signal) {
      // A pass goes on where the last one ended: those that must wait do not hide the others.
      const due = await listLateCaptures(options.pool, after, ORDERS_PER_PASS);
      after = due.length === ORDERS_PER_PASS ? due.at(-1)?.id : undefined;
      for (const orders of Map.groupBy(due, partitionName).values()) {
        for (let from = 0; from < orders.length && !signal.aborted; from += ORDERS_PER_DECISION) {
          await decideGroup(options, orders.slice(from, from + ORDERS_PER_DECISION));
        }
      }
      if (!signal.aborted) await refundSurplus(options);
    },
  };
}

async function decideGroup(
  options: LatePaymentOptions,
  orders: readonly ({ id: string } & Partition)[],
): Promise<void> {
  const [first] = orders;
  if (!first) return;
  const at = { saleId: first.saleId, partition: first.partition };
  const ids = orders.map(({ id }) => id);
  try {
    const short = new Set(await transaction(options.pool, (client) => retakePoints(client, ids)));
    await options.onMoved(await transaction(options.pool, (client) => decide(options, client, at, ids, short)));
  } catch (error) {
    // No answer from Redis, or from Postgres: nothing was decided, and what Redis decided is told again.
    options.log.warn({ err: error, partition: partitionName(at) }, "late payments are decided about later");
  }
}

/**
 * Decides about orders of one partition, within the transaction.
 *
 * @param short those whose points are spent
 * @returns those that are refunded
 */
async function decide(
  options: LatePaymentOptions,
  client: pg.PoolClient,
  at: Partition,
  orderIds: readonly string[],
  short: ReadonlySet<string>,
): Promise<MovedOrder[]> {
  const { outbox, log } = options;
  const refunds = new Map<string, LateCapture[]>();
  const refund = (order: LateCapture, reason: string) => {
    refunds.set(reason, [...(refunds.get(reason) ?? []), order]);
  };
  const revivable: LateCapture[] = [];
  for (const order of await lockLateCaptures(client, orderIds)) {
    if (order.reason === "EXPIRED" && order.lacksPoints) {
      // One that somebody else held when points were taken again has its turn in the next pass.
      if (short.has(order.id)) refund(order, "paid after it expired; its points are spent");
    } else if (order.reason === "EXPIRED" && order.units.length > 0) revivable.push(order);
    else refund(order, `paid after it was cancelled (${order.reason})`);
  }
  if (revivable.length > 0) {
    const { verdicts, applied } = await revive(options, client, at, revivable);
    for (const [i, order] of revivable.entries()) {
      const reason = reasonToRefund(order, verdicts?.[i], applied);
      if (reason) refund(order, reason);
    }
  }
  const moved: MovedOrder[] = [];
  for (const [reason, orders] of refunds) {
    const late = orders.map(({ id, attempt, amount, currency }) => ({ orderId: id, attempt, amount, currency }));
    moved.push(...(await refundLatePayments(client, outbox, late, reason)));
    log.info({ orders: orders.map(({ id }) => id), reason }, "late payments are refunded");
  }
  return moved;
}

/** @returns `verdicts` undefined: the partition cannot be asked now; `applied`: what the ledger has of its log */
async function revive(
  { stock, log }: LatePaymentOptions,
  client: pg.PoolClient,
  at: Partition,
  orders: readonly LateCapture[],
): Promise<{ verdicts: readonly ReviveVerdict[] | undefined; applied: Position }> {
  // Read under the orders' locks: an entry that the ledger has by now has done to them all that it ever will.
  const row = await findPartition(client, at);
  const applied = { epoch: row?.epoch ?? 0, seq: row?.seq ?? 0 };
  if (row?.state !== "live") return { verdicts: undefined, applied };
  const outcome = await stock.revive(
    at,
    row.epoch,
    orders.map(({ id, customerId, units }) => ({ orderId: id, buyer: customerId, units })),
  );
  if (outcome.type !== "OK") {
    log.warn({ partition: partitionName(at), refusal: outcome }, "orders that were paid late are not revived yet");
    return { verdicts: undefined, applied };
  }
  const revived = orders.filter((_, i) => outcome.verdicts[i]?.type === "revived").map(({ id }) => id);
  if (revived.length > 0) log.info({ orders: revived }, "orders that were paid late hold their units again");
  return { verdicts: outcome.verdicts, applied };
}

/** Why the order is refunded now; `undefined`: it is not, or not yet. */
function reasonToRefund(order: LateCapture, verdict: ReviveVerdict | undefined, applied: Position): string | undefined {
  if (!verdict) {
    return order.waitedMs > PARTITION_PATIENCE_MS
      ? "paid after it expired; its stock could not be asked for"
      : undefined;
  }
  if (verdict.type === "refused") return `paid after it expired; its units are not to be had (${verdict.why})`;
  // The ledger has the entry that took its units, and the order is CANCELLED still.
  if (comparePositions(verdict.position, applied) <= 0)
    return "paid after it expired; its units do not fit the allocation";
  return undefined;
}

async function refundSurplus({ pool, outbox, log }: LatePaymentOptions): Promise<void> {
  const charges = await transaction(pool, async (client) => {
    const owed = await takeSurplusCharges(client, ORDERS_PER_PASS);
    await refundCharges(client, outbox, owed, "charged beside the order's own payment");
    return owed;
  });
  if (charges.length > 0) {
    const keys = charges.map(({ orderId, attempt }) => `${orderId}:${attempt}`);
    log.warn({ charges: keys.slice(0, 10), count: charges.length }, "charges that no order waited for are refunded");
  }
}
