// A member's inbox: every step of every order of the member's once, in order, over HTTP and on `me`, in every process; nobody
// else's; and nothing lost to a reconnect, a lost notice, or readers that come at once.
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { CHANNELS } from "../../engine/keys.ts";
import { eraseMember } from "../../engine/members/erasure.ts";
import { makeCustomerId } from "../../engine/members/users.ts";
import { collectNotifications, findInboxesMovedOn } from "../../engine/notifications/inbox.ts";
import { accessToken } from "./api-shop.ts";
import { type Client, dropClients, open, openStatusShop, type Served, until } from "./ws-shop.ts";

const shop = await openStatusShop();
const PATH = "/api/v1/notifications";
const PAID = ["PENDING", "RESERVED", "PAYING", "PAID", "CONFIRMED"];
const agentToken = await accessToken(makeCustomerId(), ["support"]);
let sale: { saleId: string; productId: string };
let here: Served;

beforeAll(async () => {
  sale = await shop.sale({ stock: 1_000 });
  here = await shop.serve();
});
afterEach(async () => {
  dropClients();
  await shop.halt();
});

interface View {
  readonly id: string;
  readonly version: number;
  readonly kind: string;
  readonly orderTrackingId?: string;
  readonly threadId?: string;
  readonly status?: string;
  readonly reason?: string;
  readonly read: boolean;
}
interface Page {
  readonly status: number;
  readonly items: readonly View[];
  readonly unread: number;
  readonly nextCursor?: string;
}

async function member() {
  const id = makeCustomerId();
  return { id, token: await accessToken(id) };
}

async function inbox(token: string, query = ""): Promise<Page> {
  const answer = await shop.call("GET", `${PATH}${query}`, { token });
  return { ...JSON.parse(answer.text), status: answer.status };
}

/** Waits until GET says that the order is at its end. */
async function ended(orderId: string, token: string) {
  const deadline = performance.now() + 15_000;
  for (;;) {
    const { status } = await shop.read(orderId, token);
    if (status === "CONFIRMED" || status === "CANCELLED") return;
    if (performance.now() > deadline) throw new Error(`${orderId} stays ${status}`);
  }
}

async function watch(url: string, token: string, since?: number): Promise<Client> {
  const client = await open(url, `?ticket=${await shop.ticket(token)}`);
  client.subscribe("me", since);
  await client.until(() => client.heard.find(({ type }) => type === "subscribed" || type === "error"));
  return client;
}

/** What the client was told, in order. */
function told(client: Client): View[] {
  return client.states("me").flatMap(({ data }) => {
    const { notification, notifications } = data as unknown as { notification?: View; notifications?: View[] };
    return [...(notifications ?? []), ...(notification ? [notification] : [])];
  });
}
const unread = (client: Client) =>
  (client.states("me") as unknown as { data: { unread?: number } }[]).findLast(({ data }) => data.unread !== undefined)
    ?.data.unread;
const of = (views: readonly View[], orderId: string) =>
  views.filter((view) => view.orderTrackingId === orderId).map(({ status }) => status);
const grows = (client: Client) => {
  const versions = client.states("me").map(({ version }) => version ?? -1);
  expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b));
};

