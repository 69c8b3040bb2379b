// Waiting for Postgres to have applied what Redis has done, and giving up with a reason.
import { setTimeout as sleep } from "node:timers/promises";
import { type Partition, partitionName } from "../keys.ts";
import type { Queryable } from "../ledger/database.ts";
import { formatPosition, type Position } from "../movement.ts";
import { type LedgerHead, readHead } from "./ledger-side.ts";

/** How long a comparison waits for the ledger. */
export interface Patience {
  readonly waitMs: number;
  readonly signal?: AbortSignal;
}

/** The comparison cannot be made now; the message says why. */
export class Uncertain extends Error {}

const POLL_MS = 25;

/**
 * Waits until the ledger has applied the position.
 *
 * @throws Uncertain when it does not in time, when it is of another epoch, or when nothing is applied there at present
 */
export async function untilApplied(
  db: Queryable,
  at: Partition,
  position: Position | undefined,
  { waitMs, signal }: Patience,
): Promise<LedgerHead> {
  if (!position)
    throw new Uncertain(`Redis does not have partition ${partitionName(at)}; \`stock rebuild\` restores it.`);
  const deadline = performance.now() + waitMs;
  for (;;) {
    const head = await readHead(db, at);
    if (!head) throw new Uncertain(`There is no partition ${partitionName(at)}.`);
    checkHead(head, position);
    if (head.seq >= position.seq) return head;
    if (performance.now() >= deadline || signal?.aborted) {
      throw new Uncertain(
        `Postgres is behind: the log is at ${formatPosition(position)}, ${position.seq - head.seq} movements are not applied.`,
      );
    }
    await sleep(POLL_MS);
  }
}

function checkHead(head: LedgerHead, position: Position): void {
  if (head.state === "new") throw new Uncertain("The partition was never opened.");
  if (head.state === "suspended")
    throw new Uncertain(`The partition is suspended: ${head.reason ?? "no reason given"}.`);
  if (head.epoch !== position.epoch) {
    throw new Uncertain(
      `Redis is at epoch ${position.epoch}, Postgres at ${head.epoch}: a rebuild is under way or did not end.`,
    );
  }
}
