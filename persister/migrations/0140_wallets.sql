-- Wallets: money that members have paid in, kept by double entry. Every movement is a transfer from one account to another,
-- so that nothing comes from nowhere; what a member's account holds stands beside its transfers, changes with them in one
-- transaction, and never falls below zero.

-- owner: a member, or the shop's side of it: 'deposits' (money came in) and 'sales' (it was spent). Those two have no balance
-- of their own but the sum of their transfers: a row that every order updates would let the orders pass one by one.
CREATE TABLE wallet_accounts (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  owner      text NOT NULL CHECK (owner IN ('deposits', 'sales') OR owner ~ '^cus_[0-9a-z]{24}$'),
  currency   text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  balance    bigint CHECK (balance >= 0),
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (owner, currency),
  CHECK ((owner IN ('deposits', 'sales')) = (balance IS NULL))
) WITH (fillfactor = 70);

-- What the payments of orders asked for, and the answer, which never changes: the same key is answered the same.
CREATE TABLE wallet_charges (
  key         text PRIMARY KEY CHECK (char_length(key) BETWEEN 1 AND 255),
  customer_id text NOT NULL,
  amount      bigint NOT NULL CHECK (amount > 0),
  currency    text NOT NULL,
  state       text NOT NULL CHECK (state IN ('succeeded', 'declined')),
  refunded    bigint NOT NULL DEFAULT 0,
  at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  CHECK (refunded BETWEEN 0 AND amount AND (refunded = 0 OR state = 'succeeded'))
);

-- reference: what it is for, once a kind: a charge's or a refund's key; of a deposit the member and the operator's key.
-- account: the member's side. balance: what that account holds after it. reason: the operator's.
CREATE TABLE wallet_transfers (
  id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind           text NOT NULL CHECK (kind IN ('deposit', 'charge', 'refund')),
  reference      text NOT NULL CHECK (char_length(reference) BETWEEN 1 AND 300),
  debit_account  bigint NOT NULL REFERENCES wallet_accounts,
  credit_account bigint NOT NULL REFERENCES wallet_accounts,
  account        bigint NOT NULL GENERATED ALWAYS AS
                   (CASE kind WHEN 'charge' THEN debit_account ELSE credit_account END) STORED,
  amount         bigint NOT NULL CHECK (amount > 0),
  balance        bigint NOT NULL CHECK (balance >= 0),
  charge_key     text REFERENCES wallet_charges,
  reason         text CHECK (char_length(reason) <= 1000),
  at             timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (kind, reference),
  CHECK (debit_account <> credit_account),
  CHECK ((kind = 'refund') = (charge_key IS NOT NULL))
);
CREATE INDEX wallet_transfers_of_account ON wallet_transfers (account, id);
CREATE INDEX wallet_transfers_of_charge ON wallet_transfers (charge_key) WHERE charge_key IS NOT NULL;

CREATE FUNCTION wallet_transfers_are_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'wallet_transfers is append-only' USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER wallet_transfers_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON wallet_transfers
  FOR EACH STATEMENT EXECUTE FUNCTION wallet_transfers_are_append_only();
