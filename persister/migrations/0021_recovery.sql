-- What a rebuild of a partition after a loss of Redis needs, and what it leaves behind.

-- What API processes have acknowledged and Postgres does not have yet, as each last reported: the highest seq, and the units
-- by entry: [{"seq": 12, "units": {"<product>": 3}}, ...]. A rebuild holds back what was reported and is lost.
CREATE TABLE acknowledgements (
  process   text NOT NULL,
  sale_id   text NOT NULL,
  partition smallint NOT NULL,
  epoch     bigint NOT NULL,
  seq       bigint NOT NULL,
  entries   jsonb NOT NULL,
  at        timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (process, sale_id, partition),
  FOREIGN KEY (sale_id, partition) REFERENCES sale_partitions
);

-- Numbers of a log that are declared lost: a gap in stock_movements is one of these, or a dead letter.
CREATE TABLE lost_ranges (
  sale_id     text NOT NULL,
  partition   smallint NOT NULL,
  epoch       bigint NOT NULL,
  from_seq    bigint NOT NULL,
  to_seq      bigint NOT NULL CHECK (to_seq >= from_seq),
  actor       text NOT NULL,
  declared_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (sale_id, partition, epoch, from_seq)
);

-- Units that lost acknowledged orders may claim by their receipts. They are part of `allocated`, on sale to nobody, and
-- return to sale by restock.lua under the movement's id when the time is over.
CREATE TABLE holdbacks (
  movement_id uuid PRIMARY KEY,
  sale_id     text NOT NULL,
  partition   smallint NOT NULL,
  product_id  uuid NOT NULL REFERENCES products,
  quantity    bigint NOT NULL CHECK (quantity > 0),
  until       timestamptz NOT NULL,
  returned_at timestamptz,
  FOREIGN KEY (sale_id, partition) REFERENCES sale_partitions
);
CREATE INDEX holdbacks_open ON holdbacks (until) WHERE returned_at IS NULL;
