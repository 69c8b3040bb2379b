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

export type ModelRefusal =
  | { readonly type: "REPLAY"; readonly orderId: string }
  | { readonly type: "CONFLICT" }
  | { readonly type: "NOT_OPEN" }
  | { readonly type: "BACKLOG" }
  | { readonly type: "UNKNOWN_SKU"; readonly sku: string }
  | { readonly type: "LIMIT"; readonly sku: string; readonly limit: number; readonly used: number }
  | { readonly type: "SOLD_OUT"; readonly sku: string; readonly available: number };
export type ModelVerdict =
  | { readonly type: "ACCEPTED"; readonly reservation: number }
  | { readonly type: "KNOWN"; readonly reservation: number; readonly epoch: number; readonly seq: number }
  | ModelRefusal;

export type ModelHoldVerdict = "MOVED" | "ALREADY" | "MISMATCH" | "ABSENT";
export type ModelRestockVerdict =
  | { readonly type: "MOVED" | "REPEATED"; readonly seq: number }
  | { readonly type: "INSUFFICIENT"; readonly available: number }
  | { readonly type: "UNKNOWN_SKU" };

export interface ModelHold {
  readonly reservation: number;
  readonly epoch: number;
  readonly seq: number;
  readonly buyer: string;
  readonly lines: readonly (ModelLine & { readonly counted: boolean })[];
}

/** One entry of the movement log. */
export type ModelEntry<Order extends ModelOrder = ModelOrder> = { readonly epoch: number; readonly seq: number } & (
  | { readonly kind: "place"; readonly orders: readonly { readonly order: Order; readonly reservation: number }[] }
  | {
      readonly kind: "settle" | "release";
      readonly holds: readonly {
        readonly id: string;
        readonly reservation: number;
        readonly lines: readonly ModelLine[];
      }[];
    }
  | { readonly kind: "restock"; readonly movementId: string; readonly sku: string; readonly quantity: number }
);

export interface ModelStock {
  allocated: number;
  available: number;
  reserved: number;
  sold: number;
  limit: number;
}

export interface ModelEnd {
  readonly end: "settled" | "released";
  readonly reservation: number;
  readonly epoch: number;
  readonly seq: number;
}

type Holds = readonly (readonly [id: string, reservation: number])[];

export class PartitionModel<Order extends ModelOrder = ModelOrder> {
  epoch = 1;
  seq = 0;
  reservation = 0;
  /** The highest reservation number that the ledger has confirmed. */
  persisted = 0;
  open = true;
  readonly stock = new Map<string, ModelStock>();
  readonly holds = new Map<string, ModelHold>();
  /** Units held and bought, by buyer and product. */
  readonly used = new Map<string, number>();
  readonly ended = new Map<string, ModelEnd>();
  /** Refusals of calls that were asked again: their ids are never accepted any more. */
  readonly final = new Map<string, ModelRefusal>();
  readonly keys = new Map<string, { readonly orderId: string; readonly hash: string }>();
  readonly movements = new Map<string, number>();
  readonly log: ModelEntry<Order>[] = [];

  /** Adds products that are new, without units, and sets the limits (0: none) of all that are named. */
  configure(limits: Readonly<Record<string, number>>): void {
    for (const [sku, limit] of Object.entries(limits)) {
      const stock = this.stock.get(sku);
      if (stock) stock.limit = limit;
      else this.stock.set(sku, { allocated: 0, available: 0, reserved: 0, sold: 0, limit });
    }
  }

  /** Orders of one call: each sees what those before it took; the accepted ones share one seq. */
  place(orders: readonly Order[], options: { askedAgain?: boolean; backlogMax?: number } = {}): ModelVerdict[] {
    const accepted: { order: Order; reservation: number }[] = [];
    const final = new Map<string, ModelRefusal>();
    const verdicts = orders.map((order) => {
      const verdict = this.#decide(order, options.backlogMax ?? 0);
      if (verdict.type === "ACCEPTED") accepted.push({ order, reservation: verdict.reservation });
      else if (verdict.type !== "KNOWN") final.set(order.id, verdict);
      return verdict;
    });
    if (accepted.length > 0) this.#append({ kind: "place", orders: accepted });
    if (options.askedAgain) for (const [id, verdict] of final) this.final.set(id, verdict);
    return verdicts;
  }

