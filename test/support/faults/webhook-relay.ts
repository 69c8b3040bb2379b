// An HTTP relay that does to a payment provider's webhooks what networks, queues and strangers do: delivers them twice, late, in
// another order or never, changes them, forges them, and sends old ones again. It counts what it did and how that was answered.
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { newWebhookSecret, signWebhook, TOLERANCE_SECONDS } from "../../../engine/webhooks/signature.ts";

/**
 * `pass`: as it came. `double`: twice at once. `late`: taken from the provider at once, delivered later, after others. `lost`:
 * taken and never delivered. `cut`: not taken, the provider tries again. Beside the delivery itself: `tampered` (another
 * content under its signature), `forged` (signed by somebody else), `stale` (genuine, from too long ago), `replayed` (an earlier
 * one once more).
 */
export const MISCHIEFS = ["pass", "double", "late", "lost", "cut", "tampered", "forged", "stale", "replayed"] as const;
export type Mischief = (typeof MISCHIEFS)[number];

interface Delivery {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

const LATE_MS_MAX = 1_500;
const EARLIER_MAX = 50;
const HEADERS = ["content-type", "webhook-id", "webhook-timestamp", "webhook-signature"];
const TIMEOUT_MS = 5_000;

export class WebhookRelay {
  readonly counts: Record<Mischief, number>;
  /** What was not genuine, and was refused as such. */
  refused = 0;
  /** Answers that should not have been given, in words. */
  readonly wrong: string[] = [];
  readonly #target: string;
  readonly #secret: string;
  readonly #server: Server;
  readonly #earlier: Delivery[] = [];
  readonly #underWay = new Set<Promise<unknown>>();
  #random: (() => number) | undefined;

  private constructor(target: string, secret: string) {
    this.#target = target;
    this.#secret = secret;
    this.counts = Object.fromEntries(MISCHIEFS.map((name) => [name, 0])) as Record<Mischief, number>;
    this.#server = createServer((request, response) => {
      this.#take(request, response).catch(() => response.destroy());
    });
  }

  /** Listens on a free port of 127.0.0.1. @param target where deliveries go @param secret what genuine ones are signed with */
  static async start(target: string, secret: string): Promise<WebhookRelay> {
    const relay = new WebhookRelay(target, secret);
    relay.#server.listen(0, "127.0.0.1");
    await once(relay.#server, "listening");
    return relay;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  /** Draws what it does to each delivery from now on. */
  misbehave(random: () => number): void {
    this.#random = random;
  }

  /** Lets everything pass again; resolves when what was held up is delivered. */
  async heal(): Promise<void> {
    this.#random = undefined;
    await Promise.all(this.#underWay);
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    await Promise.allSettled(this.#underWay);
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const given = HEADERS.flatMap((name) => {
      const value = request.headers[name];
      return typeof value === "string" ? [[name, value] as const] : [];
    });
    const delivery = { headers: Object.fromEntries(given), body: Buffer.concat(chunks) };
    const draw = this.#random;
    const mischief = draw ? (MISCHIEFS[Math.floor(draw() * MISCHIEFS.length)] as Mischief) : "pass";
    this.counts[mischief] += 1;
    const answer = (status: number) => void response.writeHead(status).end();
    switch (mischief) {
      case "lost":
        return answer(200);
      case "cut":
        return void response.destroy();
      case "late":
        answer(200);
        return this.#later(sleep((draw?.() ?? 0) * LATE_MS_MAX).then(() => this.#deliver(delivery)));
      case "double":
        this.#later(this.#deliver(delivery));
        break;
      case "tampered":
      case "forged":
      case "stale":
        this.#later(this.#expectRefused(mischief, altered(delivery, mischief, this.#secret)));
        break;
      case "replayed":
        this.#later(this.#replay(draw?.() ?? 0));
        break;
      case "pass":
        break;
    }
    const status = await this.#deliver(delivery);
    if (this.#earlier.length < EARLIER_MAX && status === 200) this.#earlier.push(delivery);
    answer(status ?? 502);
  }

  #later(work: Promise<unknown>): void {
    const tracked = work.finally(() => this.#underWay.delete(tracked));
    this.#underWay.add(tracked);
  }

  /** @returns the status, or `undefined` without an answer */
  async #deliver({ headers, body }: Delivery): Promise<number | undefined> {
    const answer = await this.#post(headers, body);
    if (answer && answer.status !== 200 && answer.status < 500) this.wrong.push(`a genuine one: ${answer.status}`);
    return answer?.status;
  }

  async #expectRefused(mischief: Mischief, { headers, body }: Delivery): Promise<void> {
    const answer = await this.#post(headers, body);
    if (answer?.status === 401) this.refused += 1;
    else if (answer) this.wrong.push(`a ${mischief} one: ${answer.status}`);
  }

  async #replay(at: number): Promise<void> {
    const earlier = this.#earlier[Math.floor(at * this.#earlier.length)];
    if (!earlier) return;
    const answer = await this.#post(earlier.headers, earlier.body);
    const isKnown = ((await answer?.json()) as { replayed?: boolean } | undefined)?.replayed;
    if (answer?.status === 200 && isKnown !== true) this.wrong.push("an earlier one was taken as new");
  }

  #post(headers: Readonly<Record<string, string>>, body: Buffer): Promise<Response | undefined> {
    const init = { method: "POST", headers, body: new Uint8Array(body), signal: AbortSignal.timeout(TIMEOUT_MS) };
    return fetch(this.#target, init).catch(() => undefined);
  }
}

function altered({ headers, body }: Delivery, how: "tampered" | "forged" | "stale", secret: string): Delivery {
  const id = headers["webhook-id"] ?? "";
  const seconds = Number(headers["webhook-timestamp"]);
  switch (how) {
    case "tampered":
      return {
        headers,
        body: Buffer.from(body.toString().replace(/"(charge|refund)\.\w+"/, '"charge.failed"')),
      };
    case "forged":
      return { headers: { ...headers, "webhook-signature": signWebhook(newWebhookSecret(), id, seconds, body) }, body };
    case "stale": {
      const then = seconds - 2 * TOLERANCE_SECONDS;
      const signed = { "webhook-timestamp": String(then), "webhook-signature": signWebhook(secret, id, then, body) };
      return { headers: { ...headers, ...signed }, body };
    }
  }
}
