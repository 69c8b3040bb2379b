// The lane in front of the app says what the app would say, byte for byte, to whatever comes; it is only faster. Every
// request of these tests goes to two servers, one with the lane and one without, each selling a sale of its own that has
// seen the same orders.
import { randomUUID } from "node:crypto";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { createApp, createEdge } from "../../api/app.ts";
import type { ApiConfig } from "../../api/dependencies.ts";
import { orderLane } from "../../api/orders/order-lane.ts";
import { type ApiServer, startServer } from "../../api/server.ts";
import { partitionKeys } from "../../engine/keys.ts";
import { makeCustomerId } from "../../engine/members/users.ts";
import { accessToken, openApiShop } from "./api-shop.ts";

const shop = await openApiShop();
const servers: ApiServer[] = [];
afterAll(() => Promise.all(servers.map((server) => server.stop())));

interface Sale {
  readonly saleId: string;
  readonly productId: string;
}

interface Side {
  readonly server: ApiServer;
  readonly sale: Sale;
  /** Requests that the app got to see. */
  seen: number;
}

/** A server, with the lane or without, and a sale for it. */
async function open(withLane: boolean, config: Partial<ApiConfig>, stock: number, limit: number): Promise<Side> {
  const deps = { ...shop.deps, config: { ...shop.deps.config, ...config } };
  const edge = createEdge(deps);
  const app = createApp(deps, edge);
  const counting: Pick<typeof app, "fetch"> = {
    fetch(...call) {
      side.seen += 1;
      return app.fetch(...call);
    },
  };
  const at = { host: "127.0.0.1", port: 0 };
  const server = await startServer(counting as never, at, withLane ? orderLane(edge, deps) : undefined);
  servers.push(server);
  const side: Side = { server, sale: await shop.sale({ stock, perCustomerLimit: limit }), seen: 0 };
  return side;
}

async function openBoth(config: Partial<ApiConfig> = {}, stock = 100_000_000, limit = 100_000) {
  return { lane: await open(true, config, stock, limit), app: await open(false, config, stock, limit) };
}

type Order = (sale: Sale) => string | Uint8Array;
type Headers = readonly (readonly [name: string, value: string])[];

const plain = (changes: object = {}): Order => {
  const customerId = randomUUID();
  return ({ saleId, productId }) => {
    const items = [{ productId, quantity: 1 }];
    return JSON.stringify({ saleId, customerId, items, payment: { method: "later" }, ...changes });
  };
};

interface Answer {
  readonly status: number | undefined;
  readonly headers: readonly string[];
  readonly body: string;
}

/** Replaces the ids that were drawn for guests who named none. */
const unnamed = (said: string, sent: string) =>
  said.replace(/[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[\da-f-]{17}/g, (id) =>
    sent.toLowerCase().includes(id) ? id : "GUEST",
  );

/** Sends the order, and reads the answer with everything in it replaced that differs from one order to the next. */
async function send({ server, sale }: Side, order: Order, more: Headers = []): Promise<Answer> {
  const body = Buffer.from(order(sale));
  const own = ["content-type", "content-length", "host"].filter((name) => more.every(([other]) => other !== name));
  const values: Record<string, string> = {
    "content-type": "application/json",
    "content-length": String(body.length),
    host: "shop.example",
  };
  const headers = [...own.map((name) => [name, values[name] as string] as const), ...more].flat();
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = httpRequest(`${server.url}/api/v1/orders`, { method: "POST", headers }, resolve);
    request.on("error", reject);
    request.end(body);
  });
  const said = await text(response);
  const id = /"orderTrackingId":"([^"]*)"/.exec(said)?.[1] ?? "no id";
  const normal = (what: string) =>
    unnamed(what, body.toString())
      .replaceAll(id, "ID")
      .replaceAll(sale.saleId, "SALE")
      .replaceAll(sale.productId, "PRODUCT")
      .replace(/"requestId":"\w+-\w+"/, '"requestId":"…"')
      .replace(/"reservedUntil":"20\d\d-[\d-]+T[\d:.]+Z"/, '"reservedUntil":"…"')
      .replace(/("receipt":"r\d\.ID\.SALE\.0\.1\.\d+\.\d+\.)\d{13}\.[\w-]{43}"/, '$1…"')
      .replace(/"opensAt":"[^"]*"/, '"opensAt":"…"');
  const lines: string[] = [];
  for (let i = 0; i < response.rawHeaders.length; i += 2) {
    const name = (response.rawHeaders[i] as string).toLowerCase();
    if (name !== "date" && name !== "content-length")
      lines.push(`${name}: ${normal(response.rawHeaders[i + 1] ?? "")}`);
  }
  expect(response.headers["content-length"]).toBe(String(Buffer.byteLength(said)));
  return { status: response.statusCode, headers: lines.sort(), body: normal(said) };
}

