// What is left of a sale, and the state that this puts it in, by Redis.
import { type SaleState, saleState } from "../engine/catalogue/sale-state.ts";
import type { Sale } from "../engine/catalogue/sales.ts";
import { redisNowMs } from "../engine/redis/clock.ts";
import type { Servers } from "./servers.ts";
import type { Terminal } from "./terminal.ts";

export interface SaleStanding {
  /** `lost`: a partition is not in Redis, and an operator's rebuild is due. */
  readonly state: SaleState | "lost";
  /** Units that can be had, by product. */
  readonly remaining: ReadonlyMap<string, number>;
}

export async function standingOf(
  { stock, redis }: Pick<Servers, "stock" | "redis">,
  sale: Sale,
): Promise<SaleStanding> {
  const remaining = new Map<string, number>();
  for (const { partition } of sale.partitionEpochs) {
    const snapshot = await stock.snapshot({ saleId: sale.id, partition });
    if (snapshot.type !== "OK") return { state: "lost", remaining };
    for (const { productId } of sale.items) {
      remaining.set(productId, (remaining.get(productId) ?? 0) + (snapshot.stock.get(productId)?.available ?? 0));
    }
  }
  return { state: saleState(sale, { remaining, nowMs: await redisNowMs(redis) }), remaining };
}

export function paintState(state: SaleStanding["state"], { colors }: Terminal): string {
  switch (state) {
    case "open":
      return colors.green(state);
    case "lost":
      return colors.red(state);
    case "paused":
    case "sold_out":
      return colors.yellow(state);
    default:
      return colors.dim(state);
  }
}

/** 2026-11-27 10:00, in UTC. */
export function shortInstant(at: Date | null): string {
  return at === null ? "never" : at.toISOString().slice(0, 16).replace("T", " ");
}
