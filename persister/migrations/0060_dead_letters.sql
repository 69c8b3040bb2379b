-- What operators decide about dead letters: by whom and when, what they asked for over the API and the persister has not
-- done yet, and why the last attempt was refused.

ALTER TABLE dead_letters
  ADD COLUMN decided_at timestamptz,
  ADD COLUMN decided_by text,
  ADD COLUMN wanted text CHECK (wanted IN ('replay', 'discard')),
  ADD COLUMN wanted_by text,
  ADD COLUMN wanted_reason text,
  ADD COLUMN refusal text;
CREATE INDEX dead_letters_open ON dead_letters (sale_id, partition, epoch, seq, id) WHERE state = 'open';
CREATE INDEX dead_letters_wanted ON dead_letters (id) WHERE state = 'open' AND wanted IS NOT NULL;

-- Orders that the ledger never took and whose holds were given back: the release of one of these is no dead letter itself.
CREATE TABLE discarded_orders (
  order_id     uuid PRIMARY KEY,
  letter_id    bigint NOT NULL REFERENCES dead_letters,
  reservation  bigint NOT NULL,
  discarded_at timestamptz NOT NULL DEFAULT now()
);
