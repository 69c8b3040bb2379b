-- What operators did: who, what, to what, how it was before and after, and why. Written in the transaction of the action
-- itself, so that neither stands without the other. Append-only: what was written is never changed and never removed.

CREATE TABLE audit_log (
  id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  actor   text NOT NULL CHECK (char_length(actor) BETWEEN 1 AND 200),
  action  text NOT NULL CHECK (action ~ '^[a-z]+([._][a-z]+)*$'),
  subject text NOT NULL CHECK (char_length(subject) BETWEEN 1 AND 300),
  before  jsonb,
  after   jsonb,
  reason  text CHECK (char_length(reason) <= 1000)
);
CREATE INDEX audit_log_subject ON audit_log (subject, id);

CREATE FUNCTION audit_log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'audit_log is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
  FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only();
