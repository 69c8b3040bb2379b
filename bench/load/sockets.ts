// Buyers who wait on sockets: each orders over HTTP, subscribes to its order and hears of it until it is CONFIRMED; then it orders
// again when its turn comes. Orders go out at a fixed rate. What is timed is every transition after the order's snapshot, from
// the moment that the transition itself names to the moment that its frame is read; both clocks are this machine's.
import { Agent, request } from "node:http";
import { WebSocket } from "ws";
import { onOrder, report } from "../own-process.ts";
import { type Latencies, latencyRecorder } from "./latencies.ts";
import { type Order, orderBody } from "./order-request.ts";

export interface SocketsOrder {
  readonly ordersUrl: string;
  readonly socketUrl: string;
  readonly order: Order;
  readonly sockets: number;
  readonly perSecond: number;
  readonly seconds: number;
  /** Eight hexadecimal digits that make the buyers this run's own. */
  readonly burst: string;
}

export interface SocketsReport {
  readonly placed: number;
  /** Orders whose CONFIRMED came over their socket. */
  readonly told: number;
  readonly frames: number;
  readonly latencies: Latencies;
  readonly seconds: number;
  readonly cpuSeconds: number;
}

interface Frame {
  readonly type: string;
  readonly channel?: string;
  readonly data?: { readonly status: string; readonly timeline: readonly { readonly at: string }[] };
}

const OPENED_AT_ONCE = 200;
const HTTP_CONNECTIONS = 128;
const TICK_MS = 1;
/** Orders that are not CONFIRMED this long after the last one was placed are not told any more. */
const GIVE_UP_MS = 30_000;
const WARM_UP_SHARE = 0.25;

onOrder<SocketsOrder>(async (order) => report(await run(order)));

async function run(order: SocketsOrder): Promise<SocketsReport> {
  const took = latencyRecorder();
  const agent = new Agent({ keepAlive: true, maxSockets: HTTP_CONNECTIONS });
  const idle: WebSocket[] = [];
  const ended = Promise.withResolvers<void>();
  const total = Math.round(order.perSecond * order.seconds);
  let [placed, told, frames] = [0, 0, 0];
  let countsFrom = Number.POSITIVE_INFINITY;

  const hear = (socket: WebSocket, raw: Buffer) => {
    const now = performance.timeOrigin + performance.now();
    const frame = JSON.parse(raw.toString()) as Frame;
    if (frame.type === "error") throw new Error(`a socket was told ${raw.toString()}`);
    if (!frame.data) return;
    if (frame.type === "event") {
      frames += 1;
      if (now >= countsFrom) took.record(now - Date.parse(frame.data.timeline.at(-1)?.at ?? ""));
    }
    if (frame.data.status !== "CONFIRMED") return;
    told += 1;
    socket.send(JSON.stringify({ type: "unsubscribe", channel: frame.channel }));
    idle.push(socket);
    if (told === total) ended.resolve();
  };
  const place = async (socket: WebSocket, turn: number) => {
    const buyer = `${order.burst}-0000-4000-8000-${turn.toString(16).padStart(12, "0")}`;
    const id = await placeOrder(agent, order.ordersUrl, orderBody(order.order, buyer), buyer);
    placed += 1;
    socket.send(JSON.stringify({ type: "subscribe", channel: `orders/${id}` }));
  };

  for (let opened = 0; opened < order.sockets; opened += OPENED_AT_ONCE) {
    const count = Math.min(OPENED_AT_ONCE, order.sockets - opened);
    idle.push(...(await Promise.all(Array.from({ length: count }, () => open(order.socketUrl, hear)))));
  }
  const sockets = [...idle];
  const cpuBefore = process.cpuUsage();
  const startedAt = performance.now();
  countsFrom = performance.timeOrigin + startedAt + order.seconds * 1_000 * WARM_UP_SHARE;
  let made = 0;
  const timer = setInterval(() => {
    while (made < total && startedAt + (made / order.perSecond) * 1_000 <= performance.now()) {
      const socket = idle.shift();
      if (!socket) return; // all of them wait for orders: the next one is placed late
      made += 1;
      place(socket, made).catch(ended.reject);
    }
  }, TICK_MS);
  const giveUp = setTimeout(() => ended.resolve(), order.seconds * 1_000 + GIVE_UP_MS);
  await ended.promise;
  clearTimeout(giveUp);
  clearInterval(timer);
  const seconds = (performance.now() - startedAt) / 1_000;
  const cpu = process.cpuUsage(cpuBefore);
  for (const socket of sockets) socket.terminate();
  agent.destroy();
  const cpuSeconds = (cpu.user + cpu.system) / 1e6;
  return { placed, told, frames, latencies: took.latencies(), seconds, cpuSeconds };
}

function open(url: string, hear: (socket: WebSocket, raw: Buffer) => void): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { perMessageDeflate: false });
    socket.once("error", reject);
    socket.on("message", (raw: Buffer) => hear(socket, raw));
    socket.once("open", () => resolve(socket));
  });
}

function placeOrder(agent: Agent, url: string, body: string, key: string): Promise<string> {
  const headers = {
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
    "idempotency-key": key,
  };
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: "POST", agent, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("error", reject);
      response.on("end", () => {
        if (response.statusCode !== 202) reject(new Error(`an order was answered ${response.statusCode}: ${text}`));
        else resolve((JSON.parse(text) as { orderTrackingId: string }).orderTrackingId);
      });
    });
    sent.on("error", reject);
    sent.end(body);
  });
}
