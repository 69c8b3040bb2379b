// Group commit. Calls that arrive while earlier batches are in flight wait together and go out as one, so that a busy
// system pays one round trip and one fsync for many verdicts, and an idle one adds no delay at all.
//
// Guarantees: items leave in the order they came; at most `inFlightMax` batches are out; a batch holds at most `itemsMax`
// items and `weightMax` weight (one heavier item goes alone); at most `waitingMax` items wait, further ones are refused.

export interface BatcherOptions<Item, Result> {
  /** Carries a batch out; resolves to one result an item, in order. A rejection fails every item of the batch. */
  readonly execute: (items: readonly Item[]) => Promise<readonly Result[]>;
  /** What an item weighs, e.g. its order lines. */
  readonly weightOf: (item: Item) => number;
  readonly itemsMax: number;
  readonly weightMax: number;
  readonly inFlightMax: number;
  readonly waitingMax: number;
}

export class BatcherFullError extends Error {
  constructor() {
    super("too many calls are waiting");
    this.name = "BatcherFullError";
  }
}

interface Waiting<Item, Result> {
  readonly item: Item;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

export class Batcher<Item, Result> {
  readonly #options: BatcherOptions<Item, Result>;
  #waiting: Waiting<Item, Result>[] = [];
  #inFlight = 0;
  #scheduled = false;

  constructor(options: BatcherOptions<Item, Result>) {
    this.#options = options;
  }

  /** Items that wait to be sent. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Whether so many wait that no more are taken. */
  get isFull(): boolean {
    return this.#waiting.length >= this.#options.waitingMax;
  }

  /** @throws BatcherFullError (as a rejection) when too many items wait already; the item was not sent then */
  submit(item: Item): Promise<Result> {
    if (this.isFull) return Promise.reject(new BatcherFullError());
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      this.#schedule();
    });
  }

  // One turn of the event loop later, so that requests parsed from the same read of the sockets share a batch.
  #schedule(): void {
    if (this.#scheduled || this.#inFlight >= this.#options.inFlightMax) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      while (this.#waiting.length > 0 && this.#inFlight < this.#options.inFlightMax) void this.#send(this.#take());
    });
  }

  #take(): Waiting<Item, Result>[] {
    const { itemsMax, weightMax, weightOf } = this.#options;
    let count = 0;
    let weight = 0;
    for (const { item } of this.#waiting) {
      weight += weightOf(item);
      if (count === itemsMax || (count > 0 && weight > weightMax)) break;
      count += 1;
    }
    return this.#waiting.splice(0, count);
  }

  async #send(batch: Waiting<Item, Result>[]): Promise<void> {
    this.#inFlight += 1;
    try {
      const results = await this.#options.execute(batch.map(({ item }) => item));
      if (results.length !== batch.length) throw new Error(`${results.length} results for ${batch.length} items`);
      for (let i = 0; i < batch.length; i += 1) batch[i]?.resolve(results[i] as Result);
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
    this.#inFlight -= 1;
    if (this.#waiting.length > 0) this.#schedule();
  }
}
