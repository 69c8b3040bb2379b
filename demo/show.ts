// The texts of the show: announcement, live line, what the buyers saw, and the proof.
import type { FlashSale } from "./flash-sale.ts";
import type { Proof, StockBooks } from "./proof/proof.ts";
import { pad, type Screen, widthOf } from "./screen.ts";
import type { Tally } from "./tally.ts";

const BAR_COLUMNS = 24;
const LABEL_COLUMNS = 14;
const NUMBER_COLUMNS = 11;

export const VALID = "Proof valid: nothing oversold, nothing lost, nothing charged twice.";

export function count(value: number): string {
  return value.toLocaleString("en");
}

export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

/** The sale at this moment, in lines that fit a terminal of 80 columns. `remaining`: as the shop window says. */
export function progress(
  screen: Screen,
  facts: { sale: FlashSale; tally: Tally; remaining: number; sinceOpeningMs: number; nowMs: number },
): string[] {
  const { sale, tally, remaining, sinceOpeningMs, nowMs } = facts;
  const sold = tally.confirmedUnits;
  // The window answers a moment late in the rush; what the buyers know to be held is held.
  const held = Math.min(sale.units - sold, Math.max(sale.units - sold - remaining, tally.payingUnits));
  const resold = Math.max(0, tally.acceptedUnits - sale.units);
  const stock = `${count(sold)} sold, ${count(held)} held, ${count(sale.units - sold - held)} free`;
  const again = tally.askingAgain > 0 ? ` · asking again ${count(tally.askingAgain)}` : "";
  return [
    `${pad(seconds(sinceOpeningMs), 7, "left")}  ${stockBar(screen, sale.units, sold, held)}  ${stock}`,
    `         accepted ${count(tally.orders)} · paying ${count(tally.paying)} · confirmed ${count(tally.confirmed)}` +
      ` · compensated ${count(tally.compensated)} · resold ${count(resold)}`,
    `         sold out for ${count(tally.waiting)}${again} · ${count(tally.answersPerSecond(nowMs))} req/s` +
      ` · p99 ${count(Math.round(tally.latencyMs(0.99)))} ms`,
  ];
}

/** Sold units are solid, held ones shaded, free ones empty. What there is of a kind shows, however little. */
function stockBar(screen: Screen, units: number, sold: number, held: number): string {
  const columnsOf = (part: number) => (part > 0 ? Math.max(1, Math.round((part / units) * BAR_COLUMNS)) : 0);
  const solid = Math.min(BAR_COLUMNS, columnsOf(sold));
  const shaded = Math.min(BAR_COLUMNS - solid, columnsOf(held));
  const free = BAR_COLUMNS - solid - shaded;
  return screen.style("green", "█".repeat(solid)) + screen.style("yellow", "▒".repeat(shaded)) + "·".repeat(free);
}

/** What the crowd was told, and what became of it according to Postgres. */
export function printAnswers(screen: Screen, sale: FlashSale, tally: Tally, proof: Proof): void {
  const line = (label: string, number: number, explanation: string) =>
    screen.print(`  ${pad(label, LABEL_COLUMNS)}${pad(count(number), NUMBER_COLUMNS, "left")}  ${explanation}`);
  const placed = proof.orders.reduce((total, row) => total + row.units, 0);
  line("accepted", tally.orders, `orders for ${count(tally.acceptedUnits)} units, each with a 202 that must be kept`);
  for (const row of proof.orders) {
    if (row.status === "CONFIRMED") line("confirmed", row.orders, `orders for ${count(row.units)} units, paid`);
    else line("compensated", row.orders, `${row.reason ?? row.status}: ${count(row.units)} units given back`);
  }
  line("resold", Math.max(0, placed - sale.units), "units that came back and found another buyer");
  for (const [code, answers] of [...tally.refusals].sort(([, a], [, b]) => b - a)) {
    line("refused", answers, `answers ${code}`);
  }
  line("replayed", tally.replayed, "second clicks and retries, answered from their key with the same order");
  if (tally.asksRepeated > 0) line("asked again", tally.asksRepeated, "times, as no answer came or a server was away");
  if (tally.unanswered > 0) line("unanswered", tally.unanswered, "buyers never learnt what became of their order");
  screen.print();
}

export function printProof(screen: Screen, proof: Proof): void {
  printBooks(screen, proof.stock);
  const claims = Math.max(...proof.checks.map((check) => widthOf(check.claim)));
  for (const { claim, holds, found } of proof.checks) {
    const mark = holds ? screen.style("green", "✓") : screen.style(["red", "bold"], "✗");
    screen.print(`  ${mark} ${pad(claim, claims)}  ${holds ? screen.style("dim", found) : screen.style("red", found)}`);
  }
  screen.print();
}

export function printVerdict(screen: Screen, broken: readonly string[]): void {
  if (broken.length === 0) {
    screen.print(screen.style(["green", "bold"], VALID));
    return;
  }
  screen.print(
    screen.style(["red", "bold"], `Proof broken: ${broken.length === 1 ? "a promise was" : "promises were"} not kept.`),
  );
  for (const line of broken) screen.print(`  ${line}`);
}

function printBooks(screen: Screen, books: readonly StockBooks[]): void {
  const partitioned = new Set(books.map((book) => book.partition)).size > 1;
  const label = (book: StockBooks) => (partitioned ? `${book.name} [${book.partition}]` : book.name);
  const names = Math.max("Postgres".length, ...books.map((book) => widthOf(label(book))));
  const row = (name: string, cells: readonly string[]) =>
    screen.print(`  ${pad(name, names)}${cells.map((cell) => pad(cell, NUMBER_COLUMNS, "left")).join("")}`);
  for (const book of books) {
    const { redis, postgres } = book;
    row(label(book), ["allocated", "available", "reserved", "sold"]);
    const sum = redis.available + redis.reserved + redis.sold;
    row("Redis", [sum, redis.available, redis.reserved, redis.sold].map(count));
    row("Postgres", [postgres.allocated, postgres.available, postgres.reserved, postgres.sold].map(count));
    screen.print();
  }
}
