// The arithmetic of applying a batch of movements, without a database: from the locked rows and the movements, in their
// order, to the rows that have to be written. This is where Postgres' own guard stands: an order is let in while it fits
// what is allocated; one that does not fit is cancelled as LEDGER_GUARD, whatever Redis said. So are, as PAYMENT_DECLINED,
// orders whose points their members do not have any more.
import type { OrderIntent } from "../engine/ledger/intents.ts";
import type { AppliedReturn, LockedLine, ReturnedLine, Revival } from "../engine/ledger/late-units.ts";
import type { DeadLetter, LockedOrder, LockedStock, NewOrder, StockMovement } from "../engine/ledger/log.ts";
import type { Decision, MovedHold, Movement, PlacedOrder, Position, UnreadableLine } from "../engine/movement.ts";
import type { PointsAccount } from "../engine/points/accounts.ts";
import type { WantedPoints } from "../engine/points/order-points.ts";
import { PlannedPoints } from "./planned-points.ts";
import { PlannedReturns } from "./planned-returns.ts";
import { PlannedStock, UnitsBySku } from "./planned-units.ts";

/** What the transaction has locked before it plans. */
export interface LedgerState {
  readonly stock: readonly LockedStock[];
  readonly orders: readonly LockedOrder[];
  readonly intents: readonly OrderIntent[];
  /** Orders that an operator gave up: they were never let in, and their holds end without them. */
  readonly discarded?: readonly string[];
  /** The lines of orders that give units back, and the ids of returns that the ledger has. */
  readonly lines?: readonly LockedLine[];
  readonly knownReturns?: readonly string[];
  /** The points of members whose orders spend some. */
  readonly points?: readonly PointsAccount[];
}

/** What the transaction has to write. */
export interface LedgerPlan {
  readonly newOrders: readonly NewOrder[];
  /** Points of those of them that spend some and had enough. */
  readonly pointsSpent: readonly WantedPoints[];
  /** Orders whose hold was settled or released: those to move on, and those whose status says otherwise. */
  readonly settled: readonly string[];
  readonly released: readonly string[];
  /** By which entry each of them was settled or released. */
  readonly endedAt: ReadonlyMap<string, Position>;
  /** Orders that hold their units again, whether or not they are what they were revived for. */
  readonly revivals: readonly Revival[];
  readonly returns: readonly AppliedReturn[];
  /** Lines of orders by what they have given back. */
  readonly returnedLines: readonly ReturnedLine[];
  readonly stock: readonly LockedStock[];
  readonly movements: readonly StockMovement[];
  readonly applied: readonly { movementId: string; productId: string; quantity: number; epoch: number; seq: number }[];
  /** What the reconciler moved in Redis; the ledger only records it. */
  readonly adjustments: readonly (Movement & { kind: "adjust" })[];
  readonly deadLetters: readonly DeadLetter[];
  readonly paymentsDue: readonly string[];
  readonly compensationsDue: readonly string[];
  readonly settlementsDue: readonly string[];
  /** Lost orders that were placed anew from holdbacks. */
  readonly honoured: readonly string[];
  /** Highest reservation number in the batch; 0: none. */
  readonly reservation: number;
}

/** Plans a batch of consecutive movements of one partition. Pure. */
export function planBatch(movements: readonly Movement[], state: LedgerState): LedgerPlan {
  const batch = new Batch(state);
  for (const movement of movements) batch.apply(movement);
  return batch.plan();
}

class Batch {
  readonly #stock: PlannedStock;
  readonly #returns: PlannedReturns;
  readonly #orders: Map<string, LockedOrder>;
  readonly #intents: Map<string, OrderIntent>;
  readonly #discarded: ReadonlySet<string>;
  readonly #points: PlannedPoints;
  readonly #newOrders: NewOrder[] = [];
  readonly #settled: string[] = [];
  readonly #released: string[] = [];
  readonly #endedAt = new Map<string, Position>();
  readonly #revivals: Revival[] = [];
  readonly #movements: StockMovement[] = [];
  readonly #applied: { movementId: string; productId: string; quantity: number; epoch: number; seq: number }[] = [];
  readonly #adjustments: (Movement & { kind: "adjust" })[] = [];
  readonly #deadLetters: DeadLetter[] = [];
  readonly #paymentsDue: string[] = [];
  readonly #compensationsDue: string[] = [];
  readonly #settlementsDue: string[] = [];
  readonly #honoured: string[] = [];
  #reservation = 0;

