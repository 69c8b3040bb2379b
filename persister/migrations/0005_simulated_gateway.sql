-- The simulated payment provider's own books, apart from the shop's: what it answers for a key never changes.

CREATE SCHEMA simulated_gateway;

CREATE TABLE simulated_gateway.charges (
  key        text PRIMARY KEY,
  amount     bigint NOT NULL,
  currency   text NOT NULL,
  token      text NOT NULL,
  outcome    text NOT NULL CHECK (outcome IN ('succeeded', 'declined')),
  reference  text NOT NULL,
  calls      integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now()
);
