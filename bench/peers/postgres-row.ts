// The shop without a Redis, written as one would first write it, and completely: a transaction an order that takes the
// unit from the stock's row by a conditional UPDATE, writes order and line, and commits. Statements are prepared.
import { randomUUID } from "node:crypto";
import { Hono } from "hono";
import pg from "pg";
import { onOrder } from "../own-process.ts";
import { serveApp } from "./child-server.ts";

interface OrderBody {
  readonly customerId: string;
  readonly items: readonly { productId: string; quantity: number; price: number }[];
  readonly address: unknown;
}

onOrder<{ databaseUrl: string; connectionsMax: number }>(({ databaseUrl, connectionsMax }) => {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: connectionsMax });
  pool.on("error", () => undefined); // the query on it rejects
  const app = new Hono();
  app.post("/orders", async (c) => {
    const body = await c.req.json<OrderBody>();
    const orderTrackingId = randomUUID();
    const taken = await place(pool, orderTrackingId, body);
    return taken ? c.json({ orderTrackingId, status: "PENDING", ...body }, 202) : c.json({ code: "SOLD_OUT" }, 409);
  });
  serveApp(app);
});

async function place(pool: pg.Pool, id: string, { customerId, items, address }: OrderBody): Promise<boolean> {
  const client = await pool.connect();
  try {
    await client.query("BEGIN");
    for (const { productId, quantity } of items) {
      const taken = await client.query({
        name: "take",
        text: "UPDATE stock SET available = available - $2 WHERE product_id = $1 AND available >= $2",
        values: [productId, quantity],
      });
      if (taken.rowCount === 0) {
        await client.query("ROLLBACK");
        return false;
      }
    }
    const total = items.reduce((sum, { quantity, price }) => sum + quantity * price, 0);
    await client.query({
      name: "order",
      text: "INSERT INTO orders (id, customer_id, status, price, address) VALUES ($1, $2, 'RESERVED', $3, $4)",
      values: [id, customerId, total, address],
    });
    for (const [line, { productId, quantity, price }] of items.entries()) {
      await client.query({
        name: "line",
        text: "INSERT INTO order_lines (order_id, line, product_id, quantity, unit_price) VALUES ($1, $2, $3, $4, $5)",
        values: [id, line + 1, productId, quantity, price],
      });
    }
    await client.query("COMMIT");
    return true;
  } catch (error) {
    await client.query("ROLLBACK").catch(() => undefined);
    throw error;
  } finally {
    client.release();
  }
}
