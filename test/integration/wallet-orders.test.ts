// Orders paid by wallet, from HTTP to their end, by the roles' real processes: a hundred at once on one balance, a worker
// that is killed in the middle, before and after the money moved.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type pg from "pg";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { openPool } from "../../engine/ledger/database.ts";
import { makeCustomerId } from "../../engine/members/users.ts";
import { readWallet } from "../../engine/wallet/accounts.ts";
import { checkWallets } from "../../engine/wallet/check.ts";
import { depositTo } from "../../engine/wallet/deposits.ts";
import { freePort } from "../../runtime/embedded/server.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startTestRedis, type TestRedis } from "../support/redis.ts";
import { scratchFolder } from "../support/scratch.ts";
import { accessToken, JWT_SECRET, RECEIPT_SECRET } from "./api-shop.ts";

const PRICE = 1_000;
const ENTRIES = { api: "api/main.ts", persister: "persister/main.ts", worker: "persister/jobs/main.ts" } as const;
type Role = keyof typeof ENTRIES;

const database = await createTestDatabase();
const pool = openPool(
  database.url,
  { connectionsMax: 6, applicationName: "wallet test", statementTimeoutMs: 10_000 },
  () => undefined,
);
const dataDir = scratchFolder("wallet");
const port = await freePort();
const admin = await accessToken(makeCustomerId(), ["admin"]);
const running = new Map<Role, ChildProcess>();
let redis: TestRedis;

beforeAll(async () => {
  redis = await startTestRedis();
  await Promise.all([start("api"), start("persister"), start("worker")]);
});
afterAll(async () => {
  await Promise.all([...running.keys()].map(kill));
  await Promise.all([pool.end(), redis.stop()]);
  rmSync(dataDir, { recursive: true, force: true });
});

