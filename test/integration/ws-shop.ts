// The API with its status server on a real socket, over a test file's own Redis and database, and clients of it.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Redis } from "ioredis";
import { afterAll, expect } from "vitest";
import WebSocket, { type ClientOptions } from "ws";
import { createApp } from "../../api/app.ts";
import { startServer } from "../../api/server.ts";
import { StatusCounters } from "../../api/ws/counters.ts";
import type { StatusLimits } from "../../api/ws/limits.ts";
import { type StatusServerDependencies, startStatusServer } from "../../api/ws/status-server.ts";
import { connect, subscriberConnection } from "../../engine/redis/connection.ts";
import { startPersister, startTestWorker } from "../support/assembly.ts";
import { type AnswerBody, type ApiShop, guest, JWT_SECRET, openApiShop, RECEIPT_SECRET } from "./api-shop.ts";

export interface Served {
  readonly url: string;
  readonly counters: StatusCounters;
  /** The status server's subscription; without it, it is deaf. */
  readonly subscriber: Redis;
  stop(): Promise<void>;
}

export interface StatusShop extends ApiShop {
  /** Another API with a status server of its own, on a free port. */
  serve(limits?: Partial<StatusLimits>, override?: Partial<StatusServerDependencies>): Promise<Served>;
  /** The API as a process of its own. */
  serveAlone(): Promise<{ url: string; process: ChildProcess }>;
  /** Starts a persister and a worker: orders move on. */
  process(): Promise<void>;
  /** Stops both: orders stay as they are. */
  halt(): Promise<void>;
  /** Places an order of one unit. @returns its id */
  order(
    at: { saleId: string; productId: string },
    options?: { token?: string; paymentToken?: string },
  ): Promise<string>;
  /** What GET says. */
  read(orderId: string, token?: string): Promise<AnswerBody>;
  ticket(token: string): Promise<string>;
}

export async function openStatusShop(): Promise<StatusShop> {
  const shop = await openApiShop();
  const served: Served[] = [];
  const children: ChildProcess[] = [];
  let running: { stop(): Promise<void> }[] = [];
  const halt = async () => {
    const stopping = running;
    running = [];
    await Promise.all(stopping.map((role) => role.stop()));
  };
  const { databaseUrl, redis } = shop;
  // Registered after the shop's own, so it runs before it.
  afterAll(async () => {
    for (const child of children) child.kill("SIGKILL");
    await halt();
    await Promise.all(served.map((server) => server.stop()));
  });

  return {
    ...shop,
    halt,
    async serve(limits = {}, override = {}) {
      const counters = new StatusCounters();
      const subscriber = subscriberConnection(redis.urlOf("onrush_api"));
      subscriber.on("error", () => undefined);
      await connect(subscriber);
      const app = createApp({ ...shop.deps, statusCounters: counters });
      const http = await startServer(app, { host: "127.0.0.1", port: 0 });
      const status = await startStatusServer(http.server, { ...shop.deps, subscriber, counters, limits, ...override });
      let stopped: Promise<unknown> | undefined;
      const server: Served = {
        url: http.url,
        counters,
        subscriber,
        async stop() {
          stopped ??= Promise.all([status.stop(), http.stop()]).then(() => subscriber.disconnect());
          await stopped;
        },
      };
      served.push(server);
      return server;
    },
    async serveAlone() {
      const child = fork(fileURLToPath(new URL("../../api/main.ts", import.meta.url)), {
        env: {
          ...process.env,
          PORT: "0",
          REDIS_URL: redis.urlOf("onrush_api"),
          DATABASE_URL: databaseUrl,
          JWT_SECRET,
          RECEIPT_SECRET,
          GUEST_ORDERS: "true",
          LOG_LEVEL: "error",
        },
      });
      children.push(child);
      const [message] = (await once(child, "message")) as [{ url: string }];
      return { url: message.url, process: child };
    },
    async process() {
      const persister = await startPersister({ databaseUrl, redisUrl: redis.urlOf("onrush_persister") });
      const worker = await startTestWorker({ databaseUrl, redisUrl: redis.urlOf("onrush_worker") });
      running.push(persister, worker);
    },
    async order({ saleId, productId }, { token, paymentToken = "tok_ok" } = {}) {
      const answer = await shop.call("POST", "/api/v1/orders", {
        token,
        body: {
          saleId,
          items: [{ productId, quantity: 1 }],
          payment: { method: "card", token: paymentToken },
          ...(token === undefined && { customerId: guest() }),
        },
      });
      if (answer.status !== 202) throw new Error(JSON.stringify(answer.body));
      return answer.body.orderTrackingId;
    },
    async read(orderId, token) {
      return (await shop.call("GET", `/api/v1/orders/${orderId}`, { token })).body;
    },
    async ticket(token) {
      const answer = await shop.call("POST", "/api/v1/ws-tickets", { token });
      expect(answer.status).toBe(201);
      return JSON.parse(answer.text).ticket;
    },
  };
}

