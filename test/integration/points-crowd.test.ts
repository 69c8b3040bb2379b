// One member's points, wanted by a thousand orders at once, by the roles' real processes, while these are killed: no point is
// spent twice or lost, whatever dies at whatever moment.
import { randomInt } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { readPoints } from "../../engine/points/accounts.ts";
import { adjustPoints } from "../../engine/points/adjustments.ts";
import { checkPoints } from "../../engine/points/check.ts";
import { openRoleShop, PRICE, type TestSale, until } from "./role-shop.ts";

const shop = await openRoleShop();
const { pool, admin, start, kill, call, member, openSale, ends } = shop;
const POINTS = 10_000;
const AT_ONCE = 50;
const KILLS_EVERY_MS = 400;

async function memberWithPoints() {
  const kim = await member(0);
  await adjustPoints(pool, { customerId: kim.id, amount: POINTS }, { actor: "cli:test" });
  return kim;
}

/** Places so many orders, many at once. @returns the ids of those that were accepted; each other was short of points */
async function rush(sale: TestSale, token: string, bodies: readonly object[]): Promise<string[]> {
  const waiting = [...bodies];
  const accepted: string[] = [];
  const buyer = async () => {
    for (let body = waiting.pop(); body; body = waiting.pop()) {
      const items = [{ productId: sale.productId, quantity: 1 }];
      const answer = await call("POST", "/orders", { saleId: sale.saleId, items, ...body }, token);
      if (answer.status === 202) accepted.push(answer.body["orderTrackingId"] as never);
      else expect(answer).toMatchObject({ status: 409, body: { code: "INSUFFICIENT_POINTS" } });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, buyer));
  return accepted;
}

const untilEnded = (orders: readonly string[]) =>
  until(async () => {
    const states = await ends(orders);
    const ended = Object.entries(states).filter(([name]) => /^(CONFIRMED|CANCELLED|REFUNDED)/.test(name));
    expect([states, ended.reduce((sum, [, count]) => sum + count, 0)]).toEqual([states, orders.length]);
  });

test("of a thousand orders that each spend 100 with nothing left to pay, exactly a hundred are confirmed", async () => {
  const sale = await openSaleAt(100);
  const kim = await memberWithPoints();
  const orders = await rush(
    sale,
    kim.token,
    Array.from({ length: 1_000 }, () => ({ points: 100 })),
  );
  await untilEnded(orders);
  const states = await ends(orders);
  expect(states["CONFIRMED"]).toBe(100);
  expect(orders.length - 100).toBe(states["CANCELLED PAYMENT_DECLINED"] ?? 0);
  expect(await readPoints(pool, kim.id)).toMatchObject({ balance: 0, spend: 0 });
  expect((await checkPoints(pool)).findings).toEqual([]);
  const stock = await pool.query("SELECT allocated, reserved, sold FROM stock WHERE sale_id = $1", [sale.saleId]);
  expect(stock.rows).toEqual([{ allocated: 1_000, reserved: 0, sold: 100 }]);
}, 60_000);

async function openSaleAt(price: number): Promise<TestSale> {
  const product = await call("POST", "/products", { name: "한정판", price }, admin);
  const productId: string = product.body["id"] as never;
  const items = [{ productId, stock: 1_000 }];
  const sale = await call("POST", "/sales", { name: "Sale", opensAt: new Date(0), items }, admin);
  expect(sale.status).toBe(201);
  return { saleId: sale.body["id"] as never, productId };
}

test("with payments that fail, cancellations and refunds, persister and worker killed: the books agree", async () => {
  const sale = await openSale(1_000);
  const kim = await memberWithPoints();
  const bodies = Array.from({ length: 600 }, () => ({
    points: randomInt(1, 400),
    payment: { method: "card", token: randomInt(3) === 0 ? "tok_declined" : "tok_ok" },
  }));
  let isOver = false;
  const killer = (async () => {
    while (!isOver) {
      await sleep(randomInt(KILLS_EVERY_MS));
      const role = randomInt(2) === 0 ? "persister" : "worker";
      await kill(role);
      await start(role);
    }
  })();
  const orders = await rush(sale, kim.token, bodies);
  for (const id of orders.filter((_, i) => i % 5 === 0)) {
    const { status } = await call("POST", `/orders/${id}/cancel`, {}, kim.token);
    expect([200, 202, 409]).toContain(status);
  }
  isOver = true;
  await killer;
  await untilEnded(orders);
  const confirmed = await pool.query<{ id: string }>(
    "SELECT id FROM orders WHERE status = 'CONFIRMED' AND customer_id = $1 ORDER BY id LIMIT 20",
    [kim.id],
  );
  await Promise.all(
    confirmed.rows.map(({ id }, i) =>
      call("POST", `/orders/${id}/refunds`, i % 2 === 0 ? {} : { amount: Math.floor(PRICE / 3) }, admin),
    ),
  );
  await until(async () => {
    const open = await pool.query("SELECT FROM refunds WHERE state <> 'succeeded'");
    expect(open.rowCount).toBe(0);
  });
  await untilEnded(orders);
  const { findings, moved } = await checkPoints(pool);
  expect(findings).toEqual([]);
  expect(Object.keys(moved)).toEqual(expect.arrayContaining(["earn", "give_back", "revoke", "spend"]));
  expect((await readPoints(pool, kim.id)).balance).toBeGreaterThanOrEqual(0);
}, 120_000);

test("a change of the tiers holds for orders that are confirmed from then on, and is refused whole when it is none", async () => {
  const sale = await openSale(10);
  const kim = await member(0);
  const buy = async () => {
    const [id = ""] = await shop.order(sale, kim.token, 1, "card");
    await untilEnded([id]);
    const entry = await pool.query("SELECT amount FROM points_entries WHERE order_id = $1 AND kind = 'earn'", [id]);
    return entry.rows[0]?.amount;
  };
  expect(await buy()).toBe(10);
  const set = (tiers: unknown) => call("PATCH", "/admin/config", { points: { tiers } }, admin);
  expect(await set([{ name: "all", from: 5, rate: 1_000 }])).toMatchObject({
    status: 400,
    body: { errors: [{ path: expect.stringMatching(/points\.tiers\.0\.from$/) }] },
  });
  expect((await set([{ name: "all", from: 0, rate: 1_000 }])).status).toBe(200);
  await until(async () => expect(await buy()).toBe(100));
  const standing = await call("GET", "/points", undefined, kim.token);
  expect(standing.body).toMatchObject({ tier: "all", rate: 1_000, nextTier: null });
}, 60_000);
