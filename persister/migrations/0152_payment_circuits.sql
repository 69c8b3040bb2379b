-- The circuit breakers of the workers around their payment providers that are not closed: for /metrics, and for nothing else.

CREATE TABLE payment_circuits (
  holder     text NOT NULL,
  circuit    text NOT NULL,
  status     text NOT NULL CHECK (status IN ('open', 'half-open')),
  changed_at timestamptz NOT NULL DEFAULT now(),
  seen_at    timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (holder, circuit)
);
