// The demo from the announcement to the verdict, on a shop that is there already.
import { setTimeout as sleep } from "node:timers/promises";
import type { Market } from "./buyer.ts";
import { DOUBLE_CLICK_SHARE, drawCrowd, rush, thinkMs } from "./crowd.ts";
import { announceSale, type FlashSale, unitsRemaining } from "./flash-sale.ts";
import { HttpClient } from "./http.ts";
import type { Shop } from "./instance/shop.ts";
import type { DemoOptions } from "./options.ts";
import { judgeSale } from "./proof/judge.ts";
import type { Screen } from "./screen.ts";
import { count, printAnswers, printProof, printVerdict, progress, seconds } from "./show.ts";
import { Tally } from "./tally.ts";

const CONNECTIONS = 200;
const WINDOW_CONNECTIONS = 50;
/** From the opening until the crowd is sent home; a sale that loses a server or two is over long before. */
const RUSH_MS_MAX = 90_000;
const WINDOW_INTERVAL_MS = 100;
/** A countdown in a pipe that says every second is enough. */
const COUNTDOWN_STEP_MS = 1_000;

/** Holds the sale and prints it. @returns whether the proof is valid */
export async function holdSale(
  shop: Shop,
  options: DemoOptions,
  screen: Screen,
  stopped: AbortSignal,
): Promise<boolean> {
  const counter = new HttpClient(shop.apiUrl, CONNECTIONS);
  const window = new HttpClient(shop.apiUrl, WINDOW_CONNECTIONS);
  try {
    const sale = await announceSale(window, shop.admin, { units: options.units, opensInMs: options.opensIn * 1_000 });
    const crowd = drawCrowd({ ...options, perCustomerLimit: sale.perCustomerLimit });
    announce(screen, sale, options);
    const deadline = AbortSignal.any([stopped, AbortSignal.timeout(options.opensIn * 1_000 + RUSH_MS_MAX)]);
    const tally = new Tally();
    const soldForGood = new AbortController();
    const market: Market = {
      counter,
      window,
      sale,
      tally,
      thinkMs: () => thinkMs(tally.waiting),
      deadline,
      soldForGood,
      patience: AbortSignal.any([deadline, soldForGood.signal]),
    };
    const over = new AbortController();
    const watching = watch(screen, market, over.signal, stopped);
    await rush(crowd, market).finally(() => over.abort());
    await watching;
    stopped.throwIfAborted();
    return await conclude(shop, screen, sale, tally);
  } finally {
    counter.close();
    window.close();
  }
}

function announce(screen: Screen, sale: FlashSale, { buyers, decline, slow, opensIn }: DemoOptions): void {
  const price = `${count(sale.price)} ${sale.currency}`;
  screen.print(
    `  The sale   ${count(sale.units)} × ${sale.productName} at ${price}, ${sale.perCustomerLimit} a customer at most`,
  );
  screen.print(
    `  The crowd  ${count(buyers)} buyers on ${CONNECTIONS} connections; ${percent(DOUBLE_CLICK_SHARE)} click twice`,
  );
  screen.print(`  The banks  decline ${percent(decline)} of the cards, and take two seconds over ${percent(slow)}`);
  screen.print(`  Opening    in ${opensIn} s, by the clock (sale ${sale.id})`);
  screen.print();
}

/** Draws the countdown, then the sale, until it is over. */
async function watch(
  screen: Screen,
  { window, sale, tally }: Market,
  settled: AbortSignal,
  stopped: AbortSignal,
): Promise<void> {
  const over = AbortSignal.any([settled, stopped]);
  const opensAtMs = sale.opensAt.getTime();
  let remaining = sale.units;
  const looking = (async () => {
    while (!over.aborted) {
      remaining = (await unitsRemaining(window, sale.id)) ?? remaining;
      await pause(WINDOW_INTERVAL_MS, over);
    }
  })();
  for (let leftMs = opensAtMs - Date.now(); leftMs > 0 && !over.aborted; leftMs = opensAtMs - Date.now()) {
    screen.live([`  Opens in ${Math.ceil(leftMs / COUNTDOWN_STEP_MS)} ...`]);
    await pause(Math.min(leftMs, screen.intervalMs), over);
  }
  const draw = () => {
    const sinceOpeningMs = Math.max(0, Date.now() - opensAtMs);
    screen.live(progress(screen, { sale, tally, remaining, sinceOpeningMs, nowMs: performance.now() }));
  };
  while (!over.aborted) {
    await pause(screen.intervalMs, over);
    if (!over.aborted) draw();
  }
  await looking;
  if (stopped.aborted) return;
  remaining = (await unitsRemaining(window, sale.id)) ?? remaining;
  draw();
  screen.settle();
  screen.print();
  screen.print(
    `  ${count(tally.answers)} answers, half within ${count(Math.round(tally.latencyMs(0.5)))} ms of pressing, 99% within ` +
      `${count(Math.round(tally.latencyMs(0.99)))} ms. All settled ${seconds(Date.now() - opensAtMs)} after the opening.`,
  );
  screen.print();
}

async function conclude(shop: Shop, screen: Screen, sale: FlashSale, tally: Tally): Promise<boolean> {
  const { motion, proof } = await judgeSale(shop, sale.id, tally);
  printAnswers(screen, sale, tally, proof);
  printProof(screen, proof);
  const broken = proof.checks.filter((check) => !check.holds).map((check) => `${check.claim}: ${check.found}`);
  if (motion !== undefined) broken.push(`The sale did not come to rest: ${motion}`);
  if (tally.splitKeys > 0) broken.push(`Clients saw two orders under one key: ${tally.splitKeys} times`);
  printVerdict(screen, broken);
  return broken.length === 0;
}

function percent(share: number): string {
  return `${Math.round(share * 1_000) / 10}%`;
}

/** Sleeps, but not beyond the end of the sale. */
async function pause(ms: number, over: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal: over }).catch(() => undefined);
}
