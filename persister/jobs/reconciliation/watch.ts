// The comparison of one partition, pass after pass. Figures are compared in every pass. What reads whole hashes goes beside
// the passes, one partition after the other, so that it holds none of them up. What reads whole tables or hashes is due
// again after a pause that grows with what it took, so that its share of the machine stays the same however much there is;
// a count of holds that is off brings its turn forward. A drift counts when it was seen twice, and the second look asks
// only about what the first one suspected.
import { type Partition, partitionName } from "../../../engine/keys.ts";
import type { Position } from "../../../engine/movement.ts";
import { type Drift, fingerprintOf } from "../../../engine/reconciliation/drift.ts";
import {
  type Counted,
  limitFieldsOf,
  lookAtFigures,
  ordersOf,
  seenTwice,
  withoutConsequences,
} from "../../../engine/reconciliation/inspect.ts";
import {
  compareHolds,
  compareLimitUse,
  judgeHolds,
  judgeLimitUse,
  type Servers,
} from "../../../engine/reconciliation/records.ts";
import type { PassResult } from "../../../engine/reconciliation/results.ts";
import { type Patience, Uncertain } from "../../../engine/reconciliation/waiting.ts";

/** Of the time, for each of the wide comparisons of all partitions together; more where that were too seldom. */
const SHARE = 1 / 30;
const SHARE_MAX = 1 / 4;
/** A drift has to be found within 5 s, by two passes. */
const PAUSE_MS_MAX = 2_000;
const PAUSE_AFTER_FAILURE_MS = 60_000;
/** At the soonest after the last time, in ms. */
const PAUSE_MS_MIN = { census: 1_000, holds: 1_500, limits: 1_500 } as const;
/** More than this is more than anybody reads. */
const DRIFTS_MAX = 1_000;

/** One of the comparisons: what it saw last, and of that what it had seen before. */
class Finding {
  /** On the clock of `performance.now()`. */
  dueAt = 0;
  suspects: readonly Drift[] = [];
  confirmed: readonly Drift[] = [];

  take(drifts: readonly Drift[]): void {
    this.confirmed = seenTwice(this.suspects, drifts);
    this.suspects = drifts;
  }

  dueAfter(startedAt: number, pauseMsMin: number, partitions: number): void {
    const now = performance.now();
    const tookMs = (now - startedAt) * partitions;
    this.dueAt = now + Math.max(pauseMsMin, Math.min(tookMs / SHARE, Math.max(PAUSE_MS_MAX, tookMs / SHARE_MAX)));
  }
}

export class PartitionWatch {
  readonly #at: Partition;
  readonly #turns: Turns;
  readonly #figures = new Finding();
  readonly #census = new Finding();
  readonly #holds = new Finding();
  readonly #limits = new Finding();
  #counted: Counted | undefined;
  #isSweeping = false;
  /** A difference in the number of holds that a comparison of all of them did not explain by any drift. */
  #holdsOffKnown = 0;

