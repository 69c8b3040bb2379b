// The books of points: what follows from each state of an order, held against a model; many at once; and their own check,
// which has to find what does not agree.
import { randomUUID } from "node:crypto";
import fc from "fast-check";
import type pg from "pg";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { openPool, transaction } from "../../engine/ledger/database.ts";
import { MOVED_ORDER_COLUMNS, type MovedOrder } from "../../engine/ledger/fates.ts";
import { DEFAULT_CURRENCY } from "../../engine/money.ts";
import { bookEntries, listEntries, lockPoints, readPoints } from "../../engine/points/accounts.ts";
import { adjustPoints, forfeitPoints } from "../../engine/points/adjustments.ts";
import { checkPoints, readPointsBooks } from "../../engine/points/check.ts";
import { followFates, retakePoints, spendEntry } from "../../engine/points/order-points.ts";
import { pointsFor, TIERS_DEFAULT, tierOf } from "../../engine/points/tiers.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { memberWith } from "./points-shop.ts";

const database = await createTestDatabase();
const options = { connectionsMax: 10, applicationName: "points", statementTimeoutMs: 10_000 };
const pool = openPool(database.url, options, () => undefined);
afterAll(() => pool.end());

interface OrderLooks {
  readonly points?: number;
  readonly payable?: number;
  readonly status?: string;
  readonly stockState?: string;
  readonly currency?: string;
}

/** An order's rows, as the ledger has them; its points are booked as spent. */
async function orderOf(customerId: string, looks: OrderLooks = {}): Promise<string> {
  const {
    points = 0,
    payable = 1_000,
    status = "RESERVED",
    stockState = "reserved",
    currency = DEFAULT_CURRENCY,
  } = looks;
  const id = randomUUID();
  await transaction(pool, async (client) => {
    await client.query(
      `INSERT INTO orders (id, sale_id, partition, epoch, seq, hold_reservation, customer_id, status, version, stock_state, price,
         payable, currency, payment_method, reserved_until, placed_at)
       VALUES ($1, 's', 0, 1, 1, 1, $2, $3, 2, $4, $5, $6, $7, 'card', now(), now())`,
      [id, customerId, status, stockState, payable + points, payable, currency],
    );
    if (points === 0) return;
    await client.query("INSERT INTO order_discounts (order_id, points) VALUES ($1, $2)", [id, points]);
    await lockPoints(client, [customerId]);
    await bookEntries(client, [spendEntry({ orderId: id, customerId, points })]);
  });
  return id;
}

/** Moves an order and books what follows. */
async function move(
  id: string,
  status: string,
  change: { stockState?: string; refunded?: number } = {},
): Promise<void> {
  await transaction(pool, async (client) => {
    await followFates(client, [await write(client, id, status, change)]);
  });
}

async function write(
  client: pg.ClientBase,
  id: string,
  status: string,
  { stockState, refunded }: { stockState?: string; refunded?: number } = {},
): Promise<MovedOrder> {
  const result = await client.query<MovedOrder>(
    `WITH logged AS (
       INSERT INTO order_timeline (order_id, version, status) SELECT id, version + 1, $2 FROM orders WHERE id = $1
     )
     UPDATE orders o SET status = $2, stock_state = COALESCE($3, stock_state), version = version + 1,
       refunded_amount = COALESCE($4, refunded_amount) WHERE id = $1 RETURNING ${MOVED_ORDER_COLUMNS}`,
    [id, status, stockState ?? null, refunded ?? null],
  );
  return result.rows[0] as MovedOrder;
}

const confirm = (id: string) => move(id, "CONFIRMED", { stockState: "sold" });
const entriesOf = async (customerId: string) =>
  (await listEntries(pool, customerId, { limit: 100 })).map(({ kind, amount }) => `${kind} ${amount}`).reverse();