/** What a server says, read. */
export interface Message {
  readonly type: "subscribed" | "snapshot" | "event" | "error" | "pong";
  readonly channel?: string;
  readonly version?: number;
  readonly code?: string;
  readonly data?: StateData;
}

/** What tests look at of an order or a sale. */
export interface StateData {
  readonly status: string;
  readonly state: string;
  readonly refundedAmount: number;
  readonly version: number;
  readonly timeline: readonly object[];
  readonly items: readonly { readonly remaining: number }[];
}

const PATIENCE_MS = 15_000;
const clients = new Set<Client>();

/** A client that keeps all it hears. */
export class Client {
  readonly socket: WebSocket;
  readonly heard: Message[] = [];
  closed: { code: number; reason: string } | undefined;

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on("message", (data) => this.heard.push(JSON.parse(data.toString())));
    socket.on("close", (code, reason) => {
      this.closed = { code, reason: reason.toString() };
    });
    socket.on("error", () => undefined);
    clients.add(this);
  }

  send(message: unknown): void {
    this.socket.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  subscribe(channel: string, since?: number): void {
    this.send({ type: "subscribe", channel, ...(since !== undefined && { since }) });
  }

  /** Everything heard of the channel that is a state. */
  states(channel: string): Message[] {
    return this.heard.filter((message) => message.channel === channel && message.data !== undefined);
  }

  /** The states as `version STATUS`. */
  story(orderId: string): string[] {
    return this.states(`orders/${orderId}`).map(({ version, data }) => `${version} ${data?.status}`);
  }

  /** Waits for what the client comes to know. */
  async until<T>(read: () => T | undefined | false): Promise<T> {
    return until(read, () => JSON.stringify(this.heard.slice(-5)));
  }

  async ended(): Promise<{ code: number; reason: string }> {
    return this.until(() => this.closed);
  }
}

export async function until<T>(read: () => T | undefined | false, what: () => string = () => ""): Promise<T> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const value = read();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`did not come: ${read.toString()} ${what()}`);
    await sleep(5);
  }
}

/** Connects to `/ws` of the server. */
export async function open(url: string, query = "", options: ClientOptions = {}): Promise<Client> {
  const client = new Client(new WebSocket(`${url.replace("http", "ws")}/ws${query}`, options));
  await once(client.socket, "open");
  return client;
}

/** The status with which a handshake is refused, and the problem's code. */
export async function refusalOf(
  url: string,
  path: string,
  options: ClientOptions = {},
): Promise<{ status: number; code: string }> {
  const socket = new WebSocket(`${url.replace("http", "ws")}${path}`, options);
  socket.on("error", () => undefined);
  const answer = await Promise.race([once(socket, "unexpected-response"), once(socket, "open").then(() => undefined)]);
  if (!answer) throw new Error("the handshake succeeded");
  const response = answer[1];
  let body = "";
  for await (const chunk of response) body += chunk;
  return { status: response.statusCode, code: JSON.parse(body).code };
}

/** Drops the clients that a test left. */
export function dropClients(): void {
  for (const { socket } of clients) socket.terminate();
  clients.clear();
}
