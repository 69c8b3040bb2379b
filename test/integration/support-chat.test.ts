// Support threads on the WebSocket: two processes carry one conversation, everything in order and once; what a reconnect
// missed, what was not told, and what a slow reader skipped is made up from Postgres; strangers hear nothing.
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { TokenBuckets } from "../../api/http/token-buckets.ts";
import { CHANNELS } from "../../engine/keys.ts";
import { makeCustomerId } from "../../engine/members/users.ts";
import { commandConnection, subscriberConnection } from "../../engine/redis/connection.ts";
import { accessToken } from "./api-shop.ts";
import { type Client, dropClients, open, openStatusShop, refusalOf, type Served, until } from "./ws-shop.ts";

const shop = await openStatusShop();
const THREADS = "/api/v1/support/threads";
const agentToken = await accessToken(makeCustomerId(), ["support"]);
let here: Served;
let elsewhere: { url: string };

beforeAll(async () => {
  here = await shop.serve();
  elsewhere = await shop.serveAlone();
});
afterEach(dropClients);

interface ChatData {
  readonly message?: { readonly version: number; readonly text: string; readonly from: string };
  readonly messages?: readonly { readonly text: string }[];
  readonly thread?: { readonly version: number; readonly customerRead: number; readonly agentRead: number };
}

async function newThread(token?: string) {
  const customer = token ?? (await accessToken(makeCustomerId()));
  const { body } = await shop.call("POST", THREADS, { token: customer, body: { subject: "s", text: "first" } });
  return { id: body.id, channel: `support/${body.id}`, customer };
}

async function join(url: string, token: string, channel: string, since?: number): Promise<Client> {
  const client = await open(url, `?ticket=${await shop.ticket(token)}`);
  client.subscribe(channel, since);
  await client.until(() => client.heard.find(({ type }) => type === "subscribed" || type === "error"));
  return client;
}

const post = (token: string, id: string, text: string) =>
  shop.call("POST", `${THREADS}/${id}/messages`, { token, body: { text } });
const chat = (client: Client, channel: string) =>
  client.states(channel).map(({ type, version, data }) => ({ type, version, ...(data as unknown as ChatData) }));
/** What the client has read, in order. */
const texts = (client: Client, channel: string) =>
  chat(client, channel).flatMap(({ message, messages }) =>
    [...(messages ?? []), ...(message ? [message] : [])].map(({ text }) => text),
  );
const grows = (client: Client, channel: string) => {
  const versions = chat(client, channel).map(({ version }) => version ?? 0);
  expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b));
};
const heardType = (client: Client, type: string) =>
  client.heard.filter((message) => (message.type as string) === type) as unknown as Record<string, unknown>[];

