// Orders that only Redis has yet: accepted, and on their way through the log. The hold names the entry, the entry has the
// order, so nothing is stored twice.
import type { Redis } from "ioredis";
import { type Partition, partitionKeys } from "./keys.ts";
import { type Position, parseMovement } from "./movement.ts";
import type { OrderPayload } from "./order.ts";

export interface PendingOrder {
  readonly orderId: string;
  readonly position: Position;
  readonly reservation: number;
  readonly payload: OrderPayload;
  readonly placedAt: Date;
  readonly reservedUntil: Date;
}

/** Finds an order in the partition's log, or `undefined` when it holds nothing there or its entry was applied and trimmed. */
export async function findPendingOrder(
  redis: Redis,
  partition: Partition,
  orderId: string,
): Promise<PendingOrder | undefined> {
  const [order] = await findPendingOrders(redis, partition, [orderId]);
  return order;
}

/** The same for many orders of one partition: each entry is read once, however many of them it holds. */
export async function findPendingOrders(
  redis: Redis,
  partition: Partition,
  orderIds: readonly string[],
): Promise<PendingOrder[]> {
  const keys = partitionKeys(partition);
  const holds = await redis.hmget(keys.held, ...orderIds);
  const positions = new Set(holds.map((hold) => hold?.split("|")[2]).filter((position) => position !== undefined));
  const entries = await Promise.all([...positions].map((position) => redis.xrange(keys.stream, position, position)));
  const wanted = new Set(orderIds);
  return entries.flat().flatMap(([id, fields]) => {
    const movement = parseMovement(id, fields);
    if (movement.kind !== "place") return [];
    const placedAt = new Date(movement.atMs);
    const reservedUntil = new Date(movement.deadlineMs);
    return movement.orders
      .filter(({ orderId }) => wanted.has(orderId))
      .map((order) => ({ ...order, position: movement.position, placedAt, reservedUntil }));
  });
}
