// What a socket may do and cost: who gets in, what is refused, and that nobody who is slow, dead or hostile costs more than
// the bounds say.
import { connect as connectTcp } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { issueTicket } from "../../api/ws/tickets.ts";
import { makeCustomerId } from "../../engine/members/users.ts";
import { accessToken } from "./api-shop.ts";
import { type Client, dropClients, open, openStatusShop, refusalOf, type Served, until } from "./ws-shop.ts";

const shop = await openStatusShop();
let sale: { saleId: string; productId: string };
let served: Served;

beforeAll(async () => {
  sale = await shop.sale({ stock: 1_000 });
  served = await shop.serve();
});
afterEach(dropClients);

describe("a ticket", () => {
  test("needs an access token, and opens one connection", async () => {
    expect((await shop.call("POST", "/api/v1/ws-tickets")).status).toBe(401);
    const answer = await shop.call("POST", "/api/v1/ws-tickets", { token: await accessToken(makeCustomerId()) });
    expect([answer.status, JSON.parse(answer.text)]).toEqual([
      201,
      { ticket: expect.stringMatching(/^[\w-]{43}$/), expiresIn: 30 },
    ]);
    const { ticket } = JSON.parse(answer.text);
    const attempts = await Promise.allSettled(Array.from({ length: 10 }, () => open(served.url, `?ticket=${ticket}`)));
    expect(attempts.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(await refusalOf(served.url, `/ws?ticket=${ticket}`)).toEqual({ status: 401, code: "UNAUTHENTICATED" });
  });

  test("that is none, too old, or of a token that has ended: 401", async () => {
    const identity = { customerId: makeCustomerId(), roles: new Set(["customer"] as const) };
    const tooOld = await issueTicket(shop.deps.redis, { identity, expiresAtMs: Date.now() + 60_000 });
    expect(await shop.deps.redis.ttl(`onrush:ticket:${tooOld}`)).toBeGreaterThan(0);
    await shop.deps.redis.pexpire(`onrush:ticket:${tooOld}`, 1);
    await sleep(10);
    const ended = await issueTicket(shop.deps.redis, { identity, expiresAtMs: Date.now() });
    const good = await issueTicket(shop.deps.redis, { identity, expiresAtMs: Date.now() + 60_000 });
    for (const query of [`ticket=${tooOld}`, `ticket=${ended}`, "ticket=", "ticket=x", `ticket=x&ticket=${good}`]) {
      expect(await refusalOf(served.url, `/ws?${query}`)).toEqual({ status: 401, code: "UNAUTHENTICATED" });
    }
  });

  test("closes its connection when its token ends", async () => {
    const identity = { customerId: makeCustomerId(), roles: new Set(["customer"] as const) };
    const ticket = await issueTicket(shop.deps.redis, { identity, expiresAtMs: Date.now() + 300 });
    const client = await open(served.url, `?ticket=${ticket}`);
    expect(await client.ended()).toEqual({ code: 1008, reason: "token expired" });
    const exp = Math.floor(Date.now() / 1_000) + 2;
    const token = await accessToken(makeCustomerId(), ["customer"], { exp });
    const short = await open(served.url, `?ticket=${await shop.ticket(token)}`);
    expect(await short.ended()).toEqual({ code: 1008, reason: "token expired" });
  });
});

describe("a handshake", () => {
  test("is refused from pages elsewhere, and taken from ours and from programs", async () => {
    for (const origin of ["https://evil.example", "null", "https://shop.example.evil.example", "http://127.0.0.1:1"]) {
      expect(await refusalOf(served.url, "/ws", { origin })).toEqual({ status: 403, code: "FORBIDDEN" });
    }
    for (const origin of ["https://shop.example", served.url]) await open(served.url, "", { origin });
    await open(served.url);
  });

  test("has one path", async () => {
    for (const path of ["/", "/ws/", "/ws/x", "/WS", "/api/v1/orders", "//ws", "/%77s"]) {
      expect(await refusalOf(served.url, path)).toEqual({ status: 404, code: "NOT_FOUND" });
    }
    expect((await fetch(`${served.url}/ws`)).status).toBe(404);
  });

  test("to another protocol is passed over: a client that offers HTTP/2 is answered all the same", async () => {
    const { hostname, port } = new URL(served.url);
    const socket = connectTcp(Number(port), hostname);
    const offer = "Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n";
    socket.write(`GET /healthz HTTP/1.1\r\nHost: x\r\n${offer}\r\n`);
    let answer = "";
    for await (const chunk of socket) answer += chunk;
    expect(answer).toMatch(/^HTTP\/1.1 200 /);
  });

  test("is refused beyond so many of an address and of a member, until one leaves", async () => {
    const small = await shop.serve({ connectionsPerAddressMax: 3, connectionsPerUserMax: 1 });
    const token = await accessToken(makeCustomerId());
    const first = await open(small.url, `?ticket=${await shop.ticket(token)}`);
    const tooMany = { status: 429, code: "RATE_LIMITED" };
    expect(await refusalOf(small.url, `/ws?ticket=${await shop.ticket(token)}`)).toEqual(tooMany);
    await open(small.url);
    await open(small.url);
    expect(await refusalOf(small.url, "/ws")).toEqual(tooMany);
    first.socket.close();
    await until(() => small.counters.connected === 2);
    await open(small.url, `?ticket=${await shop.ticket(token)}`);
  });
});

describe("a message", () => {
  const errorFor = async (client: Client, message: unknown) => {
    client.heard.length = 0;
    client.send(message);
    return (await client.until(() => client.heard[0])).code;
  };

  test("that is no message of ours is answered with VALIDATION", async () => {
    const client = await open(served.url);
    const messages = [
      "",
      "{",
      "null",
      "[]",
      '"ping"',
      "{}",
      { type: "other" },
      { type: "subscribe" },
      { type: "subscribe", channel: 1 },
      { type: "subscribe", channel: "" },
      { type: "subscribe", channel: `orders/${"x".repeat(500)}` },
      { type: "subscribe", channel: "orders/x", since: -1 },
      { type: "subscribe", channel: "orders/x", since: 1.5 },
      { type: "subscribe", channel: "orders/x", since: "1" },
      { type: "unsubscribe" },
      { type: ["ping"] },
    ];
    for (const message of messages) expect(await errorFor(client, message)).toBe("VALIDATION");
    client.send({ type: "ping" });
    await client.until(() => client.heard.at(-1)?.type === "pong");
  });

  test("of 16 KiB is read, of a byte more closes the socket", async () => {
    const client = await open(served.url);
    const padded = (bytes: number) => JSON.stringify({ type: "ping", pad: "x".repeat(bytes - 24) });
    expect(Buffer.byteLength(padded(16_384))).toBe(16_384);
    client.send(padded(16_384));
    await client.until(() => client.heard.at(-1)?.type === "pong");
    client.send(padded(16_385));
    expect((await client.ended()).code).toBe(1009);
  });

  test("in a binary frame closes the socket", async () => {
    const client = await open(served.url);
    client.socket.send(Buffer.from('{"type":"ping"}'), { binary: true });
    expect((await client.ended()).code).toBe(1003);
  });

  test("too many of them are refused, and a flood closes the socket", async () => {
    const small = await shop.serve({ messagesPerSecondMax: 10 });
    const client = await open(small.url);
    for (let i = 0; i < 12; i += 1) client.send({ type: "ping" });
    await client.until(() => client.heard.some(({ code }) => code === "RATE_LIMITED"));
    for (let i = 0; i < 60; i += 1) client.send({ type: "ping" });
    expect(await client.ended()).toEqual({ code: 1008, reason: "too many messages" });
    expect(client.heard.filter(({ type }) => type === "pong").length).toBeLessThanOrEqual(20);
  });

  test("for one channel too many is refused", async () => {
    const small = await shop.serve({ subscriptionsMax: 2 });
    const client = await open(small.url);
    const ids = await Promise.all([shop.order(sale), shop.order(sale), shop.order(sale)]);
    for (const id of ids) client.subscribe(`orders/${id}`);
    await client.until(() => client.heard.length === 5);
    expect(client.heard.filter(({ type }) => type === "error")).toMatchObject([{ code: "RATE_LIMITED" }]);
    client.send({ type: "unsubscribe", channel: `orders/${ids[0]}` });
    client.subscribe(`orders/${ids[2]}`);
    await client.until(() => client.story(ids[2] as string).length === 1);
    expect(small.counters.subscribed).toBe(2);
  });

  test("whatever it is, the server answers the next one", async () => {
    const wide = await shop.serve({ messagesPerSecondMax: 100_000, connectionsPerAddressMax: 5_000 });
    const id = await shop.order(sale);
    const channel = fc.oneof(
      fc.string(),
      fc.constantFrom(`orders/${id}`, `sales/${sale.saleId}`, "me", "sales/catalog"),
    );
    const message = fc.record(
      {
        type: fc.oneof(fc.constantFrom("subscribe", "unsubscribe", "ping", "message", "__proto__"), fc.jsonValue()),
        channel: fc.oneof(channel, fc.jsonValue()),
        since: fc.oneof(fc.integer(), fc.double(), fc.jsonValue()),
      },
      { requiredKeys: [] },
    );
    const frame = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.json(),
      message.map((value) => JSON.stringify(value)),
    );
    const bytes = fc.uint8Array({ minLength: 1, maxLength: 200 });
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { maxLength: 20 }), bytes, async (frames, rest) => {
        const client = await open(wide.url);
        for (const text of frames) client.send(text);
        client.send({ type: "ping" });
        await client.until(() => client.heard.some(({ type }) => type === "pong"));
        // And what is no frame at all, below the client library.
        (client.socket as unknown as { _socket: NodeJS.WritableStream })._socket.write(rest);
        client.socket.terminate();
      }),
      { numRuns: 300 },
    );
    await until(() => wide.counters.connected === 0 && wide.counters.subscribed === 0);
    expect((await fetch(`${wide.url}/healthz`)).status).toBe(200);
  });
});