describe("the inbox", () => {
  test("has the whole way of an order, newest first, and what was read of it", async () => {
    const { token } = await member();
    expect(await inbox(token)).toEqual({ status: 200, items: [], unread: 0 });
    await shop.process();
    const [paid, declined] = [
      await shop.order(sale, { token }),
      await shop.order(sale, { token, paymentToken: "tok_declined" }),
    ];
    await ended(paid, token);
    await ended(declined, token);
    const all = await inbox(token);
    expect(of(all.items, paid).reverse()).toEqual(PAID);
    expect(of(all.items, declined).reverse()).toEqual(["PENDING", "RESERVED", "PAYING", "CANCELLING", "CANCELLED"]);
    expect(all.items.find(({ status }) => status === "CANCELLED")).toMatchObject({
      reason: "PAYMENT_DECLINED",
      read: false,
    });
    expect(all.items.map(({ version }) => version)).toEqual(Array.from({ length: 10 }, (_, i) => 10 - i));
    expect(all.unread).toBe(10);
    const pages = await inbox(token, "?limit=4");
    const next = await inbox(token, `?limit=4&cursor=${pages.nextCursor}`);
    expect([...pages.items, ...next.items]).toEqual(all.items.slice(0, 8));
    const read = (id: string) => shop.call("POST", `${PATH}/${id}/read`, { token });
    for (let i = 0; i < 2; i += 1) {
      expect(JSON.parse((await read("3")).text)).toEqual({ ...all.items.find(({ id }) => id === "3"), read: true });
      expect((await inbox(token, "?unread=true")).items.map(({ id }) => id)).not.toContain("3");
      expect((await inbox(token)).unread).toBe(9);
    }
    const rest = await shop.call("POST", `${PATH}/read`, { token, body: { upTo: 9 } });
    expect([rest.status, JSON.parse(rest.text)]).toEqual([200, { unread: 1 }]);
  });

  test("is one's own: others have neither its notifications nor their marks", async () => {
    const [owner, stranger] = [await member(), await member()];
    await shop.process();
    await ended(await shop.order(sale, { token: owner.token }), owner.token);
    expect((await inbox(owner.token)).unread).toBe(5);
    expect(await inbox(stranger.token)).toEqual({ status: 200, items: [], unread: 0 });
    for (const id of ["1", "0", "-1", "1.5", "x", "9".repeat(20), "%00", crypto.randomUUID()]) {
      expect((await shop.call("POST", `${PATH}/${id}/read`, { token: stranger.token })).status).toBe(404);
    }
    await shop.call("POST", `${PATH}/read`, { token: stranger.token, body: { upTo: 100 } });
    expect((await inbox(owner.token)).unread).toBe(5);
    const client = await open(here.url);
    client.subscribe("me");
    expect(await client.until(() => client.heard[0])).toMatchObject({
      type: "error",
      code: "NOT_FOUND",
      channel: "me",
    });
  });

  test("has each step once and in its order, however many look while orders move", async () => {
    const { id, token } = await member();
    await shop.process();
    const orders = await Promise.all(Array.from({ length: 8 }, () => shop.order(sale, { token })));
    const looking = Promise.all(
      Array.from({ length: 6 }, async () => {
        let at: readonly View[] = [];
        while (at.length < 40) {
          const { items } = await inbox(token, "?limit=100");
          // What was seen once stays where it was.
          expect(items.slice(items.length - at.length)).toEqual(at);
          at = items;
        }
      }),
    );
    for (const order of orders) await ended(order, token);
    await looking;
    const { items } = await inbox(token, "?limit=100");
    for (const order of orders) expect(of(items, order).reverse()).toEqual(PAID);
    expect(await findInboxesMovedOn(shop.pool, [{ id, version: 40 }])).toEqual([]);
  }, 60_000);

  test("keeps an order's steps in their order when the clocks that timed them disagree", async () => {
    const { id, token } = await member();
    await shop.process();
    const order = await shop.order(sale, { token });
    await ended(order, token);
    await shop.pool.query("UPDATE order_timeline SET at = at - version * interval '1 hour' WHERE order_id = $1", [
      order,
    ]);
    const { items } = await inbox(token);
    expect(of(items, order).reverse()).toEqual(PAID);
    expect(await collectNotifications(shop.pool, [id])).toBe(false);
  });

  test("tells that support has answered, and not what one wrote oneself", async () => {
    const { token } = await member();
    const body = { subject: "s", text: "t" };
    const thread = (await shop.call("POST", "/api/v1/support/threads", { token, body })).body.id;
    expect((await inbox(token)).items).toEqual([]);
    const client = await watch(here.url, token);
    await shop.call("POST", `/api/v1/support/threads/${thread}/messages`, {
      token: agentToken,
      body: { text: "yes?" },
    });
    await client.until(() => told(client).some(({ threadId }) => threadId === thread));
    expect((await inbox(token)).items).toMatchObject([
      { kind: "support", threadId: thread, messageVersion: 2, read: false },
    ]);
    expect((await inbox(agentToken)).items).toEqual([]);
  });

  test.each([
    ["GET", `${PATH}?limit=0`, undefined],
    ["GET", `${PATH}?cursor=x`, undefined],
    ["GET", `${PATH}?unread=maybe`, undefined],
    ["POST", `${PATH}/read`, {}],
    ["POST", `${PATH}/read`, { upTo: 0 }],
    ["POST", `${PATH}/read`, { upTo: "1" }],
    ["POST", `${PATH}/read`, { upTo: 1e300 }],
  ])("refuses what it does not understand: %s %s %j", async (method, path, body) => {
    const { token } = await member();
    const answer = await shop.call(method, path, { token, ...(body && { body }) });
    expect([answer.status, answer.body.code]).toEqual([400, "VALIDATION"]);
  });

  test("goes with its member's erasure", async () => {
    const { id, token } = await member();
    await shop.pool.query(
      "INSERT INTO users (id, email, name, password_hash) VALUES ($1, $1 || '@shop.example', 'Kim', 'x')",
      [id],
    );
    await shop.process();
    await ended(await shop.order(sale, { token }), token);
    await inbox(token);
    await eraseMember(shop.pool, id, { actor: "test" });
    expect((await shop.pool.query("SELECT FROM notifications WHERE customer_id = $1", [id])).rowCount).toBe(0);
  });
});

