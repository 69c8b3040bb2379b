// The WebSocket status server: puts `/ws` on the API's HTTP server, hears of changes on one Redis subscription, and keeps
// every socket alive, bounded, and closed in order at the end.
import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import type { Redis } from "ioredis";
import { WebSocketServer } from "ws";
import { OnrushError } from "../../engine/errors.ts";
import { CHANNELS } from "../../engine/keys.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { clientAddressReader } from "../http/client-address.ts";
import { createRateLimits, type RateLimits } from "../http/rate-limits.ts";
import { StockView } from "../sales/stock-view.ts";
import { SupportDesk } from "../support/desk.ts";
import { ConnectionCounts } from "./connection-counts.ts";
import { StatusCounters } from "./counters.ts";
import { addressOf, admit, refuseHandshake } from "./handshake.ts";
import { STATUS_LIMITS, type StatusLimits } from "./limits.ts";
import { MeFeed } from "./me-feed.ts";
import { OrderFeed } from "./order-feed.ts";
import { CLOSE } from "./protocol.ts";
import { SaleFeed } from "./sale-feed.ts";
import { Session, type SessionDependencies } from "./session.ts";
import { SupportFeed } from "./support-feed.ts";

export interface StatusServerDependencies
  extends Pick<ApiDependencies, "config" | "log" | "engine" | "pool" | "redis" | "cacheRedis"> {
  /** A connection for subscriptions (see engine/redis/connection.ts), connected; it may carry others too. */
  readonly subscriber: Redis;
  /** The same on the cache's Redis, which may be away; left out where that is the same server. */
  readonly cacheSubscriber?: Redis | undefined;
  /** Those of the app, so that what is said over HTTP and here counts together. */
  readonly rates?: Pick<RateLimits, "message">;
  /** Counted here; give the same to the app to have them scraped. */
  readonly counters?: StatusCounters;
  readonly limits?: Partial<StatusLimits>;
}

export interface StatusServer {
  /** Refuses new sockets and closes the others with 1001, within bounds. The HTTP server's own stop waits for them. */
  stop(): Promise<void>;
}

const HEARTBEAT_TICKS = 20;
const FRAGMENTS_MAX = 64;
const STOP_POLL_MS = 20;

/** Starts to serve `/ws` on the server. */
export async function startStatusServer(server: Server, deps: StatusServerDependencies): Promise<StatusServer> {
  const limits = { ...STATUS_LIMITS, ...deps.limits };
  const { log, pool, engine, redis, subscriber, counters = new StatusCounters() } = deps;
  const orders = new OrderFeed({ pool, redis, engine, log, limits });
  const sales = new SaleFeed({ catalogue: engine.catalogue, stock: new StockView(engine, pool), log, limits });
  const { cacheRedis, cacheSubscriber = subscriber, rates = createRateLimits(deps.config.rateLimit) } = deps;
  const desk = new SupportDesk({ pool, redis: cacheRedis, log, limits: rates });
  const support = new SupportFeed({ pool, desk, log, limits });
  const me = new MeFeed({ pool, log, limits });
  const sessions = new Set<Session>();
  const behind = new Set<Session>();
  const counts = new ConnectionCounts(limits);
  const sockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: limits.messageBytesMax,
    maxFragments: FRAGMENTS_MAX,
  });
  const forSession: SessionDependencies = {
    feeds: { orders, sales, support, me },
    limits,
    counters,
    log,
    onBehind: (session) => behind.add(session),
  };
  const origins = new Set(deps.config.corsOrigins);
  const readAddress = clientAddressReader(deps.config.trustedProxies);
  let stopping = false;

  /** Resolves when the socket is a session, or gone. */
  const open = async (request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> => {
    const leaves: (() => void)[] = [];
    const leave = () => {
      for (const give of leaves.splice(0)) give();
    };
    socket.on("error", () => socket.destroy());
    socket.once("close", leave);
    try {
      if (stopping) throw new OnrushError("OVERLOADED", "This process is stopping.");
      leaves.push(counts.enter(addressOf(request, readAddress)));
      const holder = await admit(request, origins, redis);
      if (holder) leaves.push(counts.enterAs(holder.identity.customerId));
      if (socket.destroyed) return leave();
      // Once more: the ticket took its time.
      if (stopping) throw new OnrushError("OVERLOADED", "This process is stopping.");
      sockets.handleUpgrade(request, socket, head, (webSocket) =>
        begin(new Session(webSocket, socket, holder, forSession), socket),
      );
    } catch (error) {
      if (!(error instanceof OnrushError)) log.warn({ err: error }, "a WebSocket handshake failed");
      refuseHandshake(socket, error);
    }
  };
  const begin = (session: Session, socket: Duplex) => {
    sessions.add(session);
    counters.connected += 1;
    socket.once("close", () => {
      sessions.delete(session);
      behind.delete(session);
      counters.connected -= 1;
    });
  };

  const hear = (channel: string, message: string) => {
    if (channel === CHANNELS.orders) {
      orders.hear(message);
      me.hear(message);
    }
    if (channel === CHANNELS.support) support.hear(message);
  };
  subscriber.on("message", hear);
  await subscriber.subscribe(CHANNELS.orders);
  orders.start();
  me.start();
  if (cacheSubscriber !== subscriber) cacheSubscriber.on("message", hear);
  // Not waited for: the client subscribes when the cache's Redis is there, and until then versions are compared.
  cacheSubscriber.subscribe(CHANNELS.support).catch((error) => {
    if (!stopping) log.warn({ err: error }, "support cannot be heard of over Redis");
  });
  support.start();
  const timers = [
    setInterval(() => {
      const nowMs = performance.now();
      for (const session of sessions) session.heartbeat(nowMs);
    }, limits.heartbeatMs / HEARTBEAT_TICKS),
    setInterval(() => {
      const nowMs = performance.now();
      for (const session of behind) if (session.drain(nowMs)) behind.delete(session);
    }, limits.drainCheckMs),
  ];
  for (const timer of timers) timer.unref();
  const upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void open(request, socket, head);
  server.on("upgrade", upgrade);

  return {
    async stop() {
      stopping = true;
      subscriber.off("message", hear);
      cacheSubscriber.off("message", hear);
      for (const timer of timers) clearInterval(timer);
      orders.stop();
      sales.stop();
      me.stop();
      support.stop();
      for (const session of sessions) session.close(CLOSE.goingAway, "stopping", "stopping");
      await emptied(sessions, limits.stopMsMax);
      for (const session of sessions) session.terminate();
      await emptied(sessions, limits.stopMsMax);
    },
  };
}

async function emptied(sessions: ReadonlySet<Session>, msMax: number): Promise<void> {
  const deadline = performance.now() + msMax;
  while (sessions.size > 0 && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, STOP_POLL_MS));
  }
}
