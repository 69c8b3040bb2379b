// A shop of the roles' real processes over a test file's own servers, with HTTP from outside, and members who have wallets.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type pg from "pg";
import { afterAll, expect, vi } from "vitest";
import { openPool } from "../../engine/ledger/database.ts";
import { makeCustomerId } from "../../engine/members/users.ts";
import { depositTo } from "../../engine/wallet/deposits.ts";
import { freePort } from "../../runtime/embedded/server.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startTestRedis, type TestRedis } from "../support/redis.ts";
import { scratchFolder } from "../support/scratch.ts";
import { accessToken, JWT_SECRET, RECEIPT_SECRET } from "./api-shop.ts";

export const PRICE = 1_000;
const ENTRIES = { api: "api/main.ts", persister: "persister/main.ts", worker: "persister/jobs/main.ts" } as const;
export type Role = keyof typeof ENTRIES;

export interface Member {
  readonly id: string;
  readonly token: string;
}

export interface TestSale {
  readonly saleId: string;
  readonly productId: string;
}

export interface RoleShop {
  readonly pool: pg.Pool;
  readonly redis: TestRedis;
  readonly databaseUrl: string;
  /** Of the API. */
  readonly url: string;
  /** An administrator's token. */
  readonly admin: string;
  /** @param more settings of this start alone */
  start(role: Role, more?: Readonly<Record<string, string>>): Promise<void>;
  /** kill -9. */
  kill(role: Role): Promise<void>;
  /** SIGTERM; resolves to the exit code. */
  stop(role: Role): Promise<number | null>;
  signal(role: Role, signal: NodeJS.Signals): void;
  call(
    method: string,
    path: string,
    body: unknown,
    token: string,
    headers?: Record<string, string>,
  ): Promise<{ status: number; body: Record<string, never> }>;
  /** A new member with this much in the wallet. */
  member(balance: number): Promise<Member>;
  /** An open sale of one new product at {@link PRICE}. */
  openSale(stock: number, more?: object): Promise<TestSale>;
  /** Places so many orders of one unit, all at once. @returns their ids */
  order(sale: TestSale, token: string, count: number, method?: string): Promise<string[]>;
  /** How many of the orders stand where. */
  ends(orders: readonly string[]): Promise<Record<string, number>>;
  /** Holds what the statement locks until it is told to let go. */
  hold(sql: string, values: readonly unknown[]): Promise<() => Promise<void>>;
  /** Until a connection of the worker waits for a lock. */
  untilBlocked(): Promise<void>;
}

export const until = (assertion: () => Promise<void>) => vi.waitFor(assertion, { timeout: 40_000, interval: 20 });

