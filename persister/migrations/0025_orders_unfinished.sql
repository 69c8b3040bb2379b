-- What sweeps look for, without walking over what they do not want: among RESERVED orders those with a payment due wait for
-- their attempt, however many there are, and the others for their deadline, however many there are. The expression is
-- PAYMENT_WAITS of engine/ledger/payments.ts. Still one index: every order pays for it at each of its steps.
DROP INDEX orders_unfinished;
CREATE INDEX orders_unfinished ON orders (
  status,
  (CASE WHEN status = 'RESERVED' AND (payment_method <> 'later' AND (payment_token IS NOT NULL OR payable = 0))
    THEN 1 ELSE 0 END),
  reserved_until
) WHERE status IN ('RESERVED', 'PAYING', 'PAID', 'CANCELLING', 'REFUND_PENDING');
