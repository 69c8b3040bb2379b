// The crowd: who comes, drawn from the seed, and the rush itself.
import { setTimeout as sleep } from "node:timers/promises";
import { type Buyer, type Market, visit } from "./buyer.ts";
import { seededRandom, seededUuid } from "./random.ts";

/** Some buyers want two, one in a hundred wants more than anybody may have. */
const WANT_TWO = 0.3;
const WANT_TOO_MANY = 0.01;
export const DOUBLE_CLICK_SHARE = 0.1;
/** Those who cannot wait: they press before it opens. */
const EARLY_SHARE = 0.01;
const EARLY_MS = 100;
/** By then before the opening, the last one has looked. */
const QUIET_MS = 500;
/** More would still be waiting for their page when it opens. */
const LOOKERS_PER_MS_MAX = 1;

/** Requests a second that all the waiting together make: they are patient, and one machine plays them all. */
const PATIENT_ASKS_PER_SECOND = 1_500;
const THINK_MS_MIN = 500;

/** Draws the buyers: the same seed and shares give the same ones. */
export function drawCrowd(options: {
  seed: number;
  buyers: number;
  decline: number;
  slow: number;
  perCustomerLimit: number;
}): Buyer[] {
  const { seed, buyers, decline, slow, perCustomerLimit } = options;
  const random = seededRandom(seed);
  const wish = () => {
    const drawn = random();
    if (drawn < WANT_TOO_MANY) return perCustomerLimit + 1;
    return drawn < WANT_TOO_MANY + WANT_TWO ? 2 : 1;
  };
  const card = () => {
    if (random() < decline) return "tok_declined";
    return random() < slow ? "tok_slow" : "tok_ok";
  };
  return Array.from({ length: buyers }, () => ({
    id: seededUuid(random),
    units: wish(),
    token: card(),
    doubleClicks: random() < DOUBLE_CLICK_SHARE,
    pressesAfterMs: random() < EARLY_SHARE ? -EARLY_MS : 0,
    random: seededRandom(Math.floor(random() * 2 ** 32)),
  }));
}

/** The mean wait of a buyer who was told SOLD_OUT, so that the crowd's patience stays within what it may ask. */
export function thinkMs(waiting: number): number {
  return Math.max(THINK_MS_MIN, (waiting / PATIENT_ASKS_PER_SECOND) * 1_000);
}

/** Those who are early look at the sale's page; at the opening everybody presses. Resolves when the last one has left. */
export async function rush(crowd: readonly Buyer[], market: Market): Promise<void> {
  const opensAtMs = market.sale.opensAt.getTime();
  const until = (atMs: number) => sleep(Math.max(0, atMs - Date.now()), undefined, { signal: market.deadline });
  const look = async (buyer: Buyer) => {
    await until(Date.now() + buyer.random() * Math.max(0, opensAtMs - QUIET_MS - Date.now()));
    await market.counter.send({ method: "GET", path: `/api/v1/sales/${market.sale.id}` });
  };
  const enter = async (buyers: readonly Buyer[], atMs: number) => {
    await until(atMs);
    await Promise.all(buyers.map((buyer) => visit(buyer, market)));
  };
  const lookersMax = Math.max(0, opensAtMs - QUIET_MS - Date.now()) * LOOKERS_PER_MS_MAX;
  await Promise.all(crowd.slice(0, lookersMax).map(look));
  const byArrival = Map.groupBy(crowd, (buyer) => buyer.pressesAfterMs);
  await Promise.all([...byArrival].map(([afterMs, buyers]) => enter(buyers, opensAtMs + afterMs)));
}
