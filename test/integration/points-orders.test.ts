// Points along every way that an order can go, through the whole path: engine, persister, worker, provider.
import { randomUUID } from "node:crypto";
import { afterEach, describe, expect, it } from "vitest";
import { transaction } from "../../engine/ledger/database.ts";
import { recordIntent } from "../../engine/ledger/intents.ts";
import { adjustPoints } from "../../engine/points/adjustments.ts";
import { openTestSale } from "../support/assembly.ts";
import { until } from "./late-shop.ts";
import { openPointsShop } from "./points-shop.ts";

const shop = await openPointsShop();
const { pool, member, order, untilStatus, balanceOf, spendOf, booked, refund, cancel, statuses } = shop;
const PRICE = 5_000;
const open = (stock = 10, sale: Parameters<typeof openTestSale>[2] = {}) =>
  openTestSale(shop, { stock, price: PRICE }, sale);
const later = { payment: { method: "later" } } as const;

afterEach(() => shop.expectSound());

describe("points that an order spends", () => {
  it("are taken when it enters the ledger, lower what is paid, and stay spent; what is paid earns", async () => {
    const kim = await member(2_000);
    const id = await order(await open(), kim, { points: 1_500 });
    await untilStatus([id], { CONFIRMED: 1 });
    const { rows } = await pool.query(
      `SELECT o.price, o.payable, a.amount FROM orders o JOIN payment_attempts a ON a.order_id = o.id WHERE o.id = $1`,
      [id],
    );
    expect(rows).toEqual([{ price: PRICE, payable: 3_500, amount: 3_500 }]);
    expect(await booked(kim)).toEqual([
      ["spend", -1_500],
      ["earn", 35],
    ]);
    expect([await balanceOf(kim), await spendOf(kim)]).toEqual([535, 3_500]);
  });

  it("may be all that it costs: nothing is charged and nothing earned, and a whole refund gives them back", async () => {
    const kim = await member(PRICE);
    const id = await order(await open(), kim, { points: PRICE });
    await untilStatus([id], { CONFIRMED: 1 });
    expect([await booked(kim), await spendOf(kim)]).toEqual([[["spend", -PRICE]], 0]);
    await refund(id);
    await untilStatus([id], { REFUNDED: 1 });
    expect(await balanceOf(kim)).toBe(PRICE);
  });

  it("come back when it is cancelled: by whomever, declined, failed or expired", async () => {
    const kim = await member(1_000);
    const sale = await open();
    const declined = await order(sale, kim, { points: 100, payment: { method: "card", token: "tok_declined" } });
    await untilStatus([declined], { "CANCELLED PAYMENT_DECLINED": 1 });
    for (const reason of ["CUSTOMER", "OPERATOR"] as const) {
      const id = await order(sale, kim, { points: 300, ...later });
      await untilStatus([id], { RESERVED: 1 });
      expect(await balanceOf(kim)).toBe(700);
      expect(await cancel(id, reason)).toBe(true);
      await untilStatus([id], { [`CANCELLED ${reason}`]: 1 });
    }
    const brief = await open(1, { reservationTtlMs: 1_000 });
    const expired = await order(brief, kim, { points: 1_000, ...later });
    await untilStatus([expired], { "CANCELLED EXPIRED": 1 });
    expect(await booked(kim)).toEqual([
      ["spend", -100],
      ["give_back", 100],
      ...[1, 2].flatMap(() => [["spend", -300] as const, ["give_back", 300] as const]),
      ["spend", -1_000],
      ["give_back", 1_000],
    ]);
    expect(await balanceOf(kim)).toBe(1_000);
  });

  it("are not taken by an order that the ledger refuses, nor by one whose cancellation was there before it", async () => {
    const kim = await member(1_000);
    const sale = await open(2);
    const guarded = await shop.pool.connect();
    try {
      // The ledger has fewer units than Redis: its guard refuses the order.
      await guarded.query("BEGIN");
      await guarded.query("UPDATE stock SET allocated = 0 WHERE sale_id = $1", [sale.saleId]);
      await guarded.query("COMMIT");
      const id = await order(sale, kim, { points: 400 });
      await untilStatus([id], { "CANCELLED LEDGER_GUARD": 1 });
    } finally {
      guarded.release();
      await pool.query("UPDATE stock SET allocated = 2 WHERE sale_id = $1", [sale.saleId]);
    }
    expect(await booked(kim)).toEqual([]);

    // Nothing is applied while the partition's row is held.
    const hold = await pool.connect();
    await hold.query("BEGIN");
    await hold.query("SELECT FROM sale_partitions WHERE sale_id = $1 FOR UPDATE", [sale.saleId]);
    const wished = await order(sale, kim, { points: 400 });
    await recordIntent(pool, {
      ...{ orderId: wished, intent: "cancel", actor: "test", reason: "CUSTOMER", method: null, token: null },
    });
    await hold.query("COMMIT");
    hold.release();
    await untilStatus([wished], { "CANCELLED CUSTOMER": 1 });
    expect([await booked(kim), await balanceOf(kim)]).toEqual([[], 1_000]);
  });

  it("are refused at once where there are not as many, and the order that its key led to is told all the same", async () => {
    const kim = await member(1_000);
    const sale = await open();
    await expect(order(sale, kim, { points: 1_001 })).rejects.toMatchObject({
      code: "INSUFFICIENT_POINTS",
      facts: { balance: 1_000, points: 1_001 },
    });
    const again = { points: 1_000, idempotencyKey: "k" };
    const id = await order(sale, kim, again);
    await untilStatus([id], { CONFIRMED: 1 });
    expect(await balanceOf(kim)).toBe(40);
    expect(await order(sale, kim, again)).toBe(id);
    await expect(order(sale, kim, { ...again, points: 999 })).rejects.toMatchObject({ code: "IDEMPOTENCY_CONFLICT" });
    await expect(order(sale, kim, { ...again, idempotencyKey: "other" })).rejects.toMatchObject({
      code: "INSUFFICIENT_POINTS",
    });
    // What cannot be at all is said first.
    await expect(order(sale, kim, { points: PRICE + 1 })).rejects.toMatchObject({ code: "VALIDATION" });
    expect(await statuses([id])).toEqual({ CONFIRMED: 1 });
  });

  it("go to the first of two orders that pass the look at once; the other is declined and leaves no trace", async () => {
    const kim = await member(1_000);
    const sale = await open();
    const hold = await pool.connect();
    await hold.query("BEGIN");
    await hold.query("SELECT FROM sale_partitions WHERE sale_id = $1 FOR UPDATE", [sale.saleId]);
    const first = await order(sale, kim, { points: 600 });
    const second = await order(sale, kim, { points: 600 });
    const third = await order(sale, kim, { points: 400 });
    await hold.query("COMMIT");
    hold.release();
    await untilStatus([first, third], { CONFIRMED: 2 });
    await untilStatus([second], { "CANCELLED PAYMENT_DECLINED": 1 });
    const charges = await pool.query("SELECT FROM payment_attempts WHERE order_id = $1", [second]);
    expect(charges.rowCount).toBe(0);
    expect((await booked(kim)).filter(([kind]) => kind !== "earn")).toEqual([
      ["spend", -600],
      ["spend", -400],
    ]);
  });
});