  settle(holds: Holds): ModelHoldVerdict[] {
    return this.#end("settle", holds, ({ lines }) => {
      for (const { sku, units } of lines) {
        const stock = this.#stockOf(sku);
        stock.reserved -= units;
        stock.sold += units;
      }
    });
  }

  release(holds: Holds): ModelHoldVerdict[] {
    return this.#end("release", holds, ({ buyer, lines }) => {
      for (const { sku, units, counted } of lines) {
        const stock = this.#stockOf(sku);
        stock.reserved -= units;
        stock.available += units;
        if (counted) this.#use(buyer, sku, -units);
      }
    });
  }

  restock(movementId: string, sku: string, quantity: number): ModelRestockVerdict {
    const before = this.movements.get(movementId);
    if (before !== undefined) return { type: "REPEATED", seq: before };
    const stock = this.stock.get(sku);
    if (!stock) return { type: "UNKNOWN_SKU" };
    if (stock.available + quantity < 0) return { type: "INSUFFICIENT", available: stock.available };
    stock.allocated += quantity;
    stock.available += quantity;
    this.#append({ kind: "restock", movementId, sku, quantity });
    this.movements.set(movementId, this.seq);
    return { type: "MOVED", seq: this.seq };
  }

  /** Takes an order over from a ledger, as a rebuild does: its hold, what it counts to limits, its key. */
  adopt(row: {
    readonly id: string;
    readonly order: Order;
    readonly reservation: number;
    readonly epoch: number;
    readonly seq: number;
    readonly stockState: "reserved" | "sold" | "released" | "refused";
  }): void {
    const { id, order, reservation, epoch, seq, stockState } = row;
    if (order.key) this.keys.set(order.key.scope, { orderId: id, hash: order.key.hash });
    if (stockState !== "reserved" && stockState !== "sold") return;
    const units = [...unitsBySku(order.lines)];
    const lines = units.map(([sku, n]) => ({ sku, units: n, counted: this.#stockOf(sku).limit > 0 }));
    for (const line of lines) if (line.counted) this.#use(order.buyer, line.sku, line.units);
    if (stockState === "reserved") this.holds.set(id, { reservation, epoch, seq, buyer: order.buyer, lines });
  }

  /** The same partition, on its own from here: what a copy of Redis' data would come back as. */
  clone(): PartitionModel<Order> {
    const copy = new PartitionModel<Order>();
    const { epoch, seq, reservation, persisted, open } = this;
    Object.assign(copy, { epoch, seq, reservation, persisted, open });
    for (const [sku, stock] of this.stock) copy.stock.set(sku, { ...stock });
    copyInto(this.holds, copy.holds);
    copyInto(this.used, copy.used);
    copyInto(this.ended, copy.ended);
    copyInto(this.final, copy.final);
    copyInto(this.keys, copy.keys);
    copyInto(this.movements, copy.movements);
    copy.log.push(...this.log);
    return copy;
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

  #decide({ id, buyer, key, lines }: Order, backlogMax: number): ModelVerdict {
    const known = this.holds.get(id) ?? this.ended.get(id);
    if (known) return { type: "KNOWN", reservation: known.reservation, epoch: known.epoch, seq: known.seq };
    const final = this.final.get(id);
    if (final) return final;
    const first = key && this.keys.get(key.scope);
    if (first) return first.hash === key.hash ? { type: "REPLAY", orderId: first.orderId } : { type: "CONFLICT" };
    if (!this.open) return { type: "NOT_OPEN" };
    if (backlogMax > 0 && this.reservation - this.persisted >= backlogMax) return { type: "BACKLOG" };

    const wanted = unitsBySku(lines);
    const unknown = lines.find(({ sku }) => !this.stock.has(sku));
    if (unknown) return { type: "UNKNOWN_SKU", sku: unknown.sku };
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
      epoch: this.epoch,
      seq: this.seq + 1,
      buyer,
      lines: [...wanted].map(([sku, units]) => ({ sku, units, counted: this.#stockOf(sku).limit > 0 })),
    });
    if (key) this.keys.set(key.scope, { orderId: id, hash: key.hash });
    return { type: "ACCEPTED", reservation: this.reservation };
  }

  #end(kind: "settle" | "release", holds: Holds, move: (hold: ModelHold) => void): ModelHoldVerdict[] {
    const moved: { id: string; reservation: number; lines: readonly ModelLine[] }[] = [];
    const verdicts = holds.map(([id, reservation]): ModelHoldVerdict => {
      const hold = this.holds.get(id);
      if (!hold) return this.ended.has(id) ? "ALREADY" : "ABSENT";
      if (hold.reservation !== reservation) return "MISMATCH";
      move(hold);
      moved.push({ id, reservation, lines: hold.lines });
      this.holds.delete(id);
      const end = kind === "settle" ? "settled" : "released";
      this.ended.set(id, { end, reservation, epoch: hold.epoch, seq: hold.seq });
      return "MOVED";
    });
    if (moved.length > 0) this.#append({ kind, holds: moved });
    return verdicts;
  }

  #append(
    entry:
      | Omit<ModelEntry<Order> & { kind: "place" }, "epoch" | "seq">
      | Omit<ModelEntry<Order> & { kind: "settle" | "release" }, "epoch" | "seq">
      | Omit<ModelEntry<Order> & { kind: "restock" }, "epoch" | "seq">,
  ): void {
    this.seq += 1;
    this.log.push({ ...entry, epoch: this.epoch, seq: this.seq } as ModelEntry<Order>);
  }

  #use(buyer: string, sku: string, units: number): void {
    const field = `${buyer}|${sku}`;
    const used = (this.used.get(field) ?? 0) + units;
    if (used > 0) this.used.set(field, used);
    else this.used.delete(field);
  }

  #stockOf(sku: string): ModelStock {
    const stock = this.stock.get(sku);
    if (!stock) throw new Error(`the model has no ${sku}`);
    return stock;
  }
}

/** The lines summed by product, in the order of their first lines. */
export function unitsBySku(lines: readonly ModelLine[]): Map<string, number> {
  const units = new Map<string, number>();
  for (const line of lines) units.set(line.sku, (units.get(line.sku) ?? 0) + line.units);
  return units;
}

function copyInto<K, V>(from: ReadonlyMap<K, V>, to: Map<K, V>): void {
  for (const [key, value] of from) to.set(key, value);
}
