-- Products, sales and what a sale offers.

CREATE TABLE products (
  id          uuid PRIMARY KEY,
  name        text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
  description text NOT NULL DEFAULT '' CHECK (char_length(description) <= 10000),
  price       bigint NOT NULL CHECK (price BETWEEN 0 AND 1000000000000),
  currency    text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  image_url   text CHECK (char_length(image_url) <= 2000),
  version     integer NOT NULL DEFAULT 1,
  created_at  timestamptz NOT NULL DEFAULT now(),
  updated_at  timestamptz NOT NULL DEFAULT now(),
  deleted_at  timestamptz
);

-- `no` is the short number that a tracking id carries (20 bits).
CREATE TABLE sales (
  id                 text PRIMARY KEY CHECK (id ~ '^[a-z0-9-]{1,36}$'),
  no                 integer NOT NULL GENERATED ALWAYS AS IDENTITY (START WITH 1 MINVALUE 1 MAXVALUE 1048575) UNIQUE,
  name               text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 200),
  currency           text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
  opens_at           timestamptz NOT NULL,
  closes_at          timestamptz CHECK (closes_at > opens_at),
  admission          text NOT NULL DEFAULT 'open' CHECK (admission IN ('open', 'paused', 'closed')),
  reservation_ttl_ms integer NOT NULL CHECK (reservation_ttl_ms BETWEEN 1000 AND 86400000),
  partitions         smallint NOT NULL DEFAULT 1 CHECK (partitions BETWEEN 1 AND 256),
  on_decline         text NOT NULL DEFAULT 'release' CHECK (on_decline IN ('release', 'hold')),
  members_only       boolean NOT NULL DEFAULT false,
  stock_visibility   text NOT NULL DEFAULT 'exact' CHECK (stock_visibility IN ('exact', 'band')),
  version            bigint NOT NULL DEFAULT 1,
  created_at         timestamptz NOT NULL DEFAULT now(),
  updated_at         timestamptz NOT NULL DEFAULT now()
);

-- A price of NULL follows the product's.
CREATE TABLE sale_items (
  sale_id            text NOT NULL REFERENCES sales,
  product_id         uuid NOT NULL REFERENCES products,
  price              bigint CHECK (price BETWEEN 0 AND 1000000000000),
  per_customer_limit integer CHECK (per_customer_limit BETWEEN 1 AND 1000000),
  position           integer NOT NULL GENERATED ALWAYS AS IDENTITY,
  PRIMARY KEY (sale_id, product_id)
);

-- Grows with every committed change of products, sales, items, epochs and partition states: what a process compares to
-- know that its copy is stale. A row and not a sequence, so that nobody sees a number before the change that it stands for.
CREATE TABLE catalogue_state (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  version   bigint NOT NULL
);
INSERT INTO catalogue_state (version) VALUES (1);

CREATE FUNCTION catalogue_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE catalogue_state SET version = version + 1;
  RETURN NULL;
END $$;

CREATE TRIGGER products_changed AFTER INSERT OR UPDATE OR DELETE ON products EXECUTE FUNCTION catalogue_changed();
CREATE TRIGGER sales_changed AFTER INSERT OR UPDATE OR DELETE ON sales EXECUTE FUNCTION catalogue_changed();
CREATE TRIGGER sale_items_changed AFTER INSERT OR UPDATE OR DELETE ON sale_items EXECUTE FUNCTION catalogue_changed();
