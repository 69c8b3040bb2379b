// Orders as a CSV stream over HTTP: all of them, once and in order, in bounded memory, and never a formula.
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { setImmediate as turn } from "node:timers/promises";
import { parse } from "csv-parse/sync";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { createApp } from "../../api/app.ts";
import { type ApiServer, startServer } from "../../api/server.ts";
import { openPool } from "../../engine/ledger/database.ts";
import { makeCustomerId } from "../../engine/members/users.ts";
import { accessToken, openApiShop } from "./api-shop.ts";

const ORDERS = 20_500;
/** As in `readOrderPages`. */
const PAGE = 500;
const PAGES = Math.floor(ORDERS / PAGE) + 1;
const WAIT = { timeout: 20_000, interval: 20 };
const NAMES = [
  '=HYPERLINK("http://x","티셔츠, 검정")',
  "+1",
  "-1",
  "@SUM(A1)",
  "＝1+1",
  "\t=1",
  '말 "따옴표"',
  "줄\n바꿈",
];

const shop = await openApiShop();
/** A pool of its own, whose connections and pages can be counted. */
const pool = openPool(
  shop.databaseUrl,
  { connectionsMax: 2, applicationName: "export", statementTimeoutMs: 20_000 },
  () => undefined,
);
let pages = 0;
let isBroken = false;
const pagesRead = () => pages;
const query = pool.query.bind(pool) as (...call: unknown[]) => Promise<unknown>;
pool.query = ((...call: unknown[]) => {
  if (isBroken) return Promise.reject(new Error("gone"));
  if (String(call[0]).includes("FROM orders o")) pages += 1;
  return query(...call);
}) as typeof pool.query;
const app = createApp({ ...shop.deps, pool });
let server: ApiServer;
let sale: { saleId: string; productId: string };

beforeAll(async () => {
  sale = await shop.sale({ stock: 1 });
  server = await startServer(app, { host: "127.0.0.1", port: 0 });
  // Lines of 1,000 characters, so that sockets cannot swallow the whole.
  await insertOrders(sale.saleId, ORDERS, "x".repeat(1_000));
});
afterAll(async () => {
  await server.stop();
  await pool.end();
});

async function insertOrders(saleId: string, count: number, ...names: string[]): Promise<void> {
  await shop.pool.query({
    text: `WITH placed AS (
       INSERT INTO orders (id, sale_id, partition, epoch, seq, hold_reservation, customer_id, status, version, stock_state,
         price, payable, currency, payment_method, reserved_until, placed_at)
       SELECT gen_random_uuid(), $1, 0, 1, n, n, 'cus_' || n, CASE WHEN n % 2 = 0 THEN 'CONFIRMED' ELSE 'CANCELLED' END, 5,
         'sold', 5000, 5000, 'KRW', 'card', now(), now() - n * interval '1 second'
       FROM generate_series(1, $2::int) n RETURNING id
     )
     INSERT INTO order_lines (order_id, line, product_id, product_name, quantity, unit_price)
     SELECT placed.id, name.line, $3, name.text, 2, 2500 FROM placed, unnest($4::text[]) WITH ORDINALITY AS name (text, line)`,
    values: [saleId, count, sale.productId, names],
  });
}

const idsOf = async (saleId: string) =>
  (await shop.pool.query<{ id: string }>("SELECT id FROM orders WHERE sale_id = $1 ORDER BY id", [saleId])).rows.map(
    ({ id }) => id,
  );
const exportPath = (query: string) => `/api/v1/admin/orders/export?${query}`;
const download = async (query: string) => {
  const { status, headers, text } = await shop.call("GET", exportPath(query), { token: shop.admin });
  expect(status).toBe(200);
  return { headers, text, rows: parse(text, { bom: true, columns: true }) as Record<string, string>[] };
};
const start = async (query: string): Promise<IncomingMessage> => {
  const request = get(`${server.url}${exportPath(query)}`, { headers: { authorization: `Bearer ${shop.admin}` } });
  const [response] = (await once(request, "response")) as [IncomingMessage];
  return response;
};

