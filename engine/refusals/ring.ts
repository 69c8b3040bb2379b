// Refusals on their way to Postgres. An order that is refused leaves nothing in Redis, and must cost nothing beside its
// answer: it is noted here in memory, in a bounded ring a partition, and carried to Postgres four times a second, many in
// one insert. Above a rate only the first of each second are kept and the others are counted, exactly, by sale, code and
// second. Nothing here waits, throws, or slows an order; while Postgres is away, what does not fit is counted too.
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import type { ErrorCode } from "../errors.ts";
import { insertRefusals, type PassedOver } from "./store.ts";

/** One refused order. */
export interface Refusal {
  /** The one that its problem document shows. */
  readonly requestId: string;
  /** The id that the order would have had, where it came so far. */
  readonly orderId: string | null;
  readonly buyer: string;
  readonly saleId: string;
  readonly partition: number;
  readonly code: ErrorCode;
  /** What it was decided by: units left, limit and use, window, state. */
  readonly facts: Readonly<Record<string, unknown>>;
  /** Redis: by the script, on the state at (epoch, seq). Memory: by what a process knew since such a verdict. Process: before. */
  readonly decidedBy: "redis" | "memory" | "process";
  readonly epoch: number | null;
  readonly seq: number | null;
  /** Version of the script that decided. */
  readonly script: string | null;
  /** Redis `TIME` of the verdict, ms. */
  readonly decidedAtMs: number | null;
  /** Wall clock of the process, ms. */
  readonly atMs: number;
}

export interface RefusalRingOptions {
  /** Refusals of one partition that are kept in a second; further ones are counted. */
  readonly keptPerSecondMax: number;
  /** Refusals of one partition that may wait for Postgres. */
  readonly waitingMax: number;
  readonly drainMs: number;
  readonly onError?: (error: unknown) => void;
}

export const REFUSAL_DEFAULTS: RefusalRingOptions = { keptPerSecondMax: 200, waitingMax: 2_000, drainMs: 250 };

/** Counts that wait for Postgres: sales, codes and seconds of an hour's outage. */
const COUNTS_MAX = 20_000;
const ROWS_PER_INSERT = 2_000;
const STOP_MS_MAX = 1_000;

interface Ring {
  second: number;
  kept: number;
  waiting: Refusal[];
  /** Of the present second, by code. */
  readonly passed: Map<ErrorCode, Count>;
}

interface Count extends PassedOver {
  passedOver: number;
  /** As much of it as Postgres has. */
  written: number;
}

export class RefusalRing {
  readonly #pool: pg.Pool;
  readonly #options: RefusalRingOptions;
  /** Counts of a process are its own rows, so that writing one twice changes nothing. */
  readonly #process = randomUUID();
  readonly #rings = new Map<string, (Ring | undefined)[]>();
  /** Seconds that are over. */
  #ended: Count[] = [];
  #retry: Refusal[] = [];
  #timer: NodeJS.Timeout | undefined;
  #draining: Promise<void> | undefined;
  #isFailing = false;
  /** Refusals of which not even a count could be kept. */
  #uncounted = 0;

  constructor(pool: pg.Pool, options: Partial<RefusalRingOptions> = {}) {
    this.#pool = pool;
    this.#options = { ...REFUSAL_DEFAULTS, ...options };
  }

  /** Takes note of a refusal. Costs a push, or an increment. */
  note(refusal: Refusal): void {
    const { saleId, partition, atMs } = refusal;
    const second = Math.floor(atMs / 1_000);
    const ring = this.#ringOf(saleId, partition);
    if (ring.second !== second) {
      ring.second = second;
      ring.kept = 0;
    }
    if (ring.kept < this.#options.keptPerSecondMax && ring.waiting.length < this.#options.waitingMax) {
      ring.kept += 1;
      ring.waiting.push(refusal);
      return;
    }
    this.#count(ring, refusal, second);
  }

