// Buyers who remember what they were told: each order that was answered with 202, by its id, and when. A few at a time, as
// this is about what is true afterwards and not about speed.
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { type Order, orderBody } from "./order-request.ts";

const BUYERS = 32;
const ANSWER_TIMEOUT_MS = 10_000;
/** After an answer that did not come. */
const PAUSE_MS = 20;
const POLL_MS = 5;

export interface Acknowledged {
  readonly id: string;
  readonly atMs: number;
}

export class RecordedLoad {
  readonly acknowledged: Acknowledged[] = [];
  /** Requests that got no answer, or another one. */
  refused = 0;
  readonly #urlOf: () => string | undefined;
  readonly #order: Order;
  readonly #buyers: Promise<unknown>;
  #isOver = false;

  /** @param urlOf tells where to order now; undefined while there is nobody */
  constructor(urlOf: () => string | undefined, order: Order) {
    this.#urlOf = urlOf;
    this.#order = order;
    this.#buyers = Promise.all(Array.from({ length: BUYERS }, () => this.#buy()));
  }

  /** @throws when that many more do not come in a minute */
  async untilMore(orders: number): Promise<void> {
    const [wanted, endsAt] = [this.acknowledged.length + orders, performance.now() + 60_000];
    while (this.acknowledged.length < wanted) {
      if (performance.now() > endsAt) throw new Error(`no ${orders} orders were accepted in a minute`);
      await delay(POLL_MS);
    }
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await this.#buyers;
  }

  async #buy(): Promise<void> {
    while (!this.#isOver) {
      const id = await this.#orderOne().catch(() => undefined);
      if (id !== undefined) this.acknowledged.push({ id, atMs: performance.now() });
      else {
        this.refused += 1;
        await delay(PAUSE_MS);
      }
    }
  }

  async #orderOne(): Promise<string | undefined> {
    const url = this.#urlOf();
    if (url === undefined) return undefined;
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: orderBody(this.#order, randomUUID()),
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    });
    const answer = (await response.json()) as { orderTrackingId?: string };
    return response.status === 202 ? answer.orderTrackingId : undefined;
  }
}
