-- What operators changed of the configuration while the shop runs. Each version is the whole document of what is stored then;
-- the highest one holds. Append-only: going back is a version of its own.

CREATE TABLE configuration_versions (
  version  integer PRIMARY KEY CHECK (version > 0),
  settings jsonb NOT NULL CHECK (jsonb_typeof(settings) = 'object'),
  actor    text NOT NULL CHECK (char_length(actor) BETWEEN 1 AND 200),
  reason   text CHECK (char_length(reason) <= 1000),
  at       timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE FUNCTION configuration_versions_are_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'configuration_versions is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER configuration_versions_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON configuration_versions
  FOR EACH STATEMENT EXECUTE FUNCTION configuration_versions_are_append_only();