  get uncounted(): number {
    return this.#uncounted;
  }

  start(): void {
    this.#timer ??= setInterval(() => void this.drain(), this.#options.drainMs).unref();
  }

  /** Carries what waits to Postgres, once, and waits for it a moment. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
    const patience = new AbortController();
    await Promise.race([
      this.drain(),
      sleep(STOP_MS_MAX, undefined, { signal: patience.signal }).catch(() => undefined),
    ]);
    patience.abort();
  }

  /** One round; a second one waits for the first. Never rejects. */
  drain(): Promise<void> {
    this.#draining ??= this.#drainOnce().finally(() => {
      this.#draining = undefined;
    });
    return this.#draining;
  }

  async #drainOnce(): Promise<void> {
    const taken = this.#take();
    for (let from = 0; from < taken.length; from += ROWS_PER_INSERT) {
      if (await this.#write(taken.slice(from, from + ROWS_PER_INSERT), [])) continue;
      this.#retry = taken.slice(from);
      return;
    }
    const counts = this.#unwritten();
    for (let from = 0; from < counts.length; from += ROWS_PER_INSERT) {
      const page = counts.slice(from, from + ROWS_PER_INSERT);
      const reached = page.map((count) => count.passedOver);
      if (!(await this.#write([], page))) return;
      for (const [i, count] of page.entries()) count.written = reached[i] ?? 0;
    }
    this.#ended = this.#ended.filter((count) => count.written < count.passedOver);
  }

  async #write(refusals: readonly Refusal[], counts: readonly PassedOver[]): Promise<boolean> {
    try {
      await insertRefusals(this.#pool, this.#process, refusals, counts);
      this.#isFailing = false;
      return true;
    } catch (error) {
      // What Postgres will never take must not hold up the others.
      const isRefused = error instanceof pg.DatabaseError && /^2[23]/.test(error.code ?? "");
      if (isRefused) this.#uncounted += refusals.length;
      // Said once an outage.
      if (isRefused || !this.#isFailing) this.#options.onError?.(error);
      this.#isFailing = !isRefused;
      return isRefused;
    }
  }

  #take(): Refusal[] {
    const taken = this.#retry;
    this.#retry = [];
    // What failed goes first and alone, so that an outage is not paid for with ever larger inserts.
    if (taken.length > 0) return taken;
    for (const ring of this.#eachRing()) {
      if (ring.waiting.length === 0) continue;
      for (const refusal of ring.waiting) taken.push(refusal);
      ring.waiting = [];
    }
    return taken;
  }

  #unwritten(): Count[] {
    const counts = this.#ended.filter((count) => count.written < count.passedOver);
    for (const ring of this.#eachRing()) {
      for (const count of ring.passed.values()) if (count.written < count.passedOver) counts.push(count);
    }
    return counts;
  }

  #count(ring: Ring, { saleId, partition, code }: Refusal, second: number): void {
    let count = ring.passed.get(code);
    if (count?.second !== second) {
      if (count) this.#end(count);
      count = { saleId, partition, code, second, passedOver: 0, written: 0 };
      ring.passed.set(code, count);
    }
    count.passedOver += 1;
  }

  #end(count: Count): void {
    if (count.written === count.passedOver) return;
    if (this.#ended.length < COUNTS_MAX) this.#ended.push(count);
    else this.#uncounted += count.passedOver - count.written;
  }

  *#eachRing(): Generator<Ring> {
    for (const rings of this.#rings.values()) for (const ring of rings) if (ring) yield ring;
  }

  #ringOf(saleId: string, partition: number): Ring {
    let rings = this.#rings.get(saleId);
    if (!rings) {
      rings = [];
      this.#rings.set(saleId, rings);
    }
    let ring = rings[partition];
    if (!ring) {
      ring = { second: 0, kept: 0, waiting: [], passed: new Map() };
      rings[partition] = ring;
    }
    return ring;
  }
}
