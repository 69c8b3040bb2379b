// A whole rush, in which one buyer in a hundred wins, and carts of several lines: both with an API alone, whose log the
// persister drains afterwards, when it is counted.
import { Books, type Faults, type Tally } from "../books.ts";
import type { Context } from "../context.ts";
import type { Instance } from "../instance.ts";
import type { Target } from "../load/burst.ts";
import type { Sale, Shop } from "../shop.ts";

const BUYERS_PER_WINNER = 100;
/** Of a rush, with `seconds` of the options; at some 20,000 answers a second it takes about that long. */
const BUYERS_PER_SECOND = 20_000;
const CART_PRODUCTS = 10;
const CART_LINES = 5;
const WARM_UP_SECONDS = 2;

/** @returns the sales whose orders are left in the log */
export async function measureRushes(context: Context, instance: Instance, shop: Shop): Promise<Sale[]> {
  const buyers = BUYERS_PER_SECOND * context.options.seconds;
  const sales: Sale[] = [];
  const books = new Books(instance);
  try {
    for (let round = 1; round <= context.options.longRounds; round += 1) {
      const sale = await shop.openSale(`bench rush ${round}`, buyers / BUYERS_PER_WINNER);
      const target: Target = { ...base(instance, shop, sale), name: "rush", otherwise: 409 };
      const burst = await context.measure(`rush ${round}`, "rush_rps", target, { requests: buyers });
      context.audit("rush", await books.auditAdmission(sale, burst));
      context.audit("rush, winners", winners(sale, burst));
      sales.push(sale);
    }
  } finally {
    await books.close();
  }
  return sales;
}

/** @returns the sale whose orders are left in the log */
export async function measureCarts(context: Context, instance: Instance, shop: Shop): Promise<Sale> {
  const sale = await shop.openAssortment("bench carts", CART_PRODUCTS, CART_LINES);
  const books = new Books(instance);
  const tally: Tally = { answered: 0, sent: 0 };
  const target: Target = { ...base(instance, shop, sale), name: "carts" };
  const count = ({ answered, sent }: Tally) => {
    tally.answered += answered;
    tally.sent += sent;
  };
  try {
    count(await context.burst(target, { seconds: WARM_UP_SECONDS }));
    for (let round = 1; round <= context.options.longRounds; round += 1) {
      count(await context.measure(`carts ${round}`, "carts_rps", target));
    }
    context.audit("carts", await books.auditAdmission(sale, tally));
  } finally {
    await books.close();
  }
  return sale;
}

function base(instance: Instance, shop: Shop, order: Sale) {
  return { url: shop.ordersUrl, pid: instance.pids["api"] ?? 0, order, keyed: true, status: 202 };
}

/** Every unit has its buyer when a hundred asked for each. */
function winners({ stock }: Sale, { answered }: Tally): Faults {
  return { oversold: Math.max(0, answered - stock), lost: Math.max(0, stock - answered), duplicated: 0 };
}
