// How many sockets there are, over all, of an address and of a member, against their bounds. Counted from the start of
// the handshake on, so that many at once cannot slip through together.
import { OnrushError } from "../../engine/errors.ts";
import type { StatusLimits } from "./limits.ts";

export class ConnectionCounts {
  readonly #limits: StatusLimits;
  readonly #byName = new Map<string, number>();
  #total = 0;

  constructor(limits: StatusLimits) {
    this.#limits = limits;
  }

  /** Takes a place for a connection. @returns what gives it back. @throws OnrushError with `OVERLOADED` or `RATE_LIMITED` */
  enter(address: string): () => void {
    if (this.#total >= this.#limits.connectionsMax) {
      throw new OnrushError("OVERLOADED", "Too many connections; try again later.");
    }
    const leave = this.#take(`address ${address}`, this.#limits.connectionsPerAddressMax);
    this.#total += 1;
    return () => {
      this.#total -= 1;
      leave();
    };
  }

  /** The same for a member, on top. */
  enterAs(customerId: string): () => void {
    return this.#take(`member ${customerId}`, this.#limits.connectionsPerUserMax);
  }

  #take(name: string, max: number): () => void {
    const count = this.#byName.get(name) ?? 0;
    if (count >= max) throw new OnrushError("RATE_LIMITED", "Too many connections of yours are open.");
    this.#byName.set(name, count + 1);
    return () => {
      const left = (this.#byName.get(name) ?? 1) - 1;
      if (left === 0) this.#byName.delete(name);
      else this.#byName.set(name, left);
    };
  }
}
