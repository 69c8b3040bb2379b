-- Coupons. A coupon's uses are stock: it has a product of its own, offered in each of its sales beside what is sold there, and its
-- uses are units of it. That product is nobody's to look at: it stands as a deleted one, which every reader of products passes
-- over, and so does what a sale shows of its items.
ALTER TABLE products
  ADD COLUMN kind text NOT NULL DEFAULT 'product' CHECK (kind IN ('product', 'coupon')),
  ADD CONSTRAINT products_coupons_hidden CHECK (kind = 'product' OR deleted_at IS NOT NULL);

-- Either an amount or a percentage off. currency: of the amounts, and of all its sales; NULL where they differ and it names no
-- amount. maximum: the most that a percentage takes off. uses: in all; how they lie over the partitions of its sales changes.
CREATE TABLE coupons (
  id               uuid PRIMARY KEY REFERENCES products,
  code             text NOT NULL UNIQUE CHECK (code ~ '^[A-Z0-9_-]{1,40}$'),
  amount           bigint CHECK (amount BETWEEN 1 AND 1000000000000),
  percent          smallint CHECK (percent BETWEEN 1 AND 100),
  maximum          bigint CHECK (maximum BETWEEN 1 AND 1000000000000),
  minimum_price    bigint CHECK (minimum_price BETWEEN 1 AND 1000000000000),
  currency         text CHECK (currency ~ '^[A-Z]{3}$'),
  uses             bigint NOT NULL CHECK (uses BETWEEN 1 AND 1000000000),
  per_member_limit integer CHECK (per_member_limit BETWEEN 1 AND 1000000),
  valid_from       timestamptz NOT NULL,
  valid_until      timestamptz CHECK (valid_until > valid_from),
  created_by       text NOT NULL,
  created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  closed_at        timestamptz,
  CHECK ((amount IS NULL) <> (percent IS NULL)),
  CHECK (maximum IS NULL OR percent IS NOT NULL),
  CHECK (currency IS NOT NULL OR (amount IS NULL AND maximum IS NULL AND minimum_price IS NULL))
);
CREATE INDEX coupons_created ON coupons (created_at, id);

CREATE TRIGGER coupons_changed AFTER INSERT OR UPDATE OR DELETE ON coupons EXECUTE FUNCTION catalogue_changed();