describe("each state of an order", () => {
  const SPENT = ["adjust 500", "spend -200"];
  const EARNED = [...SPENT, "earn 10"];
  test.each([
    ["PENDING", "reserved", SPENT],
    ["RESERVED", "reserved", SPENT],
    ["PAYING", "reserved", SPENT],
    ["PAID", "reserved", SPENT],
    ["CONFIRMED", "sold", EARNED],
    ["CANCELLING", "reserved", SPENT],
    ["CANCELLED", "released", [...SPENT, "give_back 200"]],
    ["REFUND_PENDING", "released", [...SPENT, "give_back 200"]],
    ["REFUND_PENDING", "sold", SPENT],
    ["REFUNDED", "released", [...SPENT, "give_back 200"]],
  ])("%s with its stock %s books once what follows, told however often", async (status, stockState, expected) => {
    const kim = await memberWith(pool, 500);
    const id = await orderOf(kim, { points: 200 });
    await move(id, status, { stockState });
    expect(await entriesOf(kim)).toEqual(expected);
    const again = () =>
      transaction(pool, async (client) => {
        const { rows } = await client.query<MovedOrder>(
          `SELECT ${MOVED_ORDER_COLUMNS} FROM orders o WHERE id = $1 FOR UPDATE`,
          [id],
        );
        await followFates(client, rows);
      });
    await Promise.all([again(), again(), again()]);
    expect(await entriesOf(kim)).toEqual(expected);
  });

  test("of an order in another currency, of a free one and of a guest's earns nothing", async () => {
    const kim = await memberWith(pool, 500);
    await confirm(await orderOf(kim, { currency: "USD" }));
    await confirm(await orderOf(kim, { payable: 0, points: 100 }));
    await confirm(await orderOf(randomUUID()));
    expect(await entriesOf(kim)).toEqual(["adjust 500", "spend -100"]);
    expect((await checkPoints(pool)).findings).toEqual([]);
  });
});

test("orders that are confirmed together earn by what each found, the ones before it included", async () => {
  const [kim, lee] = [await memberWith(pool, 0), await memberWith(pool, 0)];
  const ids: string[] = [];
  for (const of of [kim, lee, kim, kim]) ids.push(await orderOf(of, { payable: 299_999 }));
  await transaction(pool, async (client) => {
    const moved = [];
    for (const id of ids) moved.push(await write(client, id, "CONFIRMED", { stockState: "sold" }));
    await followFates(client, moved);
  });
  expect(await entriesOf(kim)).toEqual(["earn 2999", "earn 2999", "earn 5999"]);
  expect(await entriesOf(lee)).toEqual(["earn 2999"]);
  expect(await readPoints(pool, kim)).toEqual({ customerId: kim, balance: 11_997, spend: 899_997 });
});

describe("any sequence", () => {
  const step = fc.oneof(
    fc.record({ type: fc.constant("order" as const), points: fc.nat({ max: 40 }), payable: fc.nat({ max: 400_000 }) }),
    fc.record({
      type: fc.constant("end" as const),
      at: fc.nat({ max: 9 }),
      how: fc.constantFrom("CONFIRMED", "CANCELLED"),
    }),
    fc.record({ type: fc.constant("refund" as const), at: fc.nat({ max: 9 }), amount: fc.nat({ max: 300_000 }) }),
    fc.record({ type: fc.constant("adjust" as const), amount: fc.integer({ min: 1, max: 50 }) }),
  );

  test("of orders, ends and refunds in part leaves what the model says, and books that agree", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
        const kim = await memberWith(pool, 0);
        let [balance, spend] = [0, 0];
        const orders: {
          id: string;
          points: number;
          payable: number;
          status: string;
          refunded: number;
          earned: number;
        }[] = [];
        for (const each of steps) {
          if (each.type === "adjust") {
            await adjustPoints(pool, { customerId: kim, amount: each.amount }, { actor: "cli:test" });
            balance += each.amount;
          } else if (each.type === "order") {
            if (each.points > balance) continue;
            const { points, payable } = each;
            const id = await orderOf(kim, { points, payable });
            orders.push({ id, points, payable, status: "RESERVED", refunded: 0, earned: 0 });
            balance -= each.points;
          } else {
            const order = orders[each.at];
            if (!order) continue;
            if (each.type === "end" && order.status === "RESERVED") {
              order.status = each.how;
              await move(order.id, each.how, { stockState: each.how === "CONFIRMED" ? "sold" : "released" });
              if (each.how === "CANCELLED") balance += order.points;
              else {
                order.earned = pointsFor(order.payable, tierOf(TIERS_DEFAULT, spend));
                balance += order.earned;
                spend += order.payable;
              }
            } else if (each.type === "refund" && order.status === "CONFIRMED") {
              const amount = Math.min(each.amount, order.payable - order.refunded);
              const share = (refunded: number) =>
                order.payable === 0 ? 0 : Math.floor((order.earned * refunded) / order.payable);
              balance -= share(order.refunded + amount) - share(order.refunded);
              spend -= amount;
              order.refunded += amount;
              if (order.refunded === order.payable) {
                order.status = "REFUNDED";
                balance += order.points;
              }
              await move(order.id, order.status, { refunded: order.refunded });
            }
          }
          expect(await readPoints(pool, kim)).toMatchObject({ balance, spend });
        }
        for (const order of orders.filter(({ status }) => status === "REFUNDED" || status === "CANCELLED")) {
          const { rows } = await pool.query(
            "SELECT COALESCE(sum(amount), 0)::bigint AS sum FROM points_entries WHERE order_id = $1",
            [order.id],
          );
          expect(rows).toEqual([{ sum: 0 }]);
        }
      }),
      { numRuns: 30 },
    );
    expect((await checkPoints(pool)).findings).toEqual([]);
  }, 60_000);
});

