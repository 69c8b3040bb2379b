// Rebuilds a partition in Redis from Postgres, after Redis lost data or went back in time. An operator starts it.
//
//   1. the partition is fenced: closed in Postgres, and its numbers taken from Redis, so that no script moves stock any more
//      and the log that is there is all that will ever be acknowledged of this epoch
//   2. what survives of the log is applied, up to the first hole
//   3. the epoch is raised in Postgres: whatever still speaks of the old epoch is refused
//   4. numbers that were acknowledged beyond that are declared lost, and their units held back for their receipts
//   5. holds, limits, idempotency records and movement ids are written; load.lua makes the partition visible, whole
//   6. the partition is opened; payments, settlements and compensations go on under the new epoch
//
// A crash at any step leaves the partition closed; running the rebuild again starts over under a further epoch.
import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import type pg from "pg";
import { findSale, type Sale } from "../../engine/catalogue/sales.ts";
import { listCouponLimits } from "../../engine/coupons/coupons.ts";
import { CONSUMER_GROUP, type Partition, partitionKeys } from "../../engine/keys.ts";
import { recordAudit } from "../../engine/ledger/audit.ts";
import { transaction } from "../../engine/ledger/database.ts";
import { transition } from "../../engine/ledger/fates.ts";
import { setStockState, suspendPartition } from "../../engine/ledger/log.ts";
import { findPartition } from "../../engine/ledger/partitions.ts";
import {
  declareLost,
  deliverByRebuild,
  listAcknowledged,
  listRefused,
  markRebuilt,
  type RebuiltStock,
  raiseEpoch,
  readAppliedMovements,
  readHolds,
  readIdempotency,
  readLimits,
  readStock,
  recordHoldback,
} from "../../engine/ledger/recovery.ts";
import type { Position } from "../../engine/movement.ts";
import type { Outbox } from "../../engine/outbox/outbox.ts";
import { followFates } from "../../engine/points/order-points.ts";
import { redisNowMs } from "../../engine/redis/clock.ts";
import { runScript } from "../../engine/redis/scripts.ts";
import { applyMovements } from "../apply.ts";
import { readAfter } from "../log-stream.ts";

export interface RebuildDependencies {
  readonly pool: pg.Pool;
  readonly outbox: Outbox;
  /** A command connection of an administrator, or of the persister. */
  readonly redis: Redis;
}

/** What a rebuild would do, or has done. Units by SKU. */
export interface RebuildReport extends Partition {
  /** Where Postgres stands, after what survives of the log was applied. */
  readonly from: Position;
  /** Movements of the old log that were applied on the way. */
  readonly survivors: number;
  /** Acknowledged numbers that are gone; `undefined`: none. */
  readonly lost: { readonly fromSeq: number; readonly toSeq: number } | undefined;
  readonly heldBack: ReadonlyMap<string, number>;
  readonly holds: number;
  readonly stock: readonly RebuiltStock[];
  /** The new epoch; `undefined` for a plan. */
  readonly epoch: number | undefined;
}

export class RebuildError extends Error {}

const DAY_MS = 86_400_000;
const FIELDS_PER_CALL = 1_000;
const LOCK_NAMESPACE = 0x6f6e72; // "onr"

/** What {@link rebuildPartition} would find, without changing anything; survivors are counted and not applied. */
export async function planRebuild(deps: RebuildDependencies, at: Partition): Promise<RebuildReport> {
  const row = await partitionOf(deps.pool, at);
  const survivors = await surviving(deps.redis, at, row);
  const from = survivors.at(-1)?.position ?? { epoch: row.epoch, seq: row.seq };
  const { lost, heldBack } = await lossAfter(deps.pool, at, from);
  const [holds, stock] = [await readHolds(deps.pool, at), await readStock(deps.pool, at)];
  return { ...at, from, survivors: survivors.length, lost, heldBack, holds: holds.length, stock, epoch: undefined };
}

/**
 * Rebuilds the partition. Of two at once, one waits for the other.
 *
 * @param actor who declares losses, for the record
 * @throws RebuildError when the partition is unknown or moved on while it was being rebuilt
 */