describe("`me`", () => {
  test("tells every step as it comes, in each process and on each socket, as GET lists them", async () => {
    const { token } = await member();
    const other = await shop.serveAlone();
    const clients = [await watch(here.url, token), await watch(here.url, token), await watch(other.url, token)];
    for (const client of clients) {
      expect(await client.until(() => client.states("me")[0])).toEqual({
        ...{ type: "snapshot", channel: "me", version: 0, data: { unread: 0, notifications: [] } },
      });
    }
    await shop.process();
    const orders = await Promise.all([shop.order(sale, { token }), shop.order(sale, { token })]);
    for (const client of clients) {
      await client.until(() => told(client).length === 10);
      for (const order of orders) expect(of(told(client), order)).toEqual(PAID);
      expect(unread(client)).toBe(10);
      expect(told(client)).toEqual((await inbox(token)).items.toReversed());
      grows(client);
    }
    // What is read on one device is read on the others.
    await shop.call("POST", `${PATH}/read`, { token, body: { upTo: 10 } });
    for (const client of clients) await client.until(() => unread(client) === 0);
  });

  test("with `since` tells all that was missed, once", async () => {
    const { token } = await member();
    await shop.process();
    for (let i = 0; i < 5; i += 1) await ended(await shop.order(sale, { token }), token);
    const all = (await inbox(token, "?limit=100")).items.toReversed();
    expect(all).toHaveLength(25);
    for (const since of [0, 1, 12, 24, 25]) {
      const client = await watch(here.url, token, since);
      client.send({ type: "ping" });
      await client.until(() => client.heard.at(-1)?.type === "pong" && client.heard.length > 1);
      expect(told(client)).toEqual(all.slice(since));
      grows(client);
    }
    for (const since of [undefined, 99]) {
      const client = await watch(here.url, token, since);
      await client.until(() => client.states("me").length === 1);
      expect(client.states("me")[0]).toMatchObject({ type: "snapshot", version: 25 });
      expect(told(client)).toEqual(all.slice(5));
    }
  });

  test("is told by notices alone, of orders that are new to the process too", async () => {
    const hearing = await shop.serve({ checkMs: 3_600_000 });
    const { token } = await member();
    const early = await shop.order(sale, { token });
    const client = await watch(hearing.url, token);
    await client.until(() => client.states("me").length === 1);
    await shop.process();
    const late = await shop.order(sale, { token });
    await until(() => of(told(client), early).length === 5 && of(told(client), late).length === 5);
    expect([of(told(client), early), of(told(client), late)]).toEqual([PAID, PAID]);
  });

  test("misses nothing when no notice comes", async () => {
    const deaf = await shop.serve();
    await deaf.subscriber.unsubscribe(CHANNELS.orders);
    const { token } = await member();
    const client = await watch(deaf.url, token);
    await shop.process();
    const order = await shop.order(sale, { token });
    await until(() => of(told(client), order).length === 5);
    expect(of(told(client), order)).toEqual(PAID);
  });
});
