// What a partition ought to do, in plain TypeScript and as slowly as it likes: the judge of the Lua scripts. It knows no
// Redis, no clock and no encoding; time does not pass in it.

export interface ModelLine {
  readonly sku: string;
  readonly units: number;
}

export interface ModelOrder {
  readonly id: string;
  readonly buyer: string;
  /** Absent: the order carries no idempotency key. */
  readonly key?: { readonly scope: string; readonly hash: string } | undefined;
  readonly lines: readonly ModelLine[];
}

export type ModelVerdict =
  | { readonly type: "ACCEPTED"; readonly reservation: number }
  | { readonly type: "KNOWN"; readonly reservation: number; readonly seq: number }
  | { readonly type: "REPLAY"; readonly orderId: string }
  | { readonly type: "CONFLICT" }
  | { readonly type: "NOT_OPEN" }
  | { readonly type: "UNKNOWN_SKU"; readonly sku: string }
  | { readonly type: "LIMIT"; readonly sku: string; readonly limit: number; readonly used: number }
  | { readonly type: "SOLD_OUT"; readonly sku: string; readonly available: number };

export type ModelHoldVerdict = "MOVED" | "ALREADY" | "MISMATCH" | "ABSENT";
export type ModelRestockVerdict =
  | { readonly type: "MOVED" | "REPEATED"; readonly seq: number }
  | { readonly type: "INSUFFICIENT"; readonly available: number }
  | { readonly type: "UNKNOWN_SKU" };

interface Hold {
  readonly reservation: number;
  readonly seq: number;
  readonly buyer: string;
  readonly lines: readonly (ModelLine & { readonly counted: boolean })[];
}

interface Stock {
  allocated: number;
  available: number;
  reserved: number;
  sold: number;
  limit: number;
}

export class PartitionModel {
  seq = 0;
  reservation = 0;
  open = true;
  readonly stock = new Map<string, Stock>();
  readonly holds = new Map<string, Hold>();
  /** Units held and bought, by buyer and product. */
  readonly used = new Map<string, number>();
  readonly #ended = new Map<string, { reservation: number; seq: number }>();
  readonly #keys = new Map<string, { orderId: string; hash: string }>();
  readonly #movements = new Map<string, number>();

  /** Adds products that are new, without units, and sets the limits (0: none) of all that are named. */
  configure(limits: Readonly<Record<string, number>>): void {
    for (const [sku, limit] of Object.entries(limits)) {
      const stock = this.stock.get(sku);
      if (stock) stock.limit = limit;
      else this.stock.set(sku, { allocated: 0, available: 0, reserved: 0, sold: 0, limit });
    }
  }

