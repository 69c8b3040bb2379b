// The API's process.
import { CopiesConnection } from "../engine/catalogue/read-model/connection.ts";
import { Engine } from "../engine/engine.ts";
import { registerInstance } from "../engine/instances/registration.ts";
import { InstanceView } from "../engine/instances/view.ts";
import { CHANNELS } from "../engine/keys.ts";
import { openPool } from "../engine/ledger/database.ts";
import { openOutbox } from "../engine/outbox/outbox.ts";
import { loadSigningKey } from "../engine/proof/key.ts";
import { commandConnection, connect, subscriberConnection } from "../engine/redis/connection.ts";
import { runService } from "../engine/service.ts";
import { createApp, createEdge } from "./app.ts";
import { ensureAdministrator } from "./auth/administrator.ts";
import { type EndedSessions, watchEndedSessions } from "./auth/ended-sessions.ts";
import { apiHealth } from "./operations/health.ts";
import { orderLane } from "./orders/order-lane.ts";
import { ensureCatalogSale } from "./sales/catalog-sale.ts";
import { startServer } from "./server.ts";
import { startWaitingServer } from "./waiting.ts";
import { StatusCounters } from "./ws/counters.ts";
import { startStatusServer } from "./ws/status-server.ts";

const REDIS_COMMAND_TIMEOUT_MS = 2_000;
const POSTGRES_STATEMENT_TIMEOUT_MS = 5_000;
const POSTGRES_CONNECTIONS_MAX = 10;

await runService({ role: "api", whileWaiting: startWaitingServer }, async (started, log, configuration) => {
  const config = {
    ...started,
    /** As it stands whenever it is looked at. */
    get paymentGateway() {
      return configuration.current.settings.payments.gateway;
    },
  };
  const onError = (what: string) => (error: unknown) => log.warn({ err: error }, what);
  const pool = openPool(
    config.databaseUrl,
    {
      connectionsMax: POSTGRES_CONNECTIONS_MAX,
      applicationName: "onrush-api",
      statementTimeoutMs: POSTGRES_STATEMENT_TIMEOUT_MS,
    },
    onError("an idle Postgres connection broke"),
  );
  const redis = commandConnection(config.redisUrl, REDIS_COMMAND_TIMEOUT_MS);
  const subscriber = subscriberConnection(config.redisUrl);
  redis.on("error", onError("the Redis connection broke"));
  subscriber.on("error", onError("the Redis subscription broke"));
  // Waiting for replicas blocks a connection: nothing but orders shall wait behind it.
  const orders = config.ackMode === "replicated" ? commandConnection(config.redisUrl, REDIS_COMMAND_TIMEOUT_MS) : redis;
  if (orders !== redis) orders.on("error", onError("the orders' Redis connection broke"));
  const { cacheRedisUrl } = config;
  const hasCacheOfItsOwn = cacheRedisUrl !== undefined && cacheRedisUrl !== config.redisUrl;
  const cacheRedis = hasCacheOfItsOwn ? commandConnection(cacheRedisUrl, REDIS_COMMAND_TIMEOUT_MS) : redis;
  if (cacheRedis !== redis) cacheRedis.on("error", onError("the cache's Redis connection broke"));
  const cacheSubscriber = hasCacheOfItsOwn ? subscriberConnection(cacheRedisUrl) : undefined;
  cacheSubscriber?.on("error", onError("the subscription on the cache's Redis broke"));
  await Promise.all([redis, orders, subscriber].map(connect));
  // Carts and reads of products can do without it.
  if (cacheRedis !== redis) connect(cacheRedis).catch(onError("the cache's Redis cannot be reached"));
  const copies = new CopiesConnection(cacheRedisUrl ?? config.redisUrl, {
    onAway: onError("products are read from Postgres: the cache's Redis is away"),
    onBack: () => log.info("products are read from the cache's Redis again"),
  });
  copies.start();

  const engine = new Engine({
    redis: orders,
    pool,
    receiptSecret: config.receiptSecret,
    ackMode: config.ackMode,
    replication: { replicasRequired: config.replicasRequired, waitMs: config.replicationWaitMs },
    postgresWaitMs: config.postgresWaitMs,
    admission: { backlogMax: config.backlogMax },
    onError: onError("the catalogue could not be reloaded, or commits could not be asked for"),
    onNotice: ({ severity, message }) => log[severity](message),
  });
  await engine.start();
  const outbox = await openOutbox(config.databaseUrl, onError("the outbox reported an error"));
  let endedSessions: EndedSessions | undefined;
  subscriber.on("message", (channel: string, message: string) => {
    if (channel === CHANNELS.orders) engine.commits.hear(message);
    if (channel === CHANNELS.stock) engine.soldOut.forget(message);
    if (channel === CHANNELS.sessions) endedSessions?.hear(message);
    if (channel === CHANNELS.catalogue) {
      engine.catalogue.refresh().catch(onError("the catalogue could not be reloaded"));
    }
  });
  await subscriber.subscribe(CHANNELS.catalogue, CHANNELS.stock, CHANNELS.orders, CHANNELS.sessions);

  let stopping = false;
  const statusCounters = new StatusCounters();
  const instances = new InstanceView(pool);
  const proofKey = config.proofSigningKey ? loadSigningKey({ signingKey: config.proofSigningKey }) : undefined;
  const deps = {
    ...{ config, configuration, log, engine, pool, redis, cacheRedis, copies, outbox },
    ...{ proofKey, statusCounters, instances },
    isStopping: () => stopping,
  };
  await ensureCatalogSale(deps);
  if (config.adminPassword) await ensureAdministrator(pool, config.adminEmail, config.adminPassword);
  const edge = createEdge(deps);
  configuration.follow(({ rateLimit, orders: { backlogMax }, pauses }) => {
    edge.limits.configure(rateLimit);
    engine.admission.configure({ backlogMax, isPaused: pauses.orders });
  });
  endedSessions = await watchEndedSessions(pool, edge.tokens, log);
  const server = await startServer(createApp(deps, edge), config, orderLane(edge, deps));
  const status = await startStatusServer(server.server, {
    ...deps,
    subscriber,
    cacheSubscriber,
    counters: statusCounters,
    rates: edge.limits,
  });
  const registration = await registerInstance({
    ...{ role: "api", db: pool, log, ackMode: config.ackMode },
    health: () => apiHealth(deps),
    work: () => ({ totals: { orders: edge.metrics.orders }, standing: { sockets: statusCounters.connected } }),
    configuration: () => configuration.current.version,
    onBeat: (own) => instances.noteBeat(own),
  });

  return {
    ready: { url: server.url },
    async stop() {
      stopping = true;
      // Whoever waits for a commit is answered with what is known, so that the server need not wait for them.
      engine.commits.stop();
      await Promise.all([status.stop(), server.stop()]);
      await engine.stop();
      await registration.stop();
      endedSessions?.stop();
      subscriber.disconnect();
      redis.disconnect();
      orders.disconnect();
      cacheRedis.disconnect();
      cacheSubscriber?.disconnect();
      await copies.stop();
      await outbox.close();
      await pool.end();
    },
  };
});
