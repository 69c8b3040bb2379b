// Brings units to a partition that has run dry, from wherever most of them lie: half of the richest one's. A row of
// stock_transfers is written before anything moves (engine/ledger/transfers.ts), each step can be made again, and what dies on the
// way is carried on by a sweep. For a coupon's uses; nothing in it knows of coupons.
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { type Partition, partitionName } from "../keys.ts";
import {
  depositTransfer,
  findDeposit,
  isBeingBrought,
  noteTransferAnswer,
  noteTransferCall,
  openTransfer,
  readOnTheWay,
  type StockTransfer,
  voidTransfer,
} from "../ledger/transfers.ts";
import type { PartitionStock } from "./partition-stock.ts";

/** A partition where the units may lie, under its present epoch. */
export interface Place extends Partition {
  readonly epoch: number;
}

export interface Need {
  readonly productId: string;
  readonly to: Place;
  /** All partitions that have an allowance of it, the dry one among them. */
  readonly places: readonly Place[];
  /** All the units that there can be, in all places. */
  readonly total: number;
}

/**
 * `arrived`: there are units where they were wanted, or were a moment ago. `dry`: there are none anywhere, and none on their way.
 * `pending`: some may come, or nobody can say.
 */
export type Supply = "arrived" | "dry" | "pending";

/** How long a verdict waits for units. */
export const SUPPLY_WAIT_MS = 250;
/** A transfer that is not through by then is the sweep's. */
const TRANSFER_MS_MAX = 2_000;
const POLL_MS = 5;
const ROUNDS_MAX = 5;
/** A call of the script that was not answered may still arrive within this time. */
export const CALL_MAY_ARRIVE_MS = 15_000;
const ACTOR = "onrush";

export class StockTransfers {
  readonly #pool: pg.Pool;
  readonly #stock: PartitionStock;
  readonly #onError: (error: unknown) => void;
  readonly #running = new Map<string, Promise<Supply>>();

  constructor(pool: pg.Pool, stock: PartitionStock, onError: (error: unknown) => void) {
    this.#pool = pool;
    this.#stock = stock;
    this.#onError = onError;
  }

  /** Brings units there; whoever needs the same at the same time waits for the same. Never longer than until `deadlineMs`. */
  async bring(need: Need, deadlineMs: number): Promise<Supply> {
    const name = `${need.productId} ${partitionName(need.to)}`;
    let running = this.#running.get(name);
    if (!running) {
      running = this.#bring(need)
        .catch((error: unknown): Supply => {
          this.#onError(error);
          return "pending";
        })
        .finally(() => this.#running.delete(name));
      this.#running.set(name, running);
    }
    const waiting = new AbortController();
    const late = sleep(Math.max(0, deadlineMs - performance.now()), "pending" as const, waiting).catch(
      () => "pending" as const,
    );
    try {
      return await Promise.race([running, late]);
    } finally {
      waiting.abort();
    }
  }

  async #bring({ productId, to, places, total }: Need): Promise<Supply> {
    const endMs = performance.now() + TRANSFER_MS_MAX;
    let settledAt: number | undefined;
    for (let failed = 0; failed < ROUNDS_MAX; ) {
      const units = await this.#stock.availableOf(places, productId);
      const here = places.findIndex((place) => partitionName(place) === partitionName(to));
      if ((units[here] ?? 0) > 0) return "arrived";
      const most = Math.max(...units.map((count) => count ?? 0));
      const richest = places[units.indexOf(most)];
      if (most === 0 || !richest) {
        // A partition that Redis does not have may have units again after its rebuild.
        if (units.includes(undefined)) return "pending";
        if (places.length === 1 && (await this.#isTaken(to, productId, total))) return "dry";
        // Nothing was on its way before this look, and nothing after it, and no transfer was begun in between.
        const before = settledAt;
        settledAt = await this.#settledAt(productId);
        if (settledAt !== undefined && settledAt === before) return "dry";
        if (settledAt === undefined) {
          if (performance.now() >= endMs) return "pending";
          await sleep(POLL_MS);
        }
        continue;
      }
      const id = randomUUID();
      const transfer = { id, productId, from: richest, to, quantity: Math.ceil(most / 2) };
      if (!(await openTransfer(this.#pool, { ...transfer, depositId: randomUUID(), actor: ACTOR }))) {
        return await this.#awaitOther(productId, to, endMs);
      }
      const call = { ...transfer, epoch: richest.epoch, isLive: true, unansweredMs: null };
      const taken = await this.#take(call);
      if (taken === "refused") return "pending";
      if (taken === "taken") return (await this.#complete(id, endMs)) ? "arrived" : "pending";
      failed += 1;
    }
    return "pending";
  }

  /** Whether all units are here, and somebody has each: then Postgres, which may be busy just now, need not be asked. */
  async #isTaken(at: Partition, productId: string, total: number): Promise<boolean> {
    const { available, reserved, sold } = await this.#stock.unitsOf(at, productId);
    return available === 0 && reserved + sold >= total;
  }

  /** How many transfers there have been, while nothing is on its way that Redis does not have; else `undefined`. */
  async #settledAt(productId: string): Promise<number | undefined> {
    const { isTransferred, transfers, increases } = await readOnTheWay(this.#pool, productId);
    if (isTransferred) return undefined;
    const moved = await Promise.all(increases.map((increase) => this.#stock.hasMoved(increase, increase.movementId)));
    return moved.includes(false) ? undefined : transfers;
  }

  /** Another process brings it. */
  async #awaitOther(productId: string, to: Partition, endMs: number): Promise<Supply> {
    while (performance.now() < endMs) {
      if (!(await isBeingBrought(this.#pool, productId, to))) return "arrived";
      await sleep(POLL_MS);
    }
    return "pending";
  }

  // An answer that it takes nothing ends the transfer, unless an earlier call may still come and take it.
  async #take(transfer: StockTransfer): Promise<"taken" | "short" | "refused"> {
    const { id, productId, from, quantity, epoch, unansweredMs } = transfer;
    const outcome = await this.#stock.restock(from, epoch, { movementId: id, sku: productId, quantity: -quantity });
    if (outcome.type !== "OK" && (unansweredMs === null || unansweredMs >= CALL_MAY_ARRIVE_MS)) {
      await voidTransfer(this.#pool, id);
    } else await noteTransferAnswer(this.#pool, id);
    if (outcome.type === "OK") return "taken";
    return outcome.type === "INSUFFICIENT" || outcome.type === "UNKNOWN_SKU" ? "short" : "refused";
  }

  /** Waits for the ledger to have what was taken, allocates it at the other end and delivers it. */
  async #complete(id: string, endMs: number): Promise<boolean> {
    while (!(await depositTransfer(this.#pool, id))) {
      if (performance.now() >= endMs) return false;
      await sleep(POLL_MS);
    }
    const deposit = await findDeposit(this.#pool, id);
    if (!deposit) return true;
    const { epoch, movementId, productId, quantity } = deposit;
    const outcome = await this.#stock.restock(deposit, epoch, { movementId, sku: productId, quantity });
    return outcome.type === "OK";
  }

  /** Carries on a transfer that was left behind. @returns whether its units have arrived */
  async resume(id: string): Promise<boolean> {
    if (await depositTransfer(this.#pool, id)) return await this.#complete(id, 0);
    const transfer = await noteTransferCall(this.#pool, id);
    if (!transfer?.isLive) return false;
    return (await this.#take(transfer)) === "taken" && (await this.#complete(id, 0));
  }
}
