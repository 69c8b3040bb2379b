// One watched order: its newest state that this process knows, and who watches it. Every version goes to its watchers in
// order, also those that passed between two reads: the timeline has them.
import type { OrderView } from "../orders/representation.ts";
import { viewAt } from "./order-views.ts";
import { stateMessage } from "./protocol.ts";
import type { Frame, Subscription } from "./subscription.ts";

export class OrderChannel {
  readonly name: string;
  readonly subscriptions = new Set<Subscription>();
  /** Subscribers whose first look at the order is under way. */
  opening = 0;
  /** The highest version that a notice told of. */
  noticed = 0;
  #view: OrderView | undefined;
  #snapshot: Frame | undefined;

  constructor(name: string) {
    this.name = name;
  }

  get view(): OrderView | undefined {
    return this.#view;
  }

  /** 0 before the first look. */
  get version(): number {
    return this.#view?.version ?? 0;
  }

  /** Takes a newer state, and sends what leads to it. */
  advance(view: OrderView): void {
    const from = this.version;
    if (view.version <= from) return;
    this.#view = view;
    this.#snapshot = undefined;
    if (this.subscriptions.size === 0) return;
    for (const frame of this.eventsSince(from)) {
      for (const subscription of this.subscriptions) subscription.offer(frame);
    }
  }

  /** The newest state. */
  snapshot(): Frame | undefined {
    const view = this.#view;
    if (!view) return undefined;
    this.#snapshot ??= {
      version: view.version,
      message: stateMessage("snapshot", this.name, view.version, JSON.stringify(view)),
    };
    return this.#snapshot;
  }

  /** Each version after `version`, in order. */
  *eventsSince(version: number): Generator<Frame> {
    const view = this.#view;
    if (!view) return;
    for (let next = version + 1; next <= view.version; next += 1) {
      const then = viewAt(view, next);
      if (then) yield { version: next, message: stateMessage("event", this.name, next, JSON.stringify(then)) };
    }
  }
}
