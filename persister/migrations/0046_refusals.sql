-- Refused orders, as API processes noted them: so that each can be explained by the id in its problem document, or by the
-- id that the order would have had. Above a rate they are sampled; what was passed over is counted. Kept for days.

-- decided_by: 'redis' (the script, on the state at epoch-seq), 'memory' (what a process knew since such a verdict),
-- 'process' (before any of it). at: the process' clock.
CREATE TABLE refusals (
  request_id text PRIMARY KEY,
  order_id   uuid,
  buyer      text NOT NULL,
  sale_id    text NOT NULL,
  partition  smallint NOT NULL,
  code       text NOT NULL,
  facts      jsonb NOT NULL,
  decided_by text NOT NULL CHECK (decided_by IN ('redis', 'memory', 'process')),
  epoch      bigint,
  seq        bigint,
  script     text,
  at         timestamptz NOT NULL
);
CREATE INDEX refusals_at ON refusals (at);
CREATE INDEX refusals_order ON refusals ((order_id::text)) WHERE order_id IS NOT NULL;

-- One row a process, so that a process can write its count again without counting twice.
CREATE TABLE refusal_counts (
  process     text NOT NULL,
  sale_id     text NOT NULL,
  partition   smallint NOT NULL,
  code        text NOT NULL,
  second      timestamptz NOT NULL,
  passed_over bigint NOT NULL,
  PRIMARY KEY (second, sale_id, code, partition, process)
);
