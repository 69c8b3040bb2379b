// The crowd of a chaos run: what each buyer wants is drawn from the seed; when answers come is the machine's affair. Orders
// come at a fixed rate whatever becomes of them, everything in doubt is asked again under the same key, and all of it ends:
// by count, by time, and by patience.
import { setTimeout as sleep } from "node:timers/promises";
import { HttpClient } from "../../demo/http.ts";
import { type Random, seededRandom, seededUuid } from "../../demo/random.ts";
import type { Discounts } from "./discounts.ts";
import type { History, Line } from "./history.ts";
import type { People } from "./people.ts";
import type { Sale } from "./shop.ts";
import { type RefundWish, visit, type Wish } from "./visit.ts";

export interface Load {
  readonly ordersPerSecond: number;
  /** Buys for at least so long. */
  readonly forMs: number;
  /**
   * Reservations that nobody pays for: `early`, the default, so that the run need not wait for them; `always`: until the
   * end; `left`: the same, and nobody ever pays or cancels one.
   */
  readonly unpaid?: "early" | "always" | "left";
  /** Cards that are hard to charge, and which part of the orders pays by them; default: none. */
  readonly hardCards?: {
    readonly tokens: readonly string[];
    readonly part: number;
    /** Which part of those is cancelled at once by their buyers; default: none. */
    readonly cancelled?: number;
  };
  /** Which part of the orders members pay by their wallets, into which about half of what they spend is paid; default: none. */
  readonly wallets?: number;
  /** Members order with a coupon and with points: so many at once to begin with, then about half of what comes; default: none. */
  readonly discounts?: { readonly atOnce: number };
  /** Of which part of the orders, once they are confirmed, operators give something back; default: of none. */
  readonly refunds?: number;
}

export const LOAD: Load = { ordersPerSecond: 60, forMs: 4_000 };

export interface Crowd {
  /** Resolves when nobody wants anything any more. */
  readonly done: Promise<void>;
  /** The rush may end: nothing new is asked for after `afterMs`, and what is in doubt gives up some time later. */
  release(afterMs: number): void;
}

const ORDERS_MAX = 20_000;
const RUSH_MS_MAX = 300_000;
const BUYERS = 150;
const CONNECTIONS_MAX = 128;
/** How long a buyer goes on asking about an order in doubt once the rush is over. */
const PATIENCE_MS = 15_000;
/** Reservations that nobody pays for run out by themselves; made early only, so that the run need not wait for them. */
const UNPAID_UNTIL_MS = 2_500;
/** What an order spends at most: less than the cheapest one costs with the coupon. */
const POINTS_MAX = 300;

export interface CrowdOptions {
  readonly apiUrl: string;
  readonly sale: Sale;
  readonly history: History;
  /** Needed for wallets, discounts and refunds. */
  readonly people: People | undefined;
  /** Needed for discounts. */
  readonly discounts?: Discounts | undefined;
}

export function startCrowd(
  { apiUrl, sale, history, people, discounts }: CrowdOptions,
  seed: number,
  load: Load,
): Crowd {
  const http = new HttpClient(apiUrl, CONNECTIONS_MAX);
  const random = seededRandom(seed);
  const buyers = Array.from({ length: BUYERS }, () => seededUuid(random));
  const startedAt = performance.now();
  let endsAt = startedAt + RUSH_MS_MAX;
  const run = async () => {
    const visits: Promise<void>[] = [];
    const atOnce = load.discounts?.atOnce ?? 0;
    for (let n = 0; n < ORDERS_MAX; n += 1) {
      const dueIn = startedAt + (Math.max(0, n - atOnce) * 1_000) / load.ordersPerSecond - performance.now();
      if (dueIn > 0) await sleep(dueIn);
      if (performance.now() >= endsAt) break;
      const isDiscounted = discounts !== undefined && (n < atOnce || random() < 0.5);
      const wish =
        isDiscounted && people
          ? drawDiscounted(random, sale, people, discounts)
          : draw(random, { buyers, sale, load, people }, performance.now() - startedAt);
      const ownRandom = seededRandom(seed ^ (n * 0x9e3779b1));
      const givesUpAt = () => endsAt + PATIENCE_MS;
      visits.push(visit({ http, history, sale, people, random: ownRandom, givesUpAt }, wish));
    }
    await Promise.all(visits);
    http.close();
  };
  const done = run();
  return {
    done,
    release: (afterMs) => {
      endsAt = Math.min(endsAt, Math.max(performance.now() + afterMs, startedAt + load.forMs));
    },
  };
}

interface Choice {
  readonly buyers: readonly string[];
  readonly sale: Sale;
  readonly load: Load;
  readonly people: People | undefined;
}

