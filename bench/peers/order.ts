// What all peers have in common: the order as it arrives, the rows that it becomes, and the transaction that writes them. They
// differ only in how a unit is taken. Statements are prepared, and connections are kept however long nothing happens.
import pg from "pg";

export interface Line {
  readonly productId: string;
  readonly quantity: number;
  readonly price: number;
}

export interface OrderBody {
  readonly customerId: string;
  readonly items: readonly Line[];
  readonly address: unknown;
}

export function poolOf(databaseUrl: string, connectionsMax: number): pg.Pool {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: connectionsMax, idleTimeoutMillis: 0 });
  // Idle or between two statements: the next query rejects.
  pool.on("error", () => undefined);
  pool.on("connect", (client) => client.on("error", () => undefined));
  return pool;
}

/** Lines in the order in which every transaction locks: two orders never wait for each other. */
export function inLockOrder(items: readonly Line[]): readonly Line[] {
  return items.toSorted((a, b) => (a.productId < b.productId ? -1 : 1));
}

/** @returns what `work` did; undefined from it rolls back */
export async function transaction<T>(
  pool: pg.Pool,
  work: (client: pg.PoolClient) => Promise<T | undefined>,
): Promise<T | undefined> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    await client.query("BEGIN");
    const done = await work(client);
    await client.query(done === undefined ? "ROLLBACK" : "COMMIT");
    return done;
  } catch (error) {
    await client.query("ROLLBACK").catch((failure: Error) => {
      broken = failure; // the pool is not given a connection in an unknown state
    });
    throw error;
  } finally {
    client.release(broken);
  }
}

/** Order and lines. An id that is there already is left as it is, lines and all: @returns whether it was new */
export async function insertOrder(
  client: pg.PoolClient,
  id: string,
  { customerId, items, address }: OrderBody,
): Promise<boolean> {
  const total = items.reduce((sum, { quantity, price }) => sum + quantity * price, 0);
  const inserted = await client.query({
    name: "order",
    text: `INSERT INTO orders (id, customer_id, status, price, address) VALUES ($1, $2, 'RESERVED', $3, $4)
           ON CONFLICT (id) DO NOTHING`,
    values: [id, customerId, total, address],
  });
  if (inserted.rowCount === 0) return false;
  for (const [line, { productId, quantity, price }] of items.entries()) {
    await client.query({
      name: "line",
      text: "INSERT INTO order_lines (order_id, line, product_id, quantity, unit_price) VALUES ($1, $2, $3, $4, $5)",
      values: [id, line + 1, productId, quantity, price],
    });
  }
  return true;
}
