-- The entry of the log that a step of an order came from, where it came from the log: which movement settled or released it.
ALTER TABLE order_timeline
  ADD COLUMN epoch bigint,
  ADD COLUMN seq bigint;
