-- What an order's price was lowered by: the use of a coupon, and points. One row for an order that has any, and none for all
-- others. The use of the coupon is a line of the order too, of the coupon's own product, as its uses are stock.
CREATE TABLE order_discounts (
  order_id      uuid PRIMARY KEY,
  coupon_id     uuid,
  coupon_code   text,
  coupon_amount bigint NOT NULL DEFAULT 0 CHECK (coupon_amount >= 0),
  points        bigint NOT NULL DEFAULT 0 CHECK (points >= 0),
  CHECK ((coupon_id IS NULL) = (coupon_code IS NULL))
);

CREATE TRIGGER order_discounts_removed AFTER DELETE ON order_discounts
  REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION keep_removed_row();
