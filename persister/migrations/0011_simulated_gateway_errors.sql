-- 'error': the provider was called under this key, failed, and moved no money. A later call may still end it; what is
-- 'succeeded' or 'declined' never changes.

ALTER TABLE simulated_gateway.charges DROP CONSTRAINT charges_outcome_check;
ALTER TABLE simulated_gateway.charges
  ADD CONSTRAINT charges_outcome_check CHECK (outcome IN ('succeeded', 'declined', 'error'));
