// What this process has acknowledged and Postgres does not have yet, reported to Postgres a few times a second. When Redis
// loses its data, the reports say which numbers existed and how many units they held: what a rebuild must hold back, and
// no more.
import type { Placement, PlaceOutcome } from "../admission/place.ts";
import type { Partition } from "../keys.ts";
import { partitionName } from "../keys.ts";
import type { Queryable } from "../ledger/database.ts";
import { type AcknowledgedEntry, appliedSeqs, reportAcknowledged } from "../ledger/recovery.ts";

/** A loss within this time before it goes unreported: those orders' receipts prove them all the same. */
export const REPORT_EVERY_MS = 250;
/** Entries remembered for one partition; beyond it the oldest are merged into one. */
const ENTRIES_MAX = 1_000;

interface Unpersisted {
  readonly at: Partition;
  readonly epoch: number;
  readonly entries: Map<number, Map<string, number>>;
  seq: number;
  changed: boolean;
}

export class AcknowledgedLog {
  readonly #process: string;
  readonly #db: Queryable;
  readonly #onError: (error: unknown) => void;
  readonly #partitions = new Map<string, Unpersisted>();
  #timer: NodeJS.Timeout | undefined;
  #reporting: Promise<void> | undefined;

  /** @param process a name of this process that no other has */
  constructor(process: string, db: Queryable, onError: (error: unknown) => void) {
    this.#process = process;
    this.#db = db;
    this.#onError = onError;
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.#reporting ??= this.report()
        .catch(this.#onError)
        .finally(() => {
          this.#reporting = undefined;
        });
    }, REPORT_EVERY_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Takes note of what a call of place.lua accepted. */
  noteOutcomes(at: Partition, placements: readonly Placement[], outcomes: readonly PlaceOutcome[]): void {
    const units = new Map<string, number>();
    let position: { epoch: number; seq: number } | undefined;
    for (const [i, outcome] of outcomes.entries()) {
      if (outcome.type !== "ACCEPTED") continue;
      // One entry a call; an order that an earlier call had accepted names its own.
      if (position && position.seq !== outcome.seq) {
        this.note(at, position.epoch, position.seq, units);
        units.clear();
      }
      position = outcome;
      for (const { productId, quantity } of placements[i]?.lines ?? []) {
        units.set(productId, (units.get(productId) ?? 0) + quantity);
      }
    }
    if (position) this.note(at, position.epoch, position.seq, units);
  }

  /** Takes note of units accepted under a number of the partition's log. */
  note(at: Partition, epoch: number, seq: number, units: Iterable<readonly [sku: string, units: number]>): void {
    const name = partitionName(at);
    let known = this.#partitions.get(name);
    if (!known || known.epoch < epoch) {
      known = { at, epoch, entries: new Map(), seq: 0, changed: true };
      this.#partitions.set(name, known);
    }
    if (known.epoch !== epoch) return;
    const entry = known.entries.get(seq) ?? new Map<string, number>();
    known.entries.set(seq, entry);
    for (const [sku, count] of units) entry.set(sku, (entry.get(sku) ?? 0) + count);
    known.seq = Math.max(known.seq, seq);
    known.changed = true;
    if (known.entries.size > ENTRIES_MAX) mergeOldest(known.entries);
  }

  /** Forgets what Postgres has by now, and reports the rest. */
  async report(): Promise<void> {
    const active = [...this.#partitions.values()].filter((known) => known.changed || known.entries.size > 0);
    if (active.length === 0) return;
    const applied = await appliedSeqs(
      this.#db,
      active.map(({ at }) => at),
    );
    for (const known of active) {
      const row = applied.get(partitionName(known.at));
      if (!row) continue;
      for (const seq of known.entries.keys()) {
        if (row.epoch > known.epoch || (row.epoch === known.epoch && seq <= row.seq)) known.entries.delete(seq);
      }
    }
    const reports = active.map(({ at, epoch, seq, entries }) => ({
      ...at,
      epoch,
      seq,
      entries: [...entries].map(([of, units]): AcknowledgedEntry => ({ seq: of, units: Object.fromEntries(units) })),
    }));
    for (const known of active) known.changed = false;
    await reportAcknowledged(this.#db, this.#process, reports);
  }
}

// Their sum under the later number: held back if either is lost. Entries come in the order of their numbers, or nearly so,
// and a Map keeps it: the oldest are found without a search, which matters as this runs once a call while Postgres is behind.
function mergeOldest(entries: Map<number, Map<string, number>>): void {
  const keys = entries.keys();
  const [oldest, next] = [keys.next().value, keys.next().value];
  if (oldest === undefined || next === undefined) return;
  const [from, into] = oldest < next ? [oldest, next] : [next, oldest];
  const sum = entries.get(into);
  for (const [sku, units] of entries.get(from) ?? []) sum?.set(sku, (sum.get(sku) ?? 0) + units);
  entries.delete(from);
}