/** What the last order of the sale put into the movement log, without what names it. */
async function lastLogged({ sale }: Side, order: Order): Promise<string> {
  const { stream } = partitionKeys({ saleId: sale.saleId, partition: 0 });
  const [entry] = await shop.deps.redis.xrevrange(stream, "+", "-", "COUNT", 1);
  const fields = entry?.[1] ?? [];
  const [, reservation, payload = ""] = (fields[fields.indexOf("lines") + 1] ?? "").split("|");
  return `${reservation}|${unnamed(payload, order(sale).toString())}`
    .replaceAll(sale.productId, "PRODUCT")
    .replace(/"(idempotencyScope|payloadHash)":"[\w-]{22}"/g, '"$1":"…"');
}

const GUESTS = ["11111111-1111-4111-8111-111111111111", "AAAAAAAA-1111-4111-8111-111111111111"];
const MEMBER = makeCustomerId();
const TOKEN = await accessToken(MEMBER);

/** Mostly as usual, now and then something odd. */
const mostly = <T>(usual: fc.Arbitrary<T>, ...odd: T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 40, arbitrary: usual }, { weight: 1, arbitrary: fc.constantFrom(...odd) });
const NOTHING = Symbol("left out");
const member = (name: string, usual: unknown[], ...odd: unknown[]): fc.Arbitrary<string> =>
  mostly<unknown>(fc.constantFrom(...usual), ...(odd.length > 0 ? odd : usual)).map((value) => {
    if (value === NOTHING) return "";
    return `${JSON.stringify(name)}:${value === Number.POSITIVE_INFINITY ? "1e309" : JSON.stringify(value)}`;
  });
const object = (...members: fc.Arbitrary<string>[]) =>
  fc.tuple(...members).map((texts) => `{${texts.filter((each) => each !== "").join(",")}}`);
const raw = (name: string, json: fc.Arbitrary<string>) => json.map((each) => (each === "" ? "" : `"${name}":${each}`));

const NO_PRICES = [1, -5, -0, 5_000.5, "free", 1e13, null, Number.POSITIVE_INFINITY];
const NO_TEXTS = ["", "a\0b", "\ud800", 5, null, NOTHING, "x".repeat(201)];
const NO_QUANTITIES = [0, -1, 1.5, "1", Number.POSITIVE_INFINITY, 1_000_001, 1_000_000, null, NOTHING];
const texts = ["123 Main St", "서울시 '강남구' \"로\"", "é\u2028\\ "];
const item = object(
  member("productId", ["PRODUCT"], "", "x".repeat(65), GUESTS[0], 7, NOTHING, null),
  member("quantity", [1, 1, 2], ...NO_QUANTITIES),
  member("price", [NOTHING, 5_000], ...NO_PRICES),
  member("note", [NOTHING, "ignored"]),
);
const address = object(
  member("street", texts, ...NO_TEXTS),
  member("postalCode", ["12345"], "x".repeat(21), "", null),
  member("city", texts, ...NO_TEXTS),
  member("floor", [NOTHING, 3]),
);
const payment = object(
  member("method", ["later", "card"], "wallet", "cash", null, NOTHING),
  member("token", [NOTHING, "tok_ok"], "", "ü", "x".repeat(256), 5),
  member("more", [NOTHING, true]),
);
const items = fc.array(item, { minLength: 1, maxLength: 3 }).map((each) => `[${each.join(",")}]`);
const order = object(
  member("saleId", ["SALE"], "nowhere", "", "x".repeat(37), 5, null, NOTHING),
  member("customerId", GUESTS, NOTHING, "me", MEMBER, 7, null),
  raw(
    "items",
    mostly(items, "", "[]", "{}", "null", '"x"', `[${'{"productId":"PRODUCT","quantity":1},'.repeat(100)}7]`),
  ),
  member("price", [NOTHING, NOTHING, NOTHING, 5_000, 10_000], -1, "5000", null),
  raw("address", mostly(fc.oneof(fc.constant(""), address), "null", "[]", '"home"')),
  raw("payment", mostly(fc.oneof(fc.constant(""), payment), "null", "[]")),
  member("couponCode", [NOTHING], "X"),
  member("points", [NOTHING], 5),
  raw("__proto__", mostly(fc.constant(""), '{"saleId":"nowhere"}')),
);
/** Texts whose bytes are damaged, or are JSON in another dress. */
const dress = mostly<(body: string) => Buffer>(
  fc.constant((body: string) => Buffer.from(body)),
  (body: string) => Buffer.from(` ${body}\n`),
  (body: string) => Buffer.from(body.slice(0, -1)),
  (body: string) => Buffer.from(`[${body}]`),
  (body: string) => Buffer.from(`\ufeff${body}`),
  (body: string) => Buffer.concat([Buffer.from(body), Buffer.from([0xff])]),
  (body: string) => Buffer.from(body.replace("Main", "Main\xff"), "latin1"),
  (body: string) => Buffer.from(body.replace("{", '{"saleId":"nowhere",')),
  (body: string) => Buffer.from(body.replace("{", `{"note":"${"x".repeat(20_000)}",`)),
  () => Buffer.from("null"),
  () => Buffer.from("7"),
);
const header = (name: string, usual: fc.Arbitrary<string | undefined>, ...odd: (string | undefined)[]) =>
  mostly<string | undefined>(usual, ...odd).map((value): Headers => (value === undefined ? [] : [[name, value]]));