describe("an expired order that is paid after all", () => {
  const TTL = { reservationTtlMs: 1_000 };
  const expired = async (points: number, stock = 1) => {
    const kim = await member(1_000);
    const sale = await open(stock, TTL);
    const id = await order(sale, kim, { points, payment: { method: "card", token: "tok_pending" } });
    await untilStatus([id], { "CANCELLED EXPIRED": 1 });
    expect(await balanceOf(kim)).toBe(1_000);
    return { kim, sale, id };
  };

  it("takes its points again, and is confirmed", async () => {
    const { kim, id } = await expired(600);
    expect(await shop.decide([id])).toBe(1);
    await untilStatus([id], { CONFIRMED: 1 });
    expect(await booked(kim)).toEqual([
      ["spend", -600],
      ["give_back", 600],
      ["spend", -600],
      ["earn", 44],
    ]);
  });

  it("is refunded when its points are spent by then, and its units stay with the shop", async () => {
    const { kim, sale, id } = await expired(600);
    const other = await order(await open(), kim, { points: 500 });
    await untilStatus([other], { CONFIRMED: 1 });
    expect(await shop.decide([id])).toBe(1);
    await untilStatus([id], { "REFUNDED EXPIRED": 1 });
    const [books] = await shop.booksOf([id]);
    expect(books).toMatchObject({ revivals: 0, refunded: PRICE - 600, givenBack: PRICE - 600 });
    await shop.expectStock(sale, { available: 1, reserved: 0, sold: 0 });
    expect(await booked(kim)).toEqual([
      ["spend", -600],
      ["give_back", 600],
      ["spend", -500],
      ["earn", 45],
    ]);
  });

  it("has its points given back once more when its units are gone", async () => {
    const { kim, sale, id } = await expired(600);
    const other = await order(sale, await member(0));
    await untilStatus([other], { CONFIRMED: 1 });
    expect(await shop.decide([id])).toBe(1);
    await untilStatus([id], { "REFUNDED EXPIRED": 1 });
    expect(await booked(kim)).toEqual([
      ["spend", -600],
      ["give_back", 600],
      ["spend", -600],
      ["give_back", 600],
    ]);
  });
});

