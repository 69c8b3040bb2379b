-- The simulated provider tells its merchant of every end by a webhook, and can be told to behave badly.

-- What is still to be told; a row goes when it was delivered, or after the last try.
CREATE TABLE simulated_gateway.webhooks (
  id         text PRIMARY KEY DEFAULT 'evt_' || gen_random_uuid(),
  type       text NOT NULL,
  key        text NOT NULL,
  tries      integer NOT NULL DEFAULT 0,
  due_at     timestamptz NOT NULL DEFAULT now(),
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX webhooks_due ON simulated_gateway.webhooks (due_at);

-- `failures`: so many calls fail before the charge comes to what it `ends_as`. `ended_at`: when it was decided for good.
ALTER TABLE simulated_gateway.charges
  ADD COLUMN ends_as text,
  ADD COLUMN failures integer NOT NULL DEFAULT 0,
  ADD COLUMN ended_at timestamptz;
UPDATE simulated_gateway.charges SET
  ends_as = CASE WHEN outcome = 'error' AND token = 'tok_flaky' THEN 'succeeded' ELSE outcome END,
  failures = CASE WHEN token = 'tok_flaky' THEN 2 ELSE 0 END,
  ended_at = CASE WHEN outcome IN ('succeeded', 'declined') THEN created_at END;
ALTER TABLE simulated_gateway.charges
  ALTER COLUMN ends_as SET NOT NULL,
  ADD CONSTRAINT charges_ended_check CHECK ((ended_at IS NOT NULL) = (outcome IN ('succeeded', 'declined')));

-- How it answers new charges at present, as refund_mode is for refunds.
CREATE TABLE simulated_gateway.charge_mode (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  mode text NOT NULL CHECK (mode IN ('accept', 'flaky', 'refuse', 'unavailable'))
);
INSERT INTO simulated_gateway.charge_mode (mode) VALUES ('accept');

ALTER TABLE simulated_gateway.refund_mode DROP CONSTRAINT refund_mode_mode_check;
ALTER TABLE simulated_gateway.refund_mode
  ADD CONSTRAINT refund_mode_mode_check CHECK (mode IN ('accept', 'flaky', 'refuse', 'unavailable'));
-- How often a refund failed in the flaky mode.
CREATE TABLE simulated_gateway.refund_failures (
  key      text PRIMARY KEY,
  failures integer NOT NULL
);
