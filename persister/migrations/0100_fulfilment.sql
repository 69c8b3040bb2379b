-- Fulfilment: what became of a confirmed order's goods. Each step is a version of the order with its row in the timeline, like
-- any other; its status stays CONFIRMED.

ALTER TABLE orders
  ADD COLUMN fulfilment text CHECK (fulfilment IN ('packed', 'shipped', 'delivered')),
  ADD COLUMN fulfilment_reference text CHECK (char_length(fulfilment_reference) BETWEEN 1 AND 200),
  ADD COLUMN fulfilled_at timestamptz;
CREATE INDEX orders_fulfilment ON orders (fulfilment, id) WHERE fulfilment IS NOT NULL;

ALTER TABLE order_timeline
  ADD COLUMN fulfilment text,
  ADD COLUMN fulfilment_reference text;
