// What Postgres ought to hold of one partition: orders and their states, the stock ledger, and what a rebuild declares.
// Plain TypeScript, written from the promises and not from the SQL; it takes the log as the partition's model wrote it.
import { type ModelEntry, unitsBySku } from "../support/partition-model.ts";
import {
  type Allocation,
  add,
  count,
  type Holdback,
  isHeld,
  type LedgerOrder,
  type LedgerStock,
  move,
  type Place,
  type Report,
  type SystemOrder,
  sum,
} from "./ledger-rows.ts";

type Entry = ModelEntry<SystemOrder>;

export class LedgerModel {
  epoch = 1;
  seq = 0;
  reservation = 0;
  state: "live" | "suspended" = "live";
  admission: "open" | "paused" | "closed" = "open";
  readonly stock = new Map<string, LedgerStock>();
  readonly orders = new Map<string, LedgerOrder>();
  readonly allocations = new Map<string, Allocation>();
  readonly holdbacks = new Map<string, Holdback>();
  readonly lost: { readonly epoch: number; readonly from: number; readonly to: number }[] = [];
  /** `epoch-seq sku kind quantity refused` of each row. */
  readonly movements: string[] = [];
  readonly deadLetters: string[] = [];
  /** `epoch-seq order outcome`. */
  readonly revivals: string[] = [];
  /** Returns that were applied. */
  readonly returns = new Map<string, { readonly epoch: number; readonly seq: number; readonly order: string }>();
  readonly intents = new Map<string, "cancel" | "pay">();
  reported: Report | undefined;

  /** Entries that were not applied before. */
  ahead(entries: readonly Entry[]): Entry[] {
    return entries.filter(({ epoch, seq }) => epoch > this.epoch || (epoch === this.epoch && seq > this.seq));
  }

  /** Those of the entries that follow without a gap. */
  fresh(entries: readonly Entry[]): Entry[] {
    const ahead = this.ahead(entries);
    const hole = ahead.findIndex(({ epoch, seq }, i) => epoch !== this.epoch || seq !== this.seq + 1 + i);
    return hole === -1 ? ahead : ahead.slice(0, hole);
  }

