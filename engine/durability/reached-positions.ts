// Before a process moves stock over a connection to Redis, it knows how far every log had come: each process has seen only a
// part of it, and what answers after a break, or to a process that has just begun, may be a Redis from the past. Numbers
// that were given once and acknowledged must not be given again, or their loss could not be told any more.
import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import type { Queryable } from "../ledger/database.ts";
import { REPORT_EVERY_MS } from "../recovery/acknowledged.ts";
import type { KnownPositions } from "../stock/known-positions.ts";
import { reachedPositions } from "./regression.ts";

/** What was acknowledged just before a break is reported by then. */
const REPORTED_WITHIN_MS = 2 * REPORT_EVERY_MS;

export class ReachedPositions {
  readonly #db: Queryable;
  readonly #positions: KnownPositions;
  #known: Promise<void> | undefined;
  #breaks = 0;

  /** @param redis the connection over which stock is moved */
  constructor(redis: Redis, db: Queryable, positions: KnownPositions) {
    this.#db = db;
    this.#positions = positions;
    // Told before the client connects again.
    redis.on("close", () => {
      this.#known = undefined;
      this.#breaks += 1;
    });
  }

  /** Resolves when the positions are learned for this connection. @throws what Postgres throws; nothing may be moved then */
  readonly learned = (): Promise<void> => {
    if (this.#known) return this.#known;
    const learning = this.#learn();
    this.#known = learning;
    learning.catch(() => {
      if (this.#known === learning) this.#known = undefined;
    });
    return learning;
  };

  async #learn(): Promise<void> {
    if (this.#breaks > 0) await sleep(REPORTED_WITHIN_MS);
    for (const { saleId, partition, epoch, seq } of await reachedPositions(this.#db)) {
      this.#positions.learn({ saleId, partition }, { epoch, seq });
    }
  }
}
