-- 'processing': the simulated provider has taken the charge and not decided it yet; from `decides_at` on it succeeds.

ALTER TABLE simulated_gateway.charges ADD COLUMN decides_at timestamptz;
ALTER TABLE simulated_gateway.charges DROP CONSTRAINT charges_outcome_check;
ALTER TABLE simulated_gateway.charges
  ADD CONSTRAINT charges_outcome_check CHECK (outcome IN ('succeeded', 'declined', 'processing', 'error')),
  ADD CONSTRAINT charges_decides_check CHECK (outcome <> 'processing' OR decides_at IS NOT NULL);
CREATE INDEX charges_processing ON simulated_gateway.charges (decides_at) WHERE outcome = 'processing';
