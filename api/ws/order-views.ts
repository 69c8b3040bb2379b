// Many orders at once, as GET shows each of them: those that Postgres has in one statement, those that only Redis has by
// one look at each log entry that holds some of them. What a thousand buyers ask in the second after they bought.
import type { Redis } from "ioredis";
import type { Engine } from "../../engine/engine.ts";
import { type Partition, partitionName } from "../../engine/keys.ts";
import type { Queryable } from "../../engine/ledger/database.ts";
import { findOrders } from "../../engine/ledger/orders.ts";
import { parseOrderId } from "../../engine/order-id.ts";
import { findPendingOrders } from "../../engine/pending.ts";
import { isPostgresAway } from "../http/failures.ts";
import { type OrderView, representOrder, representPendingOrder } from "../orders/representation.ts";

export type OrderViews = ReadonlyMap<string, OrderView>;

export interface OrderSource {
  readonly pool: Queryable;
  readonly redis: Redis;
  readonly engine: Pick<Engine, "catalogue">;
}

/** The orders by id, wherever they are on their way; those that are nowhere are left out. Ids are tracking ids. */
export async function lookUpOrders(source: OrderSource, ids: readonly string[]): Promise<OrderViews> {
  let away: unknown;
  const found = await readOrders(source.pool, ids).catch((error: unknown) => {
    // Orders that Redis has can be told of while Postgres is away.
    if (!isPostgresAway(error)) throw error;
    away = error;
    return new Map<string, OrderView>();
  });
  const missing = ids.filter((id) => !found.has(id));
  if (missing.length === 0) return found;
  const pending = await findPending(source, missing);
  const nowhere = missing.filter((id) => !pending.has(id));
  if (nowhere.length === 0) return new Map([...found, ...pending]);
  if (away !== undefined) throw away;
  // They may have arrived in Postgres in between.
  return new Map([...found, ...pending, ...(await readOrders(source.pool, nowhere))]);
}

/** Those of the orders that Postgres has. */
export async function readOrders(db: Queryable, ids: readonly string[]): Promise<Map<string, OrderView>> {
  return new Map((await findOrders(db, ids)).map((order) => [order.id, representOrder(order)]));
}

/**
 * The order as it was at a version of its timeline, or `undefined` when there is no such version. The deadline is today's:
 * the timeline does not have it.
 */
export function viewAt(view: OrderView, version: number): OrderView | undefined {
  if (version === view.version) return view;
  const at = view.timeline.findIndex((step) => step.version === version);
  const step = view.timeline[at];
  if (!step) return undefined;
  const timeline = view.timeline.slice(0, at + 1);
  const reason = timeline.findLast((earlier) => earlier.reason !== undefined)?.reason;
  const fulfilled = timeline.findLast((earlier) => earlier.fulfilment !== undefined);
  const fulfilment = fulfilled?.fulfilment ? { ...fulfilled.fulfilment, at: fulfilled.at } : null;
  const refundedAmount = timeline.findLast((earlier) => earlier.refundedAmount !== undefined)?.refundedAmount ?? 0;
  const { reason: _, ...rest } = view;
  const then = { status: step.status, ...(reason && { reason }), fulfilment, refundedAmount, version };
  return { ...rest, ...then, updatedAt: step.at, timeline };
}

async function findPending({ redis, engine }: OrderSource, ids: readonly string[]): Promise<Map<string, OrderView>> {
  const partitions = new Map<string, { at: Partition; ids: string[] }>();
  for (const id of ids) {
    const parts = parseOrderId(id);
    const sale = parts && engine.catalogue.saleByNo(parts.saleNo);
    if (!sale || parts.partition >= sale.partitions) continue;
    const at = { saleId: sale.id, partition: parts.partition };
    const group = partitions.get(partitionName(at)) ?? { at, ids: [] };
    partitions.set(partitionName(at), group);
    group.ids.push(id);
  }
  const views = await Promise.all(
    [...partitions.values()].map(async (group) => {
      const orders = await findPendingOrders(redis, group.at, group.ids);
      return orders.map((order) => [order.orderId, representPendingOrder(order, group.at.saleId)] as const);
    }),
  );
  return new Map(views.flat());
}
