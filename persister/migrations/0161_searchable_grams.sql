-- The same grams as before from one look at each word: an import of products spent more than half of its time in the two
-- functions that this one called. What is stored stays as it is.
CREATE OR REPLACE FUNCTION searchable_grams(value text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT coalesce(array_agg(DISTINCT gram), '{}')
  FROM regexp_split_to_table(lower(normalize(value, NFKC)), '[^[:alnum:]]+') AS word,
    generate_series(1, char_length(word)) AS n,
    LATERAL (VALUES (substr(word, n, 1)), (substr(word, n, 2))) AS of_character (gram)
$$;
