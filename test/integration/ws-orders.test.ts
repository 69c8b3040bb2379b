// What a socket that watches orders sees: every state in order, nothing lost, the same as GET in the end, and nobody
// else's.
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { CHANNELS } from "../../engine/keys.ts";
import { makeCustomerId } from "../../engine/members/users.ts";
import { makeOrderId } from "../../engine/order-id.ts";
import { accessToken } from "./api-shop.ts";
import { dropClients, open, openStatusShop, type Served, until } from "./ws-shop.ts";

const shop = await openStatusShop();
const PAID = ["1 PENDING", "2 RESERVED", "3 PAYING", "4 PAID", "5 CONFIRMED"];
let sale: { saleId: string; productId: string };
let served: Served;

beforeAll(async () => {
  sale = await shop.sale({ stock: 1_000 });
  served = await shop.serve();
});
afterEach(async () => {
  dropClients();
  await shop.halt();
});

describe("an order", () => {
  test.each([
    ["tok_ok", PAID],
    ["tok_declined", ["1 PENDING", "2 RESERVED", "3 PAYING", "4 CANCELLING", "5 CANCELLED"]],
  ])("that pays with %s is seen in every state, and in the end as GET shows it", async (paymentToken, story) => {
    const id = await shop.order(sale, { paymentToken });
    const client = await open(served.url);
    client.subscribe(`orders/${id}`);
    await client.until(() => client.states(`orders/${id}`).length === 1);
    expect(client.heard).toEqual([
      { type: "subscribed", channel: `orders/${id}` },
      { type: "snapshot", channel: `orders/${id}`, version: 1, data: await shop.read(id) },
    ]);
    await shop.process();
    await client.until(() => client.states(`orders/${id}`).length >= story.length);
    expect(client.story(id)).toEqual(story);
    const states = client.states(`orders/${id}`);
    expect(states.at(-1)?.data).toEqual(await shop.read(id));
    expect(states.map(({ type }) => type)).toEqual(["snapshot", "event", "event", "event", "event"]);
    for (const { data, version } of states) {
      expect(data?.version).toBe(version);
      expect(data?.timeline.at(-1)).toMatchObject({ status: data?.status, version });
      expect(data?.timeline).toHaveLength(version ?? 0);
    }
  });

  test("is told of from `since` on: every version after it, and none twice", async () => {
    const id = await shop.order(sale);
    await shop.process();
    const first = await open(served.url);
    first.subscribe(`orders/${id}`);
    const seen = await first.until(() => first.states(`orders/${id}`).find(({ version }) => (version ?? 0) >= 2));
    first.socket.terminate();
    const again = await open(served.url);
    again.subscribe(`orders/${id}`, seen.version);
    await until(() => again.story(id).includes("5 CONFIRMED") || (seen.version === 5 && again.heard.length === 1));
    expect(again.story(id)).toEqual(PAID.slice(seen.version));
    for (const since of [0, 3, 5]) {
      const client = await open(served.url);
      client.subscribe(`orders/${id}`, since);
      await client.until(() => client.heard.length === 6 - since);
      expect(client.story(id)).toEqual(PAID.slice(since));
      client.subscribe(`orders/${id}`, 99); // a version that never was
      await client.until(() => client.heard.at(-1)?.type === "snapshot");
      expect(client.heard.at(-1)?.version).toBe(5);
    }
  });

  test("that another process accepted is told of by this one, and by a process that starts later", async () => {
    const other = await shop.serveAlone();
    const placed = await fetch(`${other.url}/api/v1/orders`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ saleId: sale.saleId, items: [{ productId: sale.productId, quantity: 1 }] }),
    });
    const { orderTrackingId: id } = (await placed.json()) as { orderTrackingId: string };
    const clients = await Promise.all([open(served.url), open(other.url)]);
    for (const client of clients) client.subscribe(`orders/${id}`);
    for (const client of clients) await client.until(() => client.story(id).length === 1);
    await shop.process();
    for (const client of clients) {
      await client.until(() => client.story(id).length >= PAID.length);
      expect(client.story(id)).toEqual(PAID);
    }
    const end = clients[1];
    other.process.kill("SIGTERM");
    expect(await end?.ended()).toMatchObject({ code: 1001 });
    await until(() => other.process.exitCode !== null || other.process.signalCode !== null);
    expect(other.process.exitCode).toBe(0);
  });

  test("whose notices are all lost is repaired by the comparison of versions", async () => {
    const deaf = await shop.serve();
    let heard = 0;
    deaf.subscriber.on("message", () => {
      heard += 1;
    });
    await deaf.subscriber.unsubscribe(CHANNELS.orders);
    const id = await shop.order(sale);
    const client = await open(deaf.url);
    client.subscribe(`orders/${id}`);
    await client.until(() => client.story(id).length === 1);
    await shop.process();
    while ((await shop.read(id)).status !== "CONFIRMED") await client.until(() => true);
    const confirmedAtMs = performance.now();
    await client.until(() => client.story(id).length >= PAID.length);
    expect(performance.now() - confirmedAtMs).toBeLessThan(2_000);
    expect(client.story(id)).toEqual(PAID);
    expect(heard).toBe(0);
  });

  test("is followed by many sockets, each in order, across a Redis that goes away", async () => {
    const ids = await Promise.all(Array.from({ length: 30 }, () => shop.order(sale)));
    const clients = await Promise.all(Array.from({ length: 10 }, () => open(served.url)));
    for (const client of clients) for (const id of ids) client.subscribe(`orders/${id}`, 0);
    await Promise.all(clients.map((client) => client.until(() => client.heard.length === 60)));
    await shop.process();
    served.subscriber.disconnect(true); // comes back by itself; what is published in between is lost
    for (const client of clients) {
      for (const id of ids) {
        await client.until(() => client.story(id).length >= PAID.length);
        expect(client.story(id)).toEqual(PAID);
      }
    }
  });
});

