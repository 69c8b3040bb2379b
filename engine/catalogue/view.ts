// Every process' own copy of the catalogue: what the order path reads without asking anybody. It is reloaded when the
// catalogue's version in Postgres has grown: at once on a message from whoever changed it, by a poll otherwise. When
// Postgres is away the last copy serves on.
import type { Queryable } from "../ledger/database.ts";
import { catalogueVersion, listSales, type Sale, type SaleItem } from "./sales.ts";

/** A sale with its items by product, as the order path wants them. */
export interface SaleView extends Sale {
  readonly itemOf: ReadonlyMap<string, SaleItem>;
}

const POLL_MS = 1_000;

export class CatalogueView {
  readonly #db: Queryable;
  readonly #onError: (error: unknown) => void;
  #byId: ReadonlyMap<string, SaleView> = new Map();
  #byNo: ReadonlyMap<number, SaleView> = new Map();
  #version = 0;
  #timer: NodeJS.Timeout | undefined;
  #loading: Promise<void> | undefined;

  constructor(db: Queryable, onError: (error: unknown) => void) {
    this.#db = db;
    this.#onError = onError;
  }

  /** Loads the first copy and starts to poll. @throws when Postgres cannot be read */
  async start(): Promise<void> {
    await this.refresh();
    this.#timer = setInterval(() => this.refresh().catch(this.#onError), POLL_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Reloads if Postgres has a newer version. A call during a reload starts another one after it. */
  async refresh(): Promise<void> {
    // The running reload may have read before the caller's change was committed.
    await this.#loading?.catch(() => undefined);
    this.#loading ??= this.#load().finally(() => {
      this.#loading = undefined;
    });
    await this.#loading;
  }

  /** The catalogue's version that this copy has at least. */
  get version(): number {
    return this.#version;
  }

  sale(id: string): SaleView | undefined {
    return this.#byId.get(id);
  }

  saleByNo(no: number): SaleView | undefined {
    return this.#byNo.get(no);
  }

  /** All sales, in the order they were made. */
  sales(): Iterable<SaleView> {
    return this.#byId.values();
  }

  async #load(): Promise<void> {
    const version = await catalogueVersion(this.#db);
    if (version === this.#version) return;
    const views = (await listSales(this.#db)).map((sale) => ({
      ...sale,
      itemOf: new Map(sale.items.map((item) => [item.productId, item])),
    }));
    this.#byId = new Map(views.map((view) => [view.id, view]));
    this.#byNo = new Map(views.map((view) => [view.no, view]));
    // Read before the sales: what changed in between is loaded again by the next poll.
    this.#version = version;
  }
}
