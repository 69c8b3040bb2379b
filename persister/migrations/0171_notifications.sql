-- Notifications: a member's inbox. Nothing is written to it on an order's way: what is new is collected from the orders'
-- timelines and the support threads when the member looks, so that an order costs no more for having one.

-- version: counts what changes the inbox: each notification, and each time that some were read. Whoever changes it holds the row.
-- seen: the sum of the versions of the member's orders and threads when it was last collected. Where it is another now, there is
-- something to collect.
CREATE TABLE notification_inboxes (
  customer_id text PRIMARY KEY CHECK (char_length(customer_id) BETWEEN 1 AND 64),
  version     bigint NOT NULL DEFAULT 0,
  seen        bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 80);

-- version: the inbox' with this notification, by which the member names it.
CREATE TABLE notifications (
  customer_id     text NOT NULL REFERENCES notification_inboxes ON DELETE CASCADE,
  version         bigint NOT NULL,
  kind            text NOT NULL CHECK (kind IN ('order', 'support')),
  order_id        uuid,
  order_version   integer,
  status          text,
  reason          text,
  fulfilment      text,
  thread_id       uuid,
  message_version bigint,
  at              timestamptz NOT NULL,
  read_at         timestamptz,
  PRIMARY KEY (customer_id, version),
  CHECK ((kind = 'order') = (order_id IS NOT NULL AND order_version IS NOT NULL AND status IS NOT NULL)),
  CHECK ((kind = 'support') = (thread_id IS NOT NULL AND message_version IS NOT NULL))
) WITH (fillfactor = 90);
CREATE UNIQUE INDEX notifications_of_order ON notifications (order_id, order_version) WHERE order_id IS NOT NULL;
CREATE UNIQUE INDEX notifications_of_thread ON notifications (thread_id, message_version) WHERE thread_id IS NOT NULL;
CREATE INDEX notifications_unread ON notifications (customer_id, version) WHERE read_at IS NULL;
