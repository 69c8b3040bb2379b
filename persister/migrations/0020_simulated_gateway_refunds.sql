-- The provider gives money back. What a charge has given back stands beside it, so that no two refunds together can
-- exceed it, whoever asks and however often. Only refunds that moved money are booked: a refused one may be asked again.

ALTER TABLE simulated_gateway.charges
  ADD COLUMN merchant_reference text,
  ADD COLUMN refunded bigint NOT NULL DEFAULT 0,
  ADD CONSTRAINT charges_refunded_check CHECK (refunded BETWEEN 0 AND amount AND (refunded = 0 OR outcome = 'succeeded'));

CREATE TABLE simulated_gateway.refunds (
  key        text PRIMARY KEY,
  charge_key text NOT NULL REFERENCES simulated_gateway.charges (key),
  amount     bigint NOT NULL CHECK (amount > 0),
  reference  text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX refunds_charge ON simulated_gateway.refunds (charge_key);

-- How it answers new refunds at present; kept here so that a restarted provider goes on as it was told.
CREATE TABLE simulated_gateway.refund_mode (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  mode text NOT NULL CHECK (mode IN ('accept', 'refuse', 'unavailable'))
);
INSERT INTO simulated_gateway.refund_mode (mode) VALUES ('accept');
