// Coupons and orders with them, for the tests of coupons: the whole order path, with a provider that decides pending charges when
// the test says so.
import { expect } from "vitest";
import { configureSale, deliverAllocations } from "../../engine/catalogue/lifecycle.ts";
import { checkCoupons, readCouponUses } from "../../engine/coupons/books.ts";
import type { Coupon } from "../../engine/coupons/coupon.ts";
import { couponSchema } from "../../engine/coupons/input.ts";
import { createCouponBy } from "../../engine/coupons/operations.ts";
import type { Engine, OrderRequest } from "../../engine/engine.ts";
import { transaction } from "../../engine/ledger/database.ts";
import { findOrder } from "../../engine/ledger/orders.ts";
import { openRefund, type RefundRequest } from "../../engine/ledger/refund-requests.ts";
import { makeCustomerId } from "../../engine/members/users.ts";
import type { startEngine } from "../support/assembly.ts";
import { openLateShop, type Sale, until } from "./late-shop.ts";

type Shop = Pick<Awaited<ReturnType<typeof startEngine>>, "engine" | "pool">;

let coupons = 0;

/** A coupon that is delivered to Redis and known to the engine. Unless told otherwise it takes 1,000 off and has 100 uses. */
export async function makeCoupon(
  { engine, pool }: Shop,
  saleIds: readonly string[],
  more: Record<string, unknown> = {},
): Promise<Coupon> {
  coupons += 1;
  const worth = "percent" in more ? {} : { amount: 1_000 };
  const input = couponSchema().parse({ code: `CODE-${coupons}`, limit: 100, saleIds, ...worth, ...more });
  const coupon = await createCouponBy(pool, input, new Date(0), { actor: "cli:test" });
  for (const saleId of saleIds) await configureSale(pool, engine.stock, saleId);
  await deliverAllocations(pool, engine.stock);
  await engine.catalogue.refresh();
  return coupon;
}

/** What became of orders that were placed at once, by code; `accepted` for the others. */
export function verdictsOf(settled: readonly PromiseSettledResult<unknown>[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const result of settled) {
    const verdict = result.status === "fulfilled" ? "accepted" : String((result.reason as { code?: string }).code);
    counts[verdict] = (counts[verdict] ?? 0) + 1;
  }
  return counts;
}

/** Opens it for a test file; closed with it. */
export async function openCouponShop() {
  const shop = await openLateShop();
  const { pool } = shop;
  const place = (sale: Sale, couponCode: string, request: Partial<OrderRequest> = {}, engine: Engine = shop.engine) =>
    engine.place({
      saleId: sale.saleId,
      customerId: makeCustomerId(),
      items: [{ productId: sale.productId, quantity: 1 }],
      couponCode,
      ...request,
    });
  return {
    ...shop,
    place,
    coupon: (sales: readonly Sale[], more?: Record<string, unknown>) =>
      makeCoupon(
        shop,
        sales.map(({ saleId }) => saleId),
        more,
      ),
    usesOf: async ({ code }: Coupon) => {
      const uses = (await readCouponUses(pool, [code])).get(code);
      if (!uses) throw new Error(`no coupon ${code}`);
      return uses;
    },
    isStatus: (orderId: string, status: string) =>
      until(async () => expect((await findOrder(pool, orderId))?.status).toBe(status)),
    refund: (orderId: string, request: Partial<RefundRequest> = {}) =>
      transaction(pool, (client) =>
        openRefund(client, shop.outbox, { orderId, restock: true, actor: "test", ...request }),
      ),
    expectSound: async () => expect((await checkCoupons(pool)).findings).toEqual([]),
  };
}
