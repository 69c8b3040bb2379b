// Waiting until Postgres has what Redis accepted, with the rate at which it got there.
import { setTimeout as delay } from "node:timers/promises";
import type { Books } from "./books.ts";
import type { Sale } from "./shop.ts";

const POLL_MS = 100;
/** No progress for this long means that it will not end. */
const STALLED_MS = 30_000;

export interface Drain {
  readonly orders: number;
  /** From the last look before the first progress to the first look at the whole. */
  readonly perSecond: number;
}

interface Look {
  readonly atMs: number;
  /** Orders in the ledger. */
  readonly orders: number;
  readonly complete: boolean;
}

/** Follows the ledger of the sales until it has their whole logs. @throws when it stops getting nearer */
export async function untilApplied(books: Books, sales: readonly Sale[]): Promise<Drain> {
  let from = await look(books, sales);
  for (let last = from; ; ) {
    if (last.complete) {
      const orders = last.orders - from.orders;
      return { orders, perSecond: orders === 0 ? 0 : orders / ((last.atMs - from.atMs) / 1_000) };
    }
    await delay(POLL_MS);
    const now = await look(books, sales);
    if (now.orders === from.orders) from = { ...now }; // it has not begun yet: connections, leases
    if (now.orders > last.orders || now.complete) last = now;
    else if (now.atMs - last.atMs > STALLED_MS) throw new Error("the log is not being applied any more");
  }
}

/** Waits until no order of the sale is under way. @throws when their number stops falling */
export async function untilFinished(books: Books, sale: Sale): Promise<void> {
  for (let least = Number.POSITIVE_INFINITY, at = performance.now(); ; await delay(POLL_MS)) {
    const unfinished = await books.unfinished(sale);
    if (unfinished === 0) return;
    if (unfinished < least) [least, at] = [unfinished, performance.now()];
    else if (performance.now() - at > STALLED_MS) throw new Error(`${unfinished} orders do not come to an end`);
  }
}

async function look(books: Books, sales: readonly Sale[]): Promise<Look> {
  let orders = 0;
  let complete = true;
  for (const sale of sales) {
    const [head, applied] = await Promise.all([books.logHead(sale), books.applied(sale)]);
    orders += applied.orders;
    complete &&= applied.seq >= head.seq;
  }
  return { atMs: performance.now(), orders, complete };
}
