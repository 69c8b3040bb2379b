// Coupons: administrators make and close them, everybody may ask what a code gives. They are used by orders.
import { z } from "@hono/zod-openapi";
import { readCouponUses } from "../../engine/coupons/books.ts";
import { couponCodeOf } from "../../engine/coupons/coupon.ts";
import { listCoupons } from "../../engine/coupons/coupons.ts";
import { closeCouponBy, createCouponBy, unknownCoupon } from "../../engine/coupons/operations.ts";
import { COUPON_CODE } from "../../engine/order.ts";
import { redisNowMs } from "../../engine/redis/clock.ts";
import { isOperator } from "../auth/access.ts";
import type { ApiDependencies } from "../dependencies.ts";
import { jsonAnswer } from "../http/answer.ts";
import { decodeCursor, encodeCursor } from "../http/cursor.ts";
import { type Edge, endpoint } from "../http/endpoint.ts";
import { page, UUID } from "../http/fields.ts";
import { announceCatalogue, carryToRedis } from "../sales/propagation.ts";
import { closedCoupon, coupon, couponPage, newCoupon, representCoupon } from "./representation.ts";

const COUPONS_TAG = "Coupons";
const COUPONS = "/api/v1/coupons";
const position = z.tuple([z.int().min(0).max(8.64e15), z.string().regex(UUID)]);

export function couponRoutes(edge: Edge, deps: ApiDependencies): void {
  const { pool, engine, redis } = deps;

  endpoint(
    edge,
    {
      method: "post",
      path: COUPONS,
      summary: "Make a coupon",
      description:
        "Either `amount` or `percent` off the price of an order in one of its sales. Its uses are counted like stock: `limit` " +
        "in all, spread over the partitions of its sales, and moved to where they are asked for. With amounts all its sales are in " +
        "one currency. It is valid from now unless it says so, by the clock that opens sales.",
      tag: COUPONS_TAG,
      access: "admin",
      body: newCoupon,
      answers: { 201: { description: "The coupon", schema: coupon } },
      refusals: ["INVALID_STATE", "STOCK_UNAVAILABLE"],
    },
    async ({ body, caller }) => {
      const now = body.validFrom ?? new Date(await redisNowMs(redis));
      const made = await createCouponBy(pool, body, now, { actor: caller.customerId });
      // Without Redis the coupon exists all the same: a sweep delivers its uses, and a second POST would find the code taken.
      for (const saleId of made.saleIds) await carryToRedis(deps, saleId);
      await announceCatalogue(deps);
      return jsonAnswer(await withUses(made), 201, { location: `${COUPONS}/${made.code}` });
    },
  );

  endpoint(
    edge,
    {
      method: "get",
      path: COUPONS,
      summary: "List coupons",
      description: "In the order they were made.",
      tag: COUPONS_TAG,
      access: "admin",
      query: page,
      answers: { 200: { description: "A page", schema: couponPage } },
    },
    async ({ query: { limit, cursor } }) => {
      const at = cursor === undefined ? undefined : decodeCursor(cursor, position);
      const after = at && { createdAt: new Date(at[0]), id: at[1] };
      const found = await listCoupons(pool, { limit: limit + 1, after });
      const shown = found.slice(0, limit);
      const books = await readCouponUses(
        pool,
        shown.map(({ code }) => code),
      );
      const last = found.length > limit ? shown.at(-1) : undefined;
      return jsonAnswer({
        items: shown.map((of) => representCoupon(of, books.get(of.code))),
        ...(last && { nextCursor: encodeCursor([last.createdAt.getTime(), last.id]) }),
      });
    },
  );

  endpoint(
    edge,
    {
      method: "get",
      path: `${COUPONS}/{code}`,
      summary: "Read what a coupon gives",
      description:
        "Upper and lower case are one. Whether there are uses left only an order finds out; support and administrators see " +
        "`uses`. Who asks for many codes that are none is refused for a while.",
      tag: COUPONS_TAG,
      access: "public",
      answers: { 200: { description: "The coupon", schema: coupon } },
      refusals: ["NOT_FOUND"],
    },
    async ({ c, caller }) => {
      const code = c.req.param("code") ?? "";
      const guesser = caller?.customerId ?? edge.addressOf(c);
      edge.limits.guess(guesser);
      const found = COUPON_CODE.test(code) ? await engine.coupons.find(code) : undefined;
      if (!found) {
        edge.limits.guessedWrong(guesser);
        throw unknownCoupon(couponCodeOf(code));
      }
      return jsonAnswer(isOperator(caller) ? await withUses(found) : representCoupon(found));
    },
  );

  endpoint(
    edge,
    {
      method: "post",
      path: `${COUPONS}/{code}/close`,
      summary: "Close a coupon",
      description:
        "No new order gets it; orders that have it keep it. The uses that nobody has are taken out of its sales (`withdrawn`); " +
        "what Redis could not be asked for now, and what orders give back later, is taken out when it is closed once more.",
      tag: COUPONS_TAG,
      access: "admin",
      answers: { 200: { description: "The coupon", schema: closedCoupon } },
      refusals: ["NOT_FOUND", "STOCK_UNAVAILABLE"],
    },
    async ({ c, caller }) => {
      const code = c.req.param("code") ?? "";
      if (!COUPON_CODE.test(code)) throw unknownCoupon(couponCodeOf(code));
      const servers = { pool, stock: engine.stock };
      const closed = await closeCouponBy(servers, code, { actor: caller.customerId }).finally(() =>
        announceCatalogue(deps),
      );
      return jsonAnswer({ ...(await withUses(closed.coupon)), withdrawn: closed.withdrawn });
    },
  );

  async function withUses(of: Parameters<typeof representCoupon>[0]) {
    const books = await readCouponUses(pool, [of.code]);
    return representCoupon(of, books.get(of.code));
  }
}