describe("a download", () => {
  test("of 20,500 orders has each of them once, in the order they were made", async () => {
    const before = pagesRead();
    const response = await start(`saleId=${sale.saleId}`);
    expect(response.headers).toMatchObject({
      "content-type": "text/csv; charset=utf-8",
      "content-disposition": 'attachment; filename="orders.csv"',
      "transfer-encoding": "chunked",
      "cache-control": "no-store",
    });
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk);
    const rows = parse(Buffer.concat(chunks), { columns: true }) as Record<string, string>[];
    expect(rows.map(({ id }) => id)).toEqual(await idsOf(sale.saleId));
    expect(rows).toHaveLength(ORDERS);
    expect(pagesRead() - before).toBe(PAGES);
  });

  test("reads a page when the one before it was taken, and none for whoever went away", async () => {
    const before = pagesRead();
    const answer = await app.request(exportPath(`saleId=${sale.saleId}`), {
      headers: { authorization: `Bearer ${shop.admin}` },
    });
    const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
    for (let taken = 1; taken <= 5; taken += 1) {
      const { value } = await reader.read();
      expect(value?.length).toBeLessThan(2_000_000);
      await turn();
      expect(pagesRead() - before).toBe(taken);
    }
    await reader.cancel();
    expect(pagesRead() - before).toBe(5);
    expect([pool.idleCount, pool.waitingCount]).toEqual([pool.totalCount, 0]);
  });

  test("whose client stops reading waits, and ends with the client; no connection is kept", async () => {
    const before = pagesRead();
    // More of them than connections: a leak of one each would be the end.
    const responses = await Promise.all(Array.from({ length: 5 }, () => start(`saleId=${sale.saleId}`)));
    for (const response of responses) await once(response, "readable");
    // Nobody takes anything: what is read meets full sockets, and then no connection is in use.
    await vi.waitFor(async () => {
      const read = pagesRead();
      expect((await pool.query("SELECT 1")).rows).toHaveLength(1);
      await turn();
      expect([pagesRead(), pool.idleCount, pool.waitingCount]).toEqual([read, pool.totalCount, 0]);
    }, WAIT);
    expect(pagesRead() - before).toBeLessThan(5 * PAGES);
    for (const response of responses) response.destroy();
    const open = () => new Promise<number>((resolve) => server.server.getConnections((_, count) => resolve(count)));
    await vi.waitFor(async () => expect(await open()).toBe(0), WAIT);
    await vi.waitFor(() => expect([pool.idleCount, pool.waitingCount]).toEqual([pool.totalCount, 0]), WAIT);
    expect(pagesRead() - before).toBeLessThan(5 * PAGES);
  });

  test("that Postgres breaks off is seen to be broken off", async () => {
    const response = await start(`saleId=${sale.saleId}`);
    await once(response, "readable");
    isBroken = true;
    const reading = (async () => {
      for await (const chunk of response) expect(String(chunk)).not.toContain("gone");
    })();
    await expect(reading).rejects.toThrow("aborted");
    isBroken = false;
  });

  test("that cannot begin is refused", async () => {
    const nowhere = new pg.Pool({ host: "127.0.0.1", port: 1 });
    const answer = await createApp({ ...shop.deps, pool: nowhere }).request(exportPath(""), {
      headers: { authorization: `Bearer ${shop.admin}` },
    });
    expect([answer.status, answer.headers.get("content-type")]).toEqual([503, "application/problem+json"]);
    await nowhere.end();
  });

  test("does not run after orders that come while it is under way", async () => {
    const { saleId } = await shop.sale({ stock: 1 });
    await insertOrders(saleId, PAGE + 1, "x");
    const last = "ffffffff-ffff-4fff-bfff-fffffffffff";
    await shop.pool.query(
      "UPDATE orders SET id = $2 WHERE id = (SELECT max(id::text)::uuid FROM orders WHERE sale_id = $1)",
      [saleId, `${last}0`],
    );
    const answer = await shop.app.request(exportPath(`saleId=${saleId}`), {
      headers: { authorization: `Bearer ${shop.admin}` },
    });
    await shop.pool.query(
      `INSERT INTO orders (id, sale_id, partition, epoch, seq, hold_reservation, customer_id, status, version, stock_state,
         price, payable, currency, payment_method, reserved_until, placed_at)
       VALUES ($1, $2, 0, 1, 1, 1, 'x', 'RESERVED', 2, 'reserved', 1, 1, 'KRW', 'card', now(), now())`,
      [`${last}f`, saleId],
    );
    const rows = parse(await answer.text(), { columns: true }) as { id: string }[];
    expect(rows).toHaveLength(PAGE + 1);
    expect(rows.at(-1)?.id).toBe(`${last}0`);
  });
});