export async function rebuildPartition(
  deps: RebuildDependencies,
  at: Partition,
  actor: string,
): Promise<RebuildReport> {
  const lock = await deps.pool.connect();
  try {
    const key = `${at.saleId}.${at.partition}`;
    await lock.query("SELECT pg_advisory_lock($1, hashtext($2))", [LOCK_NAMESPACE, key]);
    try {
      return await rebuildLocked(deps, at, actor);
    } finally {
      await lock.query("SELECT pg_advisory_unlock($1, hashtext($2))", [LOCK_NAMESPACE, key]);
    }
  } finally {
    lock.release();
  }
}

async function rebuildLocked(deps: RebuildDependencies, at: Partition, actor: string): Promise<RebuildReport> {
  await partitionOf(deps.pool, at);
  const sale = await findSale(deps.pool, at.saleId);
  if (!sale) throw new RebuildError(`There is no sale ${at.saleId}.`);
  await fence(deps, at);
  const survivors = await applySurvivors(deps, at);
  const row = await partitionOf(deps.pool, at);
  const from = { epoch: row.epoch, seq: row.seq };
  const nowMs = await redisNowMs(deps.redis);

  const { epoch, lost, heldBack } = await transaction(deps.pool, async (client) => {
    const raised = await raiseEpoch(client, at, from);
    if (raised === undefined) throw new RebuildError("The log moved on while it was being rebuilt; run it again.");
    await deliverByRebuild(client, at, raised);
    const loss = await lossAfter(client, at, from);
    if (loss.lost) await declareLost(client, at, { epoch: from.epoch, ...loss.lost }, actor);
    for (const [productId, quantity] of loss.heldBack) {
      const untilMs = nowMs + sale.reservationTtlMs;
      await recordHoldback(client, at, { movementId: randomUUID(), productId, quantity, untilMs });
    }
    await endRefused(client, at);
    await recordAudit(client, {
      actor,
      action: "stock.rebuild",
      subject: `sale:${at.saleId}`,
      before: { partition: at.partition, ...from },
      after: { partition: at.partition, epoch: raised, lost: loss.lost, heldBack: Object.fromEntries(loss.heldBack) },
    });
    return { ...loss, epoch: raised };
  });

  const stock = await readStock(deps.pool, at);
  const holds = await writeRecords(deps, at, nowMs);
  const coupons = await listCouponLimits(deps.pool, at.saleId);
  const day = Math.floor(nowMs / DAY_MS);
  await load(deps.redis, at, sale, { epoch, reservation: row.reservation, day, stock, coupons });
  await markRebuilt(deps.pool, at, epoch);
  return { ...at, from, survivors, lost, heldBack, holds, stock, epoch };
}

/** Holds that the ledger refused are gone with the old Redis: cancellations end by it, other orders stay as they are. */
async function endRefused(client: pg.PoolClient, at: Partition): Promise<void> {
  const refused = await listRefused(client, at);
  await followFates(client, await transition(client, "release", refused, null, "released"));
  await setStockState(client, refused, "released");
}

// A rebuild may come while the partition sells: an order that were accepted between the last look at the log and the new
// epoch would be acknowledged and gone. Without its numbers every script refuses the partition; the log stays.
async function fence({ pool, redis }: RebuildDependencies, at: Partition): Promise<void> {
  await suspendPartition(pool, at, "being rebuilt");
  await redis.del(partitionKeys(at).meta);
}

async function partitionOf(pool: pg.Pool, at: Partition) {
  const row = await findPartition(pool, at);
  if (!row) throw new RebuildError(`There is no partition ${at.partition} of a sale ${at.saleId}.`);
  return row;
}

/** Movements of Postgres' epoch that follow its position without a hole. */
async function surviving(redis: Redis, at: Partition, from: Position) {
  const movements = [];
  let { seq } = from;
  for (;;) {
    const page = await readAfter(redis, at, { epoch: from.epoch, seq });
    for (const movement of page) {
      if (movement.position.epoch !== from.epoch || movement.position.seq !== seq + 1) return movements;
      movements.push(movement);
      seq += 1;
    }
    if (page.length === 0) return movements;
  }
}

async function applySurvivors(deps: RebuildDependencies, at: Partition): Promise<number> {
  let applied = 0;
  for (;;) {
    const row = await partitionOf(deps.pool, at);
    const movements = await readAfter(deps.redis, at, row);
    if (movements.length === 0) return applied;
    const outcome = await applyMovements(deps, at, movements);
    if (outcome.type !== "applied") return applied;
    applied += Math.max(0, outcome.position.seq - row.seq);
    if (outcome.position.seq === row.seq) return applied;
  }
}

