-- Points: what members have earned by orders and spend on others. One is worth one minor unit of the shop's default currency.

-- balance: below 0 when more was taken back than was there; what is earned next settles it. spend: what tiers go by, the
-- payable of CONFIRMED orders less what was refunded of them.
CREATE TABLE points_accounts (
  customer_id text PRIMARY KEY CHECK (customer_id ~ '^cus_[0-9a-z]{24}$'),
  balance     bigint NOT NULL DEFAULT 0,
  spend       bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 70);

-- occurrence: of an order's entries of one kind, which one: nothing is booked twice. A 'give_back' has that of the 'spend' that
-- it gives back; a 'revoke' has the order's version. balance: what the account holds after it. spend: how it changed the
-- account's. reference: of an adjustment, the operator's key.
CREATE TABLE points_entries (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  customer_id text NOT NULL REFERENCES points_accounts,
  order_id    uuid,
  kind        text NOT NULL,
  occurrence  integer NOT NULL DEFAULT 1,
  amount      bigint NOT NULL,
  balance     bigint NOT NULL,
  spend       bigint NOT NULL DEFAULT 0,
  reference   text UNIQUE CHECK (char_length(reference) BETWEEN 1 AND 300),
  reason      text CHECK (char_length(reason) <= 1000),
  at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  CHECK (CASE kind
    WHEN 'earn' THEN amount >= 0 AND spend > 0
    WHEN 'revoke' THEN amount <= 0 AND spend <= 0
    WHEN 'spend' THEN amount < 0 AND spend = 0
    WHEN 'give_back' THEN amount > 0 AND spend = 0
    WHEN 'adjust' THEN amount <> 0 AND spend = 0
    WHEN 'forfeit' THEN amount < 0 AND spend = 0
    ELSE false END),
  CHECK ((order_id IS NOT NULL) = (kind IN ('earn', 'revoke', 'spend', 'give_back'))),
  CHECK ((reference IS NOT NULL) = (kind = 'adjust'))
);
CREATE UNIQUE INDEX points_entries_of_order ON points_entries (order_id, kind, occurrence) WHERE order_id IS NOT NULL;
CREATE INDEX points_entries_of_customer ON points_entries (customer_id, id);

CREATE FUNCTION points_entries_are_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'points_entries is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER points_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON points_entries
  FOR EACH STATEMENT EXECUTE FUNCTION points_entries_are_append_only();

-- Since when orders earn points: those that were CONFIRMED before have none, and the check of the books knows it.
CREATE TABLE points_began (
  at  timestamptz NOT NULL,
  one boolean PRIMARY KEY DEFAULT true CHECK (one)
);
INSERT INTO points_began (at) VALUES (clock_timestamp());
