// Redis beside the ledger. A partition is looked at in Redis first, then Postgres is waited for until it has applied that
// number, and only then the proof's transaction begins: what the ledger has applied since is taken back from its figures,
// and both are compared at the same number, exactly, while the sale goes on.
import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { findPartition } from "../ledger/partitions.ts";
import type { PartitionSnapshot, PartitionStock } from "../stock/partition-stock.ts";
import type { LaterMovement, MovementSum, PartitionFigures } from "./books.ts";
import type { RedisProof, SkuProof } from "./document.ts";

/** What Redis said, by partition. `undefined`: it could not be asked; `absent`: it does not have the partition. */
export type RedisPicture = ReadonlyMap<number, PartitionSnapshot | "absent" | undefined>;

export const CATCH_UP_MS = 3_000;
const POLL_MS = 20;

/** Looks at every partition, and waits until Postgres has applied what Redis had then, within bounds. */
export async function lookAtRedis(
  stock: PartitionStock | undefined,
  pool: pg.Pool,
  saleId: string,
  partitions: readonly number[],
  catchUpMs: number = CATCH_UP_MS,
): Promise<RedisPicture> {
  const picture = new Map<number, PartitionSnapshot | "absent" | undefined>();
  for (const partition of partitions) {
    const snapshot = await stock?.snapshot({ saleId, partition }).catch(() => undefined);
    picture.set(partition, snapshot === undefined || snapshot.type === "OK" ? snapshot : "absent");
  }
  const giveUpAt = performance.now() + catchUpMs;
  for (const [partition, snapshot] of picture) {
    if (snapshot === undefined || snapshot === "absent") continue;
    for (;;) {
      const row = await findPartition(pool, { saleId, partition });
      const isThere = row && (row.epoch !== snapshot.position.epoch || row.seq >= snapshot.position.seq);
      if (isThere || performance.now() >= giveUpAt) break;
      await sleep(POLL_MS);
    }
  }
  return picture;
}

/** The movements of a partition, summed, by product and kind with a blank between. */
export type MovedUnits = ReadonlyMap<string, MovementSum>;

/** Units: available, reserved, sold. */
type Triple = [number, number, number];

/** What a movement of one unit does in Redis. */
const EFFECT: Record<MovementSum["kind"], Triple> = {
  place: [-1, 1, 0],
  settle: [0, -1, 1],
  release: [1, -1, 0],
  restock: [1, 0, 0],
  revive: [-1, 1, 0],
  return: [1, 0, -1],
  write_off: [0, 0, -1],
  // Moves Redis to what the ledger says; what it was before is nothing that the ledger knows.
  adjust: [0, 0, 0],
};

/**
 * Compares a partition.
 *
 * @param moved for what the ledger refused and Redis holds
 * @param later what was applied since Redis was looked at
 */
export function compareRedis(
  of: PartitionFigures,
  skus: readonly SkuProof[],
  moved: MovedUnits,
  snapshot: PartitionSnapshot | "absent" | undefined,
  later: readonly LaterMovement[],
  mayHoldLetters: boolean,
): RedisProof {
  if (snapshot === undefined) return { verdict: "unreachable", epoch: null, seq: null, at: null, skus: [] };
  if (snapshot === "absent") return { verdict: "absent", epoch: null, seq: null, at: null, skus: [] };
  const { epoch, seq } = snapshot.position;
  const seen = { epoch, seq, at: new Date(snapshot.atMs).toISOString() };
  if (epoch !== of.epoch) return { verdict: "absent", ...seen, skus: [] };
  if (seq > of.seq) return { verdict: "in flight", ...seen, skus: [] };
  const laterBySku = Map.groupBy(later, (movement) => movement.productId);
  const rows = skus.map((sku) => {
    const redis = snapshot.stock.get(sku.productId) ?? { available: 0, reserved: 0, sold: 0 };
    const ledger = expectedUnits(sku, moved, laterBySku.get(sku.productId) ?? []);
    return { productId: sku.productId, redis: [redis.available, redis.reserved, redis.sold], ledger };
  });
  const differs = rows.some(({ redis, ledger }) => redis.some((units, i) => units !== ledger[i]));
  const verdict = !differs ? "equal" : mayHoldLetters ? "dead letters" : "different";
  return { verdict, ...seen, skus: rows };
}

function expectedUnits(sku: SkuProof, moved: MovedUnits, later: readonly LaterMovement[]): Triple {
  const refused = (kind: MovementSum["kind"]) => moved.get(`${sku.productId} ${kind}`)?.refusedNow ?? 0;
  const reserved = sku.reserved + refused("place") + refused("revive") - refused("settle") - refused("release");
  const sold = sku.sold + refused("settle") - refused("return") - refused("write_off");
  // A write-off that the ledger refused is gone in Redis all the same.
  const available = sku.allocated - sku.holdback - sku.undelivered - reserved - sold - refused("write_off");
  const units: Triple = [available, reserved, sold];
  for (const { kind, quantity, heldBack } of later) {
    const effect = EFFECT[kind];
    for (const i of [0, 1, 2] as const) units[i] -= effect[i] * quantity;
    // A unit that was held back never was available.
    units[0] -= heldBack;
  }
  return units;
}
