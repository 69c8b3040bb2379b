// Search by the index of the cache's Redis where that has the RediSearch module, and by Postgres where it has not or fails.
// The tests' server is the one that is installed, most likely without the module: what needs it is skipped then, unless
// SEARCH_REDIS_URL names a server that has it, and that may be written to.
import { afterAll, describe, expect, it, test, vi } from "vitest";
import { type FoundProduct, searchProducts, searchWords } from "../../engine/catalogue/product-search.ts";
import type { CopiesConnection } from "../../engine/catalogue/read-model/connection.ts";
import { indexQuery, ProductIndex, rankProducts } from "../../engine/catalogue/read-model/search-index.ts";
import { catalogueVersion } from "../../engine/catalogue/sales.ts";
import { openApiShop } from "./api-shop.ts";
import { startReading } from "./product-reads-processes.ts";

const shop = await openApiShop();
const NAMES: [string, string][] = [
  ["커피", "매일 마시는 한 잔"],
  ["디카페인커피 원두", "밤에도 마실 수 있는 원두"],
  ["Espresso Machine", "Makes coffee, slowly"],
  ["아메리카노", "커피를 물로 묽게"],
  ["커피 원두 200g", ""],
  ["100% 순면 티셔츠", ""],
  ["ＦＵＬＬ width mug", "머그"],
  ["원두 커피", "커피, 원두"],
];
await shop.pool.query(
  `INSERT INTO products (id, name, description, price, currency, created_at)
   SELECT gen_random_uuid(), n, d, 1000, 'KRW', timestamptz '2026-01-01' + (o / 2) * interval '1 second'
   FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS t (n, d, o)`,
  [NAMES.map(([name]) => name), NAMES.map(([, description]) => description)],
);
const QUERIES = ["커피", "원두 커피", "커피 원두", "카페", "MACHINE espr", "coffee", "full", "100% 순면", "없는것"];
const namesOf = (found: readonly FoundProduct[] | undefined) => found?.map(({ name }) => name);
const fromPostgres = (query: string, limit = 100) => searchProducts(shop.pool, { query, limit });

const url = process.env["SEARCH_REDIS_URL"] ?? shop.redis.urlOf("onrush_api");
const reader = await startReading(url, shop.pool);
afterAll(() => reader.stop());
await vi.waitUntil(() => reader.copies.isThere);
const { canSearch } = reader.copies;

describe("what the index found", () => {
  test.each(QUERIES)("for %j is ranked as Postgres ranks it, from any page on", async (query) => {
    const found = await fromPostgres(query);
    const candidates = found.map(({ rank: _rank, ...product }) => product).toReversed();
    expect(rankProducts(candidates, { query, limit: 100 })).toEqual(found);
    for (const [i, after] of found.entries()) {
      expect(rankProducts(candidates, { query, limit: 2, after })).toEqual(found.slice(i + 1, i + 3));
    }
  });

  test("is asked for by words alone, whatever a query says", () => {
    expect(indexQuery(searchWords("원두 (커피) | @price:[0 1] -{*}"))).toBe(
      "(@nameKey:(*원두* *커피* *price* *0* *1*)) | (@description:(원두* 커피* price* 0* 1*))",
    );
  });
});

describe.skipIf(canSearch)("without the module", () => {
  it("every search is answered by Postgres", async () => {
    for (const query of QUERIES) {
      expect(namesOf(await reader.reads.search({ query, limit: 100 }))).toEqual(namesOf(await fromPostgres(query)));
    }
    expect(reader.reads.searches).toEqual({ index: 0, postgres: QUERIES.length });
    expect(reader.errors).toEqual([]);
  });

  it("a server that said it had it, and has not, costs a search nothing but the index", async () => {
    const errors: Error[] = [];
    // A failover to a server without the module, as far as this connection has not noticed yet.
    const copies = { canSearch: true, ask: reader.copies.ask.bind(reader.copies) } as unknown as CopiesConnection;
    const index = new ProductIndex({
      db: shop.pool,
      copies,
      keep: async () => undefined,
      onError: (error) => errors.push(error as Error),
    });
    expect(await index.search({ query: "커피", limit: 10 }, 0)).toBeUndefined();
    await expect.poll(() => errors.length).toBe(1);
    expect(errors[0]?.message).toMatch(/unknown command/i);
    expect(await index.search({ query: "커피", limit: 10 }, 0)).toBeUndefined();
  });
});

/**
 * Stands in for the module's part alone, over the copies that are in Redis: it looks at each of them. What it is there for
 * is everything around: what is laid into Redis and when, which of it counts, and what a failure does.
 */
