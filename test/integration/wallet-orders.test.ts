// Orders paid by wallet, from HTTP to their end, by the roles' real processes: a hundred at once on one balance, a worker
// that is killed in the middle, before and after the money moved.
import { expect, test } from "vitest";
import { readWallet } from "../../engine/wallet/accounts.ts";
import { checkWallets } from "../../engine/wallet/check.ts";
import { depositTo } from "../../engine/wallet/deposits.ts";
import { openRoleShop, PRICE, until } from "./role-shop.ts";

const { pool, admin, start, kill, call, member, openSale, order, ends, hold, untilBlocked } = await openRoleShop();

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
