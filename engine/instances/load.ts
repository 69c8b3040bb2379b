// What a process has to do, measured between two beats: by its own monotonic clocks, as nothing is decided by it.
import { type EventLoopUtilization, monitorEventLoopDelay, performance } from "node:perf_hooks";

/** Of any process. */
export interface ProcessLoad {
  /** How late timers came, at worst but for one in a hundred. */
  readonly eventLoopDelayP99Ms: number;
  /** Which part of the time it did something, 0 to 1. */
  readonly eventLoopUtilization: number;
  /** Processors that it kept busy; above 1 where its threads had more than one. */
  readonly cpu: number;
  readonly rssBytes: number;
}

/** What roles count, each its own. Totals since the start are told as rates, whatever else is told as it stands. */
export interface RoleWork {
  readonly totals?: Readonly<Partial<Record<"orders" | "batches", number>>>;
  readonly standing?: Readonly<Partial<Record<StandingName, number>>>;
  /** Names of the partitions that a persister has the lease of. */
  readonly partitions?: readonly string[];
}

/** In flight: begun and not ended. */
export const STANDING = ["sockets", "partitions", "jobsInFlight", "paymentsInFlight", "deliveriesInFlight"] as const;
export type StandingName = (typeof STANDING)[number];
export const RATES = ["ordersPerSecond", "batchesPerSecond"] as const;
export type RateName = (typeof RATES)[number];

export type Load = ProcessLoad & Readonly<Partial<Record<RateName | StandingName, number>>>;

const RESOLUTION_MS = 20;
const NS_PER_MS = 1e6;
const RATE_OF = { orders: "ordersPerSecond", batches: "batchesPerSecond" } as const;

export class LoadMeter {
  readonly #work: () => RoleWork;
  readonly #delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  #atMs = performance.now();
  #cpu = process.cpuUsage();
  #utilization: EventLoopUtilization = performance.eventLoopUtilization();
  #totals: NonNullable<RoleWork["totals"]>;

  /** Measures from now on. */
  constructor(work: () => RoleWork) {
    this.#work = work;
    this.#totals = { ...work().totals };
    this.#delay.enable();
  }

  /** The load since the last call. */
  read(): { readonly load: Load; readonly partitions: readonly string[] } {
    const atMs = performance.now();
    const elapsedMs = Math.max(atMs - this.#atMs, 1);
    const cpu = process.cpuUsage();
    const utilization = performance.eventLoopUtilization();
    const { totals: counted, standing = {}, partitions = [] } = this.#work();
    const totals = { ...counted }; // they go on counting
    const before = this.#totals;
    const load: Load = {
      // A timer that is due at once still counts with its interval.
      eventLoopDelayP99Ms: rounded(Math.max(0, this.#delay.percentile(99) / NS_PER_MS - RESOLUTION_MS)),
      eventLoopUtilization: rounded(performance.eventLoopUtilization(utilization, this.#utilization).utilization),
      cpu: rounded((cpu.user + cpu.system - this.#cpu.user - this.#cpu.system) / 1_000 / elapsedMs),
      rssBytes: process.memoryUsage.rss(),
      ...Object.fromEntries(
        (["orders", "batches"] as const).flatMap((name) => {
          const total = totals[name];
          if (total === undefined) return [];
          return [[RATE_OF[name], rounded(((total - (before[name] ?? 0)) * 1_000) / elapsedMs)]];
        }),
      ),
      ...standing,
    };
    this.#delay.reset();
    [this.#atMs, this.#cpu, this.#utilization, this.#totals] = [atMs, cpu, utilization, totals];
    return { load, partitions };
  }

  stop(): void {
    this.#delay.disable();
  }
}

function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
