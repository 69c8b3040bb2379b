-- A customer's orders, newest first: an order's id tells its second and no more.
DROP INDEX orders_of_customer;
CREATE INDEX orders_of_customer ON orders (customer_id, placed_at, id);