describe("a conversation", () => {
  test("goes between two processes, each message once, in one order, as GET tells it", async () => {
    const { id, channel, customer } = await newThread();
    const buyer = await join(here.url, customer, channel);
    const agent = await join(elsewhere.url, agentToken, channel);
    await buyer.until(() => chat(buyer, channel).length === 1);
    expect(chat(buyer, channel)).toMatchObject([
      {
        type: "snapshot",
        version: 1,
        thread: { version: 1, state: "open" },
        messages: [{ text: "first", from: "customer" }],
      },
    ]);
    const said = Array.from({ length: 10 }, (_, i) => [`b${i}`, `a${i}`]).flat();
    for (let i = 0; i < 10; i += 1) {
      buyer.send({ type: "message", channel, text: `b${i}`, clientId: `c${i}` });
      agent.send({ type: "message", channel, text: `a${i}` });
    }
    for (const client of [buyer, agent]) await client.until(() => texts(client, channel).length === 21);
    expect(texts(buyer, channel)).toEqual(texts(agent, channel));
    expect(texts(buyer, channel).toSorted()).toEqual(["first", ...said].toSorted());
    // Each side's own, in its own order.
    for (const side of ["a", "b"]) {
      const own = texts(agent, channel).filter((text) => text.startsWith(side));
      expect(own).toEqual(Array.from({ length: 10 }, (_, i) => `${side}${i}`));
    }
    const { items } = JSON.parse(
      (await shop.call("GET", `${THREADS}/${id}/messages?limit=100`, { token: customer })).text,
    );
    expect(items.map(({ text }: { text: string }) => text).reverse()).toEqual(texts(buyer, channel));
    for (const client of [buyer, agent]) grows(client, channel);
    expect(chat(agent, channel).at(-1)).toMatchObject({ version: 21, thread: { version: 21 } });
  });

  test("shows what was read, who is there, who left and who is writing", async () => {
    const { channel, customer } = await newThread();
    const buyer = await join(here.url, customer, channel);
    await buyer.until(() => heardType(buyer, "presence").at(-1)?.["customer"] === true);
    expect(heardType(buyer, "presence").at(-1)).toEqual({ type: "presence", channel, customer: true, agent: false });
    const agent = await join(elsewhere.url, agentToken, channel);
    for (const client of [buyer, agent]) {
      await client.until(() => heardType(client, "presence").at(-1)?.["agent"] === true);
      await client.until(() => heardType(client, "presence").at(-1)?.["customer"] === true);
    }
    buyer.send({ type: "typing", channel });
    expect(await agent.until(() => heardType(agent, "typing")[0])).toEqual({
      type: "typing",
      channel,
      from: "customer",
    });
    agent.send({ type: "read", channel, version: 1 });
    await buyer.until(() => chat(buyer, channel).at(-1)?.thread?.agentRead === 1);
    expect(chat(buyer, channel).at(-1)).toMatchObject({
      type: "event",
      version: 2,
      thread: { version: 2, customerRead: 0 },
    });
    expect(heardType(buyer, "typing")).toEqual([]);
    agent.socket.terminate();
    await buyer.until(() => heardType(buyer, "presence").at(-1)?.["agent"] === false);
  });

  test("forgets who was there in a process that is gone", async () => {
    const watcher = await shop.serve({ presenceMs: 100, presenceMsMax: 6_000 });
    const doomed = await shop.serveAlone();
    const { channel, customer } = await newThread();
    const buyer = await join(watcher.url, customer, channel);
    await join(doomed.url, agentToken, channel);
    await buyer.until(() => heardType(buyer, "presence").at(-1)?.["agent"] === true);
    doomed.process.kill("SIGKILL");
    await buyer.until(() => heardType(buyer, "presence").at(-1)?.["agent"] === false);
  });

  test("is the same by HTTP: what is posted, read and closed there is told here", async () => {
    const { id, channel, customer } = await newThread();
    const buyer = await join(here.url, customer, channel);
    await post(agentToken, id, "by HTTP");
    await buyer.until(() => texts(buyer, channel).includes("by HTTP"));
    await shop.call("PATCH", `${THREADS}/${id}`, { token: agentToken, body: { state: "closed" } });
    await buyer.until(() => chat(buyer, channel).at(-1)?.version === 3);
    expect(chat(buyer, channel).at(-1)?.thread).toMatchObject({ state: "closed", version: 3 });
  });

  test("is told by notices alone, without a comparison", async () => {
    const hearing = await shop.serve({ checkMs: 3_600_000 });
    const { id, channel, customer } = await newThread();
    const buyer = await join(hearing.url, customer, channel);
    await buyer.until(() => chat(buyer, channel).length === 1);
    await post(agentToken, id, "heard");
    await buyer.until(() => texts(buyer, channel).includes("heard"));
  });

  test("goes on while the cache's Redis is away, on both sides of it", async () => {
    const nowhere = "redis://127.0.0.1:1";
    const [cacheRedis, cacheSubscriber] = [commandConnection(nowhere, 1_000), subscriberConnection(nowhere)];
    for (const connection of [cacheRedis, cacheSubscriber]) connection.on("error", () => undefined);
    const apart = await shop.serve({}, { cacheRedis, cacheSubscriber });
    const { id, channel, customer } = await newThread();
    const [buyer, agent] = [await join(apart.url, customer, channel), await join(here.url, agentToken, channel)];
    buyer.send({ type: "message", channel, text: "from there" });
    await post(agentToken, id, "from here");
    for (const client of [buyer, agent]) {
      await client.until(
        () => texts(client, channel).includes("from there") && texts(client, channel).includes("from here"),
      );
      grows(client, channel);
    }
    await apart.stop();
    for (const connection of [cacheRedis, cacheSubscriber]) connection.disconnect();
  });

  test("goes on without notices: a process that hears none finds out by itself", async () => {
    const deaf = await shop.serve();
    await deaf.subscriber.unsubscribe(CHANNELS.support);
    const { id, channel, customer } = await newThread();
    const buyer = await join(deaf.url, customer, channel);
    await post(agentToken, id, "unheard");
    await buyer.until(() => texts(buyer, channel).includes("unheard"));
    grows(buyer, channel);
  });
});