describe("points that an order earned", () => {
  it("are by the tier that its member had by then", async () => {
    const kim = await member(0);
    const sale = await openTestSale(shop, { stock: 10, price: 299_999 });
    const buy = async (saleOf = sale) => {
      const id = await order(saleOf, kim);
      await untilStatus([id], { CONFIRMED: 1 });
    };
    await buy();
    await buy(await openTestSale(shop, { stock: 1, price: 1 }));
    await buy();
    await buy();
    await buy();
    await buy();
    expect(await booked(kim)).toEqual([
      ["earn", 2_999],
      ["earn", 0],
      ["earn", 5_999],
      ["earn", 5_999],
      ["earn", 5_999],
      ["earn", 8_999],
    ]);
  });

  it("go back with what is refunded, in part and then in whole, also where they were spent", async () => {
    const kim = await member(1_000);
    const sale = await open();
    const items = [{ productId: sale.productId, quantity: 3 }];
    const id = await order(sale, kim, { items, points: 1_000 });
    await untilStatus([id], { CONFIRMED: 1 });
    expect([await balanceOf(kim), await spendOf(kim)]).toEqual([140, 14_000]);
    const spent = await order(sale, kim, { points: 140 });
    await untilStatus([spent], { CONFIRMED: 1 });
    expect(await balanceOf(kim)).toBe(48);
    await adjustPoints(pool, { customerId: kim, amount: -48 }, { actor: "cli:test" });

    await refund(id, { amount: 150 });
    await until(async () => expect(await spendOf(kim)).toBe(14_000 + 4_860 - 150));
    expect(await balanceOf(kim)).toBe(-1);
    await expect(order(sale, kim, { points: 1 })).rejects.toMatchObject({ code: "INSUFFICIENT_POINTS" });
    await refund(id);
    await untilStatus([id], { REFUNDED: 1 });
    expect([await balanceOf(kim), await spendOf(kim)]).toEqual([1_000 - 140, 4_860]);
  });

  it("are none for guests, for what was not paid in the shop's own currency, and nothing is booked for them", async () => {
    const before = await pool.query("SELECT count(*) AS n FROM points_entries");
    const guest = await order(await open(), randomUUID());
    const kim = await member(0);
    const declined = await order(await open(), kim, { payment: { method: "card", token: "tok_declined" } });
    await untilStatus([guest], { CONFIRMED: 1 });
    await untilStatus([declined], { "CANCELLED PAYMENT_DECLINED": 1 });
    expect((await pool.query("SELECT count(*) AS n FROM points_entries")).rows).toEqual(before.rows);
  });
});

it("a transaction that is rolled back at its commit books nothing, and its second try once", async () => {
  const kim = await member(1_000);
  const sale = await open(20);
  // Deferred, so that what the persister did fails at its COMMIT, as often as the sequence says.
  await pool.query(`CREATE SEQUENCE failing_commits;
    CREATE FUNCTION fail_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF nextval('failing_commits') <= 3 THEN RAISE EXCEPTION 'no' USING ERRCODE = 'serialization_failure'; END IF;
      RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER failing AFTER INSERT ON points_entries DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW EXECUTE FUNCTION fail_commit()`);
  try {
    const orders = await Promise.all(Array.from({ length: 10 }, () => order(sale, kim, { points: 100 })));
    await untilStatus(orders, { CONFIRMED: 10 });
    const points = (await booked(kim)).filter(([kind]) => kind === "spend");
    expect(points).toEqual(orders.map(() => ["spend", -100]));
    expect(await balanceOf(kim)).toBe(10 * 49);
  } finally {
    await transaction(pool, (client) =>
      client.query("DROP TRIGGER failing ON points_entries; DROP FUNCTION fail_commit; DROP SEQUENCE failing_commits"),
    );
  }
});
