// Guests who buy: some at a time for a while, and a crowd at once for less than it wants.
import { randomUUID } from "node:crypto";
import { Refused, type Shop } from "./platform.ts";

export interface Steady {
  readonly buyers: number;
  readonly orders: number;
  /** Purchases that the platform ended without an order. */
  readonly refused: number;
  readonly seconds: number;
  readonly ordersPerSecond: number;
  /** Of a complete purchase, all its requests. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface Rush {
  readonly buyers: number;
  readonly units: number;
  /** Buyers who were told that they have an order, each at the first attempt. */
  readonly sold: number;
  /** Paid orders in the platform's books. */
  readonly paid: number;
  /** Paid beyond the units. */
  readonly oversold: number;
  /** Units left in the platform's books. */
  readonly left: number;
  readonly seconds: number;
  /** What the others were told, and how many of them. */
  readonly refusals: Readonly<Record<string, number>>;
}

const WARM_UP_ORDERS = 5;
const AMPLE = 1_000_000;
const REASON_CHARACTERS = 120;

/** `buyers` at a time, each one purchase after the other, until `seconds` are over; what is under way then counts. */
export async function buySteadily(shop: Shop, buyers: number, seconds: number): Promise<Steady> {
  const product = await shop.offer(`steady-${buyers}-${randomUUID().slice(0, 8)}`, AMPLE);
  for (let n = 0; n < WARM_UP_ORDERS; n += 1) await shop.purchase(product, randomUUID());
  const latencies: number[] = [];
  let refused = 0;
  const startedAt = performance.now();
  const endsAt = startedAt + seconds * 1_000;
  const buy = async () => {
    while (performance.now() < endsAt) {
      const at = performance.now();
      try {
        await shop.purchase(product, randomUUID());
        latencies.push(performance.now() - at);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        refused += 1;
      }
    }
  };
  await Promise.all(Array.from({ length: buyers }, buy));
  const took = (performance.now() - startedAt) / 1_000;
  const sorted = latencies.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  return {
    buyers,
    orders: sorted.length,
    refused,
    seconds: took,
    ordersPerSecond: sorted.length / took,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
  };
}

/** All of them at once, one attempt each. */
export async function rush(shop: Shop, buyers: number, units: number): Promise<Rush> {
  const product = await shop.offer(`rush-${randomUUID().slice(0, 8)}`, units);
  const refusals: Record<string, number> = {};
  let sold = 0;
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: buyers }, async () => {
      try {
        await shop.purchase(product, randomUUID());
        sold += 1;
      } catch (error) {
        const reason = reasonOf(error);
        refusals[reason] = (refusals[reason] ?? 0) + 1;
      }
    }),
  );
  const seconds = (performance.now() - startedAt) / 1_000;
  const { paid, left } = await shop.stockAfter(product);
  return { buyers, units, sold, paid, oversold: Math.max(0, paid - units), left, seconds, refusals };
}

/** Without ids, so that equal reasons are counted together. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replaceAll(/[a-z]+_[0-9A-Z]{20,}/g, "...").slice(0, REASON_CHARACTERS);
}
