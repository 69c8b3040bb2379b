// Counting after a scenario, in Redis and in Postgres themselves: what was answered must be there, once, and within stock.
import { Redis } from "ioredis";
import pg from "pg";
import type { Sale } from "./shop.ts";

export interface Faults {
  /** Units that were sold beyond the stock. */
  readonly oversold: number;
  /** Orders that were acknowledged and are not there. */
  readonly lost: number;
  /** Orders that are there more often than they were made. */
  readonly duplicated: number;
}

/** What the generators know of a sale: orders answered as accepted, and requests that went out. */
export interface Tally {
  answered: number;
  sent: number;
}

export interface Servers {
  readonly redisUrl: string;
  readonly databaseUrl: string;
}

interface LogHead {
  readonly seq: number;
  /** Orders accepted so far. */
  readonly accepted: number;
  /** Units, over all products of the sale. */
  readonly available: number;
  readonly reserved: number;
  readonly sold: number;
}

const TERMINAL = ["CONFIRMED", "CANCELLED", "REFUNDED"];

/** Both servers' books, on two connections of their own. */
export class Books {
  readonly #redis: Redis;
  readonly #pool: pg.Pool;

  constructor({ redisUrl, databaseUrl }: Servers) {
    this.#redis = new Redis(redisUrl);
    this.#redis.on("error", () => undefined); // the command on it rejects
    this.#pool = new pg.Pool({ connectionString: databaseUrl, max: 1 });
    this.#pool.on("error", () => undefined); // the query on it rejects
  }

  async close(): Promise<void> {
    this.#redis.disconnect();
    await this.#pool.end();
  }

