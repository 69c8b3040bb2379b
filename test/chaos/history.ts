// What the clients of a run saw, in the order in which they saw it. An operation is invoked and ends in one of three ways:
// `ok` it happened, `fail` it did not, `info` nobody knows (no answer, or one that leaves it open): it may have happened.
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";

export type Operation = "place" | "cancel" | "pay" | "read" | "deposit" | "refund";

export interface Line {
  readonly productId: string;
  readonly quantity: number;
}

/** What was asked. `op` counts operations; the retries of one are invoked again under the same number. */
export interface Asked {
  readonly op: number;
  readonly operation: Operation;
  readonly buyer: string;
  /** Of a placement. */
  readonly key?: string;
  readonly items?: readonly Line[];
  readonly payment?: { readonly method: string; readonly token?: string };
  readonly couponCode?: string;
  readonly points?: number;
  /** Of everything else. */
  readonly orderId?: string;
}

export interface Learned {
  readonly status?: number;
  readonly code?: string;
  readonly orderId?: string;
  readonly orderStatus?: string;
  readonly version?: number;
  readonly replayed?: boolean;
  /** Where the receipt says that the order stands in the log. */
  readonly position?: LogPosition;
}

export interface LogPosition {
  readonly partition: number;
  readonly epoch: number;
  readonly seq: number;
}

export type HistoryEvent = { readonly at: number } & (
  | ({ readonly type: "invoke"; readonly attempt: number } & Asked)
  | ({ readonly type: "ok" | "fail" | "info"; readonly op: number; readonly attempt: number } & Learned)
);

export interface Counts {
  readonly accepted: number;
  readonly refused: number;
  /** Placements that were in doubt at some time, and those that stayed so. */
  readonly unknown: number;
  readonly unresolved: number;
}

export class History {
  readonly events: HistoryEvent[] = [];
  readonly #startedAt = performance.now();
  #operations = 0;
  #accepted = 0;

  /** Milliseconds since the history began. */
  get now(): number {
    return Math.round((performance.now() - this.#startedAt) * 1_000) / 1_000;
  }

  /** Placements that were answered with acceptance so far. */
  get accepted(): number {
    return this.#accepted;
  }

  nextOperation(): number {
    this.#operations += 1;
    return this.#operations;
  }

  invoke(asked: Asked, attempt: number): void {
    this.events.push({ type: "invoke", at: this.now, attempt, ...asked });
  }

  end(type: "ok" | "fail" | "info", asked: Asked, attempt: number, learned: Learned): void {
    if (type === "ok" && asked.operation === "place") this.#accepted += 1;
    this.events.push({ type, at: this.now, op: asked.op, attempt, ...learned });
  }

  /** Writes it as JSON lines. @returns the file */
  write(folder: string, name: string): string {
    mkdirSync(folder, { recursive: true });
    const file = path.join(folder, `${name}.jsonl`);
    writeFileSync(file, this.events.map((event) => `${JSON.stringify(event)}\n`).join(""));
    return file;
  }
}

/** One placement with all of its attempts, folded from the history. */
export interface Placement {
  readonly op: number;
  readonly buyer: string;
  readonly key: string;
  readonly items: readonly Line[];
  readonly payment: { readonly method: string; readonly token?: string } | undefined;
  readonly couponCode: string | undefined;
  readonly points: number | undefined;
  /** Order ids that its answers named as accepted. */
  readonly orderIds: readonly string[];
  /** Where those that showed a receipt stand in the log. */
  readonly positions: ReadonlyMap<string, LogPosition>;
  /** When (by the history's clock) an order was first named as accepted. */
  readonly acknowledgedAt: ReadonlyMap<string, number>;
  /** Some attempt ended without anybody knowing how, or has not ended. */
  readonly inDoubt: boolean;
  readonly refused: boolean;
}

/** Folds the history into placements. Pure. */
export function placementsOf(events: readonly HistoryEvent[]): Placement[] {
  const placements = new Map<
    number,
    Placement & {
      orderIds: string[];
      positions: Map<string, LogPosition>;
      acknowledgedAt: Map<string, number>;
      inDoubt: boolean;
      refused: boolean;
      open: number;
    }
  >();
  for (const event of events) {
    if (event.type === "invoke") {
      if (event.operation !== "place") continue;
      const known = placements.get(event.op);
      if (known) known.open += 1;
      else {
        const { op, buyer, key = "", items = [], payment, couponCode, points } = event;
        const told = { orderIds: [], positions: new Map(), acknowledgedAt: new Map() };
        const ends = { ...told, inDoubt: false, refused: false, open: 1 };
        placements.set(op, { op, buyer, key, items, payment, couponCode, points, ...ends });
      }
      continue;
    }
    const placement = placements.get(event.op);
    if (!placement) continue;
    placement.open -= 1;
    if (event.type === "info") placement.inDoubt = true;
    if (event.type === "fail") placement.refused = true;
    if (event.type !== "ok" || event.orderId === undefined) continue;
    if (event.position) placement.positions.set(event.orderId, event.position);
    if (placement.orderIds.includes(event.orderId)) continue;
    placement.orderIds.push(event.orderId);
    placement.acknowledgedAt.set(event.orderId, event.at);
  }
  return [...placements.values()].map(({ open, ...placement }) => ({
    ...placement,
    inDoubt: placement.inDoubt || open > 0,
  }));
}

export function countsOf(placements: readonly Placement[]): Counts {
  return {
    accepted: placements.filter((placement) => placement.orderIds.length > 0).length,
    refused: placements.filter((placement) => placement.refused && placement.orderIds.length === 0).length,
    unknown: placements.filter((placement) => placement.inDoubt).length,
    unresolved: placements.filter((placement) => placement.inDoubt && placement.orderIds.length === 0).length,
  };
}
