// Units that move to where they are asked for: whole, once, and through whatever dies on the way.
import { randomUUID } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { configureSale, deliverAllocations } from "../../engine/catalogue/lifecycle.ts";
import { checkCoupons, readCouponUses } from "../../engine/coupons/books.ts";
import type { Coupon } from "../../engine/coupons/coupon.ts";
import { depositTransfer, openTransfer } from "../../engine/ledger/transfers.ts";
import { makeCustomerId } from "../../engine/members/users.ts";
import { openOutbox } from "../../engine/outbox/outbox.ts";
import { CALL_MAY_ARRIVE_MS, StockTransfers, type Supply } from "../../engine/stock/transfers.ts";
import { transferSweep } from "../../persister/jobs/sweeps/transfers.ts";
import { rebuildPartition } from "../../persister/recovery/rebuild.ts";
import { openTestSale, startEngine, startPersister } from "../support/assembly.ts";
import { createTestDatabase } from "../support/postgres.ts";
import { startTestRedis, type TestRedis } from "../support/redis.ts";
import { makeCoupon, verdictsOf } from "./coupon-shop.ts";
import { silent } from "./jobs-shop.ts";

const database = await createTestDatabase();
let redis: TestRedis;
let shop: Awaited<ReturnType<typeof startEngine>>;
let persister: Awaited<ReturnType<typeof startPersister>> | undefined;
const servers = () => ({ databaseUrl: database.url, redisUrl: redis.url });

beforeAll(async () => {
  redis = await startTestRedis();
  shop = await startEngine(servers());
  persister = await startPersister(servers());
});
afterAll(async () => {
  await persister?.stop();
  await shop.stop();
  await redis.stop();
});
async function stopPersister() {
  await persister?.stop();
  persister = undefined;
}
async function startPersisting() {
  persister ??= await startPersister(servers());
}
afterEach(startPersisting);

const until = (check: () => Promise<void>) => vi.waitFor(check, { timeout: 20_000, interval: 10 });
const soon = () => performance.now() + 5_000;

/** Two sales of one partition each, and a coupon for both whose uses lie as told. */
async function openSales(units: readonly [number, number], limit = units[0] + units[1]) {
  const sales = [await openTestSale(shop, { stock: 100 }), await openTestSale(shop, { stock: 100 })] as const;
  const coupon = await makeCoupon(
    shop,
    sales.map(({ saleId }) => saleId),
    { limit },
  );
  const places = sales.map(({ saleId }) => ({ saleId, partition: 0, epoch: 1 }));
  const [here, there] = places as [(typeof places)[0], (typeof places)[0]];
  const available = () => shop.engine.stock.availableOf(places, coupon.id);
  const uses = async () => (await readCouponUses(shop.pool, [coupon.code])).get(coupon.code);
  // Spread evenly at first; moved by a transfer to lie as told.
  const [first] = (await available()) as [number, number];
  if (first !== units[0]) {
    const [from, to, quantity] = first > units[0] ? [here, there, first - units[0]] : [there, here, units[0] - first];
    const id = randomUUID();
    await openTransfer(shop.pool, {
      id,
      depositId: randomUUID(),
      productId: coupon.id,
      from,
      to,
      quantity,
      actor: "test",
    });
    await until(async () => {
      await transfers().resume(id);
      expect(await available()).toEqual(units);
    });
  }
  await until(async () => expect(await uses()).toMatchObject({ left: limit, inTransit: 0 }));
  const need = { productId: coupon.id, to: here, places, total: limit };
  return { sales, coupon, here, there, places, need, available, uses };
}

const transfers = () => new StockTransfers(shop.pool, shop.engine.stock, () => undefined);
const sound = async () => expect((await checkCoupons(shop.pool)).findings).toEqual([]);
/** Lets the sweep take the transfer for abandoned, and runs it. */
async function sweep(coupon: Coupon) {
  await shop.pool.query(
    "UPDATE stock_transfers SET called_at = called_at - interval '1 minute' WHERE product_id = $1",
    [coupon.id],
  );
  await transferSweep(shop.pool, shop.engine.stock, silent).run(0, new AbortController().signal);
  await deliverAllocations(shop.pool, shop.engine.stock);
}
const statesOf = async (coupon: Coupon) => {
  const result = await shop.pool.query<{ state: string }>(
    "SELECT state FROM stock_transfers WHERE product_id = $1 ORDER BY created_at",
    [coupon.id],
  );
  return result.rows.map(({ state }) => state);
};

