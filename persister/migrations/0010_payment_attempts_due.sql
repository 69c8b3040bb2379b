-- An open attempt says when somebody may work on it next. Whoever takes it moves due_at ahead by a lease, so that two
-- workers do not ask the gateway at once, and a dead worker's attempt falls due by itself.
-- calls: how often it was taken, each time for at most one charge. woken_at: when a job was last sent for it.

ALTER TABLE payment_attempts
  ADD COLUMN calls integer NOT NULL DEFAULT 0,
  ADD COLUMN due_at timestamptz NOT NULL DEFAULT now(),
  ADD COLUMN woken_at timestamptz;

DROP INDEX payment_attempts_open;
CREATE INDEX payment_attempts_open ON payment_attempts (due_at) WHERE state = 'started';
