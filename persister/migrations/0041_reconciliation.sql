-- What comparing Redis with Postgres stands on, and what it found.

-- 'adjust': the reconciler moved Redis to what the ledger says; the ledger itself stays as it is (quantity: change of what
-- is available). holds: how many holds the number took or ended, on its first row; NULL before this version.
ALTER TABLE stock_movements DROP CONSTRAINT stock_movements_kind_check;
ALTER TABLE stock_movements
  ADD COLUMN holds integer,
  ADD CONSTRAINT stock_movements_kind_check CHECK (kind IN ('place', 'settle', 'release', 'restock', 'adjust'));
-- Units that Redis moved and the guard kept out of the ledger: next to none, and asked for in every pass.
CREATE INDEX stock_movements_refused ON stock_movements (sale_id, partition, epoch) WHERE refused <> 0;

-- Orders ever inserted: fewer rows than this, and one was taken away.
ALTER TABLE sale_partitions ADD COLUMN orders bigint NOT NULL DEFAULT 0;
UPDATE sale_partitions p SET orders =
  (SELECT count(*) FROM orders o WHERE o.sale_id = p.sale_id AND o.partition = p.partition);

-- The last pass over each partition. duration_ms: of the pass; verdict_since: of this verdict.
CREATE TABLE reconciliations (
  sale_id       text NOT NULL,
  partition     smallint NOT NULL,
  verdict       text NOT NULL CHECK (verdict IN ('CLEAN', 'DRIFT', 'UNCERTAIN')),
  reason        text,
  epoch         bigint,
  seq           bigint,
  passes        bigint NOT NULL DEFAULT 1,
  duration_ms   double precision NOT NULL,
  at            timestamptz NOT NULL DEFAULT now(),
  verdict_since timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (sale_id, partition),
  FOREIGN KEY (sale_id, partition) REFERENCES sale_partitions
);

-- What was found, from the first pass that saw it until the pass that no longer did.
CREATE TABLE drifts (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  sale_id     text NOT NULL,
  partition   smallint NOT NULL,
  kind        text NOT NULL,
  subject     text NOT NULL,
  fingerprint text NOT NULL,
  detail      text NOT NULL,
  found_at    timestamptz NOT NULL DEFAULT now(),
  seen_at     timestamptz NOT NULL DEFAULT now(),
  ended_at    timestamptz,
  FOREIGN KEY (sale_id, partition) REFERENCES sale_partitions
);
CREATE UNIQUE INDEX drifts_open ON drifts (sale_id, partition, fingerprint) WHERE ended_at IS NULL;
CREATE INDEX drifts_ended ON drifts (ended_at) WHERE ended_at IS NOT NULL;
