// What a socket that watches a sale sees: the sale as GET shows it, and its changes, not more often than it should.
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeAll, expect, test, vi } from "vitest";
import { STATUS_LIMITS } from "../../api/ws/limits.ts";
import { pollDelayMs } from "../../api/ws/sale-feed.ts";
import { dropClients, open, openStatusShop, type Served } from "./ws-shop.ts";

const shop = await openStatusShop();
let served: Served;

beforeAll(async () => {
  served = await shop.serve();
});
afterEach(dropClients);

const read = async (saleId: string) => (await shop.call("GET", `/api/v1/sales/${saleId}`)).body;

test("a sale starts with what GET says, and ends with it", async () => {
  const sale = await shop.sale({ stock: 3 });
  const channel = `sales/${sale.saleId}`;
  const client = await open(served.url);
  client.subscribe(channel);
  await client.until(() => client.states(channel).length === 1);
  expect(client.heard[0]).toEqual({ type: "subscribed", channel });
  expect(client.heard[1]).toMatchObject({ type: "snapshot", data: await read(sale.saleId) });
  for (let i = 0; i < 3; i += 1) await shop.order(sale);
  await client.until(() => client.states(channel).at(-1)?.data?.state === "sold_out");
  // What GET says of stock may be a tenth of a second old.
  await vi.waitFor(async () =>
    expect(client.states(channel).at(-1)).toMatchObject({ type: "event", data: await read(sale.saleId) }),
  );
  await shop.call("POST", `/api/v1/sales/${sale.saleId}/pause`, { token: shop.admin });
  await client.until(() => client.states(channel).at(-1)?.data?.state === "paused");
  const versions = client.states(channel).map(({ version }) => version ?? 0);
  expect(versions).toEqual([...new Set(versions)].sort((a, b) => a - b));
});

test("a busy sale is told of at most ten times a second, the last state among them", async () => {
  const sale = await shop.sale({ stock: 10_000 });
  const channel = `sales/${sale.saleId}`;
  const client = await open(served.url);
  const atMs: number[] = [];
  client.subscribe(channel);
  await client.until(() => client.states(channel).length === 1);
  client.socket.on("message", () => atMs.push(performance.now()));
  const endMs = performance.now() + 2_500;
  let orders = 0;
  while (performance.now() < endMs) {
    await shop.order(sale);
    orders += 1;
  }
  await client.until(() => client.states(channel).at(-1)?.data?.items[0]?.remaining === 10_000 - orders);
  for (const start of atMs) {
    expect(atMs.filter((at) => at >= start && at < start + 1_000).length).toBeLessThanOrEqual(10);
  }
  expect(atMs.length).toBeGreaterThan(5);
});

test("versions grow across processes", async () => {
  const sale = await shop.sale({ stock: 100 });
  const channel = `sales/${sale.saleId}`;
  const servers = [served, await shop.serve()];
  let since = 0;
  for (let i = 0; i < 8; i += 1) {
    const client = await open((servers[i % 2] as Served).url);
    client.subscribe(channel, since);
    await client.until(() => client.states(channel).length >= 1);
    expect(client.states(channel)[0]?.version).toBeGreaterThan(since);
    if (i % 3 === 0) {
      await shop.order(sale);
      await client.until(() => client.states(channel).length >= 2);
    }
    since = client.states(channel).at(-1)?.version ?? 0;
    // Most stay, so that both servers know the sale from before.
    if (i % 4 === 3) client.socket.terminate();
  }
  expect(served.counters.subscribed).toBeGreaterThan(1);
  dropClients();
  while (served.counters.subscribed > 0) await sleep(10);
});

test("the rate falls with the audience, from ten a second to one", () => {
  const delays = [1, 100, 1_000, 2_000, 5_000, 9_000, 20_000, 1_000_000].map((n) => pollDelayMs(n, STATUS_LIMITS));
  expect(delays).toEqual([...delays].sort((a, b) => a - b));
  expect(delays[0]).toBeGreaterThan(100);
  expect(delays[4]).toBe(500);
  expect(delays.at(-1)).toBeLessThan(1_000);
});
