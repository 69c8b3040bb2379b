// `npm run demo`: a whole flash sale against a real instance, and the proof of it.

import { startOwnShop } from "./instance/own.ts";
import { findRunningShop } from "./instance/running.ts";
import type { Shop } from "./instance/shop.ts";
import { parseOptions } from "./options.ts";
import { holdSale } from "./run.ts";
import { Screen } from "./screen.ts";
import { count, seconds } from "./show.ts";

const INTERRUPTED = 130;
/** All buyers behind one address, each asking about twice a second: the limits of a shop whose crowd sits in one office. */
const RATE_PER_BUYER = 3;
const RATE_MIN = 1_000;

const options = parseOptions(process.argv.slice(2));
const screen = new Screen(process.stdout, process.env);
const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stop.abort());

screen.print(
  `${screen.style("bold", "Onrush demo")}: ${count(options.units)} units, ${count(options.buyers)} buyers, seed ${options.seed}`,
);
screen.print();
let shop: Shop | undefined;
let isValid = false;
try {
  shop = await openShop();
  isValid = await holdSale(shop, options, screen, stop.signal);
  process.exitCode = isValid ? 0 : 1;
} catch (error) {
  process.exitCode = stop.signal.aborted ? INTERRUPTED : 1;
  if (!stop.signal.aborted) process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
} finally {
  if (stop.signal.aborted) screen.print("Stopping ...");
  const kept = await shop?.close({ keepFolder: !isValid && !stop.signal.aborted });
  if (kept) process.stderr.write(`The instance's data and logs are kept in ${kept}\n`);
}

async function openShop(): Promise<Shop> {
  if (options.url !== undefined) {
    screen.print(`  The shop   ${options.url}, as it runs`);
    return findRunningShop(options.url, process.env);
  }
  screen.live(["  The shop   starting an instance of its own ..."]);
  const startedAt = performance.now();
  const perSecond = Math.max(RATE_MIN, options.buyers * RATE_PER_BUYER);
  const own = await startOwnShop({ perSecond }, stop.signal);
  screen.print(`  The shop   an instance of its own, up in ${seconds(performance.now() - startedAt)}`);
  const processes = Object.entries(own.pids()).filter(([name]) => name !== "supervisor");
  screen.print(`  Processes  ${processes.map(([name, pid]) => `${name} ${pid}`).join(" · ")}`);
  return own;
}
