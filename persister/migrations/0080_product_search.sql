-- Search over products, Korean and English alike. Korean words are short and carry endings without a space, so that neither
-- word lists nor trigrams find them: most have two syllables, and a trigram index needs three. Names are therefore
-- indexed by their single characters and pairs of neighbours; descriptions by words, found by their beginnings.

CREATE FUNCTION search_words(value text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT coalesce(array_agg(DISTINCT word), '{}')
  FROM regexp_split_to_table(lower(normalize(value, NFKC)), '[^[:alnum:]]+') AS word WHERE word <> ''
$$;

-- What a name must have of each word of a query: the word's pairs of neighbours, or the character that it is.
CREATE FUNCTION search_grams(words text[]) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT coalesce(array_agg(DISTINCT gram), '{}') FROM (
    SELECT substr(word, n, 2) AS gram FROM unnest(words) AS word, generate_series(1, char_length(word) - 1) AS n
    UNION ALL
    SELECT word FROM unnest(words) AS word WHERE char_length(word) = 1) AS grams
$$;

-- What a name has: the same, and every character by itself.
CREATE FUNCTION searchable_grams(value text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT coalesce(array_agg(DISTINCT gram), '{}') FROM (
    SELECT unnest(search_grams(search_words(value))) AS gram
    UNION ALL
    SELECT substr(word, n, 1) FROM unnest(search_words(value)) AS word, generate_series(1, char_length(word)) AS n) AS grams
$$;

-- name_key: the name as it is compared.
ALTER TABLE products
  ADD COLUMN name_key text GENERATED ALWAYS AS (lower(normalize(name, NFKC))) STORED,
  ADD COLUMN name_grams text[] GENERATED ALWAYS AS (searchable_grams(name)) STORED,
  ADD COLUMN description_words tsvector GENERATED ALWAYS AS (to_tsvector('simple', lower(description))) STORED;

CREATE INDEX products_name_key ON products (name_key text_pattern_ops) WHERE deleted_at IS NULL;
CREATE INDEX products_name_grams ON products USING gin (name_grams) WHERE deleted_at IS NULL;
CREATE INDEX products_description_words ON products USING gin (description_words) WHERE deleted_at IS NULL;
-- Lists without a query.
CREATE INDEX products_made ON products (date_trunc('milliseconds', created_at, 'UTC'), id) WHERE deleted_at IS NULL;