describe("units that are asked for where there are none", () => {
  it("come as half of what the richest has, once for all who ask at the same time", async () => {
    const { need, available, uses } = await openSales([0, 9]);
    const one = transfers();
    const asked: Promise<Supply>[] = Array.from({ length: 20 }, () => one.bring(need, soon()));
    expect(new Set(await Promise.all(asked))).toEqual(new Set(["arrived"]));
    expect(await available()).toEqual([5, 4]);
    expect(await one.bring(need, soon())).toBe("arrived");
    expect(await available()).toEqual([5, 4]);
    await until(async () => expect(await uses()).toMatchObject({ left: 9, inTransit: 0, retired: 0 }));
    await sound();
  });

  it("come once also when several processes ask", async () => {
    const { need, available } = await openSales([0, 8]);
    const supplies = await Promise.all([transfers(), transfers(), transfers()].map((each) => each.bring(need, soon())));
    expect(supplies).toEqual(["arrived", "arrived", "arrived"]);
    const [here = 0, there = 0] = await available();
    expect([here + there, here >= 4]).toEqual([8, true]);
    await sound();
  });

  it("are said to be gone only when there are none anywhere, and none on their way", async () => {
    const { coupon, need, here, there } = await openSales([0, 2]);
    const sold = { movementId: randomUUID(), sku: coupon.id, quantity: -2 };
    await stopPersister();
    // Taken where they were and not yet applied: they may come.
    const id = randomUUID();
    const transfer = { id, depositId: randomUUID(), productId: coupon.id, from: there, to: here, quantity: 2 };
    await openTransfer(shop.pool, { ...transfer, actor: "test" });
    await shop.engine.stock.restock(there, 1, { ...sold, movementId: id });
    const other = { ...need, to: there };
    expect(await transfers().bring(other, performance.now() + 50)).toBe("pending");
    await startPersisting();
    await until(async () => expect(await transfers().resume(id)).toBe(true));
    await shop.engine.stock.restock(here, 1, sold);
    await until(async () => expect(await transfers().bring(need, soon())).toBe("dry"));
  });

  it("are waited for no longer than told, whatever the ledger does", async () => {
    const { coupon, need, available, uses } = await openSales([0, 4]);
    await stopPersister();
    expect(await transfers().bring(need, performance.now() + 100)).toBe("pending");
    await until(async () => expect(await available()).toEqual([0, 2]));
    await startPersisting();
    await until(async () => expect(await uses()).toMatchObject({ left: 4, inTransit: 0 }));
    await until(async () => {
      await sweep(coupon);
      expect(await available()).toEqual([2, 2]);
    });
    expect(await statesOf(coupon)).toContain("done");
    await sound();
  });
});

