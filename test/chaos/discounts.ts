// What a run with discounts has to give away: a coupon with few uses, and points of one member. And what is in the books of
// them afterwards.
import { HttpClient } from "../../demo/http.ts";
import { checkCoupons } from "../../engine/coupons/books.ts";
import { transaction } from "../../engine/ledger/database.ts";
import { checkPoints } from "../../engine/points/check.ts";
import type { Books, CouponRow, PointsAccountRow, PointsEntryRow } from "./checker/books.ts";
import { until } from "./faults/fault.ts";
import type { Member, People } from "./people.ts";
import { create, type Sale } from "./shop.ts";
import type { System } from "./system.ts";

export interface Discounts {
  readonly couponCode: string;
  /** The member whose points everybody is after. */
  readonly rich: Member;
}

export const COUPON_USES = 100;
export const POINTS = 10_000;
const COUPON_AMOUNT = 500;
const DELIVERY_TIMEOUT_MS = 20_000;

/** Makes the coupon for the sale and gives the first member the points; resolves when both can be spent. */
export async function handOut(system: System, sale: Sale, people: People): Promise<Discounts> {
  const http = new HttpClient(system.apiUrl, 2);
  try {
    const couponCode = `CHAOS-${sale.id.slice(0, 30)}`.toUpperCase();
    const [rich] = people.members;
    if (!rich) throw new Error("Nobody is there to have points");
    const coupon = { code: couponCode, amount: COUPON_AMOUNT, limit: COUPON_USES, saleIds: [sale.id] };
    const headers = { ...people.administrator };
    await create(http, "/api/v1/coupons", coupon, headers);
    const gift = { amount: POINTS, reason: "for chaos" };
    await create(http, `/api/v1/points/${rich.id}/adjustments`, gift, headers);
    const isDelivered = await until(async () => {
      const open = await system.pool.query(
        `SELECT FROM allocations a JOIN products p ON p.id = a.product_id AND p.kind = 'coupon'
         WHERE a.sale_id = $1 AND a.applied_seq IS NULL`,
        [sale.id],
      );
      return open.rowCount === 0;
    }, DELIVERY_TIMEOUT_MS);
    if (!isDelivered) throw new Error(`The uses of ${couponCode} do not get to the sale`);
    return { couponCode, rich };
  } finally {
    http.close();
  }
}

/** To be called at rest: the coupons of the sale, and the points of all who ordered in it. */
export async function readDiscounts({ pool }: System, saleId: string): Promise<Pick<Books, "coupons" | "points">> {
  return await transaction(pool, async (db) => {
    await db.query("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY");
    const rows = async <Row extends object>(text: string) => (await db.query<Row>(text, [saleId])).rows;
    return {
      coupons: await rows<CouponRow>(
        `SELECT c.id, c.code, c.uses AS limit FROM coupons c JOIN sale_items i ON i.product_id = c.id WHERE i.sale_id = $1`,
      ),
      points: {
        accounts: await rows<PointsAccountRow>(
          `SELECT customer_id AS "customerId", balance, spend FROM points_accounts
           WHERE customer_id IN (SELECT customer_id FROM orders WHERE sale_id = $1) ORDER BY 1`,
        ),
        entries: await rows<PointsEntryRow>(
          `SELECT customer_id AS "customerId", order_id AS "orderId", kind, amount, balance, spend FROM points_entries
           WHERE customer_id IN (SELECT customer_id FROM orders WHERE sale_id = $1) ORDER BY id`,
        ),
      },
    };
  });
}

/** What the shop's own checks find, over all that there is. */
export async function ownFindings({ pool }: System): Promise<readonly string[]> {
  return [...(await checkPoints(pool)).findings, ...(await checkCoupons(pool)).findings];
}
