-- Rebuilds that were asked for over the API, and their reports. A persister takes what is queued; its lock on the row lasts as
-- long as its work, so that what a dead one has begun is taken anew.
CREATE TABLE rebuilds (
  id           uuid PRIMARY KEY,
  sale_id      text NOT NULL REFERENCES sales,
  apply        boolean NOT NULL,
  actor        text NOT NULL,
  state        text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'done', 'failed')),
  reports      jsonb NOT NULL DEFAULT '[]',
  error        text,
  requested_at timestamptz NOT NULL DEFAULT now(),
  ended_at     timestamptz
);
CREATE INDEX rebuilds_of_sale ON rebuilds (sale_id, requested_at, id);
CREATE INDEX rebuilds_queued ON rebuilds (requested_at) WHERE state = 'queued';
