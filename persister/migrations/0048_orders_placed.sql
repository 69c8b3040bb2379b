-- Finds the orders of one entry of the log, which share its instant, without a cost that their inserts would notice.
CREATE INDEX orders_placed ON orders USING brin (placed_at) WITH (pages_per_range = 32, autosummarize = on);
