// After another server has answered: does it have every partition, as far as this process and Postgres have seen it? A
// partition that is behind sells nothing in any case (place.lua is told the highest seq known); this is so that the loss
// is known, and known of, before somebody orders.
import { setTimeout as sleep } from "node:timers/promises";
import type { SaleView } from "../catalogue/view.ts";
import { type Partition, partitionName } from "../keys.ts";
import type { Queryable } from "../ledger/database.ts";
import { listPartitions, type PartitionRow } from "../ledger/partitions.ts";
import { highestAcknowledged } from "../ledger/recovery.ts";
import { comparePositions, formatPosition, type Position } from "../movement.ts";
import type { KnownPositions } from "../stock/known-positions.ts";
import type { PartitionStock } from "../stock/partition-stock.ts";
import type { ServerNotice } from "./server-gate.ts";

/** A live partition that Redis lost, or has as it was in the past. */
export interface LostPartition extends Partition {
  readonly known: Position;
  /** `undefined`: Redis does not have the partition at all. */
  readonly found: Position | undefined;
}

interface LivePartition extends Partition, Position {}

const NAMED_MAX = 10;
/** How long Postgres is waited for; it may be away while orders are accepted. */
const POSTGRES_MS_MAX = 1_000;
/** Partitions that are asked for at the same time. */
const AT_ONCE = 32;

/**
 * The live partitions as far as Postgres has applied them or any process has reported to have acknowledged; as far as the
 * catalogue's copy says while Postgres does not answer.
 */
export async function livePartitions(db: Queryable, sales: () => Iterable<SaleView>): Promise<LivePartition[]> {
  const timeout = new AbortController();
  const rows = await Promise.race([
    reachedPositions(db).catch(() => undefined),
    sleep(POSTGRES_MS_MAX, undefined, { signal: timeout.signal }),
  ]);
  timeout.abort();
  if (rows) return rows.filter(({ state }) => state === "live");
  return [...sales()].flatMap((sale) =>
    sale.partitionEpochs.flatMap(({ state, epoch, seq }, partition) =>
      state === "live" ? [{ saleId: sale.id, partition, epoch, seq }] : [],
    ),
  );
}

/** Every partition, as far as Postgres has applied it or any process has reported to have acknowledged. */
export async function reachedPositions(db: Queryable): Promise<PartitionRow[]> {
  const [rows, acknowledged] = await Promise.all([listPartitions(db), highestAcknowledged(db)]);
  return rows.map((row) => ({ ...row, seq: Math.max(row.seq, acknowledged.get(partitionName(row)) ?? 0) }));
}

/** Why a partition is closed, for the operator. */
export function reasonOf({ known, found }: LostPartition): string {
  const has = found ? `ends at ${formatPosition(found)}` : "does not exist";
  return `Redis lost movements: the log ${has}, and is known up to ${formatPosition(known)}`;
}

/**
 * Compares live partitions with what is known of them.
 *
 * @throws what Redis throws; then nothing is known
 */
export async function findLostPartitions(
  live: readonly LivePartition[],
  stock: PartitionStock,
  positions: KnownPositions,
): Promise<LostPartition[]> {
  const lost: LostPartition[] = [];
  for (let from = 0; from < live.length; from += AT_ONCE) {
    const compared = live.slice(from, from + AT_ONCE).map(async ({ saleId, partition, epoch, seq }) => {
      const at = { saleId, partition };
      const position = { epoch, seq };
      positions.learn(at, position);
      const known = positions.get(at) ?? position;
      const snapshot = await stock.snapshot(at);
      const found = snapshot.type === "OK" ? snapshot.position : undefined;
      if (!found || comparePositions(found, known) < 0) lost.push({ ...at, known, found });
    });
    await Promise.all(compared);
  }
  return lost;
}

/** One sentence for all of them; the first few by name. */
export function noticeOf(lost: readonly LostPartition[]): ServerNotice {
  const which = lost.slice(0, NAMED_MAX).map((at) => {
    const found = at.found ? `${at.found.epoch}-${at.found.seq}` : "nothing";
    return `${partitionName(at)} (known up to ${at.known.epoch}-${at.known.seq}, found ${found})`;
  });
  const more = lost.length > NAMED_MAX ? ` and ${lost.length - NAMED_MAX} more` : "";
  const message = `Redis lost stock movements; until they are rebuilt, these partitions sell nothing: ${which.join(", ")}${more}.`;
  return { severity: "error", message };
}
