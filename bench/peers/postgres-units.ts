// The design that large shops moved to when one row was too hot: a row a unit, and SKIP LOCKED, so that nobody waits for
// anybody. The free units have an index of their own, which a unit leaves with the order that takes it.
import type pg from "pg";
import { onOrder } from "../own-process.ts";
import { type PeerVerdict, serveOrders } from "./child-server.ts";
import { inLockOrder, insertOrder, type Line, type OrderBody, poolOf, transaction } from "./order.ts";

onOrder<{ databaseUrl: string; connectionsMax: number }>(({ databaseUrl, connectionsMax }) => {
  const pool = poolOf(databaseUrl, connectionsMax);
  serveOrders((id, body) => place(pool, id, body));
});

async function place(pool: pg.Pool, id: string, body: OrderBody): Promise<PeerVerdict> {
  let verdict: PeerVerdict = "ACCEPTED";
  await transaction(pool, async (client) => {
    for (const line of inLockOrder(body.items)) {
      if (await take(client, id, line)) continue;
      // Units that others hold locked may come back: only none at all is the end.
      verdict = (await free(client, line)) < line.quantity ? "SOLD_OUT" : "BUSY";
      return undefined;
    }
    return insertOrder(client, id, body);
  });
  return verdict;
}

async function take(client: pg.PoolClient, orderId: string, { productId, quantity }: Line): Promise<boolean> {
  const taken = await client.query({
    name: "take",
    text: `WITH free AS MATERIALIZED (
             SELECT unit FROM stock_units WHERE product_id = $1 AND order_id IS NULL
             ORDER BY unit LIMIT $2 FOR UPDATE SKIP LOCKED
           )
           UPDATE stock_units SET order_id = $3 FROM free WHERE product_id = $1 AND stock_units.unit = free.unit`,
    values: [productId, quantity, orderId],
  });
  return taken.rowCount === quantity;
}

/** As far as is needed to tell. */
async function free(client: pg.PoolClient, { productId, quantity }: Line): Promise<number> {
  const { rows } = await client.query<{ free: string }>({
    name: "free",
    text: `SELECT count(*) AS free
           FROM (SELECT FROM stock_units WHERE product_id = $1 AND order_id IS NULL LIMIT $2) AS few`,
    values: [productId, quantity],
  });
  return Number(rows[0]?.free);
}
