// A shop for the worker's tests: one sale in Redis and Postgres, and orders that are RESERVED in Postgres with real holds in
// Redis, as the persister leaves them.
import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import type pg from "pg";
import { afterAll } from "vitest";
import { ADMISSION_DEFAULTS, Admission } from "../../engine/admission/admission.ts";
import { configureSale, deliverAllocations } from "../../engine/catalogue/lifecycle.ts";
import { createSale } from "../../engine/catalogue/sales.ts";
import { uncheckedCall } from "../../engine/durability/durability.ts";
import { openPool, transaction } from "../../engine/ledger/database.ts";
import { createLogger } from "../../engine/log.ts";
import { makeOrderId } from "../../engine/order-id.ts";
import { commandConnection, connect } from "../../engine/redis/connection.ts";
import { KnownPositions } from "../../engine/stock/known-positions.ts";
import { PartitionStock, type SkuStock } from "../../engine/stock/partition-stock.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startTestRedis } from "../support/redis.ts";

export const PRICE = 1_000;
export const STOCK = 1_000;
export const silent = createLogger("test", "silent");

export interface OrderOptions {
  readonly token?: string | null;
  readonly method?: "card" | "later";
  readonly payable?: number;
  readonly onDecline?: "release" | "hold";
  readonly status?: "RESERVED" | "PAID" | "CANCELLING";
  readonly stockState?: "reserved" | "refused";
  /** Ms from now; negative: past. */
  readonly reservedForMs?: number;
}

export interface OrderState {
  readonly status: string;
  readonly reason: string | null;
  readonly version: number;
  readonly attempts: number;
  readonly token: string | null;
}

export interface Charge {
  readonly key: string;
  readonly outcome: string;
  readonly calls: number;
}

export interface Shop {
  readonly databaseUrl: string;
  readonly redisUrl: string;
  readonly pool: pg.Pool;
  readonly redis: Redis;
  readonly stock: PartitionStock;
  readonly positions: KnownPositions;
  readonly saleId: string;
  readonly productId: string;
  openRedisAgain(): Promise<void>;
  killRedis(): Promise<void>;
  /** Places orders of one unit each. @returns their ids */
  reserve(count: number, options?: OrderOptions): Promise<string[]>;
  stateOf(orderId: string): Promise<OrderState>;
  /** How many of the orders are in each status. */
  statuses(orderIds: readonly string[]): Promise<Record<string, number>>;
  units(): Promise<SkuStock>;
  /** What the simulated provider has booked for the orders. */
  books(orderIds: readonly string[]): Promise<Charge[]>;
  /** Lets the leases and delays of the orders' attempts run out. */
  passTime(orderIds: readonly string[]): Promise<void>;
}

/** Opens the shop for a test file; closed with it. */
export async function openShop(): Promise<Shop> {
  const database = await createTestDatabase();
  const server = await startTestRedis();
  const pool = openPool(
    database.url,
    { connectionsMax: 10, applicationName: "shop", statementTimeoutMs: 10_000 },
    () => undefined,
  );
  const redis = commandConnection(server.url, 2_000);
  redis.on("error", () => undefined);
  await connect(redis);
  afterAll(async () => {
    redis.disconnect();
    await Promise.all([pool.end(), server.stop()]);
  });

  const positions = new KnownPositions();
  const stock = new PartitionStock(redis, positions);
  const admission = new Admission(uncheckedCall(redis), positions, ADMISSION_DEFAULTS);
  const productId = randomUUID();
  const saleId = `jobs-${productId.slice(0, 8)}`;
  const at = { saleId, partition: 0 };
  await pool.query("INSERT INTO products (id, name, price, currency) VALUES ($1, 'Thing', $2, 'KRW')", [
    productId,
    PRICE,
  ]);
  await transaction(pool, (client) =>
    createSale(
      client,
      {
        id: saleId,
        name: "Jobs",
        currency: "KRW",
        opensAt: new Date(0),
        closesAt: null,
        reservationTtlMs: 60_000,
        partitions: 1,
        onDecline: "release",
        membersOnly: false,
        stockVisibility: "exact",
        items: [{ productId, stock: STOCK, price: null, perCustomerLimit: null }],
      },
      "test",
    ),
  );
  await configureSale(pool, stock, saleId);
  await deliverAllocations(pool, stock);

  async function reserveOne(options: OrderOptions): Promise<string> {
    const { token = "tok_ok", method = "card", payable = PRICE, onDecline = "release" } = options;
    const { status = "RESERVED", stockState = "reserved", reservedForMs = 60_000 } = options;
    const orderId = makeOrderId(1, 0, Date.now());
    const outcome = await admission.place(at, 1, {
      orderId,
      buyer: orderId,
      idempotency: undefined,
      payload: "{}",
      lines: [{ productId, quantity: 1 }],
    });
    if (outcome.type !== "ACCEPTED") throw new Error(outcome.type);
    await pool.query(
      `WITH inserted AS (
         INSERT INTO orders (id, sale_id, partition, epoch, seq, hold_reservation, customer_id, status, version, stock_state,
           price, payable, currency, payment_method, payment_token, on_decline, reserved_until, placed_at)
         VALUES ($1::uuid, $2, 0, $3, $4, $5, $1::text, $6, 2, $7, $8, $8, 'KRW', $9, $10, $11,
           now() + $12 * interval '1 millisecond', now())
       )
       INSERT INTO order_timeline (order_id, version, status) VALUES ($1::uuid, 1, 'PENDING'), ($1::uuid, 2, $6)`,
      [
        orderId,
        saleId,
        outcome.epoch,
        outcome.seq,
        outcome.reservation,
        status,
        stockState,
        payable,
        method,
        method === "later" ? null : token,
        onDecline,
        reservedForMs,
      ],
    );
    return orderId;
  }

  return {
    databaseUrl: database.url,
    redisUrl: server.urlOf("onrush_worker"),
    pool,
    redis,
    stock,
    positions,
    saleId,
    productId,
    openRedisAgain: async () => {
      await server.restart();
      while (redis.status !== "ready") await new Promise((resolve) => redis.once("ready", resolve));
    },
    killRedis: () => server.kill(),
    reserve: (count, options = {}) => Promise.all(Array.from({ length: count }, () => reserveOne(options))),
    async stateOf(orderId) {
      const result = await pool.query<OrderState>(
        `SELECT status, reason, version, payment_attempts AS attempts,
           COALESCE(payment_token, (SELECT max(token) FROM payment_attempts WHERE order_id = id)) AS token
         FROM orders WHERE id = $1`,
        [orderId],
      );
      return result.rows[0] as OrderState;
    },
    async statuses(orderIds) {
      const result = await pool.query<{ status: string; count: number }>(
        "SELECT status, count(*) AS count FROM orders WHERE id = ANY($1::uuid[]) GROUP BY status",
        [orderIds],
      );
      return Object.fromEntries(result.rows.map(({ status, count }) => [status, count]));
    },
    async units() {
      const snapshot = await stock.snapshot(at);
      if (snapshot.type !== "OK") throw new Error(snapshot.type);
      return snapshot.stock.get(productId) as SkuStock;
    },
    async books(orderIds) {
      const result = await pool.query<Charge>(
        `SELECT key, outcome, calls FROM simulated_gateway.charges WHERE split_part(key, ':', 1) = ANY($1) ORDER BY key`,
        [orderIds],
      );
      return result.rows;
    },
    async passTime(orderIds) {
      await pool.query("UPDATE payment_attempts SET due_at = now() WHERE order_id = ANY($1::uuid[])", [orderIds]);
    },
  };
}
