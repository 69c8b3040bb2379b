// A peer's database, on a server with the same fsync and the same disk as Onrush's, and what its books come to.
import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";

const POLL_MS = 20;
/** Between two transactions a peer may be with its Redis. */
const QUIET_LOOKS = 5;

const SCHEMA = `
  CREATE TABLE stock (
    product_id uuid PRIMARY KEY,
    available  bigint NOT NULL CHECK (available >= 0),
    fence      bigint NOT NULL DEFAULT 0
  ) WITH (fillfactor = 50);
  CREATE TABLE stock_units (
    product_id uuid NOT NULL,
    unit       bigint NOT NULL,
    order_id   uuid,
    PRIMARY KEY (product_id, unit)
  ) WITH (fillfactor = 50);
  CREATE INDEX stock_units_free ON stock_units (product_id, unit) WHERE order_id IS NULL;
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

/** Orders, those who made them, and the units in their lines. */
export interface Sold {
  readonly orders: number;
  readonly buyers: number;
  readonly units: number;
}

export class PeerDatabase {
  readonly url: string;
  readonly productId: string;
  readonly #pool: pg.Pool;

  private constructor(url: string, productId: string) {
    this.url = url;
    this.productId = productId;
    this.#pool = new pg.Pool({ connectionString: url, max: 1 });
    this.#pool.on("error", () => undefined); // the query on it rejects
  }

  /** @param serverUrl of any database there */
  static async create(serverUrl: string, name: string, productId: string): Promise<PeerDatabase> {
    const client = new pg.Client({ connectionString: serverUrl });
    await client.connect();
    try {
      await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}`);
    } finally {
      await client.end();
    }
    const url = new URL(serverUrl);
    url.pathname = `/${name}`;
    const database = new PeerDatabase(url.href, productId);
    await database.#pool.query(SCHEMA);
    await database.#pool.query("INSERT INTO stock VALUES ($1, 0)", [productId]);
    return database;
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }

  /** Until the connections of processes that are gone have let go of what they had locked. */
  untilUnused(): Promise<void> {
    return this.#untilNone("true", 1);
  }

  /** Until what nobody waits for any more is done: orders whose buyers went when their burst was over. */
  untilIdle(): Promise<void> {
    return this.#untilNone("state <> 'idle'", QUIET_LOOKS);
  }

  /** Until so many looks in a row have found no connection of others that is so. */
  async #untilNone(condition: string, looks: number): Promise<void> {
    for (let quiet = 0; ; await delay(POLL_MS)) {
      const { rows } = await this.#pool.query(
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
           AND backend_type = 'client backend' AND ${condition} LIMIT 1`,
      );
      quiet = rows.length === 0 ? quiet + 1 : 0;
      if (quiet === looks) return;
    }
  }

  /** Sets the stock's row. */
  async setAvailable(units: number): Promise<void> {
    await this.#pool.query("UPDATE stock SET available = $1", [units]);
  }

  async available(): Promise<number> {
    const { rows } = await this.#pool.query<{ available: string }>("SELECT available FROM stock");
    return Number(rows[0]?.available);
  }

  /** Adds rows until so many units are free. */
  async addUnitsUntilFree(units: number): Promise<void> {
    await this.#pool.query(
      `INSERT INTO stock_units (product_id, unit)
       SELECT $1, (SELECT coalesce(max(unit), 0) FROM stock_units) + n
       FROM generate_series(1, $2 - (SELECT count(*) FROM stock_units WHERE order_id IS NULL)) AS n`,
      [this.productId, units],
    );
    await this.#pool.query("VACUUM (ANALYZE) stock_units");
  }

  async unitsTaken(): Promise<number> {
    const { rows } = await this.#pool.query<{ taken: string }>(
      "SELECT count(*) AS taken FROM stock_units WHERE order_id IS NOT NULL",
    );
    return Number(rows[0]?.taken);
  }

  async orders(): Promise<number> {
    const { rows } = await this.#pool.query<{ orders: string }>("SELECT count(*) AS orders FROM orders");
    return Number(rows[0]?.orders);
  }

  async sold(): Promise<Sold> {
    const { rows } = await this.#pool.query<{ orders: string; buyers: string; units: string }>(
      `SELECT count(*) AS orders, count(DISTINCT customer_id) AS buyers,
         (SELECT coalesce(sum(quantity), 0) FROM order_lines) AS units
       FROM orders`,
    );
    return { orders: Number(rows[0]?.orders), buyers: Number(rows[0]?.buyers), units: Number(rows[0]?.units) };
  }

  /** How many of these orders are not there, or have no lines. */
  async missing(ids: readonly string[]): Promise<number> {
    const { rows } = await this.#pool.query<{ missing: string }>(
      `SELECT count(*) AS missing FROM unnest($1::uuid[]) AS acknowledged (id)
       WHERE NOT EXISTS (SELECT FROM orders o JOIN order_lines l ON l.order_id = o.id WHERE o.id = acknowledged.id)`,
      [ids],
    );
    return Number(rows[0]?.missing);
  }
}
