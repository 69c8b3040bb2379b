-- Webhooks out: where events of orders are sent, and what became of each (docs/ARCHITECTURE.md, "Telling other systems").

-- from_xact: transactions before it ended before the endpoint was there, and it is told nothing of them.
-- previous_secret: signs beside the new one until previous_until. failing_since: no delivery has been taken since then;
-- failures: rounds in a row of which nothing was taken; held_until: nothing is tried before.
CREATE TABLE webhook_endpoints (
  id              text PRIMARY KEY CHECK (id ~ '^whe_[0-9a-z]{24}$'),
  url             text NOT NULL CHECK (char_length(url) BETWEEN 1 AND 2000),
  events          text[] NOT NULL CHECK (cardinality(events) BETWEEN 1 AND 16),
  enabled         boolean NOT NULL DEFAULT true,
  disabled_by     text CHECK (disabled_by IN ('operator', 'failures')),
  secret          text NOT NULL,
  previous_secret text,
  previous_until  timestamptz,
  from_xact       bigint NOT NULL,
  failing_since   timestamptz,
  failures        integer NOT NULL DEFAULT 0,
  held_until      timestamptz,
  woken_at        timestamptz,
  created_by      text NOT NULL,
  created_at      timestamptz NOT NULL DEFAULT now(),
  updated_at      timestamptz NOT NULL DEFAULT now(),
  deleted_at      timestamptz
);

-- An event that is owed to an endpoint. order_id NULL: a ping. taken: under way, until due_at at the latest.
-- opened_at: when its tries began, which a replay sets anew.
CREATE TABLE webhook_deliveries (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  endpoint_id text NOT NULL,
  event_id    text NOT NULL,
  type        text NOT NULL,
  order_id    uuid,
  version     integer,
  at          timestamptz NOT NULL,
  state       text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'dead')),
  tries       integer NOT NULL DEFAULT 0,
  last_status integer,
  last_error  text,
  taken       boolean NOT NULL DEFAULT false,
  due_at      timestamptz NOT NULL DEFAULT now(),
  opened_at   timestamptz NOT NULL DEFAULT now(),
  ended_at    timestamptz,
  CONSTRAINT webhook_deliveries_event UNIQUE (endpoint_id, event_id)
) WITH (fillfactor = 80);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, due_at, id) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_dead ON webhook_deliveries (endpoint_id, id) WHERE state = 'dead';
CREATE INDEX webhook_deliveries_of_endpoint ON webhook_deliveries (endpoint_id, id);
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (ended_at) WHERE state <> 'pending';

-- Up to where the timeline has been told: everything before (xact, order_id, version).
CREATE TABLE webhook_cursor (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  xact      bigint NOT NULL,
  order_id  uuid NOT NULL,
  version   integer NOT NULL
);
INSERT INTO webhook_cursor (xact, order_id, version) VALUES (0, '00000000-0000-0000-0000-000000000000', 0);

-- The transaction that wrote a step: what makes reading behind the commits exact. Steps from before have none and are old news.
-- A BRIN index costs an insert next to nothing; whoever reads by it keeps its summaries up (engine/webhooks/events.ts).
ALTER TABLE order_timeline ADD COLUMN xact bigint;
ALTER TABLE order_timeline ALTER COLUMN xact SET DEFAULT txid_current();
CREATE INDEX order_timeline_xact ON order_timeline USING brin (xact) WITH (pages_per_range = 16);
