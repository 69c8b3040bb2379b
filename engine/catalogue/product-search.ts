// Search over products: every word of the query in the name, best matches first, then those whose description has words
// that begin so. The SQL functions and indexes are in 0080_product_search.sql.
import type { Queryable } from "../ledger/database.ts";
import { PRODUCT_COLUMNS, type Product } from "./products.ts";

/** How well a product fits: 0 the name is the query, 1 begins with it, 2 has it, 3 has its words, 4 the description does. */
export type SearchRank = number;

export interface SearchPosition {
  readonly rank: SearchRank;
  readonly createdAt: Date;
  readonly id: string;
}

/**
 * A search ranks this many names that begin with the query and as many that have it: with more, its author makes it
 * longer, and the best ones are among those that begin with it.
 */
export const MATCHES_MAX = 300;
const WORDS_MAX = 10;

export interface SearchPage {
  readonly query: string;
  readonly limit: number;
  /** The last product of the page before. */
  readonly after?: SearchPosition | undefined;
}

export type FoundProduct = Product & { readonly rank: SearchRank };

/** The text that names and queries are compared by. */
export function searchKey(text: string): string {
  return text.normalize("NFKC").toLowerCase();
}

/** The words of a query, each once; letters and digits only. */
export function searchWords(query: string): string[] {
  const words = searchKey(query).split(/[^\p{L}\p{N}\p{M}]+/u);
  return [...new Set(words.filter((word) => word !== ""))].slice(0, WORDS_MAX);
}

/**
 * Products that fit the query, best first, in the order they were made where they fit alike.
 *
 * What is ranked is looked up by id, one by one (`OFFSET 0` keeps it so): it is a few hundred at most, which the planner does
 * not see behind the limits, and it would read all products instead.
 */
export async function searchProducts(db: Queryable, page: SearchPage): Promise<FoundProduct[]> {
  const text = searchKey(page.query).trim();
  const words = searchWords(page.query);
  if (words.length === 0) return [];
  const beginnings = words.map((word) => `'${word}':*`).join(" & ");
  const result = await db.query<FoundProduct>(
    `WITH begins AS (
       SELECT id FROM products WHERE deleted_at IS NULL AND name_key LIKE $4 LIMIT $3),
     named AS (
       SELECT id FROM products
       WHERE deleted_at IS NULL AND name_grams @> search_grams($1::text[])
         AND (SELECT bool_and(strpos(name_key, word) > 0) FROM unnest($1::text[]) AS word)
       LIMIT $3),
     described AS (
       SELECT id FROM (
         SELECT id FROM products WHERE deleted_at IS NULL AND description_words @@ to_tsquery('simple', $2) LIMIT $3) AS d
       LIMIT (SELECT greatest(0, $3 - count(*)) FROM named)),
     matches AS (
       SELECT id, 0 AS in_description FROM begins UNION SELECT id, 0 FROM named
       UNION ALL (SELECT id, 1 FROM described EXCEPT SELECT id, 1 FROM named EXCEPT SELECT id, 1 FROM begins)),
     ranked AS (
       SELECT id, date_trunc('milliseconds', created_at, 'UTC') AS made, CASE
           WHEN name_key = $5 THEN 0 WHEN starts_with(name_key, $5) THEN 1 WHEN strpos(name_key, $5) > 0 THEN 2
           WHEN in_description = 0 THEN 3 ELSE 4 END AS rank
       FROM matches JOIN LATERAL (
         SELECT created_at, name_key FROM products p WHERE p.id = matches.id OFFSET 0) AS found ON true),
     page AS (
       SELECT * FROM ranked WHERE $6::int IS NULL OR (rank, made, id) > ($6, $7::timestamptz, $8::uuid)
       ORDER BY rank, made, id LIMIT $9)
     SELECT ${PRODUCT_COLUMNS}, rank FROM page JOIN products USING (id) ORDER BY rank, made, id`,
    [
      words,
      beginnings,
      MATCHES_MAX,
      `${text.replaceAll(/[\\%_]/g, "\\$&")}%`,
      text,
      page.after?.rank ?? null,
      page.after?.createdAt ?? null,
      page.after?.id ?? null,
      page.limit,
    ],
  );
  return result.rows;
}
