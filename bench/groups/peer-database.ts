// The database of the Postgres-only peer, on the instance's own server: the same fsync, the same disk.
import pg from "pg";
import type { Faults, Tally } from "../books.ts";

const NAME = "bench_hot_row";

const SCHEMA = `
  CREATE TABLE stock (
    product_id uuid PRIMARY KEY,
    available  bigint NOT NULL CHECK (available >= 0)
  ) WITH (fillfactor = 50);
  CREATE TABLE orders (
    id          uuid PRIMARY KEY,
    customer_id text NOT NULL,
    status      text NOT NULL,
    price       bigint NOT NULL,
    address     jsonb,
    placed_at   timestamptz NOT NULL DEFAULT now()
  );
  CREATE TABLE order_lines (
    order_id   uuid NOT NULL REFERENCES orders,
    line       smallint NOT NULL,
    product_id uuid NOT NULL REFERENCES stock,
    quantity   bigint NOT NULL CHECK (quantity > 0),
    unit_price bigint NOT NULL,
    PRIMARY KEY (order_id, line)
  );`;

export class PeerDatabase {
  readonly url: string;
  readonly #pool: pg.Pool;
  readonly #stock: number;

  private constructor(url: string, stock: number) {
    this.url = url;
    this.#pool = new pg.Pool({ connectionString: url, max: 1 });
    this.#pool.on("error", () => undefined); // the query on it rejects
    this.#stock = stock;
  }

  static async create(serverUrl: string, productId: string, stock: number): Promise<PeerDatabase> {
    const client = new pg.Client({ connectionString: serverUrl });
    await client.connect();
    await client.query(`CREATE DATABASE ${NAME}`);
    await client.end();
    const url = new URL(serverUrl);
    url.pathname = `/${NAME}`;
    const database = new PeerDatabase(url.href, stock);
    await database.#pool.query(SCHEMA);
    await database.#pool.query("INSERT INTO stock VALUES ($1, $2)", [productId, stock]);
    return database;
  }

  /** Its books, counted like Onrush's. */
  async audit({ answered }: Tally): Promise<Faults> {
    const { rows } = await this.#pool.query<{ orders: string; buyers: string; available: string }>(
      `SELECT count(*) AS orders, count(DISTINCT customer_id) AS buyers, (SELECT available FROM stock) AS available
       FROM orders`,
    );
    const [orders, buyers, taken] = [
      Number(rows[0]?.orders),
      Number(rows[0]?.buyers),
      this.#stock - Number(rows[0]?.available),
    ];
    return { oversold: Math.max(0, orders - taken), lost: Math.max(0, answered - orders), duplicated: orders - buyers };
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }
}