describe("a transfer whose process dies", () => {
  /** Each place where it can die, by what is done until then. */
  const deaths = ["written", "withdrawn", "applied", "deposited", "delivered"] as const;

  it.each(deaths)("once it is %s, is carried on, and nothing is lost or made", async (death) => {
    const { coupon, here, there, available, uses } = await openSales([0, 6]);
    const [id, depositId] = [randomUUID(), randomUUID()];
    const reached = (step: (typeof deaths)[number]) => deaths.indexOf(death) >= deaths.indexOf(step);
    await openTransfer(shop.pool, {
      ...{ id, depositId, productId: coupon.id, from: there, to: here, quantity: 3, actor: "test" },
    });
    if (!reached("applied")) await stopPersister();
    if (reached("withdrawn")) {
      await shop.engine.stock.restock(there, 1, { movementId: id, sku: coupon.id, quantity: -3 });
    }
    if (reached("applied")) await until(async () => expect(await uses()).toMatchObject({ left: 3, inTransit: 3 }));
    if (reached("deposited")) {
      const client = new StockTransfers(
        shop.pool,
        { restock: () => Promise.reject(new Error("dead")) } as never,
        () => undefined,
      );
      await client.resume(id).catch(() => undefined);
      expect(await uses()).toMatchObject({ left: 6, inTransit: 0 });
    }
    if (reached("delivered")) await deliverAllocations(shop.pool, shop.engine.stock);
    await startPersisting();
    await until(async () => {
      await sweep(coupon);
      expect(await available()).toEqual([3, 3]);
    });
    // Carried on once more, nothing moves.
    await sweep(coupon);
    await transfers().resume(id);
    await until(async () => expect(await uses()).toMatchObject({ left: 6, inTransit: 0, retired: 0 }));
    expect(await available()).toEqual([3, 3]);
    await sound();
  });

  it.each(["withdrawn", "deposited"] as const)("once it is %s, and Redis with it, is carried on", async (death) => {
    const { sales, coupon, here, there, available, uses } = await openSales([0, 6]);
    const outbox = await openOutbox(database.url, () => undefined);
    const id = randomUUID();
    await openTransfer(shop.pool, {
      ...{ id, depositId: randomUUID(), productId: coupon.id, from: there, to: here, quantity: 3, actor: "test" },
    });
    if (death === "withdrawn") await stopPersister();
    await shop.engine.stock.restock(there, 1, { movementId: id, sku: coupon.id, quantity: -3 });
    if (death === "deposited") {
      await until(async () => expect(await depositTransfer(shop.pool, id)).toBe(true));
    }
    await stopPersister();
    await shop.redis.flushall();
    for (const { saleId } of sales) {
      await rebuildPartition({ pool: shop.pool, redis: shop.redis, outbox }, { saleId, partition: 0 }, "test");
    }
    await shop.engine.catalogue.refresh();
    expect(await available()).toEqual(death === "withdrawn" ? [0, 6] : [3, 3]);
    await startPersisting();
    await until(async () => {
      await sweep(coupon);
      expect(await available()).toEqual([3, 3]);
    });
    await until(async () => expect(await uses()).toMatchObject({ left: 6, inTransit: 0, retired: 0 }));
    await sound();
    await outbox.close();
  });

  it("is given up when there is nothing to take, but not while a call may still arrive", async () => {
    const { coupon, here, there } = await openSales([0, 1]);
    const id = randomUUID();
    await openTransfer(shop.pool, {
      ...{ id, depositId: randomUUID(), productId: coupon.id, from: there, to: here, quantity: 5, actor: "test" },
    });
    const state = async () => (await statesOf(coupon)).at(-1);
    const one = transfers();
    await one.resume(id);
    expect(await state()).toBe("open");
    await one.resume(id);
    expect(await state()).toBe("open");
    await shop.pool.query(
      "UPDATE stock_transfers SET unanswered_at = unanswered_at - $2 * interval '1 ms' WHERE id = $1",
      [id, CALL_MAY_ARRIVE_MS],
    );
    await one.resume(id);
    expect(await state()).toBe("void");
    await sound();
  });
});

describe("orders with a coupon whose uses lie elsewhere", () => {
  it("get them, to the last one, in whichever sale they are asked for", async () => {
    const { sales, coupon, uses } = await openSales([0, 10]);
    const place = (i: number) =>
      shop.engine.place({
        ...{ saleId: sales[0].saleId, customerId: makeCustomerId(), couponCode: coupon.code },
        items: [{ productId: sales[0].productId, quantity: 1 }],
        payment: { method: "later" },
        ...(i % 2 === 0 && { idempotencyKey: `k${i}` }),
      });
    let accepted = 0;
    for (let i = 0; accepted < 10; i += 1) {
      const verdicts = verdictsOf(await Promise.allSettled([place(i)]));
      expect(verdicts["COUPON_EXHAUSTED"]).toBeUndefined();
      accepted += verdicts["accepted"] ?? 0;
      if (verdicts["STOCK_UNAVAILABLE"]) await sweep(coupon);
    }
    await until(async () => expect(verdictsOf(await Promise.allSettled([place(1)]))).toEqual({ COUPON_EXHAUSTED: 1 }));
    await until(async () => expect(await uses()).toMatchObject({ left: 0, reserved: 10, inTransit: 0 }));
    await sound();
  });

  it("are told to come again while Postgres cannot say", async () => {
    const { sales, coupon, available } = await openSales([0, 2]);
    await configureSale(shop.pool, shop.engine.stock, sales[0].saleId);
    const broken = await startEngine(servers());
    // Its transfers alone cannot reach Postgres.
    const away = new StockTransfers(
      { query: () => Promise.reject(new Error("away")) } as never,
      broken.engine.stock,
      () => undefined,
    );
    Object.assign(broken.engine, { transfers: away });
    const order = broken.engine.place({
      ...{ saleId: sales[0].saleId, customerId: makeCustomerId(), couponCode: coupon.code },
      items: [{ productId: sales[0].productId, quantity: 1 }],
    });
    await expect(order).rejects.toMatchObject({ code: "STOCK_UNAVAILABLE", facts: { cause: "COUPON" } });
    expect(await available()).toEqual([0, 2]);
    await broken.stop();
  });
});