function standIn() {
  const state = { made: 0, asked: 0, fails: false };
  const find = async (query: string) => {
    state.asked += 1;
    if (state.fails) throw new Error("the index is gone");
    const words = [...query.matchAll(/\*(\S+?)\*/g)].map(([, word = ""]) => word);
    const ids = (await shop.pool.query<{ id: string }>("SELECT id FROM products")).rows.map(({ id }) => id);
    const entities = await reader.copies.ask((copies) => copies.fetch(ids));
    return entities.filter(({ nameKey = "", description = "" }) => {
      const begins = String(description)
        .toLowerCase()
        .split(/[^\p{L}\p{N}]+/u);
      return words.every((w) => String(nameKey).includes(w)) || words.every((w) => begins.some((b) => b.startsWith(w)));
    });
  };
  const repository = {
    createIndex: async () => {
      state.made += 1;
    },
    searchRaw: (query: string) => ({ return: { page: () => find(query) } }),
  };
  const copies = { canSearch: true, ask: (question: (of: unknown) => unknown) => question(repository) };
  return { state, copies: copies as unknown as CopiesConnection };
}

describe("around the module", () => {
  const errors: unknown[] = [];
  const { state, copies } = standIn();
  const index = new ProductIndex({
    ...{ db: shop.pool, copies },
    keep: (products) => reader.reads.refresh(products.map(({ product }) => product.id)),
    onError: (error) => errors.push(error),
  });
  const version = () => catalogueVersion(shop.pool);
  const search = async (query: string) => index.search({ query, limit: 100 }, await version());
  /** The first search after a change finds the index incomplete, and has it completed. */
  const untilComplete = async () => {
    expect(await search("커피")).toBeUndefined();
    await expect.poll(() => search("커피")).toBeDefined();
  };
  const sameAsPostgres = async (queries: readonly string[]) => {
    for (const query of queries) expect(await search(query)).toEqual(await fromPostgres(query));
  };

  it("nothing is asked before all products are there, and then everything is", async () => {
    await untilComplete();
    expect(state.made).toBe(1);
    await sameAsPostgres(QUERIES);
    expect(await search("!!!")).toEqual([]);
    const { asked } = state;
    expect(await search("커")).toBeUndefined();
    expect(state.asked).toBe(asked);
  });

  it("a change makes it incomplete; then what was renamed or deleted is found as it is now", async () => {
    await shop.pool.query("UPDATE products SET name = '보리차' WHERE name = '아메리카노'");
    await shop.pool.query("UPDATE products SET deleted_at = now() WHERE name = '원두 커피'");
    await untilComplete();
    await sameAsPostgres([...QUERIES, "보리차", "아메리카노"]);
    expect(namesOf(await search("원두 커피"))).not.toContain("원두 커피");
  });

  it("a failure is reported and answered by nothing, and all is laid into it again", async () => {
    state.fails = true;
    expect(await search("커피")).toBeUndefined();
    expect(errors).toHaveLength(1);
    state.fails = false;
    await untilComplete();
    await sameAsPostgres(QUERIES);
  });
});

describe.skipIf(!canSearch)("with the module", () => {
  const untilIndexed = async () => {
    await reader.catalogue.refresh();
    await expect
      .poll(
        async () => {
          const { index } = reader.reads.searches;
          await reader.reads.search({ query: "커피", limit: 1 });
          return reader.reads.searches.index > index;
        },
        { timeout: 20_000 },
      )
      .toBe(true);
  };

  test.each(QUERIES)("%j finds what Postgres finds", async (query) => {
    await untilIndexed();
    // The server indexes what was laid into it in its own time.
    await expect
      .poll(async () => namesOf(await reader.reads.search({ query, limit: 100 })))
      .toEqual(namesOf(await fromPostgres(query)));
  });

  it("what was renamed or deleted is found as it is now", async () => {
    await untilIndexed();
    await shop.pool.query("UPDATE products SET name = '보리차' WHERE name = '아메리카노'");
    await shop.pool.query("UPDATE products SET deleted_at = now() WHERE name = '원두 커피'");
    await untilIndexed();
    for (const query of ["보리차", "아메리카노", "원두 커피"]) {
      await expect
        .poll(async () => namesOf(await reader.reads.search({ query, limit: 100 })))
        .toEqual(namesOf(await fromPostgres(query)));
    }
  });

  it("a part of a word that is too short for it is Postgres' to find", async () => {
    await untilIndexed();
    const { index } = reader.reads.searches;
    expect(namesOf(await reader.reads.search({ query: "커", limit: 100 }))).toEqual(namesOf(await fromPostgres("커")));
    expect(reader.reads.searches.index).toBe(index);
  });
});
