-- Carts. Postgres is the truth; Redis keeps the copy that is read (engine/cart/cart-cache.ts). Each change raises `version`,
-- so that of two copies the newer one is known.

-- lines: [{"saleId": "catalog", "productId": "<uuid>", "quantity": 2}, ...], in the order in which they were put in.
CREATE TABLE carts (
  customer_id text PRIMARY KEY CHECK (char_length(customer_id) BETWEEN 1 AND 64),
  version     bigint NOT NULL DEFAULT 0,
  lines       jsonb NOT NULL DEFAULT '[]',
  updated_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX carts_updated ON carts (updated_at);

-- Which order a checkout made, by its key: a checkout that is repeated finds its order although the cart is empty by then.
CREATE TABLE cart_checkouts (
  customer_id text NOT NULL,
  key         text NOT NULL CHECK (char_length(key) BETWEEN 1 AND 300),
  order_id    uuid NOT NULL,
  at          timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (customer_id, key)
);
CREATE INDEX cart_checkouts_at ON cart_checkouts (at);
