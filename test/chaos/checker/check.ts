// The judge of a run: all promises over what clients saw and what the books say. Pure.
import { type Counts, type HistoryEvent, placementsOf } from "../history.ts";
import { checkAcknowledged } from "./acknowledged.ts";
import type { Allowances, Books, Violation } from "./books.ts";
import { checkDiscounts } from "./discounts.ts";
import { checkMoney } from "./money.ts";
import { checkEnds } from "./orders.ts";
import { checkRefunds } from "./refunds.ts";
import { checkStock } from "./stock.ts";
import { checkWallets } from "./wallets.ts";

/** @returns every broken promise; empty when all hold */
export function check(events: readonly HistoryEvent[], books: Books, allowed: Allowances = {}): Violation[] {
  return [
    ...checkStock(books, allowed),
    ...checkEnds(books, allowed),
    ...checkMoney(books),
    ...checkRefunds(books),
    ...checkWallets(books),
    ...checkDiscounts(books, placementsOf(events)),
    ...checkAcknowledged(books, placementsOf(events), events, allowed),
  ];
}

export interface Minimum {
  readonly accepted: number;
  readonly refused: number;
  readonly unknown: number;
}

/** A run that hardly did anything proves nothing. @returns what fell short */
export function shortfalls(counts: Counts, fired: number, minimum: Minimum, planned = 1): string[] {
  const short = (["accepted", "refused", "unknown"] as const).flatMap((name) =>
    counts[name] < minimum[name] ? [`${counts[name]} ${name}, at least ${minimum[name]} are needed`] : [],
  );
  if (fired === 0) return ["the fault did not fire", ...short];
  return fired >= planned ? short : [`the fault fired ${fired} of ${planned} times`, ...short];
}