  /** Orders of one call: each sees what those before it took; the accepted ones share one seq. */
  place(orders: readonly ModelOrder[]): ModelVerdict[] {
    const seq = this.seq + 1;
    const verdicts = orders.map((order) => this.#decide(order, seq));
    if (verdicts.some(({ type }) => type === "ACCEPTED")) this.seq = seq;
    return verdicts;
  }

  settle(holds: readonly (readonly [id: string, reservation: number])[]): ModelHoldVerdict[] {
    return this.#end(holds, ({ lines }) => {
      for (const { sku, units } of lines) {
        const stock = this.#stockOf(sku);
        stock.reserved -= units;
        stock.sold += units;
      }
    });
  }

  release(holds: readonly (readonly [id: string, reservation: number])[]): ModelHoldVerdict[] {
    return this.#end(holds, ({ buyer, lines }) => {
      for (const { sku, units, counted } of lines) {
        const stock = this.#stockOf(sku);
        stock.reserved -= units;
        stock.available += units;
        if (counted) this.#use(buyer, sku, -units);
      }
    });
  }

  restock(movementId: string, sku: string, quantity: number): ModelRestockVerdict {
    const before = this.#movements.get(movementId);
    if (before !== undefined) return { type: "REPEATED", seq: before };
    const stock = this.stock.get(sku);
    if (!stock) return { type: "UNKNOWN_SKU" };
    if (stock.available + quantity < 0) return { type: "INSUFFICIENT", available: stock.available };
    this.seq += 1;
    stock.allocated += quantity;
    stock.available += quantity;
    this.#movements.set(movementId, this.seq);
    return { type: "MOVED", seq: this.seq };
  }

  /** What is wrong with the books; empty when they balance. */
  problems(): string[] {
    const held = new Map<string, number>();
    for (const { lines } of this.holds.values()) {
      for (const { sku, units } of lines) held.set(sku, (held.get(sku) ?? 0) + units);
    }
    return [...this.stock].flatMap(([sku, { allocated, available, reserved, sold }]) => [
      ...(allocated === available + reserved + sold ? [] : [`${sku}: ${allocated} units are not accounted for`]),
      ...(Math.min(available, reserved, sold) >= 0 ? [] : [`${sku}: fewer than no units`]),
      ...((held.get(sku) ?? 0) === reserved ? [] : [`${sku}: ${reserved} reserved, ${held.get(sku) ?? 0} held`]),
    ]);
  }

  #decide({ id, buyer, key, lines }: ModelOrder, seq: number): ModelVerdict {
    const known = this.holds.get(id) ?? this.#ended.get(id);
    if (known) return { type: "KNOWN", reservation: known.reservation, seq: known.seq };
    const first = key && this.#keys.get(key.scope);
    if (first) return first.hash === key.hash ? { type: "REPLAY", orderId: first.orderId } : { type: "CONFLICT" };
    if (!this.open) return { type: "NOT_OPEN" };

    const wanted = new Map<string, number>();
    for (const { sku, units } of lines) {
      if (!this.stock.has(sku)) return { type: "UNKNOWN_SKU", sku };
      wanted.set(sku, (wanted.get(sku) ?? 0) + units);
    }
    for (const [sku, units] of wanted) {
      const { limit } = this.#stockOf(sku);
      const used = this.used.get(`${buyer}|${sku}`) ?? 0;
      if (limit > 0 && used + units > limit) return { type: "LIMIT", sku, limit, used };
    }
    for (const [sku, units] of wanted) {
      const { available } = this.#stockOf(sku);
      if (available < units) return { type: "SOLD_OUT", sku, available };
    }

    this.reservation += 1;
    for (const [sku, units] of wanted) {
      const stock = this.#stockOf(sku);
      stock.available -= units;
      stock.reserved += units;
      if (stock.limit > 0) this.#use(buyer, sku, units);
    }
    this.holds.set(id, {
      reservation: this.reservation,
      seq,
      buyer,
      lines: [...wanted].map(([sku, units]) => ({ sku, units, counted: this.#stockOf(sku).limit > 0 })),
    });
    if (key) this.#keys.set(key.scope, { orderId: id, hash: key.hash });
    return { type: "ACCEPTED", reservation: this.reservation };
  }

  #end(holds: readonly (readonly [id: string, reservation: number])[], move: (hold: Hold) => void): ModelHoldVerdict[] {
    const verdicts = holds.map(([id, reservation]): ModelHoldVerdict => {
      const hold = this.holds.get(id);
      if (!hold) return this.#ended.has(id) ? "ALREADY" : "ABSENT";
      if (hold.reservation !== reservation) return "MISMATCH";
      move(hold);
      this.holds.delete(id);
      this.#ended.set(id, { reservation, seq: hold.seq });
      return "MOVED";
    });
    if (verdicts.includes("MOVED")) this.seq += 1;
    return verdicts;
  }

  #use(buyer: string, sku: string, units: number): void {
    const field = `${buyer}|${sku}`;
    const used = (this.used.get(field) ?? 0) + units;
    if (used > 0) this.used.set(field, used);
    else this.used.delete(field);
  }

  #stockOf(sku: string): Stock {
    const stock = this.stock.get(sku);
    if (!stock) throw new Error(`the model has no ${sku}`);
    return stock;
  }
}