  constructor(state: LedgerState) {
    this.#stock = new PlannedStock(state.stock);
    this.#returns = new PlannedReturns(state.lines ?? [], state.knownReturns ?? []);
    this.#orders = new Map(state.orders.map((order) => [order.id, order]));
    this.#discarded = new Set(state.discarded);
    this.#points = new PlannedPoints(state.points ?? []);
    this.#intents = new Map(state.intents.map((intent) => [intent.orderId, intent]));
  }

  apply(movement: Movement): void {
    for (const line of movement.unreadable) this.#bury(movement, line);
    switch (movement.kind) {
      case "place":
        this.#place(movement);
        break;
      case "settle":
      case "release":
        this.#moveHolds(movement);
        break;
      case "revive":
        this.#revive(movement);
        break;
      case "return":
        this.#takeBack(movement);
        break;
      case "restock":
        this.#restock(movement);
        break;
      case "adjust":
        this.#adjust(movement);
        break;
      case "unreadable":
        this.#bury(movement, { line: movement.payload, error: "the entry cannot be read" });
        break;
    }
  }

  plan(): LedgerPlan {
    return {
      newOrders: this.#newOrders,
      pointsSpent: this.#points.spent,
      settled: this.#settled,
      released: this.#released,
      endedAt: this.#endedAt,
      revivals: this.#revivals,
      returns: this.#returns.returns,
      returnedLines: this.#returns.lines,
      stock: this.#stock.changed(),
      movements: this.#movements,
      applied: this.#applied,
      adjustments: this.#adjustments,
      deadLetters: this.#deadLetters,
      paymentsDue: this.#paymentsDue,
      compensationsDue: this.#compensationsDue,
      settlementsDue: this.#settlementsDue,
      honoured: this.#honoured,
      reservation: this.#reservation,
    };
  }

