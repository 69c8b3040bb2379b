// Webhooks by the roles' real processes: the worker is killed in the middle, again and again, and nothing is lost.
import { expect, test, vi } from "vitest";
import { openRoleShop, until } from "./role-shop.ts";
import { startWebhookReceiver, verified } from "./webhook-receiver.ts";

vi.setConfig({ testTimeout: 240_000 });
const shop = await openRoleShop({ WEBHOOK_ALLOW_PRIVATE: "true" });
const receiver = await startWebhookReceiver();

test("kill -9 of the worker: every event of every order comes, once it is back", async () => {
  const made = await shop.call("POST", "/webhook-endpoints", { url: receiver.url }, shop.admin);
  expect(made.status).toBe(201);
  const secret: string = made.body["secret"] as never;
  const member = await shop.member(1_000_000);
  const sale = await shop.openSale(1_000);
  const orders: string[] = [];
  for (let round = 0; round < 3; round += 1) {
    orders.push(...(await shop.order(sale, member.token, 60)));
    const before = receiver.received().length;
    await vi.waitFor(() => expect(receiver.received().length).toBeGreaterThan(before + 20), { timeout: 60_000 });
    await shop.kill("worker");
    await shop.start("worker");
  }
  await vi.waitFor(async () => expect(await shop.ends(orders)).toEqual({ CONFIRMED: 180 }), {
    timeout: 90_000,
    interval: 200,
  });
  // What a killed worker had under way is due again when its successor starts.
  await vi.waitFor(
    () => {
      const types = new Map<string, Set<string>>();
      for (const one of receiver.taken().values()) {
        const event = verified(secret, one);
        const { orderTrackingId: id } = event.data;
        types.set(id, (types.get(id) ?? new Set()).add(event.type));
      }
      const wanted = new Set(["order.accepted", "order.confirmed"]);
      for (const id of orders) expect(types.get(id)).toEqual(wanted);
    },
    { timeout: 90_000, interval: 200 },
  );
  await until(async () => {
    const left = await shop.pool.query("SELECT FROM webhook_deliveries WHERE state <> 'delivered'");
    expect(left.rowCount).toBe(0);
  });
});