  get name(): string {
    return partitionName(this.#at);
  }

  constructor(at: Partition, turns: Turns) {
    this.#at = at;
    this.#turns = turns;
  }

  /** One pass. @param partitions how many share the machine's time @throws what Postgres throws */
  async pass(servers: Servers, patience: Patience, partitions: number): Promise<PassResult> {
    const startedAt = performance.now();
    let position: Position | undefined;
    let reason: string | null = null;
    try {
      position = await this.#compare(servers, patience, partitions);
    } catch (error) {
      if (error instanceof Uncertain) reason = error.message;
      else if (await answers(servers)) throw error;
      else reason = "Redis does not answer.";
    }
    const findings = [this.#figures, this.#census, this.#holds, this.#limits];
    // What follows from something that was seen once only is not told before that is.
    const suspects = unique(findings.flatMap((finding) => finding.suspects));
    const causes = new Set(withoutConsequences(suspects).map(fingerprintOf));
    const confirmed = unique(findings.flatMap((finding) => finding.confirmed));
    const drifts = confirmed.filter((drift) => causes.has(fingerprintOf(drift))).slice(0, DRIFTS_MAX);
    return {
      ...this.#at,
      verdict: reason !== null ? "UNCERTAIN" : drifts.length > 0 ? "DRIFT" : "CLEAN",
      reason,
      position,
      durationMs: performance.now() - startedAt,
      drifts: reason === null ? drifts : [],
      open: reason === null ? causes : undefined,
    };
  }

  async #compare(servers: Servers, patience: Patience, partitions: number): Promise<Position> {
    const startedAt = performance.now();
    const isSuspicious = [this.#census, this.#holds, this.#limits].some(({ suspects }) => suspects.length > 0);
    const counting = startedAt >= this.#census.dueAt || isSuspicious;
    const look = await lookAtFigures(servers, this.#at, patience, counting).catch((error) => {
      // Should counting fail, by what it takes, the next passes go without.
      if (counting && !(error instanceof Uncertain)) this.#census.dueAt = startedAt + PAUSE_AFTER_FAILURE_MS;
      throw error;
    });
    this.#figures.take(look.drifts);
    if (look.counted) {
      this.#counted = look.counted;
      this.#census.take(look.counted.drifts);
      this.#census.dueAfter(startedAt, PAUSE_MS_MIN.census, partitions);
      if (look.counted.holdsOff !== this.#holdsOffKnown) this.#holds.dueAt = 0;
    }
    this.#sweepInTurn(servers, patience, partitions, look.counted?.holdsOff);
    return look.position;
  }

  /** Begins the wide comparisons that are due, beside the passes; what they find counts when they are done. */
  #sweepInTurn(servers: Servers, patience: Patience, partitions: number, holdsOff: number | undefined): void {
    const now = performance.now();
    const isDue = [this.#holds, this.#limits].some(({ dueAt, suspects }) => now >= dueAt || suspects.length > 0);
    if (this.#isSweeping || !isDue) return;
    this.#isSweeping = true;
    this.#turns.take(async () => {
      try {
        if (patience.signal?.aborted) return;
        await this.#compareHolds(servers, patience, partitions, holdsOff);
        await this.#compareLimits(servers, patience, partitions);
      } catch {
        // Uncertain, or a server is away: the passes say so, and this comes again.
      } finally {
        this.#isSweeping = false;
      }
    });
  }

  async #compareHolds(
    servers: Servers,
    patience: Patience,
    partitions: number,
    holdsOff: number | undefined,
  ): Promise<void> {
    const startedAt = performance.now();
    if (this.#holds.suspects.length > 0) {
      this.#holds.take(await judgeHolds(servers, this.#at, ordersOf(this.#holds.suspects), patience));
      return;
    }
    if (startedAt < this.#holds.dueAt) return;
    this.#holds.take(await compareHolds(servers, this.#at, patience));
    this.#holds.dueAfter(startedAt, PAUSE_MS_MIN.holds, partitions);
    if (holdsOff !== undefined) this.#holdsOffKnown = this.#holds.suspects.length === 0 ? holdsOff : 0;
  }

  async #compareLimits(servers: Servers, patience: Patience, partitions: number): Promise<void> {
    const startedAt = performance.now();
    const limited = this.#counted?.limited;
    if (!limited) return;
    if (this.#limits.suspects.length > 0) {
      const fields = limitFieldsOf(this.#limits.suspects);
      this.#limits.take(await judgeLimitUse(servers, this.#at, fields, limited, patience));
      return;
    }
    if (startedAt < this.#limits.dueAt) return;
    this.#limits.take(await compareLimitUse(servers, this.#at, limited, patience));
    this.#limits.dueAfter(startedAt, PAUSE_MS_MIN.limits, partitions);
  }
}

/** Wide comparisons, one after the other over all partitions: they are to take their time, and no more of the machine. */
export class Turns {
  #last: Promise<void> = Promise.resolve();

  take(work: () => Promise<void>): void {
    this.#last = this.#last.then(work);
  }

  /** Resolves when none is under way any more. */
  async end(): Promise<void> {
    await this.#last;
  }
}

function unique(drifts: readonly Drift[]): Drift[] {
  return [...new Map(drifts.map((drift) => [fingerprintOf(drift), drift])).values()];
}

async function answers({ redis }: Servers): Promise<boolean> {
  return await redis.ping().then(
    () => true,
    () => false,
  );
}