describe("a reader", () => {
  let wideSale = "";
  beforeAll(async () => {
    const made = await Promise.all(
      Array.from({ length: 100 }, () =>
        shop.call("POST", "/api/v1/products", { token: shop.admin, body: { name: "커피".repeat(20), price: 1 } }),
      ),
    );
    const items = made.map(({ body }) => ({ productId: body.id, stock: 1 }));
    const opened = await shop.call("POST", "/api/v1/sales", { token: shop.admin, body: { name: "Wide", items } });
    wideSale = `sales/${opened.body.id}`;
  });

  /** Reads nothing, and asks for a large sale again and again, until the server does not send any more. */
  const stall = async (client: Client, at: Served) => {
    const reader = await open(at.url); // keeps the sale known
    reader.subscribe(wideSale);
    await reader.until(() => reader.states(wideSale).length === 1);
    client.socket.pause();
    for (let i = 0; i < 1_000 && at.counters.skipped === 0; i += 1) {
      for (let n = 0; n < 20; n += 1) client.subscribe(wideSale);
      await sleep(2);
    }
    expect(at.counters.skipped).toBeGreaterThan(0);
  };
  const patient = { messagesPerSecondMax: 1_000_000 };

  test("that is slow skips states, and gets the newest one when it reads again", async () => {
    const at = await shop.serve(patient);
    const id = await shop.order(sale);
    const client = await open(at.url);
    client.subscribe(`orders/${id}`);
    await client.until(() => client.story(id).length === 1);
    await stall(client, at);
    await shop.process();
    while ((await shop.read(id)).status !== "CONFIRMED") await sleep(20);
    await sleep(300); // its events have been offered, and skipped
    await shop.halt();
    expect(client.story(id)).toEqual(["1 PENDING"]);
    client.socket.resume();
    await client.until(() => client.story(id).length >= 2);
    expect(client.story(id)).toEqual(["1 PENDING", "5 CONFIRMED"]);
    expect(client.states(`orders/${id}`).at(-1)).toMatchObject({ type: "snapshot", data: await shop.read(id) });
  });

  test("that stays slow is closed", async () => {
    const at = await shop.serve({ ...patient, behindMsMax: 200, closeMsMax: 100 });
    const client = await open(at.url);
    await stall(client, at);
    await until(() => at.counters.closed.slow === 1 && at.counters.connected === 1);
    client.socket.resume();
    await client.ended();
  });

  test("never has more unsent than the bound", async () => {
    const at = await shop.serve({ ...patient, behindMsMax: 60_000, unsentBytesMax: 256 * 1_024, closeMsMax: 100 });
    const client = await open(at.url);
    await stall(client, at);
    for (let i = 0; i < 2_000 && at.counters.closed.slow === 0; i += 1) {
      for (let n = 0; n < 100; n += 1) client.send({ type: "ping" });
      await sleep(1);
    }
    await until(() => at.counters.closed.slow === 1 && at.counters.connected === 1);
  });

  test("that is dead is dropped, one that lives is kept", async () => {
    const at = await shop.serve({ heartbeatMs: 200 });
    const [dead, alive] = [await open(at.url), await open(at.url)];
    dead.socket.pause(); // reads no pings, so answers none
    await until(() => at.counters.closed.dead === 1 && at.counters.connected === 1);
    await sleep(500);
    expect(alive.closed).toBeUndefined();
  });
});

