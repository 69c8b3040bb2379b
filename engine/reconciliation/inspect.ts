// One look at a partition, and the verdict of two. A look compares Redis at one position with the ledger rolled back to
// that position, so that what is in flight is never taken for a difference; a difference counts when two looks agree on it.
import { setTimeout as sleep } from "node:timers/promises";
import type { Partition } from "../keys.ts";
import { partitionKeys } from "../keys.ts";
import type { Queryable } from "../ledger/database.ts";
import { type Position, parseMovement } from "../movement.ts";
import { type Census, listOnceUnlimited, takeCensus } from "./census.ts";
import { type Drift, fingerprintOf, type Verdict } from "./drift.ts";
import { blameLedger, compareFigures, compareLimits, compareSettings } from "./figures.ts";
import { type LedgerPicture, onSnapshot, readHead, readLedger, sumMovements } from "./ledger-side.ts";
import {
  compareHolds,
  compareLimitUse,
  judgeHolds,
  judgeLimitUse,
  type LimitedProducts,
  type Servers,
} from "./records.ts";
import { type RedisPicture, readPicture } from "./redis-side.ts";
import { type Patience, Uncertain, untilApplied } from "./waiting.ts";

/** Figures, settings and, if asked for, counts, all at one position. */
export interface Look {
  readonly position: Position;
  readonly drifts: readonly Drift[];
  readonly counted: Counted | undefined;
}

/** What only counting shows. */
export interface Counted {
  readonly drifts: readonly Drift[];
  /** Products that have a limit per buyer. */
  readonly limited: LimitedProducts;
  /** Held records in Redis beyond what the ledger counts. */
  readonly holdsOff: number;
}

const SECOND_LOOK_AFTER_MS = 200;

/** Compares all of the partition, twice where something differs. Reads only. */
export async function inspectPartition(servers: Servers, at: Partition, patience: Patience): Promise<Verdict> {
  try {
    const first = await lookAtFigures(servers, at, patience, true);
    if (!first.counted) return { type: "DRIFT", position: first.position, drifts: first.drifts };
    const holds = await compareHolds(servers, at, patience);
    const limits = await compareLimitUse(servers, at, first.counted.limited, patience);
    const suspects = [...first.drifts, ...first.counted.drifts, ...holds, ...limits];
    if (suspects.length === 0) return { type: "CLEAN", position: first.position };

    await sleep(SECOND_LOOK_AFTER_MS);
    const second = await lookAtFigures(servers, at, patience, true);
    const again = [
      ...second.drifts,
      ...(second.counted?.drifts ?? []),
      ...(await judgeHolds(servers, at, ordersOf(holds), patience)),
      ...(await judgeLimitUse(servers, at, limitFieldsOf(limits), first.counted.limited, patience)),
    ];
    const drifts = withoutConsequences(seenTwice(suspects, again));
    const { position } = second;
    return drifts.length === 0 ? { type: "CLEAN", position } : { type: "DRIFT", position, drifts };
  } catch (error) {
    if (!(error instanceof Uncertain)) throw error;
    return { type: "UNCERTAIN", reason: error.message, drifts: [] };
  }
}

/**
 * Compares figures, limits per product and settings, and with `counting` the ledger with itself.
 *
 * @throws Uncertain when Redis and Postgres cannot be brought to one position
 */
export async function lookAtFigures(
  servers: Servers,
  at: Partition,
  patience: Patience,
  counting: boolean,
): Promise<Look> {
  const { pool, redis } = servers;
  const before = await readHead(pool, at);
  const picture = await readPicture(redis, at);
  if (!picture) {
    if (before?.state === "new") throw new Uncertain("The partition was never opened.");
    throw new Uncertain("Redis does not have the partition; `stock rebuild` restores it.");
  }
  const { position } = picture;
  if (before && before.epoch === position.epoch && before.seq > position.seq) {
    throw new Uncertain(
      `Redis is at number ${position.seq}, Postgres at ${before.seq}: it went back; \`stock rebuild\`.`,
    );
  }
  try {
    await untilApplied(pool, at, position, patience);
  } catch (error) {
    const lost = error instanceof Uncertain ? await findHoleInLog(servers, at, picture) : undefined;
    if (!lost) throw error;
    return { position, drifts: [lost], counted: undefined };
  }
  return await onSnapshot(pool, async (db) => {
    const head = await readHead(db, at);
    if (head?.epoch !== position.epoch || head.state !== "live") throw new Uncertain("The partition is being rebuilt.");
    const ledger = await readLedger(db, at, head, position.seq);
    const figures = compareFigures(ledger.products, picture.products);
    if (figures.length > 0 && ledger.deadLetters.unreadable > 0) {
      throw new Uncertain(`The units of ${ledger.deadLetters.unreadable} dead letters cannot be told.`);
    }
    const skus = [...new Set(figures.map(({ sku }) => sku))];
    const edited =
      skus.length > 0
        ? blameLedger(ledger.products, await sumMovements(db, at, skus.filter(isLedgerSku(ledger))), picture.products)
        : [];
    const blamed = new Set(edited.flatMap((drift) => (drift.kind === "LEDGER_EDITED" ? [drift.sku] : [])));
    const census = counting ? await takeCensus(db, at, head, picture.nowMs) : undefined;
    return {
      position,
      drifts: [
        ...edited,
        ...figures.filter(({ sku }) => !blamed.has(sku)),
        ...compareLimits(ledger.sale.limits, picture.products),
        ...compareSettings(ledger.sale.settings, picture.meta),
      ],
      counted: census && {
        drifts: census.drifts,
        limited: await limitedProducts(db, at, ledger.sale.limits),
        holdsOff: holdsOff(picture, ledger, census),
      },
    };
  });
}

