// A thousand orders at once for the few uses of a coupon and for one member's points, while whatever carries orders is killed
// again and again: at the end coupons, points and the fates of orders agree.
import { usesGone } from "../checker/discounts.ts";
import { COUPON_USES, ownFindings, POINTS } from "../discounts.ts";
import { failingProof } from "../operator.ts";
import type { ProcessName } from "../system.ts";
import { type Fault, pause, unmet, untilMoreAccepted } from "./fault.ts";

const VICTIMS = ["persister", "worker", "api"] as const satisfies readonly ProcessName[];
const KILLS = { full: 9, short: 3 } as const;
/** From a start to the next kill, on average. */
const LIFE_MS = { full: 1_500, short: 400 } as const;
const DOWN_MS = 100;
const SELLS_WITHIN_MS = 20_000;

export const discountsKilledAtRandom: Fault = {
  name: "discounts-killed-at-random",
  title:
    "1,000 orders at once for 100 coupons and one member's 10,000 points, persister, worker and API killed at random, " +
    "Redis once: uses, points and fates agree",
  quick: true,
  load: { ordersPerSecond: 40, discounts: { atOnce: 1_000 } },
  async strike(stage) {
    const { system, random, pace } = stage;
    let killed = 0;
    const hit = async (name: ProcessName) => {
      const victim = system.process(name);
      const { pid } = victim;
      await victim.down("SIGKILL");
      await pause(random, DOWN_MS);
      await victim.start();
      if (victim.pid !== pid) killed += 1;
    };
    // Redis in the middle; each of the others at least once before one comes again.
    let left: ProcessName[] = [];
    for (let n = 0; n < KILLS[pace]; n += 1) {
      if (n === Math.floor(KILLS[pace] / 2)) await hit("redis");
      if (left.length === 0) left = [...VICTIMS];
      const [victim = "persister"] = left.splice(Math.floor(random() * left.length), 1);
      await hit(victim);
      await pause(random, LIFE_MS[pace]);
    }
    const healedAtMs = stage.history.now;
    await untilMoreAccepted(stage, 10, SELLS_WITHIN_MS);
    return { fired: killed, planned: KILLS[pace] + 1, evidence: `${killed} kills`, healedAtMs };
  },
  // What the shop says itself, beside the judge's own sums.
  async atRest({ system, sale }) {
    const findings = (await ownFindings(system)).map((finding) => unmet("the shop's own books agree", finding, 5));
    const failure = await failingProof(system, sale.id);
    return failure === undefined ? findings : [...findings, unmet("the proof holds", failure, 1)];
  },
  verify(_stage, { orders, coupons }) {
    const using = orders.filter(({ discounts, stockState }) => discounts?.couponId && stockState === "sold").length;
    const spent = orders.filter(({ discounts, stockState }) => discounts?.points && stockState === "sold").length;
    const thin = [
      ...(coupons.length === 1 ? [] : [`${coupons.length} coupons`]),
      ...(using > 0 ? [] : ["no order used the coupon"]),
      ...(spent > 0 ? [] : ["no order spent points"]),
    ];
    return thin.map((detail) => unmet("the run is about discounts", detail));
  },
  figures(_stage, { orders, coupons, attempts, points }) {
    const ofCoupon = orders.filter(({ discounts }) => discounts?.couponId);
    const ofPoints = orders.filter(({ discounts }) => discounts?.points);
    const gone = coupons.reduce((sum, { id }) => sum + usesGone(orders, id), 0);
    const attempted = new Set(attempts.map(({ orderId }) => orderId));
    const short = ofPoints.filter(({ id, reason }) => reason === "PAYMENT_DECLINED" && !attempted.has(id)).length;
    const sum = (kind: string) =>
      points.entries.reduce((all, entry) => all + (entry.kind === kind ? entry.amount : 0), 0);
    return [
      `${ofCoupon.length} orders took a coupon, and ${gone} of ${COUPON_USES} uses are gone`,
      `${ofPoints.length} asked for points, and ${short} found them spent`,
      `${-sum("spend")} points were spent of ${POINTS} and ${sum("earn")} earned, ${sum("give_back")} given back`,
    ].join("; ");
  },
};
