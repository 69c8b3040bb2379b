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

/** A search ranks this many matches; a query that so many products fit is one that its author makes longer. */
export const MATCHES_MAX = 2_000;
const WORDS_MAX = 10;

/** Products that fit the query, best first, in the order they were made where they fit alike. */
export async function searchProducts(
  db: Queryable,
  page: { readonly query: string; readonly limit: number; readonly after?: SearchPosition | undefined },
): Promise<(Product & { readonly rank: SearchRank })[]> {
  const text = page.query.normalize("NFKC").toLowerCase().trim();
  const words = [...new Set(text.split(/[^\p{L}\p{N}\p{M}]+/u).filter((word) => word !== ""))].slice(0, WORDS_MAX);
  if (words.length === 0) return [];
  const beginnings = words.map((word) => `'${word}':*`).join(" & ");
  const result = await db.query<Product & { rank: SearchRank }>(
    `WITH named AS (
       SELECT id FROM products
       WHERE deleted_at IS NULL AND name_grams @> search_grams($1::text[])
         AND (SELECT bool_and(strpos(lower(normalize(name, NFKC)), word) > 0) FROM unnest($1::text[]) AS word)
       LIMIT $3),
     described AS (
       SELECT id FROM products WHERE deleted_at IS NULL AND description_words @@ to_tsquery('simple', $2) LIMIT $3),
     matches AS (SELECT id FROM named UNION SELECT id FROM described),
     ranked AS (
       SELECT p.*, date_trunc('milliseconds', p.created_at, 'UTC') AS made, CASE
           WHEN lower(normalize(p.name, NFKC)) = $4 THEN 0
           WHEN starts_with(lower(normalize(p.name, NFKC)), $4) THEN 1
           WHEN strpos(lower(normalize(p.name, NFKC)), $4) > 0 THEN 2
           WHEN p.id IN (SELECT id FROM named) THEN 3 ELSE 4 END AS rank
       FROM matches JOIN products p USING (id))
     SELECT ${PRODUCT_COLUMNS}, rank FROM ranked
     WHERE $5::int IS NULL OR (rank, made, id) > ($5, $6::timestamptz, $7::uuid)
     ORDER BY rank, made, id LIMIT $8`,
    [
      words,
      beginnings,
      MATCHES_MAX,
      text,
      page.after?.rank ?? null,
      page.after?.createdAt ?? null,
      page.after?.id ?? null,
      page.limit,
    ],
  );
  return result.rows;
}
