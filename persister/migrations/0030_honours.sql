-- Lost orders that are honoured by their receipts, from what a rebuild held back.

-- quantity: units held back at the position that Postgres has applied. claimed: those of them that are set aside for orders
-- whose placement is still on its way through the log. Once they begin to return to sale, nobody may claim them any more.
ALTER TABLE holdbacks DROP CONSTRAINT holdbacks_quantity_check;
ALTER TABLE holdbacks
  ADD COLUMN claimed bigint NOT NULL DEFAULT 0,
  ADD COLUMN return_started_at timestamptz,
  ADD CONSTRAINT holdbacks_claimed CHECK (claimed >= 0 AND claimed <= quantity);

-- One row a lost order, from the commit that sets its units aside. payload: the order as honour.lua takes it, erased (it may
-- hold a payment token) when the order is in the ledger. calls: how often the script was called, counted before each call.
CREATE TABLE honours (
  order_id   uuid PRIMARY KEY,
  sale_id    text NOT NULL,
  partition  smallint NOT NULL,
  lost_epoch bigint NOT NULL,
  lost_seq   bigint NOT NULL,
  payload    text,
  actor      text NOT NULL,
  calls      integer NOT NULL DEFAULT 1,
  called_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  created_at timestamptz NOT NULL DEFAULT now(),
  applied_at timestamptz,
  FOREIGN KEY (sale_id, partition) REFERENCES sale_partitions
);
CREATE INDEX honours_open ON honours (called_at) WHERE applied_at IS NULL;

CREATE TABLE honour_units (
  order_id    uuid NOT NULL REFERENCES honours ON DELETE CASCADE,
  movement_id uuid NOT NULL REFERENCES holdbacks,
  units       bigint NOT NULL CHECK (units > 0),
  PRIMARY KEY (order_id, movement_id)
);