const headers = fc
  .tuple(
    header(
      "idempotency-key",
      fc.constantFrom(undefined, undefined, undefined, "k1", "k2"),
      "",
      "\u00fc",
      "x".repeat(256),
    ),
    header("authorization", fc.constantFrom(undefined, undefined, `Bearer ${TOKEN}`), "Basic eDp5", "Bearer no", ""),
    header("authorization", fc.constant(undefined), `Bearer ${TOKEN}`),
    header(
      "content-type",
      fc.constant(undefined),
      "application/json; charset=utf-8",
      "text/plain",
      "APPLICATION/JSON",
      "",
    ),
    header("origin", fc.constant(undefined), "https://shop.example", "https://evil.example"),
    header("prefer", fc.constant(undefined), "respond-async", "wait=x"),
    header("host", fc.constant(undefined), "SHOP.example", "shop.example:80", "shop.example:8080", "a b", "[::1]:3000"),
    header("x-forwarded-for", fc.constant(undefined), "1.2.3.4", "nonsense"),
  )
  .map((lists) => lists.flat());

describe("the order lane", () => {
  test("answers as the app does, whatever it is sent, and logs the same order", { timeout: 120_000 }, async () => {
    const { lane, app } = await openBoth({ corsOrigins: ["https://shop.example"] });
    let runs = 0;
    let accepted = 0;
    await fc.assert(
      fc.asyncProperty(order, dress, headers, async (body, put, sent) => {
        const say: Order = ({ saleId, productId }) =>
          put(body.replaceAll('"SALE"', `"${saleId}"`).replaceAll('"PRODUCT"', `"${productId}"`));
        const [byLane, byApp] = [await send(lane, say, sent), await send(app, say, sent)];
        expect(byLane).toEqual(byApp);
        runs += 1;
        if (byLane.status !== 202) return;
        accepted += 1;
        expect(await lastLogged(lane, say)).toBe(await lastLogged(app, say));
      }),
      { numRuns: 300 },
    );
    // Both ways were taken, and the app saw every request of its own server.
    expect(app.seen).toBeGreaterThanOrEqual(runs - 20); // hosts that the adapter refuses never reach the app
    expect(lane.seen).toBeLessThan(app.seen);
    expect(accepted).toBeGreaterThan(20);
  });

  test.each([
    ["a plain order", plain(), [], 202],
    ["a price, an address and a card", plain({ price: 5_000, payment: { method: "card" } }), [], 202],
    ["a key", plain(), [["Idempotency-Key", "key"]], 202],
    ["a member", plain({ customerId: undefined }), [["Authorization", `Bearer ${TOKEN}`]], 202],
    ["a proxy's header", plain(), [["X-Forwarded-For", "1.2.3.4"]], 202],
    ["an origin", plain(), [["Origin", "https://shop.example"]], 202],
    ["another price", plain({ price: 1 }), [], 409],
    ["an unknown sale", plain({ saleId: "nowhere" }), [], 404],
    ["a member's id without a token", plain({ customerId: MEMBER }), [], 403],
    ["a bad token", plain(), [["Authorization", "Bearer x"]], 401],
    ["a bad key", plain(), [["Idempotency-Key", "ü"]], 400],
  ] as [string, Order, Headers, number][])("takes %s itself", async (_what, body, sent, status) => {
    const { lane, app } = await openBoth();
    const byLane = await send(lane, body, sent);
    expect(lane.seen).toBe(0);
    expect(byLane.status).toBe(status);
    expect(byLane).toEqual(await send(app, body, sent));
  });

  test.each([
    ["what is no JSON", () => "{", [], 400],
    ["a quantity in words", plain({ items: [{ productId: "x", quantity: "1" }] }), [], 400],
    ["an address with NUL", plain({ address: { street: "a\0", postalCode: "b", city: "c" } }), [], 400],
    ["a wallet", plain({ payment: { method: "wallet" } }), [], 401],
    ["a coupon", plain({ couponCode: "X" }), [], 401],
    ["points", plain({ points: 5 }), [], 401],
    ["another type", plain(), [["Content-Type", "text/plain"]], 400],
    [
      "two tokens",
      plain(),
      [
        ["Authorization", `Bearer ${TOKEN}`],
        ["authorization", "x"],
      ],
      401,
    ],
    ["a body that asks first", plain(), [["Expect", "100-continue"]], 202],
  ] as [string, Order, Headers, number][])("leaves %s to the app", async (_what, body, sent, status) => {
    const { lane } = await openBoth();
    const byLane = await send(
      lane,
      body,
      sent.map(([name, value]) => [name.toLowerCase(), value]),
    );
    expect(lane.seen).toBe(1);
    expect(byLane.status).toBe(status);
  });

  test("a repeated key gets the order it led to, another order under it a conflict", async () => {
    const { lane, app } = await openBoth();
    const body = plain({ customerId: GUESTS[0] });
    const key: Headers = [["idempotency-key", "same"]];
    for (const expected of [202, 200, 200]) {
      const byLane = await send(lane, body, key);
      expect(byLane.status).toBe(expected);
      expect(byLane).toEqual(await send(app, body, key));
    }
    const other = plain({ customerId: GUESTS[0], price: 5_000 });
    const byLane = await send(lane, other, key);
    expect(byLane.status).toBe(422);
    expect(byLane).toEqual(await send(app, other, key));
    expect(lane.seen).toBe(0);
  });

  test("limits and the end of the stock are told alike, and the end is remembered", async () => {
    const { lane, app } = await openBoth({}, 3, 2);
    for (const [buyer, quantity, status] of [
      [GUESTS[0], 2, 202],
      [GUESTS[0], 1, 409],
      [randomUUID(), 2, 409],
      [randomUUID(), 1, 202],
      [randomUUID(), 1, 409],
      [randomUUID(), 1, 409],
    ] as const) {
      const body: Order = (sale) =>
        plain({ customerId: buyer, items: [{ productId: sale.productId, quantity }] })(sale);
      const byLane = await send(lane, body);
      expect(byLane.status).toBe(status);
      expect(byLane).toEqual(await send(app, body));
    }
    expect(shop.deps.engine.soldOut.isKept).toBe(true);
    expect(lane.seen).toBe(0);
  });

  test("units that come back can be had at once", async () => {
    const { lane } = await openBoth({}, 1);
    expect((await send(lane, plain())).status).toBe(202);
    expect((await send(lane, plain())).body).toContain("SOLD_OUT");
    const restock = { body: { productId: lane.sale.productId, quantity: 1 }, token: shop.admin };
    expect((await shop.call("POST", `/api/v1/sales/${lane.sale.saleId}/restock`, restock)).status).toBe(200);
    expect((await send(lane, plain())).status).toBe(202);
    expect(lane.seen).toBe(0);
  });

  test("too many orders of one buyer are refused alike", async () => {
    const rateLimit = { enabled: true, ordersPerSecond: 0.001, requestsPerSecond: 500, loginsPerMinute: 30 };
    const { lane, app } = await openBoth({ rateLimit });
    const byLane = await send(lane, plain());
    expect(byLane.status).toBe(429);
    expect(byLane.headers.find((line) => line.startsWith("retry-after"))).toBeDefined();
    expect(byLane.status).toBe((await send(app, plain())).status);
    expect(lane.seen).toBe(0);
  });

  test("shops without guests, and those with proxies, are no different", async () => {
    for (const config of [{ guestOrders: false }, { trustedProxies: ["127.0.0.1"] }, { corsOrigins: [] }]) {
      const { lane, app } = await openBoth(config);
      for (const sent of [[], [["authorization", `Bearer ${TOKEN}`]], [["x-forwarded-for", "9.9.9.9"]]] as Headers[]) {
        const body = plain({ customerId: undefined });
        expect(await send(lane, body, sent)).toEqual({ ...(await send(app, body, sent)), body: expect.any(String) });
      }
      expect(lane.seen).toBe(0);
    }
  });

  test("a body in pieces is waited for, and a client that leaves before its end harms nobody", async () => {
    const { lane } = await openBoth();
    const port = Number(new URL(lane.server.url).port);
    const body = plain()(lane.sale) as string;
    const head = `POST /api/v1/orders HTTP/1.1\r\nHost: shop.example\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n`;
    const leaver = connect(port, "127.0.0.1");
    leaver.write(`${head}\r\n${body.slice(0, 20)}`, () => leaver.destroy());
    const socket = connect(port, "127.0.0.1");
    socket.setNoDelay(true);
    for (const piece of [head, "Connection: close\r\n\r\n", body.slice(0, 20), body.slice(20, 50), body.slice(50)]) {
      await new Promise<void>((resolve) => socket.write(piece, () => setImmediate(resolve)));
    }
    expect(await text(socket)).toMatch(/^HTTP\/1.1 202 Accepted\r\n/);
    expect((await send(lane, plain())).status).toBe(202);
    expect(lane.seen).toBe(0);
  });
});
