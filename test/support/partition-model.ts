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

/** An order's units, as a revival and a return name them. */
export interface ModelUnits {
  readonly id: string;
  readonly buyer: string;
  readonly lines: readonly ModelLine[];
}

export interface ModelReturn extends ModelUnits {
  readonly movementId: string;
}

/** Of a revival: where it took its units, or why it never will. */
export type ModelRevival =
  | { readonly type: "REVIVED" | "KNOWN"; readonly reservation: number; readonly epoch: number; readonly seq: number }
  | Extract<ModelRefusal, { type: "UNKNOWN_SKU" | "LIMIT" | "SOLD_OUT" }>;

export type ModelReturnVerdict = "MOVED" | "REPEATED" | "INSUFFICIENT";

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
  | {
      readonly kind: "revive";
      readonly holds: readonly (ModelUnits & { readonly reservation: number })[];
    }
  | { readonly kind: "return"; readonly restock: boolean; readonly returns: readonly ModelReturn[] }
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
  /** By order; final. */
  readonly revivals = new Map<string, ModelRevival>();
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

  /** Orders of one call that hold their units again, each whole or not at all; a verdict is for ever. */
  revive(orders: readonly ModelUnits[]): ModelRevival[] {
    const revived: (ModelUnits & { reservation: number })[] = [];
    const verdicts = orders.map((order): ModelRevival => {
      const before = this.revivals.get(order.id) ?? this.holds.get(order.id);
      if (before) return "type" in before && before.type !== "REVIVED" ? before : { ...known(before), type: "KNOWN" };
      const refusal = this.#lacking(order.buyer, unitsBySku(order.lines));
      const verdict = refusal ?? this.#holdAgain(order);
      this.revivals.set(order.id, verdict);
      if (!refusal) revived.push({ ...order, reservation: this.reservation });
      return verdict;
    });
    if (revived.length > 0) this.#append({ kind: "revive", holds: revived });
    return verdicts;
  }

  /** Units of one call that come back, each return whole or not at all, and once. */
  takeBack(restock: boolean, returns: readonly ModelReturn[]): ModelReturnVerdict[] {
    const moved: ModelReturn[] = [];
    const verdicts = returns.map((one): ModelReturnVerdict => {
      if (this.movements.has(one.movementId)) return "REPEATED";
      const units = unitsBySku(one.lines);
      if ([...units].some(([sku, n]) => (this.stock.get(sku)?.sold ?? 0) < n)) return "INSUFFICIENT";
      for (const [sku, n] of units) {
        const stock = this.#stockOf(sku);
        stock.sold -= n;
        if (!restock) stock.allocated -= n;
        else {
          stock.available += n;
          this.#use(one.buyer, sku, -n);
        }
      }
      this.movements.set(one.movementId, this.seq + 1);
      moved.push(one);
      return "MOVED";
    });
    if (moved.length > 0) this.#append({ kind: "return", restock, returns: moved });
    return verdicts;
  }

  /** Takes an order over from a ledger, as a rebuild does: its hold, what it counts to limits, its key. */
  adopt(row: {
    readonly id: string;
    readonly order: Order;
    readonly reservation: number;
    readonly epoch: number;
    readonly seq: number;
    readonly stockState: "reserved" | "sold" | "released" | "refused";
    /** Units by product that came back and went on sale again. */
    readonly restocked: ReadonlyMap<string, number>;
  }): void {
    const { id, order, reservation, epoch, seq, stockState, restocked } = row;
    if (order.key) this.keys.set(order.key.scope, { orderId: id, hash: order.key.hash });
    if (stockState !== "reserved" && stockState !== "sold") return;
    const units = [...unitsBySku(order.lines)];
    const lines = units.map(([sku, n]) => ({ sku, units: n, counted: this.#stockOf(sku).limit > 0 }));
    for (const line of lines) {
      const units = line.units - (restocked.get(line.sku) ?? 0);
      if (line.counted && units > 0) this.#use(order.buyer, line.sku, units);
    }
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
    copyInto(this.revivals, copy.revivals);
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
    const refusal = this.#overLimit(buyer, wanted) ?? this.#soldOut(wanted);
    if (refusal) return refusal;
    this.#hold({ id, buyer, lines });
    if (key) this.keys.set(key.scope, { orderId: id, hash: key.hash });
    return { type: "ACCEPTED", reservation: this.reservation };
  }

  #overLimit(buyer: string, wanted: ReadonlyMap<string, number>) {
    for (const [sku, units] of wanted) {
      const { limit } = this.#stockOf(sku);
      const used = this.used.get(`${buyer}|${sku}`) ?? 0;
      if (limit > 0 && used + units > limit) return { type: "LIMIT", sku, limit, used } as const;
    }
    return undefined;
  }

  #soldOut(wanted: ReadonlyMap<string, number>) {
    for (const [sku, units] of wanted) {
      const { available } = this.#stockOf(sku);
      if (available < units) return { type: "SOLD_OUT", sku, available } as const;
    }
    return undefined;
  }

  /** Why a revival cannot have its units: product by product, as they are named. */
  #lacking(buyer: string, wanted: ReadonlyMap<string, number>) {
    for (const [sku, units] of wanted) {
      if (!this.stock.has(sku)) return { type: "UNKNOWN_SKU", sku } as const;
      const one = new Map([[sku, units]]);
      const refusal = this.#overLimit(buyer, one) ?? this.#soldOut(one);
      if (refusal) return refusal;
    }
    return undefined;
  }

  /** Holds the units under the next number, by the entry that comes next. */
  #hold({ id, buyer, lines }: ModelUnits): void {
    const wanted = unitsBySku(lines);
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
  }

  #holdAgain(order: ModelUnits): ModelRevival {
    this.#hold(order);
    return { type: "REVIVED", reservation: this.reservation, epoch: this.epoch, seq: this.seq + 1 };
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
      | Omit<ModelEntry<Order> & { kind: "revive" }, "epoch" | "seq">
      | Omit<ModelEntry<Order> & { kind: "return" }, "epoch" | "seq">
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

function known({ reservation, epoch, seq }: { reservation: number; epoch: number; seq: number }) {
  return { reservation, epoch, seq };
}

function copyInto<K, V>(from: ReadonlyMap<K, V>, to: Map<K, V>): void {
  for (const [key, value] of from) to.set(key, value);
}