/** What processes acknowledged beyond a position: the numbers, and their units. */
async function lossAfter(db: pg.Pool | pg.PoolClient, at: Partition, from: Position) {
  const reports = await listAcknowledged(db, at, from.epoch);
  const highest = Math.max(from.seq, ...reports.map((report) => report.seq));
  const heldBack = new Map<string, number>();
  for (const { entries } of reports) {
    for (const { seq, units } of entries) {
      if (seq <= from.seq) continue;
      for (const [sku, count] of Object.entries(units)) heldBack.set(sku, (heldBack.get(sku) ?? 0) + count);
    }
  }
  const lost = highest > from.seq ? { fromSeq: from.seq + 1, toSeq: highest } : undefined;
  return { lost, heldBack: await capToAvailable(db, at, heldBack) };
}

// Units that the ledger does not have cannot be held back: the second guard would have refused those orders.
async function capToAvailable(db: pg.Pool | pg.PoolClient, at: Partition, heldBack: ReadonlyMap<string, number>) {
  if (heldBack.size === 0) return heldBack;
  const stock = await readStock(db, at);
  const available = new Map(stock.map((row) => [row.productId, row.available + row.undelivered]));
  const capped = [...heldBack].map(([sku, units]) => [sku, Math.min(units, available.get(sku) ?? 0)] as const);
  return new Map(capped.filter(([, units]) => units > 0));
}

/** Writes everything beside stock and numbers, invisible until load.lua has run. @returns how many holds */
async function writeRecords({ pool, redis }: RebuildDependencies, at: Partition, nowMs: number): Promise<number> {
  const keys = partitionKeys(at);
  const today = Math.floor(nowMs / DAY_MS);
  const bucketOf = (day: number) => (day % 2 === 0 ? keys.idempotencyEven : keys.idempotencyOdd);
  await redis.unlink(
    keys.held,
    keys.limits,
    keys.idempotencyEven,
    keys.idempotencyOdd,
    keys.recentEven,
    keys.recentOdd,
    keys.movements,
  );
  const holds = await readHolds(pool, at);
  await writeHash(
    redis,
    keys.held,
    holds.map((h) => [h.id, `${h.reservation}|${h.untilMs}|${h.epoch}-${h.seq}|${h.buyer}|${h.units}`]),
  );
  await writeHash(redis, keys.limits, await readLimits(pool, at));
  for (const day of [today, today - 1]) await writeHash(redis, bucketOf(day), await readIdempotency(pool, at, day));
  await writeHash(redis, keys.movements, await readAppliedMovements(pool, at));
  return holds.length;
}

async function writeHash(redis: Redis, key: string, fields: readonly (readonly [string, string | number])[]) {
  for (let from = 0; from < fields.length; from += FIELDS_PER_CALL) {
    await redis.hset(key, ...fields.slice(from, from + FIELDS_PER_CALL).flat());
  }
}

async function load(
  redis: Redis,
  at: Partition,
  sale: Sale,
  to: {
    epoch: number;
    reservation: number;
    day: number;
    stock: readonly RebuiltStock[];
    coupons: readonly { readonly sku: string; readonly limit: number }[];
  },
): Promise<void> {
  const keys = partitionKeys(at);
  const figures = new Map(to.stock.map((row) => [row.productId, row]));
  const limits = new Map([
    ...sale.items.map((item) => [item.productId, item.perCustomerLimit ?? 0] as const),
    ...to.coupons.map(({ sku, limit }) => [sku, limit] as const),
  ]);
  const skus = [...new Set([...figures.keys(), ...limits.keys()])];
  const reply = await runScript(
    redis,
    "load",
    [keys.meta, keys.stock, keys.stream],
    [
      to.epoch,
      to.reservation,
      sale.opensAt.getTime(),
      sale.closesAt?.getTime() ?? 0,
      sale.admission,
      sale.reservationTtlMs,
      CONSUMER_GROUP,
      to.day,
      skus.length,
      ...skus.flatMap((sku) => {
        const { available = 0, reserved = 0, sold = 0 } = figures.get(sku) ?? {};
        return [sku, limits.get(sku) ?? 0, available, reserved, sold];
      }),
    ],
  );
  if ((reply as unknown[])[0] !== "OK") throw new RebuildError("Another rebuild came in between; run it again.");
}
