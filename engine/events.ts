// Tells whoever listens that orders moved. A hint and no more: it is sent after the commit and may be lost, and listeners
// repair that by comparing versions.
import type { Redis } from "ioredis";
import { CHANNELS } from "./keys.ts";
import { ORDER_STATUSES, type OrderStatus } from "./order-state.ts";

/** An order's new state, as it was committed. */
export interface OrderChange {
  readonly id: string;
  readonly version: number;
  readonly status: OrderStatus;
  /** Of a member's order when it is new, so that processes which serve the member know of it. */
  readonly customerId?: string | undefined;
}

/** Publishes the changes as one JSON array. @throws what Redis throws; a caller logs it and goes on */
export async function publishOrders(redis: Redis, changes: readonly OrderChange[]): Promise<void> {
  if (changes.length === 0) return;
  const message = changes.map(({ id, version, status, customerId }) => ({ id, version, status, customerId }));
  await redis.publish(CHANNELS.orders, JSON.stringify(message));
}

const STATUSES: ReadonlySet<unknown> = new Set(ORDER_STATUSES);

/**
 * Reads a message of {@link publishOrders}. What cannot be read is left out, as if it had been lost: a process of another
 * version may have sent it.
 */
export function parseOrderChanges(message: string): OrderChange[] {
  let changes: unknown;
  try {
    changes = JSON.parse(message);
  } catch {
    return [];
  }
  return Array.isArray(changes) ? changes.filter(isOrderChange) : [];
}

// By hand: with every socket's process hearing of every order, a schema would be what the process mostly does.
function isOrderChange(value: unknown): value is OrderChange {
  if (typeof value !== "object" || value === null) return false;
  const { id, version, status, customerId } = value as Partial<Record<keyof OrderChange, unknown>>;
  const isNamed = customerId === undefined || typeof customerId === "string";
  return typeof id === "string" && Number.isSafeInteger(version) && STATUSES.has(status) && isNamed;
}
