// Moving Redis to what the ledger says: differences become the changes of one numbered movement, which adjust.lua makes
// only if everything is still as it was judged.
import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import { CHANNELS, type Partition, partitionKeys, partitionName } from "../keys.ts";
import type { Adjustment, Position } from "../movement.ts";
import { runScript } from "../redis/scripts.ts";
import { parseRefusal } from "../stock/reply.ts";
import { type Drift, isFigure } from "./drift.ts";
import { isOrderId } from "./orders-side.ts";
import { parseHeldRecord } from "./redis-side.ts";

/** What a movement carries at most. */
export const CHANGES_MAX = 500;

type Change = Adjustment["changes"][number];
const SUFFIX = { available: "a", reserved: "r", sold: "s" } as const;

/** The change in Redis that mends a drift, or `undefined` when it is not mended there. */
export function changeOf(drift: Drift): Change | undefined {
  switch (drift.kind) {
    case "STOCK_EDITED":
      return ["stock", `${drift.sku}|${SUFFIX[drift.figure]}`, drift.redis, String(drift.expected)];
    case "LIMIT_OFF":
      if (drift.buyer === null) return ["stock", `${drift.sku}|l`, drift.redis, String(drift.expected)];
      return ["limits", `${drift.buyer}|${drift.sku}`, drift.redis, drift.expected === 0 ? "" : String(drift.expected)];
    case "HOLD_MISSING":
      return ["held", drift.orderId, "", drift.expected];
    case "HOLD_OFF":
      return ["held", drift.orderId, drift.redis, drift.expected];
    case "HOLD_WITHOUT_ORDER":
      return ["held", drift.orderId, drift.redis, ""];
    default:
      return undefined;
  }
}

export type AdjustOutcome =
  | { readonly type: "MOVED"; readonly position: Position }
  | { readonly type: "REFUSED"; readonly why: string };

/**
 * Makes the changes that mend the drifts, at most {@link CHANGES_MAX}, in one movement.
 *
 * @param judged the position at which the drifts were found
 * @param anyProduct a product of the sale: a movement is always about one
 * @throws what Redis throws; a call whose answer was lost is safe to leave, as the next look sees what came of it
 */
export async function adjust(
  redis: Redis,
  at: Partition,
  judged: Position,
  drifts: readonly Drift[],
  by: { readonly actor: string; readonly anyProduct: string },
): Promise<AdjustOutcome> {
  const changes = drifts.map(changeOf).filter((change) => change !== undefined);
  const details: Adjustment = {
    actor: by.actor,
    reason: [...new Set(drifts.map(({ kind }) => kind))].join(", "),
    products: productsOf(drifts, by.anyProduct),
    changes,
  };
  const keys = partitionKeys(at);
  const reply = await runScript(
    redis,
    "adjust",
    [keys.meta, keys.stock, keys.held, keys.limits, keys.movements, keys.stream],
    [judged.epoch, judged.seq, randomUUID(), judged.seq, toJson(details), changes.length, ...changes.flat()],
  );
  const refusal = parseRefusal(reply);
  if (refusal) return { type: "REFUSED", why: refusal.type };
  const [head, second, third] = reply as [string, string, string | number];
  if (head === "BELOW_ZERO")
    return { type: "REFUSED", why: `${second} would be below zero: units were sold meanwhile` };
  if (head !== "OK") return { type: "REFUSED", why: `${second} changed meanwhile` };
  // Units may be back: whoever remembers the partition as sold out asks again.
  await redis.publish(CHANNELS.stock, partitionName(at)).catch(() => undefined);
  return { type: "MOVED", position: { epoch: Number(second), seq: Number(third) } };
}

function productsOf(drifts: readonly Drift[], anyProduct: string): Adjustment["products"] {
  const available = new Map<string, number>();
  const add = (sku: string, units: number) => {
    const known = isOrderId(sku) ? sku : anyProduct; // a hand may have written the name of no product
    available.set(known, (available.get(known) ?? 0) + units);
  };
  for (const drift of drifts) {
    if (drift.kind === "STOCK_EDITED") {
      const moved = isFigure(drift.redis) ? drift.expected - Number(drift.redis) : drift.expected;
      add(drift.sku, drift.figure === "available" ? moved : 0);
    } else if (drift.kind === "LIMIT_OFF") add(drift.sku, 0);
    else {
      const change = changeOf(drift);
      const units = parseHeldRecord(change?.[3] || change?.[2] || "")?.units;
      for (const sku of units?.keys() ?? [anyProduct]) add(sku, 0);
    }
  }
  return [...available].map(([sku, units]) => ({ sku, available: units }));
}

function toJson(details: Adjustment): string {
  // What jsonb does not hold: NUL, and halves of surrogate pairs.
  return JSON.stringify(details, (_key, part: unknown) =>
    typeof part === "string" ? part.replaceAll("\0", "").toWellFormed() : part,
  );
}