/** Starts API, persister and worker for a test file; ended with it. @param settings further environment */
export async function openRoleShop(settings: Readonly<Record<string, string>> = {}): Promise<RoleShop> {
  const database = await createTestDatabase();
  const redis = await startTestRedis();
  const options = { connectionsMax: 6, applicationName: "role shop", statementTimeoutMs: 10_000 };
  const pool = openPool(database.url, options, () => undefined);
  const dataDir = scratchFolder("roles");
  const port = await freePort();
  const admin = await accessToken(makeCustomerId(), ["admin"]);
  const running = new Map<Role, ChildProcess>();

  async function start(role: Role, more: Readonly<Record<string, string>> = {}): Promise<void> {
    const child = spawn(process.execPath, [fileURLToPath(new URL(`../../${ENTRIES[role]}`, import.meta.url))], {
      stdio: ["ignore", "ignore", "inherit", "ipc"],
      env: {
        ...{ PATH: process.env["PATH"], ROLES: role, PORT: String(port), DATA_DIR: dataDir, LOG_LEVEL: "silent" },
        ...{ REDIS_URL: redis.url, DATABASE_URL: database.url, JWT_SECRET, RECEIPT_SECRET },
        RATE_LIMIT_ENABLED: "false",
        ...settings,
        ...more,
      },
    });
    running.set(role, child);
    const ended = once(child, "exit").then(() => Promise.reject(new Error(`the ${role} ended`)));
    ended.catch(() => undefined);
    for (let said = ""; said !== "ready"; ) {
      const [message] = (await Promise.race([once(child, "message"), ended])) as [{ type: string }];
      said = message.type;
    }
  }

  async function kill(role: Role): Promise<void> {
    const child = running.get(role) as ChildProcess;
    running.delete(role);
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }

  async function stop(role: Role): Promise<number | null> {
    const child = running.get(role) as ChildProcess;
    running.delete(role);
    const gone = once(child, "exit");
    child.kill("SIGTERM");
    const [code] = (await gone) as [number | null];
    return code;
  }

  const signal = (role: Role, name: NodeJS.Signals) => void running.get(role)?.kill(name);

  async function call(method: string, path: string, body: unknown, token: string, headers: object = {}) {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1${path}`, {
      method,
      headers: { "content-type": "application/json", authorization: `Bearer ${token}`, ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as Record<string, never> };
  }

  async function member(balance: number): Promise<Member> {
    const id = makeCustomerId();
    await pool.query("INSERT INTO users (id, email, name, password_hash) VALUES ($1, $1 || '@x.example', 'Kim', '')", [
      id,
    ]);
    if (balance > 0) await depositTo(pool, { customerId: id, amount: balance, currency: "KRW" }, { actor: "cli:test" });
    return { id, token: await accessToken(id) };
  }

  async function openSale(stock: number, more: object = {}): Promise<TestSale> {
    const product = await call("POST", "/products", { name: "한정판", price: PRICE }, admin);
    const productId: string = product.body["id"] as never;
    const items = [{ productId, stock }];
    const sale = await call("POST", "/sales", { name: "Sale", opensAt: new Date(0), items, ...more }, admin);
    expect(sale.status).toBe(201);
    return { saleId: sale.body["id"] as never, productId };
  }

  async function order(sale: TestSale, token: string, count: number, method = "wallet") {
    const body = { saleId: sale.saleId, items: [{ productId: sale.productId, quantity: 1 }], payment: { method } };
    const placed = await Promise.all(Array.from({ length: count }, () => call("POST", "/orders", body, token)));
    expect(placed.map(({ status }) => status)).toEqual(placed.map(() => 202));
    return placed.map(({ body: answer }): string => answer["orderTrackingId"] as never);
  }

  async function ends(orders: readonly string[]): Promise<Record<string, number>> {
    const result = await pool.query<{ name: string; count: number }>(
      `SELECT status || COALESCE(' ' || reason, '') AS name, count(*) AS count FROM orders WHERE id = ANY($1::uuid[])
       GROUP BY 1`,
      [orders],
    );
    return Object.fromEntries(result.rows.map(({ name, count }) => [name, count]));
  }

  async function hold(sql: string, values: readonly unknown[]): Promise<() => Promise<void>> {
    const client: pg.PoolClient = await pool.connect();
    await client.query("BEGIN");
    await client.query(sql, [...values]);
    return async () => {
      await client.query("ROLLBACK");
      client.release();
    };
  }

  const untilBlocked = () =>
    until(async () => {
      const result = await pool.query<{ blocked: number }>(
        `SELECT count(*) AS blocked FROM pg_stat_activity
         WHERE application_name = 'onrush worker' AND datname = current_database() AND wait_event_type = 'Lock'`,
      );
      expect(result.rows[0]?.blocked).toBeGreaterThan(0);
    });

  afterAll(async () => {
    await Promise.all([...running.keys()].map(kill));
    await Promise.all([pool.end(), redis.stop()]);
    rmSync(dataDir, { recursive: true, force: true });
  });
  await Promise.all([start("api"), start("persister"), start("worker")]);
  const processes = { start, kill, stop, signal };
  const places = { redis, databaseUrl: database.url, url: `http://127.0.0.1:${port}` };
  return { pool, ...places, admin, ...processes, call, member, openSale, order, ends, hold, untilBlocked };
}
