// Confirmed orders to refund, for the tests of refunds: engine, persister and worker on a test file's own servers, with the
// provider's real process.
import { randomUUID } from "node:crypto";
import { pino } from "pino";
import { afterAll, expect, vi } from "vitest";
import type { OrderRequest } from "../../engine/engine.ts";
import { transaction } from "../../engine/ledger/database.ts";
import { findOrder, type OrderWithLines } from "../../engine/ledger/orders.ts";
import { type OpenedRefund, openRefund, type RefundRequest } from "../../engine/ledger/refund-requests.ts";
import { findRefund, type RefundRow } from "../../engine/ledger/refunds.ts";
import { openOutbox } from "../../engine/outbox/outbox.ts";
import { httpGateway } from "../../persister/jobs/gateway/http.ts";
import { startWorker, type Worker, type WorkerTiming } from "../../persister/jobs/worker.ts";
import { openTestSale, startEngine, startPersister } from "../support/assembly.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startTestRedis } from "../support/redis.ts";
import { API_KEY, type GatewayProcess, startGatewayProcess } from "./gateway-process.ts";

export const WAIT = { timeout: 30_000, interval: 20 };
export type Line = { readonly productId: string; readonly quantity: number };
export interface ProviderRefund {
  readonly key: string;
  readonly chargeKey: string;
  readonly amount: number;
}

const TIMING: Partial<WorkerTiming> = {
  sweepIntervalMs: 50,
  unsettledAfterMs: 500,
  refund: { retryDelayMs: 5, retryDelayMaxMs: 20, unansweredDelayMaxMs: 100 },
};

/** Opens it for a test file; let go with it. */
export async function openRefundShop() {
  const database = await createTestDatabase();
  const redis = await startTestRedis();
  const servers = { databaseUrl: database.url, redisUrl: redis.url };
  const shop = await startEngine(servers);
  let persister: Awaited<ReturnType<typeof startPersister>> | undefined = await startPersister(servers);
  const stopPersister = async () => {
    await persister?.stop();
    persister = undefined;
  };
  const provider = await startGatewayProcess(database.url);
  const outbox = await openOutbox(database.url, () => undefined);
  let worker: Worker | undefined;
  const alarms: string[] = [];
  const log = pino({ level: "error" }, { write: (line: string) => void alarms.push(line) });
  const { pool } = shop;

  const startOwnWorker = async (timing: Partial<WorkerTiming> = {}) => {
    worker = await startWorker({
      ...servers,
      gateway: httpGateway({ url: provider.url, apiKey: API_KEY, circuit: { trialDelayMs: 10, trialDelayMsMax: 50 } }),
      log,
      timing: { ...TIMING, ...timing },
    });
  };
  const stopWorker = async () => {
    await worker?.stop();
    worker = undefined;
  };
  await startOwnWorker();
  afterAll(async () => {
    await Promise.all([stopWorker(), stopPersister()]);
    await shop.stop();
    await Promise.all([outbox.close(), provider.stop()]);
    await redis.stop();
  });

  const read = async (orderId: string): Promise<OrderWithLines> => {
    const order = await findOrder(pool, orderId);
    if (!order) throw new Error(`no order ${orderId}`);
    return order;
  };
  const until = async (orderId: string, expected: object) => {
    await vi.waitFor(async () => expect(await read(orderId)).toMatchObject(expected), WAIT);
    return await read(orderId);
  };

  return {
    ...shop,
    servers,
    outbox,
    /** What the worker has logged as an error, a JSON object each. */
    alarms,
    provider: provider as GatewayProcess,
    startPersister: async () => {
      persister = await startPersister(servers);
    },
    stopPersister,
    startWorker: startOwnWorker,
    stopWorker,
    openSale: (item: Parameters<typeof openTestSale>[1], sale?: Parameters<typeof openTestSale>[2]) =>
      openTestSale(shop, item, sale),
    read,
    until,
    /** An order that is paid and settled. */
    async confirmed(saleId: string, items: readonly Line[], request: Partial<OrderRequest> = {}): Promise<string> {
      const customerId = randomUUID();
      const placed = await shop.engine.place({ saleId, customerId, items: [...items], ...request });
      await until(placed.orderId, { status: "CONFIRMED" });
      return placed.orderId;
    },
    refund: (orderId: string, request: Partial<RefundRequest> = {}): Promise<OpenedRefund> =>
      transaction(pool, (client) => openRefund(client, outbox, { orderId, restock: false, actor: "test", ...request })),
    async untilRefund(id: string, expected: object): Promise<RefundRow> {
      await vi.waitFor(async () => expect(await findRefund(pool, id)).toMatchObject(expected), WAIT);
      return (await findRefund(pool, id)) as RefundRow;
    },
    setRefundMode: async (mode: "accept" | "refuse" | "unavailable") => {
      expect(await provider.ask("PUT", "/refund-mode", { mode })).toMatchObject({ status: 200 });
    },
    /** What the provider has given back of an order's charges. */
    async booked(orderId: string): Promise<ProviderRefund[]> {
      const result = await pool.query<ProviderRefund>(
        `SELECT key, charge_key AS "chargeKey", amount FROM simulated_gateway.refunds
         WHERE split_part(charge_key, ':', 1) = $1 ORDER BY created_at, key`,
        [orderId],
      );
      return result.rows;
    },
    async units(saleId: string, productId: string) {
      const snapshot = await shop.engine.stock.snapshot({ saleId, partition: 0 });
      if (snapshot.type !== "OK") throw new Error(snapshot.type);
      return snapshot.stock.get(productId);
    },
    async openLetters(orderId: string): Promise<{ id: number; kind: string; error: string; refundId: string }[]> {
      const result = await pool.query<{ id: number; kind: string; error: string; refundId: string }>(
        `SELECT id, kind, error, refund_id AS "refundId" FROM dead_letters WHERE order_id = $1 AND state = 'open'`,
        [orderId],
      );
      return result.rows;
    },
  };
}
