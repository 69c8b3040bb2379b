// Work of one process that may outlast the job that began it: bounded, and waited for with a limit.
import { setTimeout as sleep } from "node:timers/promises";

export class InFlight {
  readonly #max: number;
  readonly #works = new Set<Promise<void>>();

  /** @param max works at once; who finds no room waits */
  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#works.size;
  }

  /** Resolves when there is room for more. */
  async room(): Promise<void> {
    while (this.#works.size >= this.#max) await Promise.race(this.#works);
  }

  /** Counts the work until it is over. */
  track(work: Promise<void>): Promise<void> {
    this.#works.add(work);
    return work.finally(() => this.#works.delete(work));
  }

  /** Waits for all of it, at most `timeoutMs`. */
  async drain(timeoutMs: number): Promise<void> {
    await patiently(Promise.all(this.#works), timeoutMs);
  }
}

/** Waits for the work, at most `patienceMs`; it goes on all the same. @throws what it rejects with meanwhile */
export async function patiently(work: Promise<unknown>, patienceMs: number): Promise<void> {
  const over = new AbortController();
  const patience = sleep(patienceMs, undefined, { signal: over.signal }).catch(() => undefined);
  try {
    await Promise.race([work, patience]);
  } finally {
    over.abort();
  }
}
