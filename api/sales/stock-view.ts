// What is left of each product of a sale, as shown to people: from Redis, asked at most ten times a second for each sale
// however many look; from the ledger while Redis cannot answer. Decides nothing.
import type { SaleView } from "../../engine/catalogue/view.ts";
import type { Engine } from "../../engine/engine.ts";
import { OnrushError } from "../../engine/errors.ts";
import { listStock } from "../../engine/ledger/allocations.ts";
import type { Queryable } from "../../engine/ledger/database.ts";
import type { PartitionSnapshot } from "../../engine/stock/partition-stock.ts";
import { isPostgresAway, isRedisAway } from "../http/failures.ts";

export interface SaleStock {
  /** Units that can be had, by product id. */
  readonly remaining: ReadonlyMap<string, number>;
  /** Now, by the clock that opens and closes sales, in ms. */
  readonly nowMs: number;
}

interface Entry {
  stock: Promise<SaleStock>;
  /** `undefined` while it is being read. */
  readAtMs: number | undefined;
}

/** How old an answer may be. */
const AGE_MS_MAX = 100;

export class StockView {
  readonly #engine: Pick<Engine, "stock">;
  readonly #db: Queryable;
  readonly #entries = new Map<string, Entry>();

  constructor(engine: Pick<Engine, "stock">, db: Queryable) {
    this.#engine = engine;
    this.#db = db;
  }

  /** @throws OnrushError with `STOCK_UNAVAILABLE` when neither Redis nor Postgres can tell */
  async read(sale: SaleView): Promise<SaleStock> {
    const known = this.#entries.get(sale.id);
    const nowMs = performance.now();
    if (known && (known.readAtMs === undefined || nowMs - known.readAtMs < AGE_MS_MAX)) {
      const stock = await known.stock;
      return { ...stock, nowMs: stock.nowMs + Math.max(0, nowMs - (known.readAtMs ?? nowMs)) };
    }
    const entry: Entry = { stock: this.#load(sale), readAtMs: undefined };
    this.#entries.set(sale.id, entry);
    try {
      return await entry.stock;
    } catch (error) {
      this.forget(sale.id);
      throw error;
    } finally {
      entry.readAtMs = performance.now();
    }
  }

  /** Drops what is known, so that the next reader sees a change that was just made. */
  forget(saleId: string): void {
    this.#entries.delete(saleId);
  }

  async #load(sale: SaleView): Promise<SaleStock> {
    try {
      const stock = await this.#fromRedis(sale);
      if (stock) return stock;
    } catch (error) {
      if (!isRedisAway(error)) throw error;
    }
    return this.#fromLedger(sale);
  }

  async #fromRedis(sale: SaleView): Promise<SaleStock | undefined> {
    const partitions = Array.from({ length: sale.partitions }, (_, partition) => ({ saleId: sale.id, partition }));
    const snapshots = await Promise.all(partitions.map((partition) => this.#engine.stock.snapshot(partition)));
    if (!snapshots.every((snapshot): snapshot is PartitionSnapshot => snapshot.type === "OK")) return undefined;
    const remaining = new Map<string, number>();
    for (const { stock } of snapshots) {
      for (const [sku, { available }] of stock) remaining.set(sku, (remaining.get(sku) ?? 0) + available);
    }
    return { remaining, nowMs: Math.max(...snapshots.map(({ atMs }) => atMs)) };
  }

  async #fromLedger(sale: SaleView): Promise<SaleStock> {
    const remaining = new Map<string, number>();
    try {
      for (const { productId, allocated, reserved, sold } of await listStock(this.#db, sale.id)) {
        remaining.set(productId, (remaining.get(productId) ?? 0) + allocated - reserved - sold);
      }
    } catch (error) {
      if (!isPostgresAway(error)) throw error;
      throw new OnrushError(
        "STOCK_UNAVAILABLE",
        "The stock of this sale cannot be told at the moment.",
        {},
        { cause: error },
      );
    }
    return { remaining, nowMs: Date.now() };
  }
}
