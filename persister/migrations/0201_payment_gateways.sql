-- The payment provider may be changed while payments are under way. provider: the one that an attempt by card was begun at,
-- where it is asked about and refunded whatever the configuration names by then. NULL: from before; the worker's own.
ALTER TABLE payment_attempts ADD COLUMN provider text CHECK (provider IN ('simulated', 'http', 'stripe'));

-- Which providers each worker that runs knows how to reach: one that not all of them know cannot be chosen.
CREATE TABLE payment_gateways (
  holder   text PRIMARY KEY,
  gateways text[] NOT NULL,
  seen_at  timestamptz NOT NULL DEFAULT now()
);
