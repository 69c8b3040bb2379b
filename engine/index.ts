// The library: what a program gets from `import { createEngine } from "onrush/engine"`.

import type { AdmissionOptions } from "./admission/admission.ts";
import type { AckMode } from "./config.ts";
import type { ReplicationOptions } from "./durability/replication.ts";
import { Engine, type OrderRequest, type PlacedOrder, type PlaceWishes, type ReplayedOrder } from "./engine.ts";
import { openPool } from "./ledger/database.ts";
import { findOrder, type OrderWithLines } from "./ledger/orders.ts";
import { commandConnection, connect } from "./redis/connection.ts";
import { checkRequest } from "./request.ts";

export type { AdmissionOptions } from "./admission/admission.ts";
export type { AckMode } from "./config.ts";
export type { ReplicationOptions } from "./durability/replication.ts";
export type { OrderRequest, PlacedOrder, PlaceWishes, ReplayedOrder } from "./engine.ts";
export { ERROR_STATUS, type ErrorCode, OnrushError } from "./errors.ts";
export type { OrderWithLines } from "./ledger/orders.ts";
export type { Address, OrderLine, PaymentMethod } from "./order.ts";
export { type CancelReason, isTerminal, ORDER_STATUSES, type OrderStatus } from "./order-state.ts";
export { type ReceiptContents, type ReceiptFacts, verifyReceipt } from "./receipt.ts";

export interface CreateEngineOptions {
  readonly redisUrl: string;
  /** A database that Onrush has migrated; sales and stock are read from it. */
  readonly databaseUrl: string;
  /** Signs receipts; at least 32 characters, the same in every process of a shop. */
  readonly receiptSecret: string;
  /** Default `fsync`. A Redis whose settings do not fit gets no orders: they fail with `STOCK_UNAVAILABLE`. */
  readonly ackMode?: AckMode;
  /** Under `replicated`; default one replica, a second. */
  readonly replication?: Partial<ReplicationOptions>;
  /** Under `postgres`, how long `place` waits for the commit; default 5 s. */
  readonly postgresWaitMs?: number;
  /** How orders are grouped into script calls, and how many may wait. */
  readonly admission?: Partial<AdmissionOptions>;
  /** Hears of broken connections, which mend themselves, and of a Redis that does not fit. Default: ignored. */
  readonly onError?: (error: unknown) => void;
}

export interface EngineHandle {
  /**
   * Reserves an order's units. Concurrent calls share script calls and fsyncs, so place many at once.
   *
   * @throws OnrushError with a stable `code` when the order was not taken (see {@link Engine.place})
   */
  place(request: OrderRequest, wishes?: PlaceWishes): Promise<PlacedOrder | ReplayedOrder>;
  /** The order as Postgres has it; `undefined` until the persister has written it, a moment after `place`. */
  find(orderId: string): Promise<OrderWithLines | undefined>;
  close(): Promise<void>;
}

const COMMAND_TIMEOUT_MS = 2_000;
const STATEMENT_TIMEOUT_MS = 10_000;

/**
 * Connects an engine to a shop's Redis and Postgres.
 *
 * @example
 * const engine = await createEngine({ redisUrl, databaseUrl, receiptSecret });
 * const order = await engine.place({ customerId, items: [{ productId, quantity: 1 }] });
 * await engine.close();
 */
export async function createEngine(options: CreateEngineOptions): Promise<EngineHandle> {
  const onError = options.onError ?? (() => undefined);
  const pool = openPool(
    options.databaseUrl,
    { connectionsMax: 4, applicationName: "onrush-engine", statementTimeoutMs: STATEMENT_TIMEOUT_MS },
    onError,
  );
  const redis = commandConnection(options.redisUrl, COMMAND_TIMEOUT_MS);
  redis.on("error", onError);
  const close = async () => {
    redis.disconnect();
    await pool.end();
  };
  const engine = new Engine({
    redis,
    pool,
    receiptSecret: options.receiptSecret,
    ackMode: options.ackMode ?? "fsync",
    ...(options.replication && { replication: options.replication }),
    ...(options.postgresWaitMs !== undefined && { postgresWaitMs: options.postgresWaitMs }),
    ...(options.admission && { admission: options.admission }),
    onError,
    onNotice: ({ severity, message }) => severity !== "info" && onError(new Error(message)),
  });
  try {
    await connect(redis);
    await engine.start();
  } catch (error) {
    await close();
    throw error;
  }
  return {
    place: async (request, wishes) => engine.place(checkRequest(request), wishes),
    find: (orderId) => findOrder(pool, orderId),
    async close() {
      await engine.stop();
      await close();
    },
  };
}