describe("a reconnect", () => {
  test("with `since` gets everything that was missed, once, in the other process too", async () => {
    const { id, channel, customer } = await newThread();
    for (let i = 0; i < 60; i += 1) await post(i % 2 ? customer : agentToken, id, `m${i}`);
    await shop.call("POST", `${THREADS}/${id}/read`, { token: agentToken, body: { version: 61 } });
    for (const url of [here.url, elsewhere.url]) {
      const watching = await join(url, customer, channel); // so that the process knows the thread already
      await watching.until(() => chat(watching, channel).length === 1);
      expect(texts(watching, channel)).toEqual(Array.from({ length: 20 }, (_, i) => `m${i + 40}`));
      for (const [since, first] of [
        [1, 0],
        [31, 30],
        [60, 59],
        [61, 60],
        [62, 61],
      ] as const) {
        const client = await join(url, customer, channel, since);
        client.send({ type: "ping" });
        await client.until(() => client.heard.at(-1)?.type === "pong" && client.heard.length > 1);
        expect(texts(client, channel)).toEqual(
          Array.from({ length: 60 - Math.min(first, 60) }, (_, i) => `m${i + first}`),
        );
        expect(chat(client, channel).every(({ type }) => type === "event")).toBe(true);
        if (since < 62) expect(chat(client, channel).at(-1)).toMatchObject({ version: 62, thread: { agentRead: 61 } });
        grows(client, channel);
      }
      // A version that the thread never had says nothing about what the client has.
      const odd = await join(url, customer, channel, 1_000);
      await odd.until(() => chat(odd, channel)[0]?.type === "snapshot");
    }
  });

  test("while the other side writes on loses nothing", async () => {
    const { id, channel, customer } = await newThread();
    let client = await join(here.url, customer, channel);
    const seen: string[] = [];
    let version = 0;
    const writing = (async () => {
      for (let i = 0; i < 60; i += 1) await post(agentToken, id, `m${i}`);
    })();
    for (let round = 0; !seen.includes("m59"); round += 1) {
      await client.until(() => chat(client, channel).length > 0 || client.closed);
      client.socket.terminate();
      await client.ended();
      seen.push(...texts(client, channel));
      version = chat(client, channel).at(-1)?.version ?? version;
      client = await join(round % 2 ? here.url : elsewhere.url, customer, channel, version);
    }
    await writing;
    expect(seen).toEqual(["first", ...Array.from({ length: 60 }, (_, i) => `m${i}`)]);
  });

  test("that missed too much gets the newest, and the rest by GET", async () => {
    const small = await shop.serve({ messagesMissedMax: 5 });
    const { id, channel, customer } = await newThread();
    for (let i = 0; i < 6; i += 1) await post(agentToken, id, `m${i}`);
    const client = await join(small.url, customer, channel, 1);
    await client.until(() => chat(client, channel)[0]);
    expect(chat(client, channel)[0]).toMatchObject({ type: "snapshot", version: 7 });
  });
});

describe("a stranger", () => {
  test("can neither watch, write, read nor be heard of, with a ticket or without", async () => {
    const { id, channel, customer } = await newThread();
    const buyer = await join(here.url, customer, channel);
    await buyer.until(() => chat(buyer, channel).length === 1);
    const strangers = [
      await open(here.url),
      await open(here.url, `?ticket=${await shop.ticket(await accessToken(makeCustomerId()))}`),
      await open(elsewhere.url, `?ticket=${await shop.ticket(await accessToken(makeCustomerId(), ["customer"]))}`),
    ];
    const tries = [
      { type: "subscribe", channel },
      { type: "message", channel, text: "let me in" },
      { type: "read", channel, version: 1 },
    ];
    for (const stranger of strangers) {
      for (const message of tries) {
        stranger.heard.length = 0;
        stranger.send(message);
        expect(await stranger.until(() => stranger.heard[0])).toMatchObject({
          type: "error",
          code: "NOT_FOUND",
          channel,
        });
      }
      stranger.heard.length = 0;
      stranger.send({ type: "typing", channel });
      const refused = await stranger.until(() => stranger.heard[0]);
      expect(refused.code).toBe(stranger === strangers[0] ? "NOT_FOUND" : "INVALID_STATE");
    }
    await post(agentToken, id, "for the buyer");
    await buyer.until(() => texts(buyer, channel).includes("for the buyer"));
    for (const stranger of strangers) expect(stranger.states(channel)).toEqual([]);
    expect(texts(buyer, channel)).toEqual(["first", "for the buyer"]);
    expect(heardType(buyer, "typing")).toEqual([]);
  });

  test("has no use for a ticket that was used", async () => {
    const { channel, customer } = await newThread();
    const ticket = await shop.ticket(customer);
    const client = await open(here.url, `?ticket=${ticket}`);
    client.subscribe(channel);
    await client.until(() => chat(client, channel).length === 1);
    expect(await refusalOf(here.url, `/ws?ticket=${ticket}`)).toMatchObject({ status: 401 });
  });
});

