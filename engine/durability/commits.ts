// Waiting until orders are committed in Postgres, for many at once: who commits tells of it on `CHANNELS.orders`, and as
// that may be lost, one statement every now and then asks for all that still wait. Nobody waits, nothing runs.
import { parseOrderChanges } from "../events.ts";
import type { Queryable } from "../ledger/database.ts";
import { findStatuses } from "../ledger/statuses.ts";
import type { OrderStatus } from "../order-state.ts";

export interface CommitWaitOptions {
  /** Orders that may be waited for; for a further one, nobody waits. */
  readonly waitingMax: number;
  /** Between questions to Postgres; an order is asked for once it has waited this long. */
  readonly pollMs: number;
  readonly idsPerPollMax: number;
}

const DEFAULTS: CommitWaitOptions = { waitingMax: 10_000, pollMs: 100, idsPerPollMax: 2_000 };

interface Waiting {
  readonly since: number;
  readonly end: (status: OrderStatus | undefined) => void;
}

export class CommitWaiter {
  readonly #db: Queryable;
  readonly #onError: (error: unknown) => void;
  readonly #options: CommitWaitOptions;
  readonly #waiting = new Map<string, Set<Waiting>>();
  #count = 0;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  /** @param onError hears of questions that failed; they are asked again */
  constructor(db: Queryable, onError: (error: unknown) => void, options: Partial<CommitWaitOptions> = {}) {
    this.#db = db;
    this.#onError = onError;
    this.#options = { ...DEFAULTS, ...options };
  }

  /** Waits under way. */
  get waiting(): number {
    return this.#count;
  }

  /** False when a wait would end at once, with nothing. */
  get mayWait(): boolean {
    return !this.#stopped && this.#count < this.#options.waitingMax;
  }

  /** Resolves to the order's status once Postgres has it, or to `undefined` after `timeoutMs`. Never rejects. */
  async wait(orderId: string, timeoutMs: number): Promise<OrderStatus | undefined> {
    if (!this.mayWait) return undefined;
    let end: Waiting["end"] = () => undefined;
    const committed = new Promise<OrderStatus | undefined>((resolve) => {
      end = resolve;
    });
    const entry: Waiting = { since: performance.now(), end };
    const entries = this.#waiting.get(orderId) ?? new Set();
    this.#waiting.set(orderId, entries.add(entry));
    this.#count += 1;
    this.#schedule();
    const deadline = setTimeout(end, timeoutMs, undefined);
    const status = await committed;
    clearTimeout(deadline);
    this.#count -= 1;
    entries.delete(entry);
    if (entries.size === 0 && this.#waiting.get(orderId) === entries) this.#waiting.delete(orderId);
    return status;
  }

  /** Hears a message of `CHANNELS.orders`; what it tells of is committed. */
  hear(message: string): void {
    if (this.#count === 0) return;
    for (const { id, status } of parseOrderChanges(message)) this.#tell(id, status);
  }

  /** Ends every wait, and waits for nothing any more: a process that stops answers what it knows. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    for (const id of [...this.#waiting.keys()]) this.#tell(id, undefined);
  }

  #tell(id: string, status: OrderStatus | undefined): void {
    const entries = this.#waiting.get(id);
    if (!entries) return;
    this.#waiting.delete(id);
    for (const { end } of entries) end(status);
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#stopped) return;
    this.#timer = setTimeout(async () => {
      await this.#poll().catch(this.#onError);
      this.#timer = undefined;
      if (this.#count > 0) this.#schedule();
    }, this.#options.pollMs);
  }

  async #poll(): Promise<void> {
    const { pollMs, idsPerPollMax } = this.#options;
    const askedFrom = performance.now() - pollMs;
    const ids: string[] = [];
    for (const [id, entries] of this.#waiting) {
      const [first] = entries;
      if (first && first.since <= askedFrom) ids.push(id);
    }
    for (let from = 0; from < ids.length && !this.#stopped; from += idsPerPollMax) {
      const found = await findStatuses(this.#db, ids.slice(from, from + idsPerPollMax));
      for (const { id, status } of found) this.#tell(id, status);
    }
  }
}