  /** Applies entries as a persister does. @returns the highest reservation number among them, or `gap` */
  apply(entries: readonly Entry[]): number | "gap" {
    const fresh = this.fresh(entries);
    if (fresh.length === 0 && this.ahead(entries).length > 0) return "gap";
    let reservation = 0;
    for (const entry of fresh) {
      reservation = Math.max(reservation, this.#applyOne(entry));
      this.seq = entry.seq;
    }
    this.reservation = Math.max(this.reservation, reservation);
    return reservation;
  }

  /** RESERVED to PAYING. @returns the attempt's number, when the payment was due */
  startPayment(id: string): number | undefined {
    const order = this.orders.get(id);
    if (order?.status !== "RESERVED" || !order.due) return undefined;
    order.due = false;
    order.attempts += 1;
    move(order, "PAYING");
    return order.attempts;
  }

  /** @returns whether this attempt picked the order's fate */
  endPayment(id: string, attempt: number, outcome: "succeeded" | "declined" | "failed"): boolean {
    const order = this.orders.get(id);
    if (order?.status !== "PAYING" || order.attempts !== attempt) return false;
    if (outcome === "succeeded") move(order, "PAID");
    else if (outcome === "declined" && order.order.onDecline === "hold") move(order, "RESERVED");
    else move(order, "CANCELLING", outcome === "declined" ? "PAYMENT_DECLINED" : "PAYMENT_FAILED");
    return true;
  }

  /** Cancels an order, or notes the wish when it has not arrived. @returns whether it is cancelling now */
  cancel(id: string, reason: "CUSTOMER" | "EXPIRED"): boolean {
    const order = this.orders.get(id);
    if (!order) this.intents.set(id, "cancel");
    if (order?.status !== "RESERVED" && !(order?.status === "PAYING" && reason === "CUSTOMER")) return false;
    move(order, "CANCELLING", reason);
    return true;
  }

  /** The buyer pays for an order that waits for it. @returns whether a payment is due now */
  requestPayment(id: string): boolean {
    const order = this.orders.get(id);
    if (!order && this.intents.get(id) !== "cancel") this.intents.set(id, "pay");
    if (order?.status !== "RESERVED") return false;
    if (order.method !== "later" && !(order.order.onDecline === "hold" && order.attempts > 0)) return false;
    Object.assign(order, { method: "card", due: true });
    return true;
  }

  /** Every reservation is past its deadline. @returns those that end by it, by id */
  expire(): string[] {
    const expired = [...this.orders.values()].filter(({ status, due }) => status === "RESERVED" && !due);
    for (const { id } of expired) this.cancel(id, "EXPIRED");
    return expired.map(({ id }) => id).sort();
  }

  /** The money of an order goes back, whole. @returns whether it does */
  refund(id: string): boolean {
    const order = this.orders.get(id);
    if (order?.status !== "CONFIRMED" && order?.status !== "CANCELLED") return false;
    move(order, "REFUND_PENDING");
    return true;
  }

  refunded(id: string): boolean {
    const order = this.orders.get(id);
    if (order?.status !== "REFUND_PENDING") return false;
    move(order, "REFUNDED");
    return true;
  }

  /** Commits an increase, which exists from now on whether or not Redis has heard of it. */
  increase(movementId: string, sku: string, quantity: number): void {
    this.allocations.set(movementId, { sku, quantity, applied: undefined });
    this.#stockOf(sku).allocated += quantity;
  }

  unapplied(): [movementId: string, allocation: Allocation][] {
    return [...this.allocations].filter(([, { applied, quantity }]) => !applied && quantity > 0);
  }

  /** Orders whose stock is to move, by id. */
  unsettled(which: "PAID" | "CANCELLING" | "held beyond"): LedgerOrder[] {
    const isOne = ({ status, stockState }: LedgerOrder) =>
      which === "held beyond"
        ? ["CANCELLED", "REFUND_PENDING", "REFUNDED"].includes(status) && isHeld(stockState)
        : status === which;
    return [...this.orders.values()].filter(isOne).sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** What Redis would have to have free: all that is not taken, held back, or still to be delivered. */
  available(sku: string): number {
    const { allocated = 0, reserved = 0, sold = 0 } = this.stock.get(sku) ?? {};
    const held = [...this.holdbacks.values()].filter((back) => !back.returned && back.sku === sku);
    const due = this.unapplied().filter(([, allocation]) => allocation.sku === sku);
    return allocated - reserved - sold - sum(held) - sum(due.map(([, allocation]) => allocation));
  }

  /** A rebuild's commit: the next epoch, with what is lost declared. @returns the loss, and units to hold back for it */
  raiseEpoch(): {
    readonly lost: { readonly from: number; readonly to: number } | undefined;
    readonly heldBack: ReadonlyMap<string, number>;
  } {
    // Redis had been told of them, or not: the rebuild itself delivers them.
    for (const [, allocation] of this.unapplied()) allocation.applied = { epoch: this.epoch + 1, seq: 0 };
    const report = this.reported?.epoch === this.epoch ? this.reported : undefined;
    const lost = report && report.seq > this.seq ? { from: this.seq + 1, to: report.seq } : undefined;
    const heldBack = this.#unitsLost(report);
    if (lost) this.lost.push({ epoch: this.epoch, ...lost });
    for (const order of this.orders.values()) {
      // The guard refused them, and with the old Redis their hold is gone: nothing is left to release.
      if (order.stockState === "refused") this.#released(order);
    }
    this.epoch += 1;
    this.seq = 0;
    this.state = "live";
    return { lost, heldBack };
  }

  /** Units of acknowledged orders that never arrived: no more than the ledger would have let in. */
  #unitsLost(report: Report | undefined): ReadonlyMap<string, number> {
    const units = new Map<string, number>();
    for (const [seq, entry] of report?.entries ?? []) {
      if (seq <= this.seq) continue;
      for (const [sku, count] of entry) units.set(sku, (units.get(sku) ?? 0) + count);
    }
    const capped = [...units].map(([sku, count]) => [sku, Math.min(count, this.available(sku))] as const);
    return new Map(capped.filter(([, count]) => count > 0));
  }

  #applyOne(entry: Entry): number {
    switch (entry.kind) {
      case "place":
        return this.#place(entry);
      case "settle":
      case "release":
        this.#moveHolds(entry);
        return 0;
      case "revive":
        this.#revive(entry);
        return Math.max(...entry.holds.map(({ reservation }) => reservation));
      case "return":
        this.#takeBack(entry);
        return 0;
      case "restock":
        this.#restock(entry);
        return 0;
    }
  }

