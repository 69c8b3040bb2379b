-- Which process works on an open attempt (engine/process-identity.ts), so that its successor on the same machine need not wait
-- for the lease of a process that it sees to be gone. NULL while nobody does.
ALTER TABLE payment_attempts ADD COLUMN taken_by text;
