-- The stock ledger: Postgres' own guard against overselling, applied from each partition's movement log in its order.

-- epoch and seq: the last movement applied. reservation: the highest reservation number applied.
-- state: 'new' until its Redis keys were created once; 'live'; 'suspended' when Redis lost or regressed (reason says why).
CREATE TABLE sale_partitions (
  sale_id     text NOT NULL REFERENCES sales,
  partition   smallint NOT NULL CHECK (partition >= 0),
  epoch       bigint NOT NULL DEFAULT 1 CHECK (epoch >= 1),
  seq         bigint NOT NULL DEFAULT 0 CHECK (seq >= 0),
  reservation bigint NOT NULL DEFAULT 0,
  state       text NOT NULL DEFAULT 'new' CHECK (state IN ('new', 'live', 'suspended')),
  reason      text,
  updated_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (sale_id, partition)
);

CREATE TRIGGER sale_partitions_changed AFTER INSERT OR DELETE OR UPDATE OF epoch, state ON sale_partitions
  EXECUTE FUNCTION catalogue_changed();

-- Units. allocated = initial + restocks - write-offs. The CHECK is the backstop below the guard that the persister
-- computes: it holds even when Redis was restored from the past.
CREATE TABLE stock (
  sale_id    text NOT NULL,
  partition  smallint NOT NULL,
  product_id uuid NOT NULL REFERENCES products,
  allocated  bigint NOT NULL DEFAULT 0 CHECK (allocated >= 0),
  reserved   bigint NOT NULL DEFAULT 0 CHECK (reserved >= 0),
  sold       bigint NOT NULL DEFAULT 0 CHECK (sold >= 0),
  PRIMARY KEY (sale_id, partition, product_id),
  FOREIGN KEY (sale_id, partition) REFERENCES sale_partitions,
  CONSTRAINT stock_never_oversold CHECK (reserved + sold <= allocated)
);

-- Changes of `allocated`. An increase is committed here first and carried to Redis by restock.lua (repeatable by its id);
-- a decrease moves in Redis first and arrives here with its movement. applied_seq NULL: not seen in the log yet.
CREATE TABLE allocations (
  movement_id   uuid PRIMARY KEY,
  sale_id       text NOT NULL,
  partition     smallint NOT NULL,
  product_id    uuid NOT NULL REFERENCES products,
  quantity      bigint NOT NULL CHECK (quantity <> 0),
  reason        text NOT NULL CHECK (reason IN ('initial', 'restock', 'write_off')),
  actor         text NOT NULL,
  created_at    timestamptz NOT NULL DEFAULT now(),
  applied_epoch bigint,
  applied_seq   bigint,
  FOREIGN KEY (sale_id, partition) REFERENCES sale_partitions
);
CREATE INDEX allocations_unapplied ON allocations (created_at) WHERE applied_seq IS NULL;

-- The log as applied: at least one row a number, so that a missing number is a loss that can be named.
-- quantity: units as Redis moved them; refused: those of them that the guard did not let into the ledger.
CREATE TABLE stock_movements (
  sale_id    text NOT NULL,
  partition  smallint NOT NULL,
  epoch      bigint NOT NULL,
  seq        bigint NOT NULL,
  product_id uuid NOT NULL,
  kind       text NOT NULL CHECK (kind IN ('place', 'settle', 'release', 'restock')),
  quantity   bigint NOT NULL,
  refused    bigint NOT NULL DEFAULT 0,
  at         timestamptz NOT NULL,
  PRIMARY KEY (sale_id, partition, epoch, seq, product_id)
);

-- Entries, or single orders of an entry, that could not be applied. Their stock stays held until an operator decides.
CREATE TABLE dead_letters (
  id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  sale_id    text NOT NULL,
  partition  smallint NOT NULL,
  epoch      bigint NOT NULL,
  seq        bigint NOT NULL,
  order_id   text,
  kind       text NOT NULL,
  payload    text NOT NULL,
  error      text NOT NULL,
  state      text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'replayed', 'discarded')),
  created_at timestamptz NOT NULL DEFAULT now()
);
