-- Units that move from one partition to another, of the same sale or of another one. The row is written first. restock.lua takes
-- them out at the source under the transfer's id; once the ledger has applied that, they are allocated at the other end under
-- deposit_id, in the commit that makes the row 'done', and delivered as every allocation. Between the two they are in transit:
-- the sum of what is allocated and in transit never changes. 'void': nothing was taken, and nothing will be.
-- called_at: of the last call of restock.lua, written before it; answered: whether its answer is known; unanswered_at: of the
-- last call before it that had no answer, and may still arrive.
CREATE TABLE stock_transfers (
  id             uuid PRIMARY KEY,
  deposit_id     uuid NOT NULL UNIQUE,
  product_id     uuid NOT NULL REFERENCES products,
  from_sale      text NOT NULL,
  from_partition smallint NOT NULL,
  to_sale        text NOT NULL,
  to_partition   smallint NOT NULL,
  quantity       bigint NOT NULL CHECK (quantity > 0),
  state          text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'done', 'void')),
  actor          text NOT NULL,
  called_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  answered       boolean NOT NULL DEFAULT false,
  unanswered_at  timestamptz,
  created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at       timestamptz,
  FOREIGN KEY (from_sale, from_partition) REFERENCES sale_partitions,
  FOREIGN KEY (to_sale, to_partition) REFERENCES sale_partitions,
  CHECK ((from_sale, from_partition) <> (to_sale, to_partition))
);
-- One at a time brings a product to a partition, whoever asks for it.
CREATE UNIQUE INDEX stock_transfers_open ON stock_transfers (product_id, to_sale, to_partition) WHERE state = 'open';
CREATE INDEX allocations_of_product_unapplied ON allocations (product_id) WHERE applied_seq IS NULL;
