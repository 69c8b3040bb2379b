// What the crowd has seen so far: the figures of the live line, and the acknowledged orders that the proof looks for.

/** How an order ended, as its buyer was told. */
export type OrderEnd = { readonly status: "CONFIRMED" | "CANCELLED" | "REFUNDED"; readonly reason: string | undefined };

interface SeenOrder {
  readonly units: number;
  end: OrderEnd | undefined;
}

const RATE_WINDOW_MS = 1_000;

export class Tally {
  readonly #orders = new Map<string, SeenOrder>();
  readonly #refusals = new Map<string, number>();
  readonly #latenciesMs: number[] = [];
  #answeredAtMs: number[] = [];
  #unresolved = 0;
  #lastEndAtMs = 0;
  /** Buyers who were told SOLD_OUT and wait for a unit to come back. */
  waiting = 0;
  /** Answers from the key: 200 with `Idempotent-Replayed`. */
  replayed = 0;
  /** Two orders under one key: must stay 0. */
  splitKeys = 0;
  /** Requests without an answer, and answers that ask to try again; all asked again under the same key. */
  asksRepeated = 0;
  /** Buyers who never learnt what became of their order. */
  unanswered = 0;

  /** Notes the answer to a request for an order. `sentAtMs`, `nowMs`: of `performance.now()`. */
  answered(sentAtMs: number, nowMs: number): void {
    this.#latenciesMs.push(nowMs - sentAtMs);
    this.#answeredAtMs.push(nowMs);
  }

  refused(code: string): void {
    this.#refusals.set(code, (this.#refusals.get(code) ?? 0) + 1);
  }

  accepted(orderId: string, units: number): void {
    if (!this.#orders.has(orderId)) this.#orders.set(orderId, { units, end: undefined });
  }

  ended(orderId: string, end: OrderEnd, nowMs: number): void {
    const order = this.#orders.get(orderId);
    if (!order) return;
    order.end = end;
    this.#lastEndAtMs = nowMs;
  }

  /** A request whose answer was lost may hold units: counts until it is resolved. */
  unresolved(change: 1 | -1): void {
    this.#unresolved += change;
  }

  get acknowledged(): string[] {
    return [...this.#orders.keys()];
  }

  get refusals(): ReadonlyMap<string, number> {
    return this.#refusals;
  }

  get orders(): number {
    return this.#orders.size;
  }

  /** Accepted orders that are not at an end. */
  get paying(): number {
    return this.#count((order) => order.end === undefined);
  }

  get payingUnits(): number {
    return this.#units((order) => order.end === undefined);
  }

  /** Buyers whose last request found no answer, and who ask again. */
  get askingAgain(): number {
    return this.#unresolved;
  }

  /** Orders that may still give their units back; a request in doubt may be one. */
  get open(): number {
    return this.paying + this.askingAgain;
  }

  get lastEndAtMs(): number {
    return this.#lastEndAtMs;
  }

  get confirmed(): number {
    return this.#count((order) => order.end?.status === "CONFIRMED");
  }

  get compensated(): number {
    return this.#count((order) => order.end !== undefined && order.end.status !== "CONFIRMED");
  }

  get acceptedUnits(): number {
    return this.#units(() => true);
  }

  get confirmedUnits(): number {
    return this.#units((order) => order.end?.status === "CONFIRMED");
  }

  get answers(): number {
    return this.#latenciesMs.length;
  }

  /** The time within which `share` of all answers came, in ms. */
  latencyMs(share: number): number {
    const sorted = this.#latenciesMs.toSorted((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  }

  /** Answers within the last second. */
  answersPerSecond(nowMs: number): number {
    this.#answeredAtMs = this.#answeredAtMs.filter((at) => at > nowMs - RATE_WINDOW_MS);
    return this.#answeredAtMs.length;
  }

  #count(wanted: (order: SeenOrder) => boolean): number {
    let count = 0;
    for (const order of this.#orders.values()) if (wanted(order)) count += 1;
    return count;
  }

  #units(wanted: (order: SeenOrder) => boolean): number {
    let units = 0;
    for (const order of this.#orders.values()) if (wanted(order)) units += order.units;
    return units;
  }
}
