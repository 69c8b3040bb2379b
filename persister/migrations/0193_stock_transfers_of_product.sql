-- How many transfers there have been of a product: the same number twice, and none came in between.
CREATE INDEX stock_transfers_of_product ON stock_transfers (product_id);
