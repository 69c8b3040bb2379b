-- Payments that outlive their order's patience. late_since: since when an open attempt's order has not waited for it any
-- more (cancelled, or expired while the provider had not decided); from then on it is looked up and never charged anew.
-- late_capture: the attempt whose charge succeeded on an order that was being, or had been, cancelled. Once the order is
-- CANCELLED, one decision is due: revived, or refunded. It stays as the record of what was paid.
-- surplus: a charge that succeeded beside the one that its order stands for. It goes back by a refund of its own, which is
-- no refund of the order: 'owed' until that is opened.
ALTER TABLE orders ADD COLUMN late_capture integer;
ALTER TABLE payment_attempts
  ADD COLUMN late_since timestamptz,
  ADD COLUMN surplus text CHECK (surplus IN ('owed', 'refunding'));

CREATE INDEX orders_late_captures ON orders (id) WHERE late_capture IS NOT NULL AND status = 'CANCELLED';
CREATE INDEX payment_attempts_surplus ON payment_attempts (order_id, attempt) WHERE surplus = 'owed';
