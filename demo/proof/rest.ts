// A proof is taken at rest: when every order is at an end and Postgres has applied all that Redis wrote.
import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { isTerminal, ORDER_STATUSES } from "../../engine/order-state.ts";
import type { PartitionStock } from "../../engine/stock/partition-stock.ts";
import { countUnfinished, readLog } from "./ledger-facts.ts";

const POLL_MS = 100;
export const TERMINAL_STATUSES = ORDER_STATUSES.filter(isTerminal);

/**
 * Waits until nothing of the sale moves any more. Servers may be away in between.
 *
 * @returns `undefined` at rest; else, after `timeoutMs`, what was still in motion
 */
export async function untilAtRest(
  subject: { pool: pg.Pool; stock: PartitionStock; saleId: string },
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const motion = await whatMoves(subject).catch((error: unknown) => `cannot be read: ${messageOf(error)}`);
    if (motion === undefined || performance.now() > deadline) return motion;
    await sleep(POLL_MS, undefined, { ...(signal && { signal }) });
  }
}

async function whatMoves({
  pool,
  stock,
  saleId,
}: {
  pool: pg.Pool;
  stock: PartitionStock;
  saleId: string;
}): Promise<string | undefined> {
  // Redis first: what is in Postgres afterwards includes all that this read saw, or is behind it.
  for (const { partition } of await readLog(pool, saleId)) {
    const snapshot = await stock.snapshot({ saleId, partition });
    if (snapshot.type !== "OK") return `partition ${partition}: ${snapshot.type}`;
    const log = (await readLog(pool, saleId)).find((row) => row.partition === partition);
    if (log?.seq !== snapshot.position.seq) {
      return `partition ${partition}: Postgres is at ${log?.seq} of ${snapshot.position.seq} movements`;
    }
    if (snapshot.holds > 0) return `partition ${partition}: ${snapshot.holds} reservations are held`;
  }
  const unfinished = await countUnfinished(pool, saleId, TERMINAL_STATUSES);
  return unfinished > 0 ? `${unfinished} orders are not at an end` : undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error);
}
