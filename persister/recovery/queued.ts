// Carries out the rebuilds that operators ask for over the API: in the persister, as they are about its log. One at a time in
// one process; a request that a dying process had begun is begun anew, which is what a rebuild is made for.
import { setTimeout as sleep } from "node:timers/promises";
import { announceVersion } from "../../engine/catalogue/propagation.ts";
import { findSale } from "../../engine/catalogue/sales.ts";
import { endRebuild, type PartitionReport, type Rebuild, takeRebuild } from "../../engine/ledger/rebuilds.ts";
import type { Logger } from "../../engine/log.ts";
import {
  planRebuild,
  type RebuildDependencies,
  RebuildError,
  type RebuildReport,
  rebuildPartition,
} from "./rebuild.ts";

const LOOK_EVERY_MS = 1_000;
/** A request that nobody took for so long is not carried out any more: what it was for may be long over. */
const REQUEST_AGE_MS_MAX = 600_000;
/** How long the row of a frozen process stays its own. */
const WORK_MS_MAX = 900_000;

export interface QueuedRebuilds {
  /** Resolves when none is under way any more. */
  stop(): Promise<void>;
}

/** Looks for requests about once a second, from now on. */
export function startQueuedRebuilds(deps: RebuildDependencies & { readonly log: Logger }): QueuedRebuilds {
  const stopping = new AbortController();
  const { signal } = stopping;
  const running = (async () => {
    let failing = false;
    while (!signal.aborted) {
      const more = await runQueuedRebuild(deps).then(
        (found) => {
          failing = false;
          return found;
        },
        (error: unknown) => {
          if (!failing) deps.log.warn({ err: error }, "requests for rebuilds could not be read; trying again");
          failing = true;
          return false;
        },
      );
      if (!more) await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
  })();
  return {
    async stop() {
      stopping.abort();
      await running;
    },
  };
}

/** Carries out the oldest request, if there is one. @returns whether there was */
export async function runQueuedRebuild(deps: RebuildDependencies & { readonly log: Logger }): Promise<boolean> {
  const client = await deps.pool.connect();
  let broken: Error | undefined;
  const onError = (error: Error) => {
    broken = error;
  };
  client.on("error", onError);
  try {
    await client.query("BEGIN");
    await client.query(`SET LOCAL idle_in_transaction_session_timeout = ${WORK_MS_MAX}`);
    const request = await takeRebuild(client);
    if (!request) return false;
    const reports: PartitionReport[] = [];
    const error =
      request.ageMs > REQUEST_AGE_MS_MAX ? "Nobody took the request in time." : await carryOut(deps, request, reports);
    await endRebuild(client, request.id, reports, error);
    await client.query("COMMIT");
    return true;
  } finally {
    await client.query("ROLLBACK").catch(onError); // after a COMMIT it does nothing
    client.off("error", onError);
    client.release(broken);
  }
}

/** Fills the reports. @returns why it could not go on, for the operator */
async function carryOut(
  deps: RebuildDependencies & { readonly log: Logger },
  { saleId, apply, actor }: Rebuild,
  reports: PartitionReport[],
): Promise<string | undefined> {
  const { pool, redis, log } = deps;
  try {
    const sale = await findSale(pool, saleId);
    for (const { partition } of sale?.partitionEpochs ?? []) {
      const at = { saleId, partition };
      reports.push(plain(apply ? await rebuildPartition(deps, at, actor) : await planRebuild(deps, at)));
    }
    return undefined;
  } catch (error) {
    log.error({ err: error, saleId }, "a rebuild failed");
    if (error instanceof RebuildError) return error.message;
    return "Redis or Postgres did not answer, or not as expected; the log of the persister says more.";
  } finally {
    if (apply) await announceVersion(pool, redis).catch(() => undefined);
  }
}

/** The report as JSON holds it. */
function plain({ lost, heldBack, epoch, ...report }: RebuildReport): PartitionReport {
  return {
    ...report,
    ...(lost && { lost }),
    heldBack: Object.fromEntries(heldBack),
    ...(epoch !== undefined && { epoch }),
  };
}