describe("who may watch", () => {
  test("a member's order is the member's and operators'; to others it is not there", async () => {
    const [mine, theirs] = [makeCustomerId(), makeCustomerId()];
    const token = await accessToken(mine);
    const id = await shop.order(sale, { token });
    const cases = [
      [await shop.ticket(token), "snapshot"],
      [await shop.ticket(shop.admin), "snapshot"],
      [await shop.ticket(await accessToken(makeCustomerId(), ["support"])), "snapshot"],
      [await shop.ticket(await accessToken(theirs)), "NOT_FOUND"],
      [undefined, "NOT_FOUND"],
    ];
    for (const [ticket, expected] of cases) {
      const client = await open(served.url, ticket ? `?ticket=${ticket}` : "");
      for (let i = 0; i < 2; i += 1) {
        client.subscribe(`orders/${id}`);
        const last = await client.until(() => client.heard.find(({ type }) => type !== "subscribed"));
        expect(last.type === "error" ? last.code : last.type).toBe(expected);
        client.heard.length = 0;
      }
    }
    // Nor while its owner watches it from the same process.
    const owner = await open(served.url, `?ticket=${await shop.ticket(token)}`);
    owner.subscribe(`orders/${id}`);
    await owner.until(() => owner.story(id).length === 1);
    const stranger = await open(served.url, `?ticket=${await shop.ticket(await accessToken(theirs))}`);
    stranger.subscribe(`orders/${id}`);
    expect(await stranger.until(() => stranger.heard[0])).toMatchObject({ type: "error", code: "NOT_FOUND" });
  });

  test("what is not there, or not there yet, is NOT_FOUND and the socket lives on", async () => {
    const client = await open(served.url);
    const channels = [
      `orders/${makeOrderId(1, 0, 0)}`,
      "orders/x",
      "orders/",
      "sales/none",
      "me",
      "support/1",
      "console",
      "constructor/x",
      "/",
      "orders",
    ];
    for (const channel of channels) {
      client.heard.length = 0;
      client.subscribe(channel);
      expect(await client.until(() => client.heard[0])).toMatchObject({ type: "error", code: "NOT_FOUND", channel });
    }
    client.send({ type: "ping" });
    await client.until(() => client.heard.at(-1)?.type === "pong");
  });

  test("a channel that was left says nothing more", async () => {
    const [left, kept] = [await shop.order(sale), await shop.order(sale)];
    const client = await open(served.url);
    client.subscribe(`orders/${left}`);
    client.subscribe(`orders/${kept.toUpperCase()}`);
    await client.until(() => client.story(left).length === 1 && client.story(kept).length === 1);
    client.send({ type: "unsubscribe", channel: `orders/${left}` });
    client.send({ type: "ping" });
    await client.until(() => client.heard.at(-1)?.type === "pong");
    await shop.process();
    await client.until(() => client.story(kept).length === PAID.length);
    expect(client.story(left)).toEqual(["1 PENDING"]);
  });
});