describe("many at once", () => {
  test("on the same members, in whatever order they come, never wait for each other in a circle", async () => {
    const members = await Promise.all(Array.from({ length: 20 }, () => memberWith(pool, 0)));
    const batches: string[][] = [];
    for (let i = 0; i < 30; i += 1) {
      const ids = i % 2 === 0 ? members : members.toReversed();
      batches.push(await Promise.all(ids.map((id) => orderOf(id))));
    }
    const before = await deadlocks();
    await Promise.all(
      batches.map((ids) =>
        transaction(pool, async (client) => {
          const rows: MovedOrder[] = [];
          for (const id of ids) rows.push(await write(client, id, "CONFIRMED", { stockState: "sold" }));
          await followFates(client, rows);
        }),
      ),
    );
    expect(await deadlocks()).toBe(before);
    for (const id of members) expect(await readPoints(pool, id)).toMatchObject({ balance: 300, spend: 30_000 });
    expect((await checkPoints(pool)).findings).toEqual([]);
  }, 60_000);

  test("retake an expired order's points once", async () => {
    const kim = await memberWith(pool, 500);
    const id = await orderOf(kim, { points: 300 });
    await pool.query("UPDATE orders SET reason = 'EXPIRED', late_capture = 1 WHERE id = $1", [id]);
    await move(id, "CANCELLED", { stockState: "released" });
    const retake = () => transaction(pool, (client) => retakePoints(client, [id]));
    await Promise.all([retake(), retake(), retake()]);
    expect(await entriesOf(kim)).toEqual(["adjust 500", "spend -300", "give_back 300", "spend -300"]);
    await move(id, "REFUND_PENDING");
    await retake();
    expect(await entriesOf(kim)).toEqual(["adjust 500", "spend -300", "give_back 300", "spend -300", "give_back 300"]);
  });

  async function deadlocks(): Promise<number> {
    const result = await pool.query<{ deadlocks: number }>(
      "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()",
    );
    return result.rows[0]?.deadlocks ?? 0;
  }
});

describe("an adjustment", () => {
  test("is booked once a key, by however many", async () => {
    const kim = await memberWith(pool, 0);
    const give = (amount: number, key?: string) =>
      adjustPoints(pool, { customerId: kim, amount, key }, { actor: "cli:test", reason: "sorry" });
    const all = await Promise.all(Array.from({ length: 8 }, () => give(100, "k")));
    expect(all.filter(({ isReplayed }) => !isReplayed)).toHaveLength(1);
    expect(new Set(all.map(({ adjustment }) => adjustment.id)).size).toBe(1);
    await expect(give(101, "k")).rejects.toMatchObject({ code: "IDEMPOTENCY_CONFLICT" });
    await expect(give(-101)).rejects.toMatchObject({ code: "INVALID_STATE", facts: { balance: 100 } });
    for (const wrong of [0, 0.5, Number.NaN, 2e12]) {
      await expect(give(wrong)).rejects.toMatchObject({ code: "VALIDATION" });
    }
    expect((await give(-100)).adjustment).toMatchObject({ amount: -100, balance: 0, reason: "sorry" });
    const trail = await pool.query("SELECT action FROM audit_log WHERE subject = $1", [`points:${kim}`]);
    expect(trail.rows.map(({ action }) => action)).toEqual(["points.adjust", "points.adjust"]);
  });

  test("forfeits what there is, once", async () => {
    const kim = await memberWith(pool, 70);
    await transaction(pool, (client) => forfeitPoints(client, kim));
    await transaction(pool, (client) => forfeitPoints(client, kim));
    expect(await entriesOf(kim)).toEqual(["adjust 70", "forfeit -70"]);
  });
});