describe("the end", () => {
  test("closes every socket with 1001, also one that does not read, and takes no more", async () => {
    const at = await shop.serve({ stopMsMax: 300, closeMsMax: 200 });
    const [client, stuck] = [await open(at.url), await open(at.url)];
    stuck.socket.pause();
    const startedAtMs = performance.now();
    const stopped = at.stop();
    expect(await client.ended()).toEqual({ code: 1001, reason: "stopping" });
    await stopped;
    expect(performance.now() - startedAtMs).toBeLessThan(5_000);
    expect(at.counters.connected).toBe(0);
    await expect(open(at.url)).rejects.toThrow();
  });

  test("metrics tell what was done", async () => {
    const client = await open(served.url);
    client.send({ type: "ping" });
    await client.until(() => client.heard.length === 1);
    const metrics = await (await fetch(`${served.url}/metrics`)).text();
    expect(metrics).toMatch(/^onrush_ws_connections [1-9]/m);
    expect(metrics).toMatch(/^onrush_ws_messages_sent_total [1-9]/m);
    expect(metrics).toMatch(/^onrush_ws_closed_total\{cause="binary"\} 1$/m);
    const openapi = await (await fetch(`${served.url}/openapi.json`)).json();
    expect((openapi as { paths: object }).paths).toHaveProperty("/api/v1/ws-tickets");
  });
});
