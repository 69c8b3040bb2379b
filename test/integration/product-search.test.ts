// Search over products, in Korean and English.
import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { searchProducts } from "../../engine/catalogue/product-search.ts";
import type { Queryable } from "../../engine/ledger/database.ts";
import { openApiShop } from "./api-shop.ts";

const shop = await openApiShop();
const NAMES: [string, string][] = [
  ["커피", "매일 마시는 한 잔"],
  ["디카페인커피 원두", "밤에도 마실 수 있는 원두"],
  ["Espresso Machine", "Makes coffee, slowly"],
  ["아메리카노", "커피를 물로 묽게"],
  ["100% 순면 티셔츠", ""],
  ["ＦＵＬＬ width mug", "머그"],
];
await shop.pool.query(
  `INSERT INTO products (id, name, description, price, currency, created_at)
   SELECT gen_random_uuid(), n, d, 1000, 'KRW', timestamptz '2026-01-01' + o * interval '1 second'
   FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS t (n, d, o)`,
  [NAMES.map(([name]) => name), NAMES.map(([, description]) => description)],
);

async function search(query: string, rest = ""): Promise<string[]> {
  const answer = await shop.call("GET", `/api/v1/products?query=${encodeURIComponent(query)}${rest}`);
  expect(answer.status, answer.text).toBe(200);
  return answer.body.items.map(({ name }) => name);
}

describe("a search", () => {
  test.each([
    ["커피", ["커피", "디카페인커피 원두", "아메리카노"]],
    ["커", ["커피", "디카페인커피 원두", "아메리카노"]],
    ["원두 디카페인", ["디카페인커피 원두"]],
    ["카페", ["디카페인커피 원두"]],
    ["ESPRESSO", ["Espresso Machine"]],
    ["machine espr", ["Espresso Machine"]],
    ["coffee", ["Espresso Machine"]],
    ["cof", ["Espresso Machine"]],
    ["full", ["ＦＵＬＬ width mug"]],
    ["순면", ["100% 순면 티셔츠"]],
    ["100%", ["100% 순면 티셔츠"]],
    ["nothing has this", []],
    ["!!! --- '", []],
    ["' OR 1=1 :* & | \\", []],
  ])("for %j finds %j", async (query, names) => {
    expect(await search(query)).toEqual(names);
  });

  it("of nothing but space lists everything", async () => {
    expect(await search("  ")).toHaveLength(NAMES.length);
  });

  it("is paged without a gap or a repetition", async () => {
    const found: string[] = [];
    let cursor = "";
    do {
      const answer = await shop.call("GET", `/api/v1/products?query=${encodeURIComponent("커피")}&limit=1${cursor}`);
      found.push(...answer.body.items.map(({ name }) => name));
      cursor = answer.body.nextCursor ? `&cursor=${answer.body.nextCursor}` : "";
    } while (cursor !== "");
    expect(found).toEqual(["커피", "디카페인커피 원두", "아메리카노"]);
  });

  it("finds a product by its new name, and no more when it is deleted", async () => {
    const id = randomUUID();
    const body = { name: "보리차", price: 1 };
    await shop.call("POST", "/api/v1/products", { token: shop.admin, body: { id, ...body } });
    expect(await search("보리")).toEqual(["보리차"]);
    await shop.call("PUT", `/api/v1/products/${id}`, { token: shop.admin, body: { name: "옥수수차", price: 1 } });
    expect(await search("보리")).toEqual([]);
    expect(await search("옥수")).toEqual(["옥수수차"]);
    await shop.call("DELETE", `/api/v1/products/${id}`, { token: shop.admin });
    expect(await search("옥수")).toEqual([]);
  });

  it("does not take a list's cursor, or one that was made up", async () => {
    const { body } = await shop.call("GET", "/api/v1/products?limit=1");
    for (const cursor of [body.nextCursor, "x"]) {
      expect((await shop.call("GET", `/api/v1/products?query=a&cursor=${cursor}`)).body.code).toBe("VALIDATION");
    }
  });
});

describe("a search among many", () => {
  const PRODUCTS = 5_000;

  it("reads what it ranks, and not all products, when the word is in every description", async () => {
    for (let from = 1; from <= PRODUCTS; from += 500) {
      await shop.pool.query(
        `INSERT INTO products (id, name, description, price, currency)
         SELECT gen_random_uuid(), 'many ' || n, '흔한말 ' || n, 1000, 'KRW' FROM generate_series($1::int, $1 + 499) AS n`,
        [from],
      );
    }
    await shop.pool.query("ANALYZE products");
    let rowsRead = 0;
    const explaining = {
      query: async (sql: string, values: unknown[]) => {
        const { rows } = await shop.pool.query(`EXPLAIN (ANALYZE, FORMAT JSON) ${sql}`, values);
        rowsRead = readBy(rows[0]["QUERY PLAN"][0].Plan);
        return { rows: [] };
      },
    };
    for (const query of ["흔한말", "흔", "many", "many 흔한말", "many 4999"]) {
      await searchProducts(explaining as unknown as Queryable, { query, limit: 21 });
      expect(rowsRead, query).toBeLessThan(PRODUCTS / 2);
    }
  });
});

interface PlanNode {
  readonly "Relation Name"?: string;
  readonly "Actual Rows": number;
  readonly "Actual Loops": number;
  readonly Plans?: readonly PlanNode[];
}

/** Rows that its scans of tables gave. */
function readBy({ Plans = [], ...node }: PlanNode): number {
  const own = node["Relation Name"] === undefined ? 0 : node["Actual Rows"] * node["Actual Loops"];
  return Plans.reduce((sum, plan) => sum + readBy(plan), own);
}

test("a name's grams are its words' characters and pairs of neighbours", { timeout: 60_000 }, async () => {
  const names = fc.array(
    fc.oneof(fc.string({ unit: "grapheme", maxLength: 30 }), fc.constantFrom("커피 원두", "a  b", "", "１００%")),
    {
      minLength: 1,
      maxLength: 50,
    },
  );
  await fc.assert(
    fc.asyncProperty(names, async (values) => {
      const wellFormed = values.map((value) => value.toWellFormed().replaceAll("\0", ""));
      const { rows } = await shop.pool.query<{ same: boolean }>(
        `SELECT searchable_grams(v) = (
           SELECT coalesce(array_agg(DISTINCT gram ORDER BY gram), '{}') FROM (
             SELECT unnest(search_grams(search_words(v))) AS gram UNION ALL
             SELECT substr(word, n, 1) FROM unnest(search_words(v)) AS word, generate_series(1, char_length(word)) AS n) AS grams
         ) AS same FROM unnest($1::text[]) AS v`,
        [wellFormed],
      );
      expect(rows.every(({ same }) => same)).toBe(true);
    }),
    { numRuns: 100, seed: 20_261_121 },
  );
});
