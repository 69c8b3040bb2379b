-- Which process has a delivery under way (engine/process-identity.ts), so that its successor on the same machine need not wait
-- for the lease of one that it sees to be gone.
ALTER TABLE webhook_deliveries ADD COLUMN taken_by text;
CREATE INDEX webhook_deliveries_taken ON webhook_deliveries (taken_by) WHERE taken;
