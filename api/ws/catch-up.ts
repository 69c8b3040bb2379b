// How a feed keeps its watched things new: what a notice names is read, many in one statement; and as notices may be lost,
// versions are compared with Postgres once a second, a bounded number in turn.
import type { Logger } from "../../engine/log.ts";
import type { StatusLimits } from "./limits.ts";

export interface Watched {
  readonly id: string;
  readonly version: number;
}

export interface CatchUpOptions {
  /** What is watched, as the log names it, e.g. `orders`. */
  readonly what: string;
  readonly limits: Pick<StatusLimits, "gatherMs" | "readRetryMs" | "checkMs">;
  readonly perReadMax: number;
  readonly perCheckMax: number;
  readonly log: Logger;
  /** Reads these, and tells those who watch. */
  read(ids: readonly string[]): Promise<void>;
  isWatched(id: string): boolean;
  /** What a pass compares. */
  listWatched(): readonly Watched[];
  /** Those that Postgres has under another version. */
  findMovedOn(watched: readonly Watched[]): Promise<readonly string[]>;
}

export class CatchUp {
  readonly #options: CatchUpOptions;
  /** To be read by the next statement. */
  readonly #due = new Set<string>();
  #reading = false;
  #gather: NodeJS.Timeout | undefined;
  #check: NodeJS.Timeout | undefined;
  #checkFrom = 0;
  #stopped = false;

  constructor(options: CatchUpOptions) {
    this.#options = options;
  }

  /** Compares from now on. */
  start(): void {
    if (this.#stopped) return;
    const { limits, log, what } = this.#options;
    this.#check = setTimeout(async () => {
      await this.#compare().catch((error) => {
        if (!this.#stopped) log.warn({ err: error }, `watched ${what} could not be compared`);
      });
      this.start();
    }, limits.checkMs);
    this.#check.unref();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#gather);
    clearTimeout(this.#check);
  }

  /** Has it read soon. */
  read(id: string): void {
    this.#due.add(id);
    this.#schedule(this.#options.limits.gatherMs);
  }

  /** Nobody watches it any more. */
  forget(id: string): void {
    this.#due.delete(id);
  }

  #schedule(delayMs: number): void {
    if (this.#gather !== undefined || this.#reading || this.#stopped) return;
    this.#gather = setTimeout(() => {
      this.#gather = undefined;
      void this.#readDue();
    }, delayMs);
  }

  /** Reads what is due, one statement after the other; what came meanwhile is in the next one. */
  async #readDue(): Promise<void> {
    const { limits, log, what, perReadMax, isWatched } = this.#options;
    this.#reading = true;
    let ids: string[] = [];
    let delayMs: number = limits.gatherMs;
    try {
      while (this.#due.size > 0 && !this.#stopped) {
        ids = [...this.#due].slice(0, perReadMax);
        for (const id of ids) this.#due.delete(id);
        await this.#options.read(ids);
      }
    } catch (error) {
      for (const id of ids) if (isWatched(id)) this.#due.add(id);
      delayMs = limits.readRetryMs;
      if (!this.#stopped) log.warn({ err: error, count: ids.length }, `changed ${what} could not be read`);
    } finally {
      this.#reading = false;
      if (this.#due.size > 0) this.#schedule(delayMs);
    }
  }

  async #compare(): Promise<void> {
    const { perCheckMax, listWatched, findMovedOn, isWatched } = this.#options;
    const watched = listWatched();
    if (watched.length === 0) return;
    if (this.#checkFrom >= watched.length) this.#checkFrom = 0;
    const turn = watched.slice(this.#checkFrom, this.#checkFrom + perCheckMax);
    this.#checkFrom += turn.length;
    for (const id of await findMovedOn(turn)) if (isWatched(id)) this.read(id);
  }
}
