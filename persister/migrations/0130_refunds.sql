-- Refunds: a row each, written before the gateway is asked, and the only truth about what is owed. Its id is its key at the
-- gateway for ever: asked again, after whatever happened, the money goes back once. No refund is ever given up: one that
-- 'failed' waits for an operator's replay, and its amount stays reserved.
-- attempt: whose charge, `order id:attempt`, the money comes from; 0 where nothing was ever captured.
-- scope: 'part' of what the order was paid with; 'whole': the one that completes it; 'charge': a capture that the order was
-- not waiting for goes back by itself, and the order knows nothing of it.
-- calls: how often it was taken, each time for at most one call of the gateway; tries: of those, the ones since it was opened
-- or replayed that the provider answered. returned_at: when the ledger had its units back (or never had any to wait for).

CREATE TABLE refunds (
  id              uuid PRIMARY KEY,
  order_id        uuid NOT NULL,
  attempt         integer NOT NULL,
  method          text NOT NULL,
  scope           text NOT NULL CHECK (scope IN ('part', 'whole', 'charge')),
  amount          bigint NOT NULL CHECK (amount >= 0),
  currency        text NOT NULL,
  restock         boolean NOT NULL DEFAULT false,
  state           text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'succeeded', 'failed')),
  reference       text,
  error           text,
  calls           integer NOT NULL DEFAULT 0,
  tries           integer NOT NULL DEFAULT 0,
  due_at          timestamptz NOT NULL DEFAULT now(),
  woken_at        timestamptz DEFAULT now(),
  taken_by        text,
  reason          text CHECK (char_length(reason) <= 1000),
  actor           text NOT NULL CHECK (char_length(actor) BETWEEN 1 AND 200),
  idempotency_key text CHECK (char_length(idempotency_key) BETWEEN 1 AND 255),
  payload_hash    text,
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at        timestamptz,
  returned_at     timestamptz
);
CREATE INDEX refunds_of_order ON refunds (order_id, created_at);
CREATE INDEX refunds_due ON refunds (due_at) WHERE state = 'pending';
CREATE INDEX refunds_failed ON refunds (ended_at) WHERE state = 'failed';
CREATE INDEX refunds_returning ON refunds (ended_at) WHERE state = 'succeeded' AND returned_at IS NULL;
CREATE UNIQUE INDEX refunds_idempotent ON refunds (order_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE UNIQUE INDEX refunds_of_charge ON refunds (order_id, attempt) WHERE scope = 'charge';

-- The units that a refund takes back, by product: lines of one product count together.
CREATE TABLE refund_lines (
  refund_id  uuid NOT NULL REFERENCES refunds,
  product_id uuid NOT NULL,
  quantity   bigint NOT NULL CHECK (quantity > 0),
  PRIMARY KEY (refund_id, product_id)
);

-- What had been given back by then; on the rows of a step that gave some back.
ALTER TABLE order_timeline ADD COLUMN refunded_amount bigint;

-- A refund whose tries have ended without success is a dead letter too. It comes from no log.
ALTER TABLE dead_letters
  ALTER COLUMN epoch DROP NOT NULL,
  ALTER COLUMN seq DROP NOT NULL,
  ADD COLUMN refund_id uuid REFERENCES refunds,
  ADD CONSTRAINT dead_letters_refund CHECK ((kind = 'refund') = (refund_id IS NOT NULL)),
  ADD CONSTRAINT dead_letters_position CHECK (refund_id IS NOT NULL OR (epoch IS NOT NULL AND seq IS NOT NULL));
CREATE UNIQUE INDEX dead_letters_refund_open ON dead_letters (refund_id) WHERE state = 'open' AND refund_id IS NOT NULL;
