// Payments that succeed when their orders no longer wait for them, through the whole path.
import { describe, expect, it } from "vitest";
import { openTestSale } from "../support/assembly.ts";
import { openLateShop, until } from "./late-shop.ts";

const TTL_MS = 1_000;
const PRICE = 5_000;

const shop = await openLateShop();
const { place, statuses, decide, cancel, booksOf, expectStock } = shop;

describe("a payment that succeeds after its order has expired", () => {
  it("revives the order or is refunded, each of 100 orders once, with stock left for half of them", async () => {
    const sale = await openTestSale(shop, { stock: 100, price: PRICE }, { reservationTtlMs: TTL_MS });
    const orders = await place(sale, 100, "tok_pending");
    await until(async () => expect(await statuses(orders)).toEqual({ "CANCELLED EXPIRED": 100 }));
    await expectStock(sale, { available: 100, reserved: 0, sold: 0 });
    const others = await place(sale, 50, "tok_ok");
    await until(async () => expect(await statuses(others)).toEqual({ CONFIRMED: 50 }));

    expect(await decide(orders)).toBe(orders.length);
    await until(async () => {
      const counts = await statuses(orders);
      const refunds = Object.entries(counts).filter(([status]) => status.startsWith("REFUND"));
      expect(counts["CONFIRMED"]).toBe(50);
      expect(refunds.reduce((sum, [, count]) => sum + count, 0)).toBe(50);
    });
    for (const order of await booksOf(orders)) {
      const expected =
        order.status === "CONFIRMED"
          ? { stockState: "sold", charges: 1, refunds: 0, refunded: 0, revivals: 1 }
          : { stockState: "released", charges: 1, refunds: 1, refunded: PRICE, revivals: 0 };
      expect(order).toMatchObject(expected);
    }
    await expectStock(sale, { available: 0, reserved: 0, sold: 100 });
  }, 120_000);

  it("is heard within the grace: the order is not expired, and confirmed as any", async () => {
    const sale = await openTestSale(shop, { stock: 1 });
    const [order = ""] = await place(sale, 1, "tok_pending");
    await until(async () => expect(await statuses([order])).toEqual({ PAYING: 1 }));
    await until(async () => expect(await decide([order])).toBe(1));
    await until(async () => expect(await statuses([order])).toEqual({ CONFIRMED: 1 }));
    const [books] = await booksOf([order]);
    expect(books?.timeline).toEqual(["PENDING", "RESERVED", "PAYING", "PAID", "CONFIRMED"]);
  });
});

describe("a payment that succeeds after its order was cancelled", () => {
  it.for(["CUSTOMER", "OPERATOR"] as const)("by %s is refunded, though its units are to be had", async (reason) => {
    const sale = await openTestSale(shop, { stock: 20, price: PRICE });
    const orders = await place(sale, 20, "tok_pending");
    await until(async () => expect(await statuses(orders)).toEqual({ PAYING: 20 }));
    // Before the cancel, so that the charge is there to succeed afterwards.
    await until(async () => {
      const booked = await shop.pool.query(
        "SELECT FROM simulated_gateway.charges WHERE split_part(key, ':', 1) = ANY($1)",
        [orders],
      );
      expect(booked.rowCount).toBe(20);
    });
    for (const order of orders) expect(await cancel(order, reason)).toBe(true);
    await until(async () => expect(await statuses(orders)).toEqual({ [`CANCELLED ${reason}`]: 20 }));
    await expectStock(sale, { available: 20, reserved: 0, sold: 0 });
    for (const order of orders) expect(await cancel(order, reason)).toBe(false);

    expect(await decide(orders)).toBe(orders.length);
    await until(async () => {
      const counts = Object.entries(await statuses(orders)).filter(([status]) => status.startsWith("REFUND"));
      expect(counts.reduce((sum, [, count]) => sum + count, 0)).toBe(20);
    });
    for (const order of await booksOf(orders)) {
      expect(order).toMatchObject({ stockState: "released", charges: 1, refunds: 1, refunded: PRICE, revivals: 0 });
    }
    await expectStock(sale, { available: 20, reserved: 0, sold: 0 });
  });
});