  async query<Row extends pg.QueryResultRow>(sql: string, values: unknown[] = []): Promise<Row[]> {
    return (await this.#pool.query<Row>(sql, values)).rows;
  }

  /** By Postgres' clock. */
  async now(): Promise<Date> {
    const [row] = await this.query<{ now: Date }>("SELECT clock_timestamp() AS now");
    return row?.now ?? new Date();
  }

  async postgresVersion(): Promise<string> {
    const [row] = await this.query<{ server_version: string }>("SHOW server_version");
    return row?.server_version ?? "unknown";
  }

  /** The partition in Redis. Every order has as many units as the others of its sale, so units count orders. */
  async logHead({ saleId, productId, productIds = [productId] }: Sale): Promise<LogHead> {
    const [meta, stock] = await Promise.all([
      this.#redis.hgetall(`onrush:{${saleId}.0}:meta`),
      this.#redis.hgetall(`onrush:{${saleId}.0}:stock`),
    ]);
    const units = (state: string) =>
      productIds.reduce((sum, id) => {
        const ofOne = Number(stock[`${id}|${state}`] ?? Number.NaN);
        return ofOne < 0 ? Number.NaN : sum + ofOne; // what one lacks, another must not make up for
      }, 0);
    return {
      seq: Number(meta["seq"]),
      accepted: Number(meta["reservation"]),
      available: units("a"),
      reserved: units("r"),
      sold: units("s"),
    };
  }

  /** How much of the log Postgres has. */
  async applied({ saleId }: Sale): Promise<{ seq: number; orders: number }> {
    const [row] = await this.query<{ seq: string; orders: string }>(
      "SELECT seq, reservation AS orders FROM sale_partitions WHERE sale_id = $1",
      [saleId],
    );
    return { seq: Number(row?.seq), orders: Number(row?.orders) };
  }

  async unfinished({ saleId }: Sale): Promise<number> {
    const [row] = await this.query<{ n: string }>(
      `SELECT count(*) AS n FROM orders WHERE sale_id = $1
         AND status IN ('RESERVED', 'PAYING', 'PAID', 'CANCELLING', 'REFUND_PENDING')`,
      [saleId],
    );
    return Number(row?.n);
  }

  /** Whether an order whose deadline was not after `deadline` is still on its way to its end. */
  async isOverdue({ saleId }: Sale, deadline: Date): Promise<boolean> {
    const rows = await this.query(
      `SELECT FROM orders WHERE sale_id = $1 AND status = 'CANCELLING' AND reserved_until <= $2
       UNION ALL SELECT FROM orders WHERE sale_id = $1 AND status = 'RESERVED' AND reserved_until <= $2 LIMIT 1`,
      [saleId, deadline],
    );
    return rows.length > 0;
  }

  /** Those of them that expired, and when the last one was CANCELLED. */
  async expired({ saleId }: Sale, deadline: Date): Promise<{ orders: number; lastAt: Date }> {
    const [row] = await this.query<{ n: string; last: Date }>(
      `SELECT count(*) AS n, max(t.at) AS last FROM orders o
       JOIN order_timeline t ON t.order_id = o.id AND t.status = 'CANCELLED'
       WHERE o.sale_id = $1 AND o.reserved_until <= $2 AND o.status = 'CANCELLED' AND o.reason = 'EXPIRED'`,
      [saleId, deadline],
    );
    return { orders: Number(row?.n), lastAt: row?.last ?? new Date(Number.NaN) };
  }

  /** Redis against Postgres when the log is drained: units, holds and limits are those of the orders that still hold. */
  async auditHolds(sale: Sale): Promise<Faults> {
    const { available, reserved, sold } = await this.logHead(sale);
    const [held, limits] = await Promise.all(
      ["held", "limits"].map((key) => this.#redis.hlen(`onrush:{${sale.saleId}.0}:${key}`)),
    );
    const [row] = await this.query<{ holding: string; reserved: string; sold: string }>(
      `SELECT (SELECT count(*) FROM orders WHERE sale_id = $1 AND stock_state = 'reserved') AS holding, reserved, sold
       FROM stock WHERE sale_id = $1`,
      [sale.saleId],
    );
    return faults({
      oversold: Math.max(Math.abs(available + reserved + sold - sale.stock), Math.abs(sold - Number(row?.sold))),
      lost: Math.max(Math.abs(reserved - Number(row?.reserved)), Math.abs(reserved - Number(row?.holding))),
      duplicated: Math.max(Math.abs((held ?? 0) - reserved), Math.abs((limits ?? 0) - reserved - sold)),
    });
  }

  /** Redis against the generators: nothing was accepted that was not asked for, or beyond the stock. */
  async auditAdmission(sale: Sale, { answered, sent }: Tally): Promise<Faults> {
    const { accepted, available, reserved, sold } = await this.logHead(sale);
    const units = accepted * (sale.lines ?? 1);
    return faults({
      oversold: Math.max(units - sale.stock, -available, Math.abs(available + reserved + sold - sale.stock)),
      lost: answered - accepted,
      duplicated: accepted - sent,
    });
  }

  /** Postgres against Redis and the generators, when the log is drained: every order once, and the ledger's sums right. */
  async auditLedger(sale: Sale, { answered }: Tally): Promise<Faults> {
    const { accepted } = await this.logHead(sale);
    const [orders] = await this.query<{ n: string; buyers: string; held: string; refused: string }>(
      `SELECT count(*) AS n, count(DISTINCT customer_id) AS buyers,
         count(*) FILTER (WHERE stock_state IN ('reserved', 'sold')) AS held,
         count(*) FILTER (WHERE stock_state = 'refused' OR reason = 'LEDGER_GUARD') AS refused
       FROM orders WHERE sale_id = $1`,
      [sale.saleId],
    );
    const [stock] = await this.query<{ allocated: string; taken: string }>(
      "SELECT sum(allocated) AS allocated, sum(reserved + sold) AS taken FROM stock WHERE sale_id = $1",
      [sale.saleId],
    );
    const [n, taken] = [Number(orders?.n), Number(stock?.taken)];
    return faults({
      oversold: Math.max(
        taken - Number(stock?.allocated),
        Math.abs(taken - Number(orders?.held) * (sale.lines ?? 1)),
        Number(orders?.refused),
      ),
      lost: Math.max(answered, accepted) - n,
      duplicated: n - Number(orders?.buyers),
    });
  }

  /** Every order of the sale is at an end, and Redis holds nothing for it any more. */
  async auditEnds(sale: Sale): Promise<Faults> {
    const { reserved, sold } = await this.logHead(sale);
    const [row] = await this.query<{ open: string; confirmed: string }>(
      `SELECT count(*) FILTER (WHERE status <> ALL($2)) AS open, count(*) FILTER (WHERE status = 'CONFIRMED') AS confirmed
       FROM orders WHERE sale_id = $1`,
      [sale.saleId, TERMINAL],
    );
    return faults({
      oversold: Math.abs(sold - Number(row?.confirmed)),
      lost: Math.max(Number(row?.open), reserved),
      duplicated: 0,
    });
  }
}

export function addFaults(a: Faults, b: Faults): Faults {
  return {
    oversold: a.oversold + b.oversold,
    lost: a.lost + b.lost,
    duplicated: a.duplicated + b.duplicated,
  };
}

/** Below zero is none; what is no number could not be counted, and counts as a fault. */
function faults(counted: Faults): Faults {
  const least = (value: number) => (Number.isNaN(value) ? 1 : Math.max(0, value));
  return { oversold: least(counted.oversold), lost: least(counted.lost), duplicated: least(counted.duplicated) };
}
