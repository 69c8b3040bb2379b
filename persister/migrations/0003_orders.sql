-- Orders, their lines, their way through the states, and their payments.

-- stock_state: what the ledger holds for the order: 'reserved', 'sold', 'released', or 'refused' by the guard.
-- hold_reservation: the reservation number under which Redis holds the units.
CREATE TABLE orders (
  id                uuid PRIMARY KEY,
  sale_id           text NOT NULL,
  partition         smallint NOT NULL,
  epoch             bigint NOT NULL,
  seq               bigint NOT NULL,
  hold_reservation  bigint NOT NULL,
  customer_id       text NOT NULL CHECK (char_length(customer_id) BETWEEN 1 AND 64),
  status            text NOT NULL CHECK (status IN ('PENDING', 'RESERVED', 'PAYING', 'PAID', 'CONFIRMED', 'CANCELLING',
                      'CANCELLED', 'REFUND_PENDING', 'REFUNDED')),
  reason            text CHECK (reason IN ('PAYMENT_DECLINED', 'PAYMENT_FAILED', 'EXPIRED', 'CUSTOMER', 'OPERATOR',
                      'LEDGER_GUARD')),
  version           integer NOT NULL,
  stock_state       text NOT NULL CHECK (stock_state IN ('reserved', 'sold', 'released', 'refused')),
  price             bigint NOT NULL CHECK (price >= 0),
  payable           bigint NOT NULL CHECK (payable >= 0),
  refunded_amount   bigint NOT NULL DEFAULT 0 CHECK (refunded_amount >= 0),
  currency          text NOT NULL,
  payment_method    text NOT NULL CHECK (payment_method IN ('card', 'wallet', 'later')),
  payment_token     text,
  payment_attempts  integer NOT NULL DEFAULT 0,
  on_decline        text NOT NULL DEFAULT 'release' CHECK (on_decline IN ('release', 'hold')),
  address           jsonb,
  idempotency_scope text,
  payload_hash      text,
  reserved_until    timestamptz NOT NULL,
  placed_at         timestamptz NOT NULL,
  updated_at        timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);

CREATE INDEX orders_of_customer ON orders (customer_id, id);
-- What sweeps look for: everything that is not at an end.
CREATE INDEX orders_unfinished ON orders (status, reserved_until)
  WHERE status IN ('RESERVED', 'PAYING', 'PAID', 'CANCELLING', 'REFUND_PENDING');

CREATE TABLE order_lines (
  order_id     uuid NOT NULL,
  line         smallint NOT NULL,
  product_id   uuid NOT NULL,
  product_name text NOT NULL,
  quantity     bigint NOT NULL CHECK (quantity > 0),
  unit_price   bigint NOT NULL CHECK (unit_price >= 0),
  PRIMARY KEY (order_id, line)
);

CREATE TABLE order_timeline (
  order_id uuid NOT NULL,
  version  integer NOT NULL,
  status   text NOT NULL,
  reason   text,
  at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (order_id, version)
);

-- A wish about an order that Postgres does not have yet; the insert of the order honours it.
CREATE TABLE order_intents (
  order_id   uuid PRIMARY KEY,
  intent     text NOT NULL CHECK (intent IN ('cancel', 'pay')),
  actor      text NOT NULL,
  reason     text,
  method     text,
  token      text,
  created_at timestamptz NOT NULL DEFAULT now()
);

-- One row an attempt, written before the gateway is called. The gateway sees the key 'order id:attempt'.
CREATE TABLE payment_attempts (
  order_id   uuid NOT NULL,
  attempt    integer NOT NULL,
  method     text NOT NULL,
  token      text,
  amount     bigint NOT NULL,
  currency   text NOT NULL,
  state      text NOT NULL DEFAULT 'started' CHECK (state IN ('started', 'succeeded', 'declined', 'failed')),
  reference  text,
  error      text,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at   timestamptz,
  PRIMARY KEY (order_id, attempt)
);
CREATE INDEX payment_attempts_open ON payment_attempts (started_at) WHERE state = 'started';