test("entries are never changed", async () => {
  await memberWith(pool, 5);
  for (const sql of ["UPDATE points_entries SET amount = 1", "DELETE FROM points_entries", "TRUNCATE points_entries"]) {
    await expect(pool.query(sql)).rejects.toMatchObject({ code: "42501" });
  }
});

describe("the check", () => {
  let kim: string;
  beforeEach(async () => {
    kim = await memberWith(pool, 500);
  });
  const found = async (needle: string) => {
    const { findings } = await checkPoints(pool);
    return findings.filter((finding) => finding.includes(needle));
  };
  /** Breaks the books in a transaction that is rolled back, and asks in it. */
  async function broken(sql: string, values: readonly unknown[], needle: string): Promise<string[]> {
    const client = await pool.connect();
    try {
      await client.query("BEGIN");
      await client.query("SET LOCAL session_replication_role = replica");
      await client.query(sql, [...values]);
      return (await readPointsBooks(client)).findings.filter((finding) => finding.includes(needle));
    } finally {
      await client.query("ROLLBACK");
      client.release();
    }
  }

  test("adds up what was moved", async () => {
    const { accounts, held, moved } = await checkPoints(pool);
    const sums = await pool.query(
      "SELECT count(*)::int AS accounts, sum(balance)::bigint AS held FROM points_accounts",
    );
    expect([accounts, held]).toEqual(Object.values(sums.rows[0]));
    expect(Object.values(moved).reduce((sum, amount) => sum + amount, 0)).toBe(held);
  });

  test.each([
    ["another balance", "UPDATE points_accounts SET balance = balance + 1 WHERE customer_id = $1", "has 501 points"],
    ["another spend", "UPDATE points_accounts SET spend = 7 WHERE customer_id = $1", "7 of spend"],
    [
      "an entry that tells another balance",
      "UPDATE points_entries SET balance = 1 WHERE customer_id = $1",
      "1 points were left",
    ],
  ])("finds %s", async (_, sql, needle) => {
    expect(await broken(sql, [kim], needle)).toHaveLength(1);
    expect(await found(needle)).toEqual([]);
  });

  const GIVE_BACK = `INSERT INTO points_entries (customer_id, order_id, kind, occurrence, amount, balance)
    SELECT customer_id, id, 'give_back', $2, 100, 0 FROM orders WHERE id = $1`;
  test.each([
    ["points given back of an order that lives", "PAYING", "reserved", GIVE_BACK, [1]],
    ["points given back twice", "CANCELLED", "released", GIVE_BACK, [2]],
    [
      "points kept of a cancelled order",
      "PAYING",
      "reserved",
      "UPDATE orders SET status = 'CANCELLED' WHERE id = $1",
      [],
    ],
    ["points of an order without any", "PAYING", "reserved", "DELETE FROM order_discounts WHERE order_id = $1", []],
    ["an order that is gone", "PAYING", "reserved", "DELETE FROM orders WHERE id = $1", []],
    ["another's points", "PAYING", "reserved", "UPDATE orders SET customer_id = 'x' WHERE id = $1", []],
    [
      "an order that has earned nothing",
      "CONFIRMED",
      "sold",
      "DELETE FROM points_entries WHERE order_id = $1 AND kind = 'earn'",
      [],
    ],
    [
      "one that has earned without being confirmed",
      "CONFIRMED",
      "sold",
      "UPDATE orders SET status = 'PAID' WHERE id = $1",
      [],
    ],
    [
      "a refund that took nothing back",
      "CONFIRMED",
      "sold",
      "UPDATE orders SET refunded_amount = 100 WHERE id = $1",
      [],
    ],
  ])("finds %s", async (_, status, stockState, sql, values) => {
    const id = await orderOf(kim, { points: 100 });
    await move(id, status, { stockState });
    expect(await found(id)).toEqual([]);
    expect(await broken(sql, [id, ...values], id)).toHaveLength(1);
  });
});
