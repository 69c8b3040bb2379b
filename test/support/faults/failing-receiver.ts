// The receiving end of webhooks in the ways in which shops' other systems fail. It reads what it is sent as any receiver would:
// by the convention's own library and the secret that it was given.
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { Webhook } from "standardwebhooks";

/**
 * `slow`: taken, after a while. `cut`: read, and the connection ends without an answer, so that nobody knows. `hang`: read and
 * never answered. `error`: 500. `down`: no connection stays.
 */
export const FAILINGS = ["slow", "cut", "hang", "error", "down"] as const;
export type Failing = (typeof FAILINGS)[number];

/** A webhook that came, whether or not it was taken. */
export interface ReceivedWebhook {
  readonly id: string;
  readonly body: string;
  /** Its signature is good, and new enough. */
  readonly isGenuine: boolean;
  /** It was answered with a 2xx. */
  readonly isTaken: boolean;
}

const SLOW_MS_MAX = 1_500;

export class FailingReceiver {
  readonly received: ReceivedWebhook[] = [];
  /** What each way of failing did: webhooks that it met, or connections. */
  readonly counts = Object.fromEntries(FAILINGS.map((name) => [name, 0])) as Record<Failing, number>;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #reader: Webhook | undefined;
  #mode: Failing | "take" = "take";

  private constructor() {
    this.#server = createServer((request, response) => {
      this.#take(request, response).catch(() => response.destroy());
    });
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => undefined);
      socket.once("close", () => this.#sockets.delete(socket));
      if (this.#mode === "down") this.#end(socket);
    });
  }

  /** Listens on a free port of 127.0.0.1. */
  static async start(): Promise<FailingReceiver> {
    const receiver = new FailingReceiver();
    receiver.#server.listen(0, "127.0.0.1");
    await once(receiver.#server, "listening");
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/hooks`;
  }

  /** What the endpoint's webhooks are signed with. */
  learnSecret(secret: string): void {
    this.#reader = new Webhook(secret);
  }

  /** From now on; what hangs, and every connection of one that goes down, is cut. */
  fail(how: Failing | "take"): void {
    const wasHanging = this.#mode === "hang";
    this.#mode = how;
    if (wasHanging || how === "down") for (const socket of this.#sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #end(socket: Socket): void {
    this.counts.down += 1;
    socket.destroy();
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString();
    const how = this.#mode;
    if (how === "down") return this.#end(request.socket);
    if (how !== "take") this.counts[how] += 1;
    if (how === "slow") await sleep(Math.random() * SLOW_MS_MAX);
    const isTaken = (how === "take" || how === "slow") && !response.destroyed;
    const id = String(request.headers["webhook-id"] ?? "");
    this.received.push({ id, body, isGenuine: this.#isGenuine(request, body), isTaken });
    if (how === "cut") request.socket.destroy();
    else if (how !== "hang") response.writeHead(isTaken ? 204 : 500).end();
  }

  #isGenuine(request: IncomingMessage, body: string): boolean {
    try {
      this.#reader?.verify(body, request.headers as Record<string, string>);
      return this.#reader !== undefined;
    } catch {
      return false;
    }
  }
}
