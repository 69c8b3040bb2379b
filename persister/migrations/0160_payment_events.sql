-- What payment providers told by webhook: the inbox. An event is believed for nothing but which charge or refund to ask the
-- provider about, so no more of it is kept. handled_at NULL: nobody has asked yet.
CREATE TABLE payment_events (
  id          text PRIMARY KEY CHECK (char_length(id) BETWEEN 1 AND 255),
  type        text NOT NULL,
  key         text,
  sent_at     timestamptz NOT NULL,
  received_at timestamptz NOT NULL DEFAULT now(),
  handled_at  timestamptz
);
CREATE INDEX payment_events_unhandled ON payment_events (received_at) WHERE handled_at IS NULL;
CREATE INDEX payment_events_received ON payment_events (received_at);
