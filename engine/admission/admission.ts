// Admission: one batcher a partition in front of place.lua.
import type { PlaceCall } from "../durability/durability.ts";
import { type Partition, partitionName } from "../keys.ts";
import type { KnownPositions } from "../stock/known-positions.ts";
import { Batcher } from "./batcher.ts";
import {
  LINES_PER_CALL_MAX,
  ORDERS_PER_CALL_MAX,
  type Placement,
  type PlaceOptions,
  type PlaceOutcome,
  placeBatch,
} from "./place.ts";

export interface AdmissionOptions extends PlaceOptions {
  /** Orders that one call carries at most, from 1 to {@link ORDERS_PER_CALL_MAX}. */
  readonly ordersPerCallMax: number;
  /** Calls that may be out for one partition at the same time. */
  readonly callsInFlightMax: number;
  /** Orders that may wait for one partition; further ones are refused as overloaded. */
  readonly waitingMax: number;
  /** Told of each call's outcomes before their buyers are. */
  readonly onDecided?: (
    partition: Partition,
    epoch: number,
    placements: readonly Placement[],
    outcomes: readonly PlaceOutcome[],
  ) => void;
}

export const ADMISSION_DEFAULTS: AdmissionOptions = {
  backlogMax: 200_000,
  retryForMs: 3_000,
  ordersPerCallMax: ORDERS_PER_CALL_MAX,
  callsInFlightMax: 2,
  waitingMax: 20_000,
};

export class Admission {
  readonly #call: PlaceCall;
  readonly #positions: KnownPositions;
  #options: AdmissionOptions;
  #isPaused = false;
  readonly #batchers = new Map<string, Batcher<Placement, PlaceOutcome>>();

  constructor(call: PlaceCall, positions: KnownPositions, options: AdmissionOptions = ADMISSION_DEFAULTS) {
    this.#call = call;
    this.#positions = positions;
    this.#options = options;
  }

  /** Puts other limits in force, for the calls that begin from now on. Paused, it refuses everything as overloaded. */
  configure({ backlogMax, isPaused }: { readonly backlogMax: number; readonly isPaused: boolean }): void {
    this.#options = { ...this.#options, backlogMax };
    this.#isPaused = isPaused;
  }

  /** Decides one order. The outcome says everything; a rejection is a defect. */
  place(partition: Partition, epoch: number, placement: Placement): Promise<PlaceOutcome> {
    if (this.#isPaused) return Promise.resolve({ type: "OVERLOADED", cause: "paused" });
    const batcher = this.#batcher(partition, epoch);
    if (batcher.isFull) return Promise.resolve({ type: "OVERLOADED", cause: "queue" });
    return batcher.submit(placement);
  }

  /** Orders that wait for a call, over all partitions. */
  get waiting(): number {
    let waiting = 0;
    for (const batcher of this.#batchers.values()) waiting += batcher.waiting;
    return waiting;
  }

  #batcher(partition: Partition, epoch: number): Batcher<Placement, PlaceOutcome> {
    // A new epoch gets a batcher of its own: no batch mixes what was admitted under different epochs.
    const name = `${partitionName(partition)}@${epoch}`;
    let batcher = this.#batchers.get(name);
    if (!batcher) {
      batcher = new Batcher({
        execute: async (placements) => {
          const outcomes = await placeBatch(this.#call, this.#positions, partition, epoch, placements, this.#options);
          this.#options.onDecided?.(partition, epoch, placements, outcomes);
          return outcomes;
        },
        weightOf: (placement) => placement.lines.length,
        itemsMax: Math.min(this.#options.ordersPerCallMax, ORDERS_PER_CALL_MAX),
        weightMax: LINES_PER_CALL_MAX,
        inFlightMax: this.#options.callsInFlightMax,
        waitingMax: this.#options.waitingMax,
      });
      this.#batchers.set(name, batcher);
    }
    return batcher;
  }
}