/** What both looks saw, as the later one did. */
export function seenTwice(first: readonly Drift[], second: readonly Drift[]): Drift[] {
  const seen = new Set(first.map(fingerprintOf));
  const both = new Map<string, Drift>();
  for (const drift of second) {
    const fingerprint = fingerprintOf(drift);
    const known = both.get(fingerprint);
    // A missing order may be seen from both sides; the hold's view knows more.
    if (seen.has(fingerprint) && (!known || ("redis" in drift && drift.redis !== ""))) both.set(fingerprint, drift);
  }
  return [...both.values()];
}

/** Leaves out what only follows from another drift of the same partition, and goes away with it. */
export function withoutConsequences(drifts: readonly Drift[]): Drift[] {
  const offHolds = new Set(drifts.flatMap((drift) => (drift.kind.startsWith("HOLD_") ? ordersOf([drift]) : [])));
  const missing = new Set(drifts.flatMap((drift) => (drift.kind === "ORDER_MISSING" ? [drift.orderId] : [])));
  return drifts.filter((drift) => {
    if (drift.kind === "STUCK_TRANSITION") return !offHolds.has(drift.orderId) && !missing.has(drift.orderId);
    // Those that have a name may be the ones that were counted.
    if (drift.kind === "ORDER_MISSING" && drift.orderId === null) return missing.size === 1;
    if (drift.kind === "HOLD_OFF") return !missing.has(drift.orderId);
    // What a missing order has of a limit is in Redis and not in the ledger.
    if (drift.kind === "LIMIT_OFF" && drift.buyer !== null)
      return !(missing.size > 0 && Number(drift.redis) > drift.expected);
    return true;
  });
}

/** Orders that the drifts are about. */
export function ordersOf(drifts: readonly Drift[]): string[] {
  return drifts.flatMap((drift) => ("orderId" in drift && drift.orderId !== null ? [drift.orderId] : []));
}

/** The fields of buyers' limits that the drifts are about. */
export function limitFieldsOf(drifts: readonly Drift[]): string[] {
  return drifts.flatMap((drift) =>
    drift.kind === "LIMIT_OFF" && drift.buyer !== null ? [`${drift.buyer}|${drift.sku}`] : [],
  );
}

async function limitedProducts(
  db: Queryable,
  at: Partition,
  limits: ReadonlyMap<string, number>,
): Promise<LimitedProducts> {
  const skus = [...limits].filter(([, limit]) => limit > 0).map(([sku]) => sku);
  if (skus.length === 0) return new Map();
  const free = await listOnceUnlimited(db, at, skus);
  return new Map(skus.map((sku) => [sku, { wasUnlimited: free.has(sku) }]));
}

function isLedgerSku({ products }: LedgerPicture) {
  const known = new Set(products.map(({ sku }) => sku));
  return (sku: string) => known.has(sku);
}

function holdsOff(picture: RedisPicture, ledger: LedgerPicture, census: Census): number {
  return picture.holds - (census.holds + ledger.deadLetters.count - ledger.holdsSince);
}

/** The numbers that are missing in the log after what the ledger has, or `undefined` when none is. */
async function findHoleInLog(
  { pool, redis }: Servers,
  at: Partition,
  picture: RedisPicture,
): Promise<Drift | undefined> {
  const head = await readHead(pool, at);
  if (!head || head.epoch !== picture.position.epoch || head.seq >= picture.position.seq) return undefined;
  const [entry] = await redis.xrange(partitionKeys(at).stream, `(${head.epoch}-${head.seq}`, "+", "COUNT", 1);
  const first = entry && parseMovement(entry[0], entry[1]).position;
  const toSeq = first ? first.seq - 1 : picture.position.seq;
  if (toSeq <= head.seq || (first && first.epoch !== head.epoch)) return undefined;
  // Entries leave the log only once they are applied: if nothing was applied meanwhile, they did not leave it so.
  const after = await readHead(pool, at);
  if (after?.seq !== head.seq || after.epoch !== head.epoch) return undefined;
  return { kind: "MOVEMENT_LOST", epoch: head.epoch, fromSeq: head.seq + 1, toSeq, applied: false };
}
