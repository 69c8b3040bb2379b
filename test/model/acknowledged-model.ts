// What an API process remembers of the orders that it acknowledged, until the ledger has them.
import type { LedgerModel } from "./ledger-model.ts";
import type { Report } from "./ledger-rows.ts";

export class AcknowledgedModel {
  #epoch = 0;
  #seq = 0;
  #entries = new Map<number, Map<string, number>>();

  note(
    at: { readonly epoch: number; readonly seq: number },
    lines: Iterable<readonly [sku: string, units: number]>,
  ): void {
    if (at.epoch > this.#epoch) {
      this.#epoch = at.epoch;
      this.#seq = 0;
      this.#entries = new Map();
    }
    if (at.epoch !== this.#epoch) return;
    this.#seq = Math.max(this.#seq, at.seq);
    const entry = this.#entries.get(at.seq) ?? new Map<string, number>();
    for (const [sku, units] of lines) entry.set(sku, (entry.get(sku) ?? 0) + units);
    this.#entries.set(at.seq, entry);
  }

  /** @returns what Postgres is told, `undefined`: nothing was ever acknowledged */
  report(ledger: LedgerModel): Report | undefined {
    if (this.#epoch === 0) return undefined;
    for (const seq of this.#entries.keys()) {
      if (ledger.epoch > this.#epoch || (ledger.epoch === this.#epoch && seq <= ledger.seq)) this.#entries.delete(seq);
    }
    const entries = new Map([...this.#entries].map(([seq, units]) => [seq, new Map(units)]));
    return { epoch: this.#epoch, seq: this.#seq, entries };
  }
}
