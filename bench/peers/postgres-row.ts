// The shop without a Redis, written as one would first write it, and completely: a transaction an order that takes the
// unit from the stock's row by a conditional UPDATE, writes order and line, and commits.
import type pg from "pg";
import { onOrder } from "../own-process.ts";
import { serveOrders } from "./child-server.ts";
import { inLockOrder, insertOrder, type Line, poolOf, transaction } from "./order.ts";

onOrder<{ databaseUrl: string; connectionsMax: number }>(({ databaseUrl, connectionsMax }) => {
  const pool = poolOf(databaseUrl, connectionsMax);
  serveOrders(async (id, body) => {
    const accepted = await transaction(pool, async (client) => {
      for (const line of inLockOrder(body.items)) if (!(await take(client, line))) return undefined;
      return insertOrder(client, id, body);
    });
    return accepted ? "ACCEPTED" : "SOLD_OUT";
  });
});

async function take(client: pg.PoolClient, { productId, quantity }: Line): Promise<boolean> {
  const taken = await client.query({
    name: "take",
    text: "UPDATE stock SET available = available - $2 WHERE product_id = $1 AND available >= $2",
    values: [productId, quantity],
  });
  return taken.rowCount === 1;
}