describe("what is said", () => {
  test.each([
    ["no text", {}],
    ["empty", { text: "" }],
    ["blank", { text: "  " }],
    ["too long", { text: "x".repeat(2_001) }],
    ["a number", { text: 1 }],
    ["NUL", { text: "\0" }],
    ["half a pair", { text: "\ud800" }],
    ["a bad clientId", { text: "x", clientId: " " }],
    ["no channel", { channel: undefined, text: "x" }],
    ["a mark of no version", { type: "read" }],
    ["a mark below one", { type: "read", version: 0 }],
  ])("is refused and changes nothing: %s", async (_, message) => {
    const { id, channel, customer } = await newThread();
    const client = await join(here.url, customer, channel);
    client.send({ type: "message", channel, ...message });
    const error = await client.until(() => client.heard.find(({ type }) => type === "error"));
    expect(error).toMatchObject({ code: "VALIDATION" });
    const thread = JSON.parse((await shop.call("GET", `${THREADS}/${id}`, { token: customer })).text);
    expect(thread.version).toBe(1);
  });

  test("on a channel that is only listened to is refused", async () => {
    const client = await open(here.url);
    client.send({ type: "message", channel: "sales/catalog", text: "x" });
    expect(await client.until(() => client.heard[0])).toMatchObject({ type: "error", code: "VALIDATION" });
  });

  test("of the longest, in the form that takes most room, passes", async () => {
    const { channel, customer } = await newThread();
    const client = await join(here.url, customer, channel);
    const text = "\u0001".repeat(2_000);
    client.send({ type: "message", channel, text });
    await client.until(() => texts(client, channel).at(-1) === text);
  });

  test("twice under one name is one message, over whichever way", async () => {
    const { id, channel, customer } = await newThread();
    const client = await join(here.url, customer, channel);
    const twice = { text: "once", clientId: "n1" };
    client.send({ type: "message", channel, ...twice });
    client.send({ type: "message", channel, ...twice });
    await shop.call("POST", `${THREADS}/${id}/messages`, { token: customer, body: twice });
    client.send({ type: "message", channel, text: "last" });
    await client.until(() => texts(client, channel).includes("last"));
    expect(texts(client, channel)).toEqual(["first", "once", "last"]);
  });

  test("too often is refused by author, over all of one's sockets", async () => {
    const buckets = new TokenBuckets({ perSecond: 0.001, burst: 3 });
    const strict = await shop.serve({}, { rates: { message: (author) => buckets.take(author) } });
    const { channel, customer } = await newThread();
    const clients = [await join(strict.url, customer, channel), await join(strict.url, customer, channel)];
    for (const client of clients)
      for (let i = 0; i < 3; i += 1) client.send({ type: "message", channel, text: "spam" });
    await until(() => clients.flatMap((client) => heardType(client, "error")).length === 3);
    for (const client of clients) {
      expect(heardType(client, "error").every(({ code }) => code === "RATE_LIMITED")).toBe(true);
      await client.until(() => texts(client, channel).length === 4);
    }
  });
});

test("a reader that falls behind skips to the newest, and its versions grow all the same", async () => {
  const { id, channel, customer } = await newThread();
  const client = await join(here.url, customer, channel);
  await client.until(() => chat(client, channel).length === 1);
  const skipped = here.counters.skipped;
  client.socket.pause();
  for (let i = 0; i < 2_000 && here.counters.skipped === skipped; i += 1)
    await post(agentToken, id, "커".repeat(2_000));
  expect(here.counters.skipped).toBeGreaterThan(skipped);
  await post(agentToken, id, "last");
  client.socket.resume();
  await client.until(() => texts(client, channel).at(-1) === "last");
  grows(client, channel);
}, 60_000);