  #place({ epoch, seq, orders }: Entry & { kind: "place" }): number {
    const moved = new Map<string, { units: number; refused: number }>();
    for (const { order, reservation } of orders) {
      if (this.orders.has(order.id)) {
        this.deadLetters.push(`${epoch}-${seq} place ${order.id}`);
        continue;
      }
      const wanted = unitsBySku(order.lines);
      const fits = this.#fits(wanted);
      for (const [sku, units] of wanted) {
        if (fits) this.#stockOf(sku).reserved += units;
        count(moved, sku, units, fits ? 0 : units);
      }
      this.#admit(order, { epoch, seq, reservation }, fits);
    }
    this.#log({ epoch, seq }, "place", moved);
    return Math.max(...orders.map(({ reservation }) => reservation));
  }

  #admit(order: SystemOrder, at: Place & { reservation: number }, fits: boolean): void {
    const row: LedgerOrder = {
      id: order.id,
      order,
      ...at,
      status: "PENDING",
      reason: null,
      stockState: fits ? "reserved" : "refused",
      due: order.pay === "card",
      method: order.pay,
      attempts: 0,
      isPaidLate: false,
      returned: new Map(),
      restocked: new Map(),
      timeline: ["PENDING"],
    };
    this.orders.set(order.id, row);
    const intent = this.intents.get(order.id);
    this.intents.delete(order.id);
    move(row, fits ? "RESERVED" : "CANCELLING", fits ? undefined : "LEDGER_GUARD");
    if (!fits) return;
    if (intent === "cancel") move(row, "CANCELLING", "CUSTOMER");
    else if (intent === "pay" && order.pay === "later") Object.assign(row, { method: "card", due: true });
  }

  #moveHolds({ epoch, seq, kind, holds }: Entry & { kind: "settle" | "release" }): void {
    const moved = new Map<string, { units: number; refused: number }>();
    for (const { id, reservation, lines } of holds) {
      const order = this.orders.get(id);
      const isTheirs = order?.reservation === reservation && isHeld(order.stockState);
      const inLedger = isTheirs && order.stockState === "reserved";
      if (!isTheirs) this.deadLetters.push(`${epoch}-${seq} ${kind} ${id}`);
      for (const [sku, units] of unitsBySku(lines)) {
        count(moved, sku, units, inLedger ? 0 : units);
        if (!inLedger) continue;
        this.#stockOf(sku).reserved -= units;
        if (kind === "settle") this.#stockOf(sku).sold += units;
      }
      if (!isTheirs) continue;
      if (kind === "release") this.#released(order);
      else {
        order.stockState = "sold";
        if (order.status === "PAID") move(order, "CONFIRMED");
      }
    }
    this.#log({ epoch, seq }, kind, moved);
  }

  #fits(wanted: ReadonlyMap<string, number>): boolean {
    return [...wanted].every(([sku, units]) => {
      const { allocated, reserved, sold } = this.#stockOf(sku);
      return reserved + sold + units <= allocated;
    });
  }

  #revive({ epoch, seq, holds }: Entry & { kind: "revive" }): void {
    const moved = new Map<string, { units: number; refused: number }>();
    for (const { id, reservation, lines } of holds) {
      const order = this.orders.get(id);
      const wanted = unitsBySku(lines);
      const fits = order?.stockState === "released" && this.#fits(wanted);
      for (const [sku, units] of wanted) {
        if (fits) this.#stockOf(sku).reserved += units;
        count(moved, sku, units, fits ? 0 : units);
      }
      if (order?.stockState !== "released") {
        this.deadLetters.push(`${epoch}-${seq} revive ${id}`);
        continue;
      }
      Object.assign(order, { reservation, stockState: fits ? "reserved" : "refused" });
      const outcome = !fits ? "refused" : order.status === "CANCELLED" ? "revived" : "late";
      this.revivals.push(`${epoch}-${seq} ${id} ${outcome}`);
      if (outcome !== "revived") continue;
      move(order, "PAID");
      order.reason = null;
    }
    this.#log({ epoch, seq }, "revive", moved);
  }

  #takeBack({ epoch, seq, restock, returns }: Entry & { kind: "return" }): void {
    const moved = new Map<string, { units: number; refused: number }>();
    for (const { movementId, id, lines } of returns) {
      const order = this.orders.get(id);
      const units = unitsBySku(lines);
      const bought = unitsBySku(order?.order.lines ?? []);
      const isOpen = [...units].every(([sku, n]) => n <= (bought.get(sku) ?? 0) - (order?.returned.get(sku) ?? 0));
      const isTaken = order?.stockState === "sold" && !this.returns.has(movementId) && isOpen;
      if (!isTaken) this.deadLetters.push(`${epoch}-${seq} return ${id}`);
      for (const [sku, n] of units) {
        count(moved, sku, n, isTaken ? 0 : n);
        if (!isTaken) continue;
        const stock = this.#stockOf(sku);
        stock.sold -= n;
        if (!restock) stock.allocated -= n;
        add(order.returned, sku, n);
        if (restock) add(order.restocked, sku, n);
      }
      if (isTaken) this.returns.set(movementId, { epoch, seq, order: id });
    }
    this.#log({ epoch, seq }, restock ? "return" : "write_off", moved);
  }

  #released(order: LedgerOrder): void {
    order.stockState = "released";
    if (order.status === "CANCELLING") move(order, "CANCELLED");
  }

  #restock({ epoch, seq, movementId, sku, quantity }: Entry & { kind: "restock" }): void {
    const stock = this.#stockOf(sku);
    if (quantity < 0 && stock.allocated + quantity < stock.reserved + stock.sold) {
      // Redis wrote off what it never had: the ledger keeps what it knows.
      this.deadLetters.push(`${epoch}-${seq} unreadable null`);
      return;
    }
    if (quantity < 0) stock.allocated += quantity;
    const holdback = this.holdbacks.get(movementId);
    const allocation = this.allocations.get(movementId);
    if (holdback) holdback.returned = true;
    else if (allocation) allocation.applied = { epoch, seq };
    else this.allocations.set(movementId, { sku, quantity, applied: { epoch, seq } });
    this.#log({ epoch, seq }, "restock", new Map([[sku, { units: quantity, refused: 0 }]]));
  }

  #log(at: Place, kind: string, moved: ReadonlyMap<string, { units: number; refused: number }>): void {
    for (const [sku, { units, refused }] of moved) {
      this.movements.push(`${at.epoch}-${at.seq} ${sku} ${kind} ${units} ${refused}`);
    }
  }

  #stockOf(sku: string): LedgerStock {
    let stock = this.stock.get(sku);
    if (!stock) {
      stock = { allocated: 0, reserved: 0, sold: 0 };
      this.stock.set(sku, stock);
    }
    return stock;
  }
}
