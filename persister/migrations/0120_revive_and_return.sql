-- Units that move after an order's end. 'revive': a cancelled order that was paid all the same holds its units again.
-- 'return': sold units of a refunded order are on sale again; 'write_off': they are gone, and `allocated` with them.
ALTER TABLE stock_movements DROP CONSTRAINT stock_movements_kind_check;
ALTER TABLE stock_movements ADD CONSTRAINT stock_movements_kind_check
  CHECK (kind IN ('place', 'settle', 'release', 'restock', 'adjust', 'revive', 'return', 'write_off'));

-- returned: units of the line that came back; restocked: those of them that went back on sale, and freed the buyer's limit.
-- Sold to the buyer is quantity - returned.
ALTER TABLE order_lines
  ADD COLUMN returned  bigint NOT NULL DEFAULT 0,
  ADD COLUMN restocked bigint NOT NULL DEFAULT 0,
  ADD CONSTRAINT order_lines_returned CHECK (0 <= restocked AND restocked <= returned AND returned <= quantity);
UPDATE removed_rows SET content = content || '{"returned": 0, "restocked": 0}' WHERE table_name = 'order_lines';

-- Every movement that revived an order in Redis, and what the ledger made of it: 'revived' (it is PAID), 'refused' (it did
-- not fit what is allocated), 'late' (the order had gone another way). Units of the last two are given back by a release.
-- earlier_reservation: the number under which the order had held them before.
CREATE TABLE order_revivals (
  order_id            uuid NOT NULL,
  sale_id             text NOT NULL,
  partition           smallint NOT NULL,
  epoch               bigint NOT NULL,
  seq                 bigint NOT NULL,
  reservation         bigint NOT NULL,
  earlier_reservation bigint NOT NULL,
  outcome             text NOT NULL CHECK (outcome IN ('revived', 'refused', 'late')),
  at                  timestamptz NOT NULL,
  PRIMARY KEY (order_id, epoch, seq)
);
CREATE INDEX order_revivals_of_entry ON order_revivals (sale_id, partition, epoch, seq);

-- Returns that the ledger has. Their movements are repeatable by these ids, in every epoch. units: {"product": units}.
CREATE TABLE order_returns (
  movement_id uuid PRIMARY KEY,
  order_id    uuid NOT NULL,
  sale_id     text NOT NULL,
  partition   smallint NOT NULL,
  epoch       bigint NOT NULL,
  seq         bigint NOT NULL,
  restock     boolean NOT NULL,
  units       jsonb NOT NULL,
  at          timestamptz NOT NULL
);
CREATE INDEX order_returns_of_order ON order_returns (order_id);
CREATE INDEX order_returns_of_entry ON order_returns (sale_id, partition, epoch, seq);

-- Holds of orders that have gone another way, to be released: next to none, and looked for in every sweep.
CREATE INDEX orders_held_beyond ON orders (reserved_until, id)
  WHERE stock_state IN ('reserved', 'refused') AND status IN ('CANCELLED', 'REFUND_PENDING', 'REFUNDED');
