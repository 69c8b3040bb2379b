// Search over the copies of products by RediSearch, where the cache's Redis has that module. redis-om makes the index and
// asks it; the index only says which products may fit, and their order is the one that Postgres would give, so that a search
// may go on there from any page. It is asked while it is complete: after every change of the catalogue all products are
// laid into Redis anew, and until that is done, as at any failure, there is no answer here and Postgres has it.
import type { Entity } from "redis-om";
import type { Queryable } from "../../ledger/database.ts";
import {
  type FoundProduct,
  MATCHES_MAX,
  type SearchPage,
  type SearchRank,
  searchKey,
  searchWords,
} from "../product-search.ts";
import { listProductsAsOf, type Product, type ProductAsOf } from "../products.ts";
import { catalogueVersion } from "../sales.ts";
import type { CopiesConnection } from "./connection.ts";
import { copyOf } from "./copy.ts";

const LOAD_PAGE = 500;
/** Loaded anew after this time in any case, before the copies expire. */
const COMPLETE_MS = 300_000;
/** RediSearch finds nothing by a part of a word that is shorter, unless its MINPREFIX says otherwise. */
const WORD_LENGTH_MIN = 2;

export interface ProductIndexOptions {
  readonly db: Queryable;
  readonly copies: CopiesConnection;
  readonly keep: (products: readonly ProductAsOf[]) => Promise<void>;
  readonly onError: (error: unknown) => void;
}

export class ProductIndex {
  readonly #options: ProductIndexOptions;
  /** Which version of the catalogue is in Redis as a whole, and since when by this process' clock. */
  #complete: { readonly asOf: number; readonly sinceMs: number } | undefined;
  #loading = false;

  constructor(options: ProductIndexOptions) {
    this.#options = options;
  }

  /** Products that fit, best first; `undefined` when the index cannot say. @param floor the version that it must be as of */
  async search(page: SearchPage, floor: number): Promise<FoundProduct[] | undefined> {
    const { copies, onError } = this.#options;
    if (!copies.canSearch) {
      this.#complete = undefined;
      return undefined;
    }
    const words = searchWords(page.query);
    if (words.some((word) => [...word].length < WORD_LENGTH_MIN)) return undefined;
    if (words.length === 0) return [];
    const complete = this.#complete;
    if (!complete || complete.asOf < floor || performance.now() - complete.sinceMs > COMPLETE_MS) {
      if (!this.#loading) this.#load().catch(onError);
      return undefined;
    }
    try {
      const query = indexQuery(words);
      const entities = await copies.ask((repository) => repository.searchRaw(query).return.page(0, 2 * MATCHES_MAX));
      return rankProducts(productsOf(entities, complete.asOf), page);
    } catch (error) {
      this.#complete = undefined;
      onError(error);
      return undefined;
    }
  }

  async #load(): Promise<void> {
    const { db, copies, keep } = this.#options;
    this.#loading = true;
    try {
      await copies.ask((repository) => repository.createIndex());
      const asOf = await catalogueVersion(db);
      let after: string | undefined;
      do {
        const products = await listProductsAsOf(db, LOAD_PAGE, after);
        await keep(products);
        after = products.at(-1)?.product.id;
      } while (after !== undefined);
      this.#complete = { asOf, sinceMs: performance.now() };
    } finally {
      this.#loading = false;
    }
  }
}

/** Every word in the name, or a word of the description that begins so. Words are letters and digits, and need no escape. */
export function indexQuery(words: readonly string[]): string {
  const inName = words.map((word) => `*${word}*`).join(" ");
  const inDescription = words.map((word) => `${word}*`).join(" ");
  return `(@nameKey:(${inName})) | (@description:(${inDescription}))`;
}

/** What was not laid into Redis with the others is older, and deleted since. */
function productsOf(entities: readonly Entity[], asOf: number): Product[] {
  return entities.flatMap((entity) => {
    const copy = copyOf(entity);
    return copy?.product && copy.catalogue >= asOf ? [copy.product] : [];
  });
}

/** One page of the products that the index found, ranked as `searchProducts` ranks them. */
export function rankProducts(products: readonly Product[], { query, limit, after }: SearchPage): FoundProduct[] {
  const text = searchKey(query).trim();
  const words = searchWords(query);
  const ranked = products.map((product) => ({ ...product, rank: rankOf(searchKey(product.name), text, words) }));
  const rest = after ? ranked.filter((product) => compare(product, after) > 0) : ranked;
  return rest.toSorted(compare).slice(0, limit);
}

function rankOf(name: string, text: string, words: readonly string[]): SearchRank {
  if (name === text) return 0;
  if (name.startsWith(text)) return 1;
  if (name.includes(text)) return 2;
  return words.every((word) => name.includes(word)) ? 3 : 4;
}

type Ranked = Pick<FoundProduct, "rank" | "createdAt" | "id">;

function compare(a: Ranked, b: Ranked): number {
  return a.rank - b.rank || a.createdAt.getTime() - b.createdAt.getTime() || (a.id < b.id ? -1 : Number(a.id > b.id));
}
