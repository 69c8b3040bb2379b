// The order path put together in one process, over a test file's own Redis and database: engine, persister and, when
// wanted, a worker. For tests of what the parts do together, without HTTP.
import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import { pino } from "pino";
import { configureSale, deliverAllocations } from "../../engine/catalogue/lifecycle.ts";
import { createProduct } from "../../engine/catalogue/products.ts";
import { createSale, type SaleInput } from "../../engine/catalogue/sales.ts";
import { Engine, type EngineOptions } from "../../engine/engine.ts";
import { openPool, transaction } from "../../engine/ledger/database.ts";
import { openOutbox } from "../../engine/outbox/outbox.ts";
import { blockingConnection, commandConnection, connect } from "../../engine/redis/connection.ts";
import { openSimulatedGateway } from "../../persister/jobs/gateway/simulated.ts";
import { startWorker, type WorkerDependencies, type WorkerTiming } from "../../persister/jobs/worker.ts";
import { Persister, type PersisterTimings } from "../../persister/persister.ts";

const silent = pino({ level: process.env["TEST_LOG_LEVEL"] ?? "silent" });
const ignore = () => undefined; // broken connections also fail the calls on them

export interface AssemblyOptions {
  readonly databaseUrl: string;
  readonly redisUrl: string;
}

/** An engine on connections of its own; under `fsync`, unless told otherwise. */
export async function startEngine({ databaseUrl, redisUrl }: AssemblyOptions, options: Partial<EngineOptions> = {}) {
  const pool = openPool(
    databaseUrl,
    { connectionsMax: 4, applicationName: "engine", statementTimeoutMs: 10_000 },
    ignore,
  );
  const redis = await openRedis(redisUrl);
  const engine = new Engine({ redis, pool, receiptSecret: "r".repeat(32), ackMode: "fsync", ...options });
  await engine.start();
  return {
    engine,
    redis,
    pool,
    async stop() {
      await engine.stop();
      redis.disconnect();
      await pool.end();
    },
  };
}

/** A persister on connections of its own; a second one for the same servers competes for the leases. */
export async function startPersister({ databaseUrl, redisUrl }: AssemblyOptions, timings?: Partial<PersisterTimings>) {
  const poolOptions = { connectionsMax: 4, applicationName: "persister", statementTimeoutMs: 10_000 };
  const pool = openPool(databaseUrl, poolOptions, ignore);
  const outbox = await openOutbox(databaseUrl, ignore);
  const redis = await openRedis(redisUrl);
  const blocking = blockingConnection(redisUrl, 500);
  blocking.on("error", ignore);
  await connect(blocking);
  const persister = new Persister({
    pool,
    outbox,
    redis,
    blocking,
    log: silent,
    timings: { renewMs: 100, ...timings },
  });
  await persister.start();
  return {
    persister,
    async stop() {
      await persister.stop();
      redis.disconnect();
      await Promise.all([outbox.close(), pool.end()]);
    },
  };
}

/** A worker against the simulated gateway. */
export async function startTestWorker(
  { databaseUrl, redisUrl }: AssemblyOptions,
  timing?: Partial<WorkerTiming>,
  options: Partial<Pick<WorkerDependencies, "mail" | "webhooks" | "log">> = {},
) {
  const gatewayOptions = { connectionsMax: 4, applicationName: "gateway", statementTimeoutMs: 10_000 };
  const gateway = openSimulatedGateway(openPool(databaseUrl, gatewayOptions, ignore));
  return await startWorker({ databaseUrl, redisUrl, gateway, log: silent, ...(timing && { timing }), ...options });
}

/** Creates a product and a sale of it that is open, delivered to Redis and known to the engine. */
export async function openTestSale(
  { engine, pool }: Awaited<ReturnType<typeof startEngine>>,
  item: { stock: number; price?: number; perCustomerLimit?: number; productId?: string },
  sale: Partial<SaleInput> = {},
): Promise<{ saleId: string; productId: string }> {
  const productId = item.productId ?? randomUUID();
  const saleId = await transaction(pool, async (client) => {
    const product = { name: "커피", description: "", price: item.price ?? 5_000, currency: "KRW" };
    await createProduct(client, productId, product);
    return await createSale(
      client,
      {
        name: "test",
        currency: "KRW",
        opensAt: new Date(0),
        closesAt: null,
        reservationTtlMs: 300_000,
        partitions: 1,
        onDecline: "release",
        membersOnly: false,
        stockVisibility: "exact",
        items: [{ productId, stock: item.stock, price: null, perCustomerLimit: item.perCustomerLimit ?? null }],
        ...sale,
      },
      "test",
    );
  });
  if (!saleId) throw new Error("the sale exists already");
  await configureSale(pool, engine.stock, saleId);
  await deliverAllocations(pool, engine.stock);
  await engine.catalogue.refresh();
  return { saleId, productId };
}

async function openRedis(url: string): Promise<Redis> {
  const redis = commandConnection(url, 5_000);
  redis.on("error", ignore);
  await connect(redis);
  return redis;
}
