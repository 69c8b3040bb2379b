// Products as the public reads them: from their copies in Redis, from Postgres where there is none that can be trusted.
//
// Every change of the catalogue raises its version in the transaction that makes it, and a copy says as of which version it
// was read. A process trusts copies that are as new as the newest version that it knows, be it from an event, from its poll
// of Postgres, or from a product that it read: what it has shown once, it shows nothing older than. So a change makes every
// older copy worthless without touching it, also when whoever made the change died before it could tell; and a read that
// was slow can neither be shown (its reader knows better) nor lay its old copy over a newer one (keep.lua).
import type { Redis } from "ioredis";
import { PRODUCT_COPIES } from "../../keys.ts";
import type { Queryable } from "../../ledger/database.ts";
import { runScript } from "../../redis/scripts.ts";
import { type FoundProduct, type SearchPage, searchProducts } from "../product-search.ts";
import { findProductsAsOf, type Product, type ProductAsOf } from "../products.ts";
import type { CatalogueView } from "../view.ts";
import { CacheAway, type CopiesConnection } from "./connection.ts";
import { copyOf, entityOf, hashOf, type ProductCopy } from "./copy.ts";
import { ProductIndex } from "./search-index.ts";

/** A copy that nobody renews goes after this time: the backstop, and what keeps Redis from filling with what nobody reads. */
export const COPY_TTL_MS = 600_000;

export interface ProductReadOptions {
  readonly db: Queryable;
  readonly catalogue: Pick<CatalogueView, "version">;
  /** Where copies are read; without it Postgres answers everything. */
  readonly copies?: CopiesConnection | undefined;
  /** Where copies are written: the same server. */
  readonly redis: Redis;
  readonly onError: (error: unknown) => void;
}

/** Reads so far. `hit`: from a copy; `miss`: from Postgres, for want of a copy that is new enough; `fallback`: Redis was away. */
export type ReadCounts = Record<"hit" | "miss" | "fallback", number>;
export type SearchCounts = Record<"index" | "postgres", number>;

interface Flight {
  /** The newest version that was known when it began: what it finds is no older. */
  readonly floor: number;
  readonly answer: Promise<ProductAsOf | undefined>;
}

export class ProductReads {
  readonly reads: ReadCounts = { hit: 0, miss: 0, fallback: 0 };
  readonly searches: SearchCounts = { index: 0, postgres: 0 };
  readonly #options: ProductReadOptions;
  readonly #index: ProductIndex | undefined;
  /** Products that are being read from Postgres; whoever wants one of them waits for the same answer. */
  readonly #flights = new Map<string, Flight>();
  #floor = 0;
  #isComplaining = false;

  constructor(options: ProductReadOptions) {
    this.#options = options;
    const { db, copies, onError } = options;
    const keep = (products: readonly ProductAsOf[]) => this.#keep(products);
    this.#index = copies && new ProductIndex({ db, copies, keep, onError });
  }

  /** @param id a UUID @returns `undefined` when there is none, or none any more. @throws what Postgres throws when it is needed */
  async find(id: string): Promise<Product | undefined> {
    const key = id.toLowerCase();
    const floor = this.#knownVersion();
    const copy = await this.#readCopy(key);
    if (copy !== "away" && copy !== undefined && copy.catalogue >= floor) {
      this.reads.hit += 1;
      this.#learn(copy.catalogue);
      return copy.product;
    }
    this.reads[copy === "away" ? "fallback" : "miss"] += 1;
    const found = await this.#readOnce(key, floor);
    return found?.isDeleted ? undefined : found?.product;
  }

  /** Products that fit, best first; from the index where there is one, and it is complete. @throws as `find` */
  async search(page: SearchPage): Promise<FoundProduct[]> {
    const found = await this.#index?.search(page, this.#knownVersion());
    this.searches[found ? "index" : "postgres"] += 1;
    return found ?? (await searchProducts(this.#options.db, page));
  }

  /**
   * After a commit: lays the products as they are now over their copies, so that whoever reads one after this sees the
   * change, in every process, whatever that has heard. When it fails, events and polls make good for it.
   */
  async refresh(ids: readonly string[]): Promise<void> {
    try {
      await this.#keep(await findProductsAsOf(this.#options.db, ids));
    } catch (error) {
      this.#options.onError(error);
    }
  }

  #knownVersion(): number {
    this.#learn(this.#options.catalogue.version);
    return this.#floor;
  }

  #learn(version: number): void {
    this.#floor = Math.max(this.#floor, version);
  }

  async #readCopy(id: string): Promise<ProductCopy | "away" | undefined> {
    const { copies, onError } = this.#options;
    if (!copies) return "away";
    try {
      const copy = copyOf(await copies.ask((repository) => repository.fetch(id)));
      this.#isComplaining = false;
      return copy;
    } catch (error) {
      // Being away is told by the connection, once; whatever else there is, too.
      if (!(error instanceof CacheAway) && !this.#isComplaining) {
        this.#isComplaining = true;
        onError(error);
      }
      return "away";
    }
  }

  async #readOnce(id: string, floor: number): Promise<ProductAsOf | undefined> {
    const known = this.#flights.get(id);
    if (known && known.floor >= floor) return await known.answer;
    const flight = { floor, answer: this.#readFromPostgres(id, floor) };
    this.#flights.set(id, flight);
    try {
      return await flight.answer;
    } finally {
      if (this.#flights.get(id) === flight) this.#flights.delete(id);
    }
  }

  async #readFromPostgres(id: string, floor: number): Promise<ProductAsOf | undefined> {
    const { db, copies, onError } = this.#options;
    const [found] = await findProductsAsOf(db, [id]);
    if (!found) return undefined;
    // Below what was known before it was asked, Postgres was restored from a backup: what is known of it is over.
    if (found.catalogue < floor) this.#floor = found.catalogue;
    else this.#learn(found.catalogue);
    // Nobody waits for the copy.
    if (copies?.isThere) this.#keep([found]).catch(onError);
    return found;
  }

  async #keep(products: readonly ProductAsOf[]): Promise<void> {
    const { redis } = this.#options;
    await Promise.all(
      products.map((product) => {
        const { catalogue, ...fields } = hashOf(entityOf(product));
        const args = [catalogue ?? 0, COPY_TTL_MS, ...Object.entries(fields).flat()];
        return runScript(redis, "keep", [`${PRODUCT_COPIES}:${product.product.id}`], args);
      }),
    );
  }
}
