-- Onrush deletes no order, line, timeline entry or movement. What somebody else deletes is kept here, with who did it, so
-- that the reconciler can put it back as it was.

CREATE TABLE removed_rows (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  table_name  text NOT NULL,
  content     jsonb NOT NULL,
  removed_by  text NOT NULL DEFAULT session_user,
  removed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  restored_at timestamptz
);
CREATE INDEX removed_rows_open ON removed_rows (table_name) WHERE restored_at IS NULL;

CREATE FUNCTION keep_removed_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO removed_rows (table_name, content) SELECT TG_TABLE_NAME, to_jsonb(removed) FROM removed;
  RETURN NULL;
END $$;

CREATE TRIGGER orders_removed AFTER DELETE ON orders
  REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION keep_removed_row();
CREATE TRIGGER order_lines_removed AFTER DELETE ON order_lines
  REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION keep_removed_row();
CREATE TRIGGER order_timeline_removed AFTER DELETE ON order_timeline
  REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION keep_removed_row();
CREATE TRIGGER stock_movements_removed AFTER DELETE ON stock_movements
  REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION keep_removed_row();