describe("its cells", () => {
  test("are quoted, and no formula to a spreadsheet", async () => {
    const { saleId } = await shop.sale({ stock: 1 });
    for (const name of NAMES) await insertOrders(saleId, 1, name);
    const { text, rows } = await download(`saleId=${saleId}`);
    expect(text.split("\r\n")).toHaveLength(NAMES.length + 2);
    expect(text).toContain('"줄\n바꿈 x2"');
    expect(text).toContain('"말 ""따옴표"" x2"');
    const expected = NAMES.map((name) => `${/^[=+\-@\t＝]/.test(name) ? "'" : ""}${name} x2`);
    expect(rows.map(({ items }) => items).toSorted()).toEqual(expected.toSorted());
    expect(rows[0]).toMatchObject({ saleId, price: "5000", units: "2", currency: "KRW", reason: "", fulfilment: "" });
    expect(rows[0]?.["placedAt"]).toMatch(/^\d{4}-.*Z$/);
  });

  test("begin with the mark for Excel where it is asked for, and not otherwise", async () => {
    const { saleId } = await shop.sale({ stock: 1 });
    expect((await download(`saleId=${saleId}`)).text).toMatch(
      /^id,saleId,.*fulfilledAt,couponCode,discount,points\r\n$/,
    );
    const marked = await app.request(exportPath(`saleId=${saleId}&bom=true`), {
      headers: { authorization: `Bearer ${shop.admin}` },
    });
    const bytes = new Uint8Array(await marked.arrayBuffer());
    expect([...bytes.slice(0, 5)]).toEqual([0xef, 0xbb, 0xbf, 0x69, 0x64]);
  });

  test("say how far an order is fulfilled", async () => {
    const { saleId } = await shop.sale({ stock: 1 });
    await insertOrders(saleId, 2, "x");
    const [, id = ""] = await idsOf(saleId);
    await shop.pool.query("UPDATE orders SET status = 'CONFIRMED' WHERE id = $1", [id]);
    const body = { state: "shipped", reference: "=6012" };
    const { status } = await shop.call("POST", `/api/v1/orders/${id}/fulfilment`, { token: shop.admin, body });
    // Ids of the test's are none of a partition.
    expect(status).toBe(404);
    await shop.pool.query(
      "UPDATE orders SET fulfilment = $2, fulfilment_reference = $3, fulfilled_at = '2026-11-21T00:00:00Z' WHERE id = $1",
      [id, body.state, body.reference],
    );
    const { rows } = await download(`saleId=${saleId}&fulfilment=shipped`);
    expect(rows).toMatchObject([
      { id, fulfilment: "shipped", fulfilmentReference: "'=6012", fulfilledAt: "2026-11-21T00:00:00.000Z" },
    ]);
    expect((await download(`saleId=${saleId}&fulfilment=none`)).rows).toHaveLength(1);
  });
});

test("the filters are those of the search, and find the same", async () => {
  const { saleId } = await shop.sale({ stock: 1 });
  await insertOrders(saleId, 60, "x");
  const [id = ""] = await idsOf(saleId);
  const guest = "3fa85f64-5717-4562-b3fc-2c963f66afa6";
  await shop.pool.query("UPDATE orders SET customer_id = $2, placed_at = '2020-05-05' WHERE id = $1", [id, guest]);
  const { saleId: otherSale, productId: other } = await shop.sale({ stock: 1 });
  await insertOrders(otherSale, 3, "x");
  const [first] = await idsOf(otherSale);
  await shop.pool.query("UPDATE order_lines SET product_id = $2 WHERE order_id = $1", [first, other]);
  for (const [query, count] of [
    [`saleId=${saleId}&status=CONFIRMED`, undefined],
    [`saleId=${saleId}&to=2020-06-01T00:00:00%2B09:00`, 1],
    [`saleId=${saleId}&from=2020-06-01T00:00:00Z`, 59],
    [`productId=${other}`, 1],
    [`productId=${other.toUpperCase()}&status=PAID`, 0],
    [`query=${guest}`, 1],
    [`query=${id}`, 1],
    [`query=${id.slice(0, 13)}`, 1],
    ["query=cus_nobody", 0],
  ] as const) {
    const { rows } = await download(query);
    const found = await shop.call("GET", `/api/v1/admin/orders?limit=100&${query}`, { token: shop.admin });
    const ids = found.body.items.map(({ orderTrackingId }) => orderTrackingId);
    expect([query, rows.map((row) => row["id"])]).toEqual([query, ids.toReversed()]);
    if (count !== undefined) expect([query, rows.length]).toEqual([query, count]);
  }
  for (const wrong of [
    "status=DONE",
    "productId=x",
    "from=yesterday",
    "query=",
    "bom=1",
    "fulfilment=lost",
    "query=%00",
  ]) {
    const answer = await shop.call("GET", exportPath(wrong), { token: shop.admin });
    expect([wrong, answer.status, answer.body.code]).toEqual([wrong, 400, "VALIDATION"]);
  }
});

test("it is for operators", async () => {
  const token = await accessToken(makeCustomerId());
  expect((await shop.call("GET", exportPath(""), { token })).status).toBe(403);
  expect((await shop.call("GET", exportPath(""))).status).toBe(401);
});