  #place(movement: Movement & { kind: "place" }): void {
    const moved = new UnitsBySku();
    const before = this.#newOrders.length;
    for (const order of movement.orders) {
      this.#reservation = Math.max(this.#reservation, order.reservation);
      if (movement.fromHoldback) this.#honoured.push(order.orderId);
      if (this.#orders.has(order.orderId)) {
        this.#bury(movement, {
          line: JSON.stringify(order),
          orderId: order.orderId,
          error: "an order of this id exists already",
        });
        continue;
      }
      const wanted = unitsOf(order);
      const fits = this.#stock.fits(wanted);
      for (const [sku, units] of wanted) {
        moved.add(sku, units, fits ? 0 : units);
        if (fits) this.#stock.change(sku, "reserved", units);
      }
      this.#admit(movement, order, fits);
    }
    this.#log(movement, moved, this.#newOrders.length - before);
  }

  #admit(movement: Movement & { kind: "place" }, order: PlacedOrder, fits: boolean): void {
    const { orderId: id, reservation, payload } = order;
    const intent = this.#intents.get(id);
    const cancelled = fits && intent?.intent === "cancel";
    const pay = fits && intent?.intent === "pay" && payload.payment.method === "later" ? intent : undefined;
    const timeline: NewOrder["timeline"][number][] = [{ status: "PENDING", reason: null }];
    if (fits) timeline.push({ status: "RESERVED", reason: null });
    if (!fits) timeline.push({ status: "CANCELLING", reason: "LEDGER_GUARD" });
    if (cancelled) timeline.push({ status: "CANCELLING", reason: intent.reason ?? "CUSTOMER" });
    else if (fits && !this.#points.spend(id, payload))
      timeline.push({ status: "CANCELLING", reason: "PAYMENT_DECLINED" });
    const last = timeline[timeline.length - 1] as NewOrder["timeline"][number];
    const method = pay?.method ?? payload.payment.method;
    const token = method === "wallet" ? payload.customerId : (pay?.token ?? payload.payment.token ?? null);
    this.#newOrders.push({
      id,
      epoch: movement.position.epoch,
      seq: movement.position.seq,
      holdReservation: reservation,
      customerId: payload.customerId,
      status: last.status,
      reason: last.reason,
      version: timeline.length,
      stockState: fits ? "reserved" : "refused",
      price: payload.price,
      payable: payload.payable,
      currency: payload.currency,
      paymentMethod: method,
      paymentToken: last.status === "RESERVED" ? token : null,
      onDecline: payload.onDecline,
      address: payload.address ?? null,
      idempotencyScope: payload.idempotencyScope ?? null,
      payloadHash: payload.payloadHash ?? null,
      reservedUntilMs: movement.deadlineMs,
      placedAtMs: movement.atMs,
      discounts: payload.discounts ?? null,
      lines: payload.lines,
      timeline,
    });
    // A second line of the same id in this batch is a duplicate like one of an earlier batch.
    const stockState = fits ? "reserved" : "refused";
    this.#orders.set(id, { id, status: last.status, stockState, holdReservation: reservation });
    if (last.status === "CANCELLING") this.#compensationsDue.push(id);
    else if (method !== "later") this.#paymentsDue.push(id);
  }

  #moveHolds(movement: Movement & { kind: "settle" | "release" }): void {
    const moved = new UnitsBySku();
    for (const hold of movement.holds) {
      const order = this.#orders.get(hold.orderId);
      if (!order || order.holdReservation !== hold.reservation || !isHeld(order)) {
        if (order || !this.#discarded.has(hold.orderId)) this.#buryHold(movement, hold, order);
        // Redis moved these units though: the log must show it, as units that the ledger did not take.
        for (const { sku, units } of hold.units) moved.add(sku, units, units);
        continue;
      }
      const inLedger = order.stockState === "reserved";
      for (const { sku, units } of hold.units) {
        moved.add(sku, units, inLedger ? 0 : units);
        if (!inLedger) continue;
        this.#stock.change(sku, "reserved", -units);
        if (movement.kind === "settle") this.#stock.change(sku, "sold", units);
      }
      const stockState = movement.kind === "settle" ? "sold" : "released";
      this.#orders.set(order.id, { ...order, stockState });
      (movement.kind === "settle" ? this.#settled : this.#released).push(order.id);
      this.#endedAt.set(order.id, movement.position);
    }
    this.#log(movement, moved, movement.holds.length);
  }

  // The units are taken whatever has become of the order: Redis holds them. Those of an order that cannot be revived any
  // more, and those that do not fit, are recorded as its hold and released again.
  #revive(movement: Movement & { kind: "revive" }): void {
    const moved = new UnitsBySku();
    for (const hold of movement.holds) {
      const { orderId, reservation, units } = hold;
      this.#reservation = Math.max(this.#reservation, reservation);
      const order = this.#orders.get(orderId);
      if (order?.stockState !== "released" || this.#endedAt.has(orderId)) {
        this.#buryHold(movement, hold, order);
        for (const { sku, units: count } of units) moved.add(sku, count, count);
        continue;
      }
      const fits = this.#stock.fits(units.map((held) => [held.sku, held.units]));
      for (const { sku, units: count } of units) {
        moved.add(sku, count, fits ? 0 : count);
        if (fits) this.#stock.change(sku, "reserved", count);
      }
      const outcome = !fits ? "refused" : order.status === "CANCELLED" ? "revived" : "late";
      const stockState = fits ? "reserved" : "refused";
      const status = outcome === "revived" ? "PAID" : order.status;
      this.#orders.set(orderId, { ...order, status, stockState, holdReservation: reservation });
      const { position, atMs } = movement;
      const numbers = { reservation, earlierReservation: order.holdReservation };
      this.#revivals.push({ orderId, ...numbers, outcome, stockState, ...position, atMs });
      (outcome === "revived" ? this.#settlementsDue : this.#compensationsDue).push(orderId);
    }
    this.#log(movement, moved, movement.holds.length);
  }

  #takeBack(movement: Movement & { kind: "return" }): void {
    const [returned, writtenOff] = [new UnitsBySku(), new UnitsBySku()];
    for (const of of movement.returns) {
      const order = this.#orders.get(of.orderId);
      const error =
        order?.stockState === "sold"
          ? this.#returns.take(of, { ...movement.position, atMs: movement.atMs })
          : order
            ? `the order's stock is ${order.stockState}`
            : "the ledger has no such order";
      if (error) this.#bury(movement, { line: JSON.stringify(of), orderId: of.orderId, error });
      for (const { sku, units } of of.units) {
        (of.restock ? returned : writtenOff).add(sku, units, error ? units : 0);
        if (error) continue;
        this.#stock.change(sku, "sold", -units);
        if (!of.restock) this.#stock.change(sku, "allocated", -units);
      }
    }
    this.#log(movement, returned, 0);
    this.#log({ ...movement, kind: "write_off" }, writtenOff, 0);
  }

  #restock(movement: Movement & { kind: "restock" }): void {
    const { movementId, sku, quantity, position } = movement;
    // An increase is in `allocated` since before it reached Redis; a decrease takes effect here.
    if (quantity < 0) this.#stock.change(sku, "allocated", quantity);
    this.#applied.push({ movementId, productId: sku, quantity, ...position });
    const moved = new UnitsBySku();
    moved.add(sku, quantity, 0);
    this.#log(movement, moved, 0);
  }

  // Redis was moved to what stands here already.
  #adjust(movement: Movement & { kind: "adjust" }): void {
    const moved = new UnitsBySku();
    for (const { sku, available } of movement.adjustment.products) moved.add(sku, available, 0);
    this.#adjustments.push(movement);
    this.#log(movement, moved, 0);
  }

  /** @param holds how many holds the movement took or ended; told on its first row */
  #log(
    movement: Pick<Movement, "position" | "atMs"> & {
      readonly kind: StockMovement["kind"];
      readonly decision?: Decision;
    },
    moved: UnitsBySku,
    holds: number,
  ): void {
    let left = holds;
    for (const [productId, { quantity, refused }] of moved.entries()) {
      const decision = decisionOf(movement.decision, productId);
      this.#movements.push({
        ...movement.position,
        productId,
        kind: movement.kind,
        quantity,
        refused,
        holds: left,
        atMs: movement.atMs,
        ...(decision && { decision }),
      });
      left = 0;
    }
  }

  #bury(movement: Movement, line: UnreadableLine): void {
    this.#deadLetters.push({
      ...movement.position,
      orderId: line.orderId ?? null,
      kind: movement.kind,
      payload: line.line,
      error: line.error,
    });
  }

  #buryHold(movement: Movement, hold: MovedHold, order: LockedOrder | undefined): void {
    const error = order
      ? `the order's stock is ${order.stockState} under reservation ${order.holdReservation}`
      : "the ledger has no such order";
    this.#bury(movement, { line: JSON.stringify(hold), orderId: hold.orderId, error });
  }
}

function decisionOf(decision: Decision | undefined, sku: string): StockMovement["decision"] {
  const found = decision?.before.find((before) => before.sku === sku);
  if (!decision || !found) return undefined;
  const used = decision.used.filter((of) => of.sku === sku).map((of) => [of.buyer, of.units] as const);
  const { available, limit } = found;
  return { script: decision.script, available, limit, used: Object.fromEntries(used) };
}

function isHeld(order: LockedOrder): boolean {
  return order.stockState === "reserved" || order.stockState === "refused";
}

function unitsOf(order: PlacedOrder): Map<string, number> {
  const units = new Map<string, number>();
  for (const line of order.payload.lines) {
    units.set(line.productId, (units.get(line.productId) ?? 0) + line.quantity);
  }
  return units;
}
