// Search by the index of the cache's Redis where that has the RediSearch module, and by Postgres where it has not or fails.
// The tests' server is the one that is installed, most likely without the module: what needs it is skipped then, unless
// SEARCH_REDIS_URL names a server that has it, and that may be written to.
import { afterAll, describe, expect, it, test, vi } from "vitest";
import { type FoundProduct, searchProducts, searchWords } from "../../engine/catalogue/product-search.ts";
import type { CopiesConnection } from "../../engine/catalogue/read-model/connection.ts";
import { indexQuery, ProductIndex, rankProducts } from "../../engine/catalogue/read-model/search-index.ts";
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
const QUERIES = ["커피", "원두 커피", "커피 원두", "카페", "MACHINE espr", "coffee", "full", "100% 순면", "없는 것"];
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
