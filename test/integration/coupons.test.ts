// An order with a coupon, from the call that takes a use to the end that keeps it or gives it back.
import { describe, expect, it } from "vitest";
import { cancelInLedger } from "../../engine/ledger/cancellation.ts";
import { transaction } from "../../engine/ledger/database.ts";
import { findOrder } from "../../engine/ledger/orders.ts";
import { makeCustomerId } from "../../engine/members/users.ts";
import { readPoints } from "../../engine/points/accounts.ts";
import { redisNowMs } from "../../engine/redis/clock.ts";
import { openTestSale, startEngine } from "../support/assembly.ts";
import { openCouponShop, verdictsOf } from "./coupon-shop.ts";
import { until } from "./late-shop.ts";
import { memberWith } from "./points-shop.ts";

const PRICE = 5_000;
const shop = await openCouponShop();
const { place, coupon, usesOf, isStatus, refund, expectSound, pool, outbox } = shop;

const cancel = (orderId: string) =>
  transaction(pool, (client) => cancelInLedger(client, outbox, { orderId, actor: "test", reason: "CUSTOMER" }));
const untilUses = (of: Parameters<typeof usesOf>[0], uses: object) =>
  until(async () => expect(await usesOf(of)).toMatchObject(uses));

describe("an order with a coupon", () => {
  it("costs less, takes one use, and shows what it has bought and no more", async () => {
    const sale = await openTestSale(shop, { stock: 10, price: PRICE });
    const of = await coupon([sale]);
    const placed = await place(sale, of.code.toLowerCase(), { items: [{ productId: sale.productId, quantity: 2 }] });
    expect(placed).toMatchObject({
      ...{ price: 10_000, payable: 9_000, couponCode: of.code, discount: 1_000 },
      items: [{ productId: sale.productId, quantity: 2 }],
    });
    await isStatus(placed.orderId, "CONFIRMED");
    const order = await findOrder(pool, placed.orderId);
    expect(order?.lines).toHaveLength(1);
    expect(order?.discounts).toEqual({ coupon: { id: of.id, code: of.code, amount: 1_000 } });
    expect(await usesOf(of)).toMatchObject({ limit: 100, left: 99, reserved: 0, used: 1, retired: 0 });
    const charge = await pool.query("SELECT amount FROM payment_attempts WHERE order_id = $1", [placed.orderId]);
    expect(charge.rows).toEqual([{ amount: 9_000 }]);
    await expectSound();
  });

  it("takes a percentage off, rounded down and never more than its maximum; never more than the price", async () => {
    const sale = await openTestSale(shop, { stock: 10, price: 999 });
    const payable = async (more: Record<string, unknown>) =>
      (await place(sale, (await coupon([sale], more)).code)) as object;
    expect(await payable({ percent: 10 })).toMatchObject({ price: 999, discount: 99, payable: 900 });
    expect(await payable({ percent: 50, maximum: 100 })).toMatchObject({ discount: 100, payable: 899 });
    expect(await payable({ amount: 5_000 })).toMatchObject({ discount: 999, payable: 0 });
  });

  it("that has nothing to pay is confirmed all the same, and given back whole", async () => {
    const sale = await openTestSale(shop, { stock: 1, price: PRICE });
    const of = await coupon([sale], { percent: 100, limit: 1 });
    const { orderId } = await place(sale, of.code);
    await isStatus(orderId, "CONFIRMED");
    await refund(orderId, { items: [{ productId: sale.productId, quantity: 1 }] });
    await isStatus(orderId, "REFUNDED");
    await untilUses(of, { left: 1, used: 0 });
    await isStatus((await place(sale, of.code)).orderId, "CONFIRMED");
    await expectSound();
  });

  it("is refused, and takes nothing, for a code that is not for it", async () => {
    const sale = await openTestSale(shop, { stock: 5, price: PRICE });
    const other = await openTestSale(shop, { stock: 5, price: PRICE });
    const refusal = async (more: Record<string, unknown>, of = sale) =>
      await place(of, (await coupon([sale], more)).code).catch(({ code, facts }) => [code, facts["reason"]]);
    expect(await refusal({}, other)).toEqual(["COUPON_INVALID", "other_sale"]);
    expect(await refusal({ minimumPrice: PRICE + 1 })).toEqual(["COUPON_INVALID", "below_minimum_price"]);
    expect(await refusal({ validFrom: "2100-01-01T00:00:00Z" })).toEqual(["COUPON_INVALID", "not_yet_valid"]);
    expect(await refusal({ validUntil: "2000-01-01T00:00:00Z" })).toEqual(["COUPON_INVALID", "expired"]);
    await expect(place(sale, "NO-SUCH")).rejects.toMatchObject({
      code: "COUPON_INVALID",
      facts: { reason: "unknown" },
    });
    const snapshot = await shop.engine.stock.snapshot({ saleId: sale.saleId, partition: 0 });
    expect(snapshot.type === "OK" && snapshot.stock.get(sale.productId)?.available).toBe(5);
  });

  it("gives the use and the member's limit back when it is cancelled, expired or declined", async () => {
    const sale = await openTestSale(shop, { stock: 10, price: PRICE }, { reservationTtlMs: 1_000 });
    const of = await coupon([sale], { limit: 1, perMemberLimit: 1 });
    const customerId = makeCustomerId();
    const declined = await place(sale, of.code, { customerId, payment: { method: "card", token: "tok_declined" } });
    await isStatus(declined.orderId, "CANCELLED");
    const waiting = await place(sale, of.code, { customerId, payment: { method: "later" } });
    await expect(place(sale, of.code, { customerId })).rejects.toMatchObject({ code: "COUPON_LIMIT_EXCEEDED" });
    await expect(place(sale, of.code)).rejects.toMatchObject({
      code: "COUPON_EXHAUSTED",
      facts: { couponCode: of.code },
    });
    await isStatus(waiting.orderId, "CANCELLED"); // its time was over
    const third = await place(sale, of.code, { customerId, payment: { method: "later" } });
    await until(async () => expect(await cancel(third.orderId)).toBe(true));
    await isStatus(third.orderId, "CANCELLED");
    await isStatus((await place(sale, of.code, { customerId })).orderId, "CONFIRMED");
    expect(await usesOf(of)).toMatchObject({ left: 0, used: 1 });
    await expectSound();
  });

  it("is told of a product that is sold out before it is told of the coupon", async () => {
    const sale = await openTestSale(shop, { stock: 1, price: PRICE });
    const of = await coupon([sale], { limit: 1 });
    await place(sale, of.code);
    for (const _ of [1, 2]) await expect(place(sale, of.code)).rejects.toMatchObject({ code: "SOLD_OUT" });
  });

  it("under a key leads to its order also when the coupon has been closed since", async () => {
    const sale = await openTestSale(shop, { stock: 5, price: PRICE });
    const of = await coupon([sale]);
    const request = { customerId: makeCustomerId(), idempotencyKey: "k" };
    const { orderId } = await place(sale, of.code, request);
    await pool.query("UPDATE coupons SET closed_at = now() WHERE id = $1", [of.id]);
    await shop.engine.catalogue.refresh();
    expect(await place(sale, of.code, request)).toEqual({ type: "replayed", orderId });
    await expect(place(sale, of.code, { ...request, points: 1 })).rejects.toMatchObject({ code: "COUPON_INVALID" });
    await expect(place(sale, of.code)).rejects.toMatchObject({ code: "COUPON_INVALID", facts: { reason: "closed" } });
  });

  it("may spend points on the rest, and no more than that", async () => {
    const sale = await openTestSale(shop, { stock: 5, price: PRICE });
    const of = await coupon([sale]);
    const customerId = await memberWith(pool, 10_000);
    await expect(place(sale, of.code, { customerId, points: 4_001 })).rejects.toMatchObject({ code: "VALIDATION" });
    const placed = await place(sale, of.code, { customerId, points: 4_000 });
    expect(placed).toMatchObject({ price: PRICE, discount: 1_000, points: 4_000, payable: 0 });
    await isStatus(placed.orderId, "CONFIRMED");
    expect((await readPoints(pool, customerId)).balance).toBe(6_000);
    await refund(placed.orderId);
    await isStatus(placed.orderId, "REFUNDED");
    await until(async () => expect((await readPoints(pool, customerId)).balance).toBe(10_000));
    await untilUses(of, { left: 100, used: 0 });
    await expectSound();
  });

  it("is judged by Redis' clock, whatever this machine's says", async () => {
    const sale = await openTestSale(shop, { stock: 5, price: PRICE });
    const from = new Date((await redisNowMs(shop.redis)) - 1_000);
    const of = await coupon([sale], {
      validFrom: from.toISOString(),
      validUntil: new Date(+from + 3_600_000).toISOString(),
    });
    const DAY_MS = 86_400_000;
    for (const offMs of [-DAY_MS, DAY_MS]) {
      const wrong = await startEngine(shop.servers, { now: () => Date.now() + offMs });
      expect(await place(sale, of.code, {}, wrong.engine)).toMatchObject({ discount: 1_000 });
      await wrong.stop();
    }
  });

  it("cannot buy the coupon itself, nor write its uses off as if it were a product", async () => {
    const sale = await openTestSale(shop, { stock: 5, price: PRICE });
    const of = await coupon([sale]);
    const bought = shop.engine.place({
      ...sale,
      customerId: makeCustomerId(),
      items: [{ productId: of.id, quantity: 1 }],
    });
    await expect(bought).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});

describe("the uses of a coupon", () => {
  it.for([
    [1, 100],
    [4, 100],
    [4, 1],
  ] as const)(
    "go to as many of 1,000 orders at once as there are: over %i partition(s), %i",
    { timeout: 120_000 },
    async ([partitions, limit]) => {
      const sale = await openTestSale(shop, { stock: 2_000, price: PRICE }, { partitions });
      const of = await coupon([sale], { limit });
      const verdicts = verdictsOf(await Promise.allSettled(Array.from({ length: 1_000 }, () => place(sale, of.code))));
      const { accepted = 0, COUPON_EXHAUSTED: exhausted = 0, STOCK_UNAVAILABLE: unavailable = 0 } = verdicts;
      // Who finds none where the buyer belongs may be told to ask again, while some are on their way.
      expect(accepted + exhausted + unavailable).toBe(1_000);
      if (partitions === 1) expect(verdicts).toEqual({ accepted: limit, COUPON_EXHAUSTED: 1_000 - limit });
      // The last ones are found from wherever they are asked for, and only then it is said that there are none.
      for (let left = limit - accepted; left > 0; ) {
        const next = verdictsOf(await Promise.allSettled([place(sale, of.code)]));
        expect(next["COUPON_EXHAUSTED"]).toBeUndefined();
        left -= next["accepted"] ?? 0;
      }
      await until(async () =>
        expect(verdictsOf(await Promise.allSettled([place(sale, of.code)]))).toEqual({ COUPON_EXHAUSTED: 1 }),
      );
      await untilUses(of, { left: 0, used: limit, inTransit: 0 });
      await expectSound();
    },
  );

  it("come back with a refund of the whole order whose units are on sale again, and go with one that writes them off", async () => {
    const sale = await openTestSale(shop, { stock: 10, price: PRICE });
    const of = await coupon([sale], { limit: 2 });
    const items = [{ productId: sale.productId, quantity: 3 }];
    const [kept, lost] = [await place(sale, of.code, { items }), await place(sale, of.code, { items })];
    for (const { orderId } of [kept, lost]) await isStatus(orderId, "CONFIRMED");
    const one = { items: [{ productId: sale.productId, quantity: 1 }] };
    const amounts = [];
    for (const wish of [one, one, one]) amounts.push((await refund(kept.orderId, wish)).refund.amount);
    expect(amounts).toEqual([4_666, 4_666, 4_668]);
    await isStatus(kept.orderId, "REFUNDED");
    await untilUses(of, { left: 1, used: 1 });
    const { refund: whole } = await refund(lost.orderId, { restock: false });
    expect(whole.items).toEqual(items);
    await isStatus(lost.orderId, "REFUNDED");
    await untilUses(of, { left: 1, used: 0, retired: 1 });
    await expectSound();
  });

  it("are no item of a refund that anybody asks for", async () => {
    const sale = await openTestSale(shop, { stock: 10, price: PRICE });
    const of = await coupon([sale]);
    const { orderId } = await place(sale, of.code);
    await isStatus(orderId, "CONFIRMED");
    const wish = { items: [{ productId: of.id, quantity: 1 }] };
    await expect(refund(orderId, wish)).rejects.toMatchObject({ code: "VALIDATION" });
  });
});

describe("a payment that succeeds after its order with a coupon has expired", () => {
  it.for([true, false])("revives it if the use is still there (%s), and is refunded if not", async (isThere) => {
    const sale = await openTestSale(shop, { stock: 10, price: PRICE }, { reservationTtlMs: 1_000 });
    const of = await coupon([sale], { limit: 1 });
    const { orderId } = await place(sale, of.code, { payment: { method: "card", token: "tok_pending" } });
    await isStatus(orderId, "CANCELLED");
    if (!isThere) await isStatus((await place(sale, of.code)).orderId, "CONFIRMED");
    expect(await shop.decide([orderId])).toBe(1);
    await isStatus(orderId, isThere ? "CONFIRMED" : "REFUNDED");
    await untilUses(of, { left: 0, used: 1 });
    await expectSound();
  });
});
