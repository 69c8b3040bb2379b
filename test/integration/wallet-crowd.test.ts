// A random crowd that orders by wallet, pays in, cancels and is refunded, all at once, while worker and persister are killed:
// at rest every won is where the orders say.
import { randomInt } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { readWallet } from "../../engine/wallet/accounts.ts";
import { checkWallets } from "../../engine/wallet/check.ts";
import { type Member, openRoleShop, PRICE, type Role, until } from "./role-shop.ts";

const SEED = Number(process.env["TEST_SEED"] ?? randomInt(2 ** 31));
const MEMBERS = 5;
const STOCK = 1_000;
const ROUNDS = 8;
const STEPS_PER_ROUND = 30;

const { pool, admin, start, kill, call, member, openSale } = await openRoleShop();

const who = fc.nat({ max: MEMBERS - 1 });
/** Which of the orders so far: counted round and round. */
const which = fc.noBias(fc.nat({ max: 1_000_000 }));
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ type: fc.constant("order" as const), who, units: fc.integer({ min: 1, max: 3 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      ...{ type: fc.constant("deposit" as const), who, amount: fc.integer({ min: 1, max: 4 * PRICE }) },
      // The same key comes again now and then: with the same amount it is a retry, else a conflict.
      key: fc.nat({ max: 40 }).map(String),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("cancel" as const), which }) },
  {
    weight: 2,
    arbitrary: fc.record({
      ...{ type: fc.constant("refund" as const), which, restock: fc.boolean() },
      amount: fc.option(fc.integer({ min: 1, max: PRICE }), { nil: undefined }),
    }),
  },
);
const round = fc.record({
  steps: fc.array(step, { minLength: STEPS_PER_ROUND, maxLength: STEPS_PER_ROUND }),
  killed: fc.constantFrom<Role | undefined>("worker", "worker", "persister", undefined),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

test(`is charged and given back exactly (TEST_SEED=${SEED})`, { timeout: 180_000 }, async () => {
  const sale = await openSale(STOCK);
  const members = await Promise.all(Array.from({ length: MEMBERS }, () => member(0)));
  const orders: { id: string; of: Member }[] = [];
  const deposits = new Map<string, number>();

  async function carryOut(step: Step): Promise<void> {
    const chosen = "which" in step ? orders[step.which % orders.length] : undefined;
    switch (step.type) {
      case "order": {
        const of = members[step.who] as Member;
        const items = [{ productId: sale.productId, quantity: step.units }];
        const payment = { method: "wallet" };
        const { status, body } = await call("POST", "/orders", { saleId: sale.saleId, items, payment }, of.token);
        expect(status).toBe(202);
        orders.push({ id: body["orderTrackingId"] as never, of });
        return;
      }
      case "deposit": {
        const { id } = members[step.who] as Member;
        const { amount, key } = step;
        const { status } = await call("POST", `/wallets/${id}/deposits`, { amount }, admin, { "idempotency-key": key });
        expect([200, 201, 422]).toContain(status);
        if (status === 201) deposits.set(`${id} ${key}`, amount);
        return;
      }
      case "cancel": {
        if (!chosen) return;
        const { status } = await call("POST", `/orders/${chosen.id}/cancel`, undefined, chosen.of.token);
        expect([202, 409]).toContain(status);
        return;
      }
      case "refund": {
        if (!chosen) return;
        const { amount, restock } = step;
        const { status } = await call("POST", `/orders/${chosen.id}/refunds`, { amount, restock }, admin);
        // 400: more than is left of it. 404: not in Postgres yet.
        expect([201, 400, 404, 409]).toContain(status);
      }
    }
  }

  for (const { steps, killed } of fc.sample(round, { seed: SEED, numRuns: ROUNDS })) {
    const going = Promise.all(steps.map(carryOut));
    if (killed) await kill(killed);
    await going;
    if (killed) await start(killed);
    // The next round finds orders at their end, and others on their way.
    await until(async () => expect(await endedOrders()).toBeGreaterThanOrEqual(orders.length / 2));
  }

  await until(async () => {
    const open = await pool.query(
      `SELECT (SELECT count(*) FROM orders WHERE status NOT IN ('CONFIRMED', 'CANCELLED', 'REFUNDED'))
         + (SELECT count(*) FROM refunds WHERE state = 'pending' OR returned_at IS NULL)
         + $1 - (SELECT count(*) FROM orders) AS count`,
      [orders.length],
    );
    expect(open.rows).toEqual([{ count: 0 }]);
  });
  expect((await checkWallets(pool)).findings).toEqual([]);
  for (const { id } of members) {
    const paidIn = [...deposits].reduce((sum, [key, amount]) => sum + (key.startsWith(id) ? amount : 0), 0);
    expect([id, (await readWallet(pool, id)).balance]).toEqual([id, paidIn - (await owedBy(id))]);
  }
  const stock = await pool.query<{ allocated: number; reserved: number; sold: number }>(
    "SELECT allocated, reserved, sold FROM stock WHERE sale_id = $1",
    [sale.saleId],
  );
  const units = await pool.query<{ sold: number; lost: number }>(
    `SELECT COALESCE(sum(l.quantity - l.returned) FILTER (WHERE o.stock_state = 'sold'), 0)::bigint AS sold,
       COALESCE(sum(l.returned - l.restocked), 0)::bigint AS lost
     FROM orders o JOIN order_lines l ON l.order_id = o.id`,
  );
  const { sold, lost } = units.rows[0] as { sold: number; lost: number };
  expect(stock.rows).toEqual([{ allocated: STOCK - lost, reserved: 0, sold }]);
  // A crowd that did nothing would prove nothing.
  const seen = await pool.query<{ kind: string }>("SELECT DISTINCT kind FROM wallet_transfers ORDER BY kind");
  expect(seen.rows.map(({ kind }) => kind)).toEqual(["charge", "deposit", "refund"]);
  const declined = await pool.query("SELECT FROM wallet_charges WHERE state = 'declined'");
  expect(declined.rowCount).toBeGreaterThan(0);
});

async function endedOrders(): Promise<number> {
  const result = await pool.query("SELECT FROM orders WHERE status IN ('CONFIRMED', 'CANCELLED', 'REFUNDED')");
  return result.rowCount ?? 0;
}

/** What a member has paid for what was bought and kept. */
async function owedBy(customerId: string): Promise<number> {
  const result = await pool.query<{ owed: number }>(
    `SELECT COALESCE(sum(payable - refunded_amount), 0)::bigint AS owed FROM orders
     WHERE customer_id = $1 AND status = 'CONFIRMED'`,
    [customerId],
  );
  return result.rows[0]?.owed ?? 0;
}