async function start(role: Role): Promise<void> {
  const child = spawn(process.execPath, [fileURLToPath(new URL(`../../${ENTRIES[role]}`, import.meta.url))], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    env: {
      ...{ PATH: process.env["PATH"], ROLES: role, PORT: String(port), DATA_DIR: dataDir, LOG_LEVEL: "silent" },
      ...{ REDIS_URL: redis.url, DATABASE_URL: database.url, JWT_SECRET, RECEIPT_SECRET },
      RATE_LIMIT_ENABLED: "false",
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

/** kill -9. */
async function kill(role: Role): Promise<void> {
  const child = running.get(role) as ChildProcess;
  running.delete(role);
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

async function call(method: string, path: string, body: unknown, token: string) {
  const response = await fetch(`http://127.0.0.1:${port}/api/v1${path}`, {
    method,
    headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: (await response.json()) as Record<string, never> };
}

const until = (assertion: () => Promise<void>) => vi.waitFor(assertion, { timeout: 40_000, interval: 20 });

/** A member with this much in the wallet. */
async function member(balance: number): Promise<{ id: string; token: string }> {
  const id = makeCustomerId();
  await pool.query("INSERT INTO users (id, email, name, password_hash) VALUES ($1, $1 || '@x.example', 'Kim', '')", [
    id,
  ]);
  if (balance > 0) await depositTo(pool, { customerId: id, amount: balance, currency: "KRW" }, { actor: "cli:test" });
  return { id, token: await accessToken(id) };
}

async function openSale(stock: number, more: object = {}): Promise<{ saleId: string; productId: string }> {
  const product = await call("POST", "/products", { name: "한정판", price: PRICE }, admin);
  const productId: string = product.body["id"] as never;
  const items = [{ productId, stock }];
  const sale = await call("POST", "/sales", { name: "Sale", opensAt: new Date(0), items, ...more }, admin);
  expect(sale.status).toBe(201);
  return { saleId: sale.body["id"] as never, productId };
}

/** Places so many orders of one unit, all at once. @returns their ids */
async function order(sale: { saleId: string; productId: string }, token: string, count: number, method = "wallet") {
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

/** What must be true at the end, of money and stock. */
async function expectBalanced(
  sale: { saleId: string },
  who: { id: string },
  orders: readonly string[],
  expected: { paid: number; left: number; allocated: number },
): Promise<void> {
  const stock = await pool.query("SELECT allocated, reserved, sold FROM stock WHERE sale_id = $1", [sale.saleId]);
  expect(stock.rows).toEqual([{ allocated: expected.allocated, reserved: 0, sold: expected.paid }]);
  expect((await readWallet(pool, who.id)).balance).toBe(expected.left);
  const attempts = await pool.query(
    `SELECT a.state, a.error, a.token, c.state AS charged, count(*) AS count
     FROM payment_attempts a LEFT JOIN wallet_charges c ON c.key = a.order_id || ':' || a.attempt
     WHERE a.order_id = ANY($1::uuid[]) GROUP BY 1, 2, 3, 4 ORDER BY 1`,
    [orders],
  );
  const declined = orders.length - expected.paid;
  expect(attempts.rows).toEqual([
    ...(declined > 0
      ? [{ state: "declined", error: "insufficient_funds", token: null, charged: "declined", count: declined }]
      : []),
    ...(expected.paid > 0
      ? [{ state: "succeeded", error: null, token: null, charged: "succeeded", count: expected.paid }]
      : []),
  ]);
  expect((await checkWallets(pool)).findings).toEqual([]);
}

const SIXTY_OF_A_HUNDRED = { CONFIRMED: 60, "CANCELLED PAYMENT_DECLINED": 40 };

/** Holds what the statement locks until it is told to let go. */
async function hold(sql: string, values: readonly unknown[]): Promise<() => Promise<void>> {
  const client: pg.PoolClient = await pool.connect();
  await client.query("BEGIN");
  await client.query(sql, [...values]);
  return async () => {
    await client.query("ROLLBACK");
    client.release();
  };
}

/** Until so many of the worker's connections wait for a lock. */
const untilBlocked = () =>
  until(async () => {
    const result = await pool.query<{ blocked: number }>(
      `SELECT count(*) AS blocked FROM pg_stat_activity
       WHERE application_name = 'onrush worker' AND datname = current_database() AND wait_event_type = 'Lock'`,
    );
    expect(result.rows[0]?.blocked).toBeGreaterThan(0);
  });

test("a hundred at once with money for sixty: sixty are confirmed, forty are declined and give their units back", async () => {
  const sale = await openSale(200);
  const kim = await member(60 * PRICE);
  const orders = await order(sale, kim.token, 100);
  await until(async () => expect(await ends(orders)).toEqual(SIXTY_OF_A_HUNDRED));
  await expectBalanced(sale, kim, orders, { paid: 60, left: 0, allocated: 200 });
  const wallet = await call("GET", "/wallet", undefined, kim.token);
  expect(wallet.body).toMatchObject({ customerId: kim.id, balance: 0, currency: "KRW" });
});

test("a worker killed before the charges are committed: nothing has moved, and its successor charges each once", async () => {
  const sale = await openSale(100);
  const kim = await member(60 * PRICE);
  const letGo = await hold("SELECT FROM wallet_accounts WHERE owner = $1 FOR UPDATE", [kim.id]);
  const orders = await order(sale, kim.token, 100);
  await until(async () => expect(await ends(orders)).toEqual({ PAYING: 100 }));
  await untilBlocked();
  await kill("worker");
  await letGo();
  await start("worker");
  await until(async () => expect(await ends(orders)).toEqual(SIXTY_OF_A_HUNDRED));
  await expectBalanced(sale, kim, orders, { paid: 60, left: 0, allocated: 100 });
});

test("a worker killed between the charges and their record: its successor finds them by their keys", async () => {
  const sale = await openSale(100);
  const kim = await member(60 * PRICE);
  // The orders can be claimed, and then not moved on.
  const letGo = await hold("SELECT FROM wallet_accounts WHERE owner = $1 FOR UPDATE", [kim.id]);
  const orders = await order(sale, kim.token, 100);
  await until(async () => expect(await ends(orders)).toEqual({ PAYING: 100 }));
  const letGoOfOrders = await hold("SELECT FROM orders WHERE id = ANY($1::uuid[]) FOR UPDATE", [orders]);
  await letGo();
  await until(async () => {
    const charges = await pool.query("SELECT FROM wallet_charges WHERE customer_id = $1", [kim.id]);
    expect(charges.rowCount).toBe(100);
  });
  await untilBlocked();
  expect(await ends(orders)).toEqual({ PAYING: 100 });
  await kill("worker");
  // More money changes nothing of what was decided.
  await depositTo(pool, { customerId: kim.id, amount: 7, currency: "KRW" }, { actor: "cli:test" });
  await letGoOfOrders();
  await start("worker");
  await until(async () => expect(await ends(orders)).toEqual(SIXTY_OF_A_HUNDRED));
  await expectBalanced(sale, kim, orders, { paid: 60, left: 7, allocated: 100 });
});

test("in a sale that holds declined orders the buyer pays in and pays again", async () => {
  const sale = await openSale(10, { onDecline: "hold" });
  const kim = await member(0);
  const [id = ""] = await order(sale, kim.token, 1);
  const read = async () => (await call("GET", `/orders/${id}`, undefined, kim.token)).body;
  const declined = () =>
    until(async () => {
      const { rows } = await pool.query("SELECT state FROM payment_attempts WHERE order_id = $1 ORDER BY attempt", [
        id,
      ]);
      expect([rows.at(-1), (await read())["status"]]).toEqual([{ state: "declined" }, "RESERVED"]);
    });
  await declined();
  await depositTo(pool, { customerId: kim.id, amount: PRICE, currency: "KRW" }, { actor: "cli:test" });
  expect((await call("POST", `/orders/${id}/payments`, { method: "wallet" }, kim.token)).status).toBe(202);
  await until(async () => expect(await read()).toMatchObject({ status: "CONFIRMED" }));
  expect((await readWallet(pool, kim.id)).balance).toBe(0);
  const list = await call("GET", "/wallet/transactions", undefined, kim.token);
  expect(list.body["items"]).toMatchObject([
    { type: "charge", amount: -PRICE, orderTrackingId: id },
    { type: "deposit" },
  ]);
});

test("what was ordered to be paid later is paid by wallet, also when that is asked before Postgres has the order", async () => {
  const sale = await openSale(10);
  const kim = await member(2 * PRICE);
  await kill("persister");
  const [early = ""] = await order(sale, kim.token, 1, "later");
  const pay = (id: string) => call("POST", `/orders/${id}/payments`, { method: "wallet" }, kim.token);
  expect(await pay(early)).toMatchObject({ status: 202, body: { status: "PENDING" } });
  await start("persister");
  await until(async () => expect(await ends([early])).toEqual({ CONFIRMED: 1 }));
  const [late = ""] = await order(sale, kim.token, 1, "later");
  await until(async () => expect(await ends([late])).toEqual({ RESERVED: 1 }));
  expect((await pay(late)).status).toBe(202);
  await until(async () => expect(await ends([late])).toEqual({ CONFIRMED: 1 }));
  await expectBalanced(sale, kim, [early, late], { paid: 2, left: 0, allocated: 10 });
});

test("refunds go back into the wallet: in part, then all of it, and what was written off is not sold again", async () => {
  const sale = await openSale(10);
  const kim = await member(3 * PRICE);
  const body = {
    ...{ saleId: sale.saleId, items: [{ productId: sale.productId, quantity: 3 }], payment: { method: "wallet" } },
  };
  const placed = await call("POST", "/orders", body, kim.token);
  const id: string = placed.body["orderTrackingId"] as never;
  await until(async () => expect(await ends([id])).toEqual({ CONFIRMED: 1 }));
  expect((await readWallet(pool, kim.id)).balance).toBe(0);
  const refund = (what: object) => call("POST", `/orders/${id}/refunds`, what, admin);
  const items = [{ productId: sale.productId, quantity: 1 }];
  expect((await refund({ items, restock: true })).status).toBe(201);
  await until(async () => expect((await readWallet(pool, kim.id)).balance).toBe(PRICE));
  expect(await ends([id])).toEqual({ CONFIRMED: 1 });
  expect((await refund({})).status).toBe(201);
  await until(async () => expect(await ends([id])).toEqual({ REFUNDED: 1 }));
  const list = await call("GET", "/wallet/transactions?limit=3", undefined, kim.token);
  expect(list.body["items"]).toMatchObject([
    { type: "refund", amount: 2 * PRICE, balance: 3 * PRICE, orderTrackingId: id },
    { type: "refund", amount: PRICE, orderTrackingId: id },
    { type: "charge", amount: -3 * PRICE, orderTrackingId: id },
  ]);
  await until(async () => {
    const stock = await pool.query("SELECT allocated, reserved, sold FROM stock WHERE sale_id = $1", [sale.saleId]);
    expect(stock.rows).toEqual([{ allocated: 8, reserved: 0, sold: 0 }]);
  });
  expect((await checkWallets(pool)).findings).toEqual([]);
});

test("orders that are cancelled while their charges are under way get back what was charged all the same", async () => {
  const sale = await openSale(20);
  const kim = await member(6 * PRICE);
  const letGo = await hold("SELECT FROM wallet_accounts WHERE owner = $1 FOR UPDATE", [kim.id]);
  const orders = await order(sale, kim.token, 10);
  await until(async () => expect(await ends(orders)).toEqual({ PAYING: 10 }));
  await untilBlocked();
  const cancelled = await Promise.all(orders.map((id) => call("POST", `/orders/${id}/cancel`, undefined, kim.token)));
  expect(cancelled.map(({ status }) => status)).toEqual(orders.map(() => 202));
  await letGo();
  await until(async () => expect(await ends(orders)).toEqual({ "CANCELLED CUSTOMER": 4, "REFUNDED CUSTOMER": 6 }));
  expect((await readWallet(pool, kim.id)).balance).toBe(6 * PRICE);
  const stock = await pool.query("SELECT allocated, reserved, sold FROM stock WHERE sale_id = $1", [sale.saleId]);
  expect(stock.rows).toEqual([{ allocated: 20, reserved: 0, sold: 0 }]);
  expect((await checkWallets(pool)).findings).toEqual([]);
});
