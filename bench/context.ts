// What all groups of scenarios share: the options, the measurements, the faults found, and how progress is told. No figure is
// said before the books of its group were counted and found right.
import { addFaults, type Faults } from "./books.ts";
import { type Figure, Measurements, type Scenario } from "./figures.ts";
import type { Killed } from "./groups/peers-killed.ts";
import { type Burst, type BurstShape, runBurst, type Target } from "./load/burst.ts";
import type { PointOf, Points, SeriesName } from "./series.ts";

export interface Options {
  readonly quick: boolean;
  readonly json: boolean;
  readonly only: ReadonlySet<Scenario>;
  /** Seconds of one measurement, and of one burst with everything running. */
  readonly seconds: number;
  readonly burstSeconds: number;
  /** Seconds for which a steady rate has to be kept up with. */
  readonly sustainedSeconds: number;
  /** Rounds of short measurements, and of those that drain what they made. */
  readonly shortRounds: number;
  readonly longRounds: number;
  /** Orders in the log that the persister gets a round. */
  readonly persistOrders: number;
  /** Reservations that end at once. */
  readonly expiryOrders: number;
  /** Orders in one sale, at most, when the cost of the next one is measured. */
  readonly depthOrdersMax: number;
  /** Seconds of a steady stream beside the reconciler. */
  readonly reconcileSeconds: number;
  /** Seconds at each fixed rate whose latencies are measured. */
  readonly latencySeconds: number;
  /** Seconds of full load over which the API's memory is watched. */
  readonly fullLoadSeconds: number;
  /** Sockets that wait for their orders' news, orders a second for them, and for how long. */
  readonly sockets: number;
  readonly socketOrdersPerSecond: number;
  readonly socketSeconds: number;
  readonly connections: number;
  /** Results files to write the report from, instead of measuring. */
  readonly report?: readonly string[];
}

/** What bursts cost in processor time, and how busy the generator was. */
export interface Cost {
  readonly scenario: string;
  readonly serverCpuUs: number | null;
  readonly generatorCpuUs: number;
  readonly generatorBusy: number;
}

export class Context {
  readonly options: Options;
  readonly measurements = new Measurements();
  readonly costs: Cost[] = [];
  readonly killed: Killed[] = [];
  faults: Faults = { oversold: 0, lost: 0, duplicated: 0 };
  postgresVersion: string | undefined;
  readonly #points: Points = {};
  /** What is said once the books were counted, and whether they were since there was something to say. */
  #held: string[] = [];
  #isCounted = true;

  readonly #write: (line: string) => void;

  constructor(options: Options, write: (line: string) => void = (line) => process.stderr.write(`${line}\n`)) {
    this.options = options;
    this.#write = write;
  }

  wants(...scenarios: Scenario[]): boolean {
    return scenarios.some((scenario) => this.options.only.has(scenario));
  }

  readonly say = (line: string): void => {
    this.#write(line);
  };

  record(round: string, figure: Figure, value: number): void {
    this.measurements.add(round, figure, value);
    this.note(`  ${round}  ${figure.padEnd(22)} ${value >= 100 ? Math.round(value) : value.toFixed(2)}`);
  }

  /** One point of a curve, of as many rounds as there are. */
  point<Name extends SeriesName>(series: Name, point: PointOf<Name>): void {
    this.#points[series] = [...(this.#points[series] ?? []), point] as Points[Name];
    if (series === "rss") return; // its plot says it better than its lines
    const told = JSON.stringify(point, (_key, value) => (typeof value === "number" ? rounded(value) : value));
    this.note(`  ${series}  ${told}`);
  }

  get points(): Points {
    return this.#points;
  }

  /** Says a line that tells a figure, when the group's books have been counted. */
  note(line: string): void {
    this.#held.push(line);
    this.#isCounted = false;
  }

  /**
   * At the end of a group: says what was held back, when the books are right.
   * @throws when something was measured and nothing counted after it
   */
  settle(): void {
    if (!this.#isCounted) throw new Error("something was measured, and no books were counted after it");
    if (!hasFaults(this.faults)) for (const line of this.#held) this.say(line);
    this.#held = [];
  }

  /** Runs one burst and remembers its cost. */
  async burst(target: Target, shape?: Partial<BurstShape>): Promise<Burst> {
    const { seconds, connections } = this.options;
    const burst = await runBurst(target, { seconds, connections, ...shape });
    const { serverCpuUs, generatorCpuUs, generatorBusy } = burst;
    this.costs.push({ scenario: target.name, serverCpuUs, generatorCpuUs, generatorBusy });
    return burst;
  }

  /** The same, its rate being a figure. */
  async measure(round: string, figure: Figure, target: Target, shape?: Partial<BurstShape>): Promise<Burst> {
    const burst = await this.burst(target, shape);
    this.record(round, figure, burst.perSecond);
    return burst;
  }

  /** Adds what an audit found; says so when it is anything. */
  audit(what: string, found: Faults): void {
    this.#isCounted = true;
    this.faults = addFaults(this.faults, found);
    if (hasFaults(found)) this.say(`  ${what}: ${JSON.stringify(found)}`);
  }
}

export function hasFaults({ oversold, lost, duplicated }: Faults): boolean {
  return oversold + lost + duplicated > 0;
}

function rounded(value: number): number {
  return value >= 100 ? Math.round(value) : Number(value.toFixed(2));
}
