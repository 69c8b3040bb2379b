// Carts in Postgres.
import type pg from "pg";
import { type Queryable, transaction } from "../ledger/database.ts";
import { CART_DAYS, type Cart, type CartLine, mergeLines } from "./cart.ts";

const COLUMNS = `customer_id AS "customerId", version, lines, updated_at AS "updatedAt"`;

export async function findCart(db: Queryable, customerId: string): Promise<Cart> {
  const result = await db.query<Cart>(
    `SELECT ${COLUMNS} FROM carts WHERE customer_id = $1 AND updated_at > now() - $2 * interval '1 day'`,
    [customerId, CART_DAYS],
  );
  return result.rows[0] ?? { customerId, version: 0, lines: [], updatedAt: undefined };
}

/** Changes a cart; of several at once each works on what the one before it left. @throws what `change` throws */
export async function changeCart(
  pool: pg.Pool,
  customerId: string,
  change: (lines: readonly CartLine[]) => CartLine[],
): Promise<Cart> {
  return transaction(pool, async (client) => {
    const [cart] = await lockCarts(client, [customerId]);
    return writeCart(client, customerId, change(cart?.lines ?? []));
  });
}

/** Empties a guest's cart into a member's. @returns both, as far as they changed; the member's first */
export async function mergeCarts(pool: pg.Pool, guestId: string, memberId: string): Promise<Cart[]> {
  return transaction(pool, async (client) => {
    const carts = new Map((await lockCarts(client, [guestId, memberId])).map((cart) => [cart.customerId, cart]));
    const guests = carts.get(guestId)?.lines ?? [];
    if (guests.length === 0) return [];
    const merged = mergeLines(carts.get(memberId)?.lines ?? [], guests);
    return [await writeCart(client, memberId, merged), await writeCart(client, guestId, [])];
  });
}

/** Deletes carts and checkouts whose time is over. @returns how many carts */
export async function deleteOldCarts(db: Queryable, limit: number): Promise<number> {
  await db.query(
    `DELETE FROM cart_checkouts WHERE (customer_id, key) IN
       (SELECT customer_id, key FROM cart_checkouts WHERE at < now() - $1 * interval '1 day' LIMIT $2)`,
    [CART_DAYS, limit],
  );
  const result = await db.query(
    `DELETE FROM carts WHERE customer_id IN
       (SELECT customer_id FROM carts WHERE updated_at < now() - $1 * interval '1 day' LIMIT $2)`,
    [CART_DAYS, limit],
  );
  return result.rowCount ?? 0;
}

/** The order that a checkout under this key made. */
export async function findCheckout(db: Queryable, customerId: string, key: string): Promise<string | undefined> {
  const result = await db.query<{ orderId: string }>(
    `SELECT order_id AS "orderId" FROM cart_checkouts WHERE customer_id = $1 AND key = $2`,
    [customerId, key],
  );
  return result.rows[0]?.orderId;
}

/** Notes which order a checkout made, and takes what it ordered out of the cart, once however often it is repeated. */
export async function completeCheckout(
  pool: pg.Pool,
  checkout: { readonly customerId: string; readonly key: string; readonly orderId: string },
  change: (lines: readonly CartLine[]) => CartLine[],
): Promise<Cart | undefined> {
  return transaction(pool, async (client) => {
    const [cart] = await lockCarts(client, [checkout.customerId]);
    const noted = await client.query(
      "INSERT INTO cart_checkouts (customer_id, key, order_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
      [checkout.customerId, checkout.key, checkout.orderId],
    );
    if (noted.rowCount === 0) return undefined;
    return writeCart(client, checkout.customerId, change(cart?.lines ?? []));
  });
}

async function lockCarts(client: pg.PoolClient, customerIds: readonly string[]): Promise<Cart[]> {
  await client.query(
    "INSERT INTO carts (customer_id) SELECT unnest($1::text[]) ORDER BY 1 ON CONFLICT (customer_id) DO NOTHING",
    [customerIds],
  );
  const result = await client.query<Cart & { isOld: boolean }>(
    `SELECT ${COLUMNS}, updated_at <= now() - $2 * interval '1 day' AS "isOld" FROM carts
     WHERE customer_id = ANY ($1::text[]) ORDER BY customer_id FOR UPDATE`,
    [customerIds, CART_DAYS],
  );
  return result.rows.map(({ isOld, ...cart }) => (isOld ? { ...cart, lines: [] } : cart));
}

async function writeCart(client: pg.PoolClient, customerId: string, lines: readonly CartLine[]): Promise<Cart> {
  const result = await client.query<Cart>(
    `UPDATE carts SET version = version + 1, lines = $2::jsonb, updated_at = now() WHERE customer_id = $1
     RETURNING ${COLUMNS}`,
    [customerId, JSON.stringify(lines)],
  );
  return result.rows[0] as Cart;
}