function draw(random: Random, { buyers, sale, load, people }: Choice, sinceMs: number): Wish {
  const { hardCards, unpaid = "early" } = load;
  const pick = <T>(from: readonly T[]) => from[Math.floor(random() * from.length)] as T;
  const weights = [0, 0, 0, 1, 2, 2, 3]; // the one that is gone at once is wanted by few
  const line = (): Line => ({
    productId: sale.products[pick(weights)]?.id ?? "",
    quantity: 1 + Math.floor(random() * random() * 3),
  });
  const lines = random() < 0.3 ? 2 + Math.floor(random() * 2) : 1;
  const drawn = {
    buyer: pick(buyers),
    key: seededUuid(random),
    items: Array.from({ length: lines }, line), // two lines of one product happen, and count together
  };
  const refunds = load.refunds !== undefined && random() < load.refunds ? drawRefunds(random, drawn.items, sale) : [];
  const wish = { ...drawn, ...(refunds.length > 0 && { refunds }) };
  if (people && load.wallets !== undefined && random() < load.wallets) {
    // As many again find their products gone, and leave what was paid in to the next ones.
    const isCovered = random() < 0.25;
    const deposit = { key: seededUuid(random), amount: priceOf(wish.items, sale) };
    const payment = { method: "wallet" };
    return { ...wish, buyer: pick(people.members), payment, next: "watch", ...(isCovered && { deposit }) };
  }
  if (hardCards && random() < hardCards.part) {
    const isCancelled = hardCards.cancelled !== undefined && random() < hardCards.cancelled;
    const payment = { method: "card", token: pick(hardCards.tokens) };
    return { ...wish, payment, next: isCancelled ? "cancel" : "watch" };
  }
  const [means, after] = [random(), random()];
  if (means < 0.15 && (unpaid !== "early" || sinceMs < UNPAID_UNTIL_MS || after < 0.8)) {
    const next = unpaid === "left" ? "leave" : after < 0.45 ? "cancel" : after < 0.8 ? "pay" : "leave";
    return { ...wish, payment: { method: "later" }, next };
  }
  const token =
    means < 0.25 ? "tok_declined" : means < 0.28 ? "tok_insufficient" : means < 0.3 ? "tok_flaky" : "tok_ok";
  return {
    ...wish,
    payment: random() < 0.3 && token === "tok_ok" ? undefined : { method: "card", token },
    next: "watch",
  };
}

/** One half wants the same member's points, some of it with the coupon too; the other half wants the coupon. */
function drawDiscounted(random: Random, sale: Sale, { members }: People, { couponCode, rich }: Discounts): Wish {
  const wantsPoints = random() < 0.5;
  const other = members[1 + Math.floor(random() * (members.length - 1))] ?? rich;
  const product = sale.products[3];
  const items = [{ productId: product?.id ?? "", quantity: 1 + Math.floor(random() * 3) }];
  const points = 1 + Math.floor(random() * POINTS_MAX);
  const [means, after] = [random(), random()];
  const token = means < 0.25 ? "tok_declined" : "tok_ok";
  const isLater = means > 0.9;
  const refunds = random() < 0.25 ? drawRefunds(random, items, sale) : [];
  return {
    buyer: wantsPoints ? rich : other,
    key: seededUuid(random),
    items,
    payment: isLater ? { method: "later" } : { method: "card", token },
    next: isLater ? (after < 0.5 ? "pay" : "cancel") : after < 0.1 ? "cancel" : "watch",
    discounts: wantsPoints ? { points, ...(random() < 0.3 && { couponCode }) } : { couponCode },
    ...(refunds.length > 0 && { refunds }),
  };
}

/** All of it, one unit, or some of the money; after the last two, at times, the rest as well. */
function drawRefunds(random: Random, items: readonly Line[], sale: Sale): RefundWish[] {
  const [kind, restock] = [random(), random() < 0.5];
  const refund = (body: RefundWish["body"]): RefundWish => ({ key: seededUuid(random), body });
  const [first] = items;
  if (kind < 0.3 || !first) return [refund({ restock })];
  const part = refund(
    kind < 0.75
      ? { items: [{ productId: first.productId, quantity: 1 }], restock }
      : { amount: 1 + Math.floor(random() * (priceOf(items, sale) - 1)) },
  );
  return random() < 0.3 ? [part, refund({ restock: !restock })] : [part];
}

function priceOf(items: readonly Line[], sale: Sale): number {
  const price = (id: string) => sale.products.find((product) => product.id === id)?.price ?? 0;
  return items.reduce((sum, { productId, quantity }) => sum + quantity * price(productId), 0);
}
